"""Pictures of an agent at work."""

import os
from pathlib import Path

import gymnasium
import numpy as np
from PIL import Image

from rl.agent import Agent

COLOURS = 128  # of a GIF's palette


def film(agent: Agent, env: gymnasium.Env, seed: int, seconds: float, fps: float) -> list[np.ndarray]:
    """Frames (H, W, 3) of one deterministic episode, at most `seconds` long, about `fps` a second of simulated time.

    `env` renders "rgb_array" and tells `render_fps`, its decisions a second.

    Raises
    ------
    ValueError
        If it renders otherwise.
    """
    if env.render_mode != "rgb_array":
        raise ValueError(f'expected an environment with render_mode="rgb_array", given {env.render_mode!r}')
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
    palette = palette_of(images)
    paletted = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    path = Path(path)
    duration = max(20, round(1000 / fps / 10) * 10)  # GIF counts in hundredths of a second
    paletted[0].save(path, save_all=True, append_images=paletted[1:], duration=duration, loop=0, optimize=True)
    return path


def palette_of(images: list[Image.Image]) -> Image.Image:
    """A palette for RGB images: a small thing of a colour of its own, in one image only, keeps its colour.

    Median cut gives colours to where most pixels are. So it is shown each colour, to 5 bits a channel, as often as the square
    root of its count in all images.
    """
    pixels = np.concatenate([np.asarray(image).reshape(-1, 3) for image in images])
    codes = (pixels >> 3).astype(np.uint16) @ np.array([1 << 10, 1 << 5, 1], np.uint16)
    counts = np.bincount(codes, minlength=1 << 15)
    sums = np.stack([np.bincount(codes, pixels[:, channel], 1 << 15) for channel in range(3)], axis=1)
    used = counts > 0
    means = np.round(sums[used] / counts[used, None]).astype(np.uint8)
    shown = np.repeat(means, np.ceil(np.sqrt(counts[used])).astype(int), axis=0)
    return Image.fromarray(shown[None]).quantize(COLOURS, Image.Quantize.MEDIANCUT)


def contact_sheet(frames: list[np.ndarray], count: int) -> np.ndarray:
    """`count` frames, evenly spaced in time, side by side: (H, count·W, 3)."""
    chosen = [frames[round(i)] for i in np.linspace(0, len(frames) - 1, min(count, len(frames)))]
    return np.concatenate(chosen, axis=1)
