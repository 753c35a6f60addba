"""Defaults and ranges of all settings, as text: `python -m tests.rl.defaults` prints what defaults.csv should hold."""

import inspect
from dataclasses import fields
from pathlib import Path

import rl

FILE = Path(__file__).with_name("defaults.csv")


def table() -> list[str]:
    """One line a field: the Config that defines it, its name, default, lowest and highest value."""
    lines = {}
    for algorithm in rl.ALGORITHMS.values():
        for config in reversed(algorithm.config.__mro__[:-1]):
            for f in fields(config):
                if f.name in inspect.get_annotations(config):
                    low, high = f.metadata["low"], f.metadata["high"]
                    lines[config.__name__, f.name] = f"{config.__name__}; {f.name}; {f.default!r}; {low!r}; {high!r}"
    return list(lines.values())


if __name__ == "__main__":
    print("\n".join(table()))
