"""What comes to the door of a data set: arrays and words that somebody else wrote, taken as they are or refused.

Each function returns what a data set keeps, or raises ValueError with what was expected and what was given.

Shapes: R rows, A action dimensions, K branches, C choices of all branches.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from rl.experience.actions import ActionLayout
from rl.experience.spaces import LARGEST

ROUNDING = 4  # units in the last place that an action may lie beyond its bounds: stretching it to them rounds so much


def rewards_of(given: Any) -> np.ndarray:
    """Numbers (R,) as float32."""
    rewards = _array("rewards", given)
    if rewards.ndim != 1 or rewards.dtype.kind not in "fiub":
        raise ValueError(f"expected rewards as numbers (R,), given {_described(given, rewards)}")
    large = np.isfinite(rewards) & (np.abs(rewards.astype(np.float64)) > LARGEST)
    if large.any():
        row = int(large.argmax())
        raise ValueError(f"expected rewards within float32, given {rewards[row]} in row {row}")
    return rewards.astype(np.float32)


def flags_of(name: str, given: Any) -> np.ndarray:
    """Bools, or numbers that are 0 and 1, as bools (R,)."""
    flags = _array(name, given)
    if flags.ndim != 1 or flags.dtype.kind not in "biuf":
        raise ValueError(f"expected {name} as bools (R,), or 0 and 1, given {_described(given, flags)}")
    wrong = (flags != 0) & (flags != 1)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(f"expected {name} as bools (R,), or 0 and 1, given {flags[row]} in row {row}")
    return flags.astype(bool)


def actions_of(layout: ActionLayout, given: Any) -> np.ndarray:
    """Actions (R, …) that an environment took, as agents keep them.

    A number that lies beyond its bound by rounding only is clipped.
    """
    actions = _array("actions", given)
    with np.errstate(over="ignore", invalid="ignore"):
        kept = layout.from_environment(actions)
    rows = actions.reshape(len(actions), math.prod(layout.shape))
    low, high, slack = _bounds(layout, actions.dtype)
    inside = (rows >= low - slack) & (rows <= high + slack)
    if not inside.all():
        row, column = map(int, np.argwhere(~inside)[0])
        where = f"row {row}" if rows.shape[1] == 1 else f"row {row}, number {column}"
        raise ValueError(f"expected actions within [{low[column]}, {high[column]}], given {rows[row, column]} in {where}")
    return kept


def _bounds(layout, dtype):
    """The least and the largest number of each dimension or branch, and how far beyond them rounding may lead."""
    if layout.kind != "Box":
        low = np.array(layout.start)
        return low, low + np.array(layout.choices) - 1, 0
    if layout.low is None:
        return np.full(layout.outputs, -LARGEST), np.full(layout.outputs, LARGEST), 0
    low, high = (bound.astype(np.float64) for bound in layout.bounds[:2])
    coarse = max(np.finfo(x).eps for x in (np.float32, dtype if dtype.kind == "f" else np.float32))
    with np.errstate(over="ignore"):
        return low, high, ROUNDING * float(coarse) * np.maximum(np.abs(low), np.abs(high))


def check_allowed(actions: np.ndarray, mask: np.ndarray, choices: tuple[int, ...]) -> None:
    """Refuse actions (R,) or (R, K) that their row's mask (R, C) excludes."""
    branches = actions.reshape(len(actions), len(choices)).astype(np.int64)
    columns = branches + np.cumsum((0, *choices[:-1]))  # (R, K)
    allowed = np.take_along_axis(mask, columns, axis=1).all(axis=1)
    if not allowed.all():
        row = int(allowed.argmin())
        expected = f"expected actions that their row's action_mask allows, one of {np.flatnonzero(mask[row]).tolist()}"
        if len(choices) > 1:
            ends = np.cumsum(choices)[:-1]
            each = [np.flatnonzero(part).tolist() for part in np.split(mask[row], ends)]
            expected = f"expected actions that their row's action_mask allows, one of each of {each}"
        raise ValueError(f"{expected}, given {actions[row].tolist()} in row {row} (choices count from 0)")


def rows_of(given: Any, count: int) -> np.ndarray:
    """Rows by number, or by a mask (R,), as numbers from 0 to R − 1."""
    rows = _array("rows", given)
    if rows.dtype == bool:
        if rows.shape != (count,):
            raise ValueError(f"expected a mask of {count} rows, given one of shape {rows.shape}")
        return np.flatnonzero(rows)
    if not rows.size:
        return np.zeros(0, np.int64)
    if rows.dtype.kind not in "iu":
        raise ValueError(f"expected rows as integers, or as a mask ({count},) of bools, given {_described(given, rows)}")
    outside = (rows < -count) | (rows >= count)
    if outside.any():
        raise ValueError(f"expected rows from 0 to {count - 1}, given {rows[outside][0]}")
    return np.arange(count)[rows]


def about_of(given: Any) -> dict[str, Any]:
    """What is known of a data set, as JSON holds it; NumPy's numbers become Python's, and tuples lists."""
    if not isinstance(given, Mapping):
        raise ValueError(f"expected about as a mapping of names to what is known, given {given!r:.60}")
    return _json("about", given)


def _json(name, given):
    x = given.item() if isinstance(given, np.generic) else given
    if x is None or isinstance(x, str | bool | int | float):
        return x
    if isinstance(x, list | tuple):
        return [_json(f"{name}[{i}]", item) for i, item in enumerate(x)]
    if not isinstance(x, Mapping):
        raise ValueError(f"expected {name} as JSON holds it (text, numbers, lists, mappings), given {type(given).__name__}")
    for key in x:
        if not isinstance(key, str):
            raise ValueError(f"expected text as the keys of {name}, given {key!r:.60}")
    return {str(key): _json(f"{name}[{key!r}]", item) for key, item in x.items()}


def _array(name, given):
    try:
        return np.asarray(given)
    except ValueError as error:  # rows of unequal length
        raise ValueError(f"expected {name} as an array, given {type(given).__name__}: {error}") from error


def _described(given, array) -> str:
    return f"{array.dtype} of shape {array.shape}" if array.ndim else f"{given!r:.60}"
