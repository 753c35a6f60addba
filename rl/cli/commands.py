"""The commands, one file each; a file is loaded when its command is asked for."""

import importlib
from collections.abc import Callable

from rl.cli.dispatch import Command, Group, Member

ABOUT = """Train agents, look at them, compare them:
  deepnp train sac HalfCheetah-v5        writes runs/SAC-HalfCheetah-v5
  deepnp play runs/SAC-HalfCheetah-v5    shows what it learned

With --help behind it, a command lists its options."""


def _member(module: str, name: str, summary: str) -> Member:
    return Member(summary, _loader(module, name))


def _loader(module: str, name: str) -> Callable[[], Command]:
    return lambda: getattr(importlib.import_module(f"rl.cli.{module}"), name)


TOP = Group(
    ABOUT,
    {
        "train": _member("train", "TRAIN", "train an agent, or one for each of several seeds"),
        "resume": _member("resume", "resume", "go on with a run that was stopped"),
        "eval": _member("evaluate", "evaluate", "returns of a run's agent in new episodes"),
        "collect": _member("collect", "collect", "gather a data set, to learn from without an environment"),
        "play": _member("play", "play", "show a run's agent in a window, or film it"),
        "plot": _member("plot", "plot", "learning curves of runs"),
        "explore": _member("explore", "explore", "a page about a run: curves, what they mean, settings"),
        "results": _member("plot", "results", "a table of runs: returns over seeds, minutes, commands"),
        "compare": _member("plot", "compare", "how two runs differ, and which is better"),
        "export": _member("export", "export", "a run's policy for other programs"),
        "tune": _member("tune", "TUNE", "search for settings"),
        "gradcheck": _member("tools", "GRADCHECK", "compare every derivative with finite differences"),
        "bench": _member("tools", "BENCH", "measure speed and learning, where the source is"),
        "book": _member("tools", "BOOK", "make the book of derivatives, a web site, where the source is"),
        "envs": _member("listings", "environments", "list environments, and who can learn in them"),
        "algorithms": _member("listings", "algorithms", "list algorithms, and what they take"),
    },
)
