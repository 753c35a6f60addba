"""A run's settings, those that differ from the algorithm's defaults first, and what else config.json says."""

import json
from collections.abc import Mapping
from typing import Any

from rl.algorithms import ALGORITHMS
from rl.config import settings_to_json
from rl.runs.record import as_json, command_text
from rl.training.groups import flat

SAID = {"config", "command", "algorithm", "env", "seed", "total_steps", "date"}  # elsewhere on the page


def defaults_of(algorithm: str) -> dict[str, Any]:
    """The algorithm's own settings; none where it is not one of ours."""
    known = ALGORITHMS.get(algorithm)
    return as_json(settings_to_json(known.config())) if known else {}


def settings_of(record: Mapping[str, Any]) -> tuple[list[tuple[str, str, str]], list[tuple[str, str]]]:
    """Settings that were changed, as (name, value, default), and the others, as (name, value)."""
    defaults, changed, usual = defaults_of(record["algorithm"]), [], []
    for name, value in record["config"].items():
        if name in defaults and defaults[name] != value:
            changed.append((name, text_of(value), text_of(defaults[name])))
        else:
            usual.append((name, text_of(value)))
    return changed, usual


def surroundings_of(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Versions, hardware, the environment's keyword arguments and how the run was written down, as (name, value)."""
    return [(name, text_of(value)) for name, value in flat({k: v for k, v in record.items() if k not in SAID}).items()]


def command_of(record: Mapping[str, Any]) -> str:
    """The command that began the run; an empty text where none was recorded."""
    words = record.get("command")
    return command_text([str(word) for word in words]) if isinstance(words, list) and words else ""


def text_of(value: Any) -> str:
    """A value as JSON writes it, and text without quotation marks."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
