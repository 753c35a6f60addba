"""Pictures of an agent at work."""

import os
from pathlib import Path

import gymnasium
import numpy as np
from PIL import Image

from rl.agent import Agent


def film(agent: Agent, env: gymnasium.Env, seed: int, seconds: float, fps: float) -> list[np.ndarray]:
    """Frames (H, W, 3) of one deterministic episode, at most `seconds` long, about `fps` a second of simulated time.

    `env` renders "rgb_array" and tells `render_fps`, its decisions a second.
    """
    decisions_per_second = env.metadata["render_fps"]
    every = max(1, round(decisions_per_second / fps))
    observation, _ = env.reset(seed=seed)
    frames, ended, decision = [], False, 0
    while not ended and decision < seconds * decisions_per_second:
        if decision % every == 0:
            frames.append(env.render())
        observation, _, terminated, truncated, _ = env.step(agent.predict(observation))
        ended, decision = terminated or truncated, decision + 1
    return frames


def save_gif(path: str | os.PathLike, frames: list[np.ndarray], fps: float, width: int = 320) -> Path:
    """Write frames as a small looping GIF, `width` pixels wide, one palette for all frames."""
    if not frames:
        raise ValueError("expected at least one frame, given none")
    height = round(width * frames[0].shape[0] / frames[0].shape[1])
    images = [Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS) for frame in frames]
    palette = images[len(images) // 2].quantize(64, Image.Quantize.MEDIANCUT)
    paletted = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    path = Path(path)
    duration = max(20, round(1000 / fps / 10) * 10)  # GIF counts in hundredths of a second
    paletted[0].save(path, save_all=True, append_images=paletted[1:], duration=duration, loop=0, optimize=True)
    return path


def contact_sheet(frames: list[np.ndarray], count: int) -> np.ndarray:
    """`count` frames, evenly spaced in time, side by side: (H, count·W, 3)."""
    chosen = [frames[round(i)] for i in np.linspace(0, len(frames) - 1, min(count, len(frames)))]
    return np.concatenate(chosen, axis=1)
