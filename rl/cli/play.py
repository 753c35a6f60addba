"""`deepnp play RUN`."""

import os
import sys
import tempfile
import warnings
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import gymnasium
from tyro.conf import arg

import rl
from rl.cli.saved import CHECKPOINT, MODULE, agent_of, environment_for
from rl.cli.terminal import say
from rl.cli.usage import Usage
from rl.experience.pace import Pace
from rl.training.playing import Player
from rl.training.video import film, save_gif, save_mp4

FILMS = MappingProxyType({"gif": save_gif, "mp4": save_mp4})
FRAMES_PER_SECOND = 25  # of a film, at most about


def play(
    run: Annotated[Path, arg(help="the run's folder")],
    to: Annotated[
        Literal["auto", "window", "gif", "mp4"],
        arg(help="where to; auto: as --out ends, or a window, or a GIF where there is no display"),
    ] = "auto",
    seed: Annotated[int, arg(help="of the first episode")] = 1,
    episodes: Annotated[int, arg(help="in the window; a film shows one")] = 5,
    seconds: Annotated[float, arg(help="length of a film, at most")] = 20.0,
    width: Annotated[int, arg(help="of a film, in pixels")] = 480,
    out: Annotated[Path | None, arg(metavar="FILE", help="of the film", help_behavior_hint="(default: RUN/video/…)")] = None,
    checkpoint: Annotated[str, arg(help=CHECKPOINT)] = "last",
    module: Annotated[str | None, MODULE] = None,
) -> None:
    """Show what a run's agent does: in a window, or as a film where there is no display."""
    env, settings = environment_for(run, module)
    name = env.rpartition(":")[2]
    agent = agent_of(run, checkpoint)
    form = _form(to, out)
    _spare_complaints()
    if form != "window":
        say(f"filming {seconds:g} seconds at most of {name}, after {agent.steps:,} steps")
    with closing(_made(name, form == "window", settings)) as world:
        if form == "window":
            show(agent, world, seed, episodes)
            return
        frames, speed = frames_of(agent, world, seed, seconds)
    path = out or run / "video" / f"step-{agent.steps}-seed-{seed}.{form}"
    path.parent.mkdir(parents=True, exist_ok=True)
    FILMS[form](path, frames, speed, width)
    say(f"{len(frames) / speed:.1f} seconds: {path}")


def _spare_complaints() -> None:
    """SDL, which draws windows, prints errors of its own where there is no sound, or no folder for a desktop's files."""
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    if sys.platform.startswith("linux") and not os.environ.get("WAYLAND_DISPLAY"):
        os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())


def _made(name: str, window: bool, settings: Mapping[str, Any]) -> gymnasium.Env:
    with warnings.catch_warnings():  # an environment that has no window of its own gets one, and a warning of that
        warnings.filterwarnings("ignore", ".*use 'human' rendering")
        own = dict(settings)
        pace = Pace.taken_from(own)
        return pace.around(gymnasium.make(name, render_mode="human" if window else "rgb_array", **own))


def _form(to: str, out: Path | None) -> str:
    """What is wanted: as it is said, or as the file's name ends, or a window where there can be one."""
    ending = None if out is None else out.suffix.lower().removeprefix(".")
    if ending is not None and (ending not in FILMS or to not in ("auto", ending)):
        raise Usage(f"expected --out as a file that ends in .{to if to in FILMS else ' or .'.join(FILMS)}, given {out}")
    if to == "window" and not has_display() and not os.environ.get("SDL_VIDEODRIVER"):  # MuJoCo would abort the process
        raise Usage("expected a display for --to window, found none: --to gif makes a film")
    if to != "auto":
        return to
    return ending or ("window" if has_display() else "gif")


def show(agent: rl.Agent, env: gymnasium.Env, seed: int, episodes: int) -> None:
    """Play episodes in an environment that shows itself."""
    for episode in range(seed, seed + episodes):
        observation, _ = env.reset(seed=episode)
        total, ended, player = 0.0, False, Player(agent)
        while not ended:
            observation, reward, terminated, truncated, _ = env.step(player.act(observation))
            total, ended = total + float(reward), terminated or truncated
        say(f"episode of seed {episode}: return {total:,.2f}")


def frames_of(agent: rl.Agent, env: gymnasium.Env, seed: int, seconds: float) -> tuple[list, float]:
    """The frames of an episode, and how many of them a second has."""
    decisions = env.metadata.get("render_fps") or FRAMES_PER_SECOND
    return film(agent, env, seed, seconds, FRAMES_PER_SECOND), decisions / max(1, round(decisions / FRAMES_PER_SECOND))


def has_display() -> bool:
    """Whether a window can be opened, as far as the surroundings tell."""
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
