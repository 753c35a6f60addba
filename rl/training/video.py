"""Pictures of an agent at work."""

import os
from pathlib import Path

import gymnasium
import numpy as np
from PIL import Image

from rl.agent import Agent
from rl.training.drawing import picture
from rl.training.playing import Player

COLOURS = 128  # of a GIF's palette


def film(agent: Agent, env: gymnasium.Env, seed: int, seconds: float, fps: float) -> list[np.ndarray]:
    """Frames (H, W, 3) of one deterministic episode, at most `seconds` long.

    About `fps` frames are taken a second of simulated time.

    `env` renders "rgb_array" and tells `render_fps`, its decisions a second.

    Raises
    ------
    ValueError
        If it renders otherwise, or does not tell; or if fps is not above 0.
    TypeError
        If it is no Env, such as an id.
    """
    if not isinstance(env, gymnasium.Env):
        raise TypeError(f"expected an Env to film in, given {env!r:.60}")
    if env.render_mode != "rgb_array":
        raise ValueError(f'expected an environment with render_mode="rgb_array", given {env.render_mode!r}')
    decisions_per_second = env.metadata.get("render_fps") or 0
    if not (decisions_per_second > 0 and fps > 0):
        raise ValueError(f"expected render_fps of {env} and fps above 0, given {decisions_per_second} and {fps}")
    every = max(1, round(decisions_per_second / fps))
    observation, _ = env.reset(seed=seed)
    frames, ended, decision, player = [], False, 0, Player(agent)
    while not ended and decision < seconds * decisions_per_second:
        if decision % every == 0:
            frames.append(picture(env))
        observation, _, terminated, truncated, _ = env.step(player.act(observation))
        ended, decision = terminated or truncated, decision + 1
    return frames


def save_gif(path: str | os.PathLike, frames: list[np.ndarray], fps: float, width: int = 320) -> Path:
    """Write frames as a small looping GIF, `width` pixels wide, one palette for all frames."""
    images = _resized(frames, fps, width)
    palette = palette_of(images)
    paletted = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    path = Path(path)
    duration = max(20, round(1000 / fps / 10) * 10)  # GIF counts in hundredths of a second
    paletted[0].save(path, save_all=True, append_images=paletted[1:], duration=duration, loop=0, optimize=True)
    return path


def save_mp4(path: str | os.PathLike, frames: list[np.ndarray], fps: float, width: int = 480) -> Path:
    """Write frames as an MP4 film (H.264), about `width` pixels wide, by imageio-ffmpeg.

    Raises
    ------
    ImportError
        Without imageio-ffmpeg; the message says how to install it.
    """
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise ImportError('MP4 films need imageio-ffmpeg: pip install "deepnp-rl[video]"') from error
    images = _resized(frames, fps, width, multiple=2)  # H.264 halves the colours' resolution
    path = Path(path)
    writer = imageio_ffmpeg.write_frames(os.fspath(path), images[0].size, fps=fps, macro_block_size=2)
    writer.send(None)
    for image in images:
        writer.send(image.tobytes())
    writer.close()
    return path


def _resized(frames, fps, width, multiple=1) -> list[Image.Image]:
    """Frames (H, W, 3) as pictures, `width` wide."""
    if not frames:
        raise ValueError("expected at least one frame, given none")
    if not fps > 0:
        raise ValueError(f"expected fps above 0, given {fps}")
    if not width >= multiple:
        raise ValueError(f"expected width >= {multiple}, given {width}")
    height = width * frames[0].shape[0] / frames[0].shape[1]
    size = width // multiple * multiple, max(1, round(height / multiple)) * multiple
    return [Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS) for frame in frames]


def palette_of(images: list[Image.Image]) -> Image.Image:
    """A palette for RGB images, in which a small thing in one of them keeps its colour.

    Median cut gives colours to where most pixels are. So it chooses three quarters of them; the
    others go one by one to the colour that is served worst, counting its pixels by their square
    root.
    """
    colours, counts = _histogram(images)
    weights = np.sqrt(counts)
    shown = np.repeat(colours, np.ceil(weights).astype(int), axis=0).astype(np.uint8)
    base = Image.fromarray(shown[None]).quantize(COLOURS * 3 // 4, Image.Quantize.MEDIANCUT)
    palette = np.array(base.getpalette(), float).reshape(-1, 3)[: COLOURS * 3 // 4]
    errors = np.min([((colours - entry) ** 2).sum(axis=1) for entry in palette], axis=0)
    while len(palette) < COLOURS:
        worst = colours[(errors * weights).argmax()]
        palette = np.append(palette, worst[None], axis=0)
        errors = np.minimum(errors, ((colours - worst) ** 2).sum(axis=1))
    result = Image.new("P", (1, 1))
    result.putpalette(palette.round().astype(np.uint8).tobytes())
    return result


def _histogram(images: list[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
    """The K colours of RGB images, to 5 bits a channel: their means (K, 3), their pixels (K,)."""
    counts, sums = np.zeros(1 << 15), np.zeros((1 << 15, 3))
    for image in images:
        pixels = np.asarray(image).reshape(-1, 3)
        codes = (pixels >> 3).astype(np.uint16) @ np.array([1 << 10, 1 << 5, 1], np.uint16)
        counts += np.bincount(codes, minlength=1 << 15)
        sums += np.stack([np.bincount(codes, channel, 1 << 15) for channel in pixels.T], axis=1)
    used = counts > 0
    return sums[used] / counts[used, None], counts[used]


def contact_sheet(frames: list[np.ndarray], count: int) -> np.ndarray:
    """`count` frames, evenly spaced in time, side by side: (H, count·W, 3)."""
    if not frames or count < 1:
        raise ValueError(f"expected at least one frame, given {count} of {len(frames)}")
    chosen = [frames[round(i)] for i in np.linspace(0, len(frames) - 1, min(count, len(frames)))]
    return np.concatenate(chosen, axis=1)
