"""The replay memory as a file holds it: of every column the filled rows of all rings, and where the heads stand.

A state of other rings (another number of environment copies, another capacity) is dealt anew, see
dealing.py. Rows are read about a megabyte at a time, so a state that lies in a file needs no memory
besides the rings that it fills; one that is dealt needs one or two columns more.

Shapes: N rings, L slots each, F filled rows.
"""

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from deepnp.storage import CHUNK, Pieces, StoredArray
from rl.experience.dealing import Deal, deal
from rl.experience.episodes import Episodes
from rl.experience.frozen import Interval, Rings, intervals, rows_of

State = Mapping[str, np.ndarray | Pieces | StoredArray]
Kind = tuple[tuple[int | str, ...], Any]  # shape and type


class Fillable(Rings, Protocol):
    """What is filled: a `ReplayMemory`."""

    terminated: np.ndarray
    truncated: np.ndarray
    episodes: Episodes | None

    def restored(self, numbers: Mapping[str, np.ndarray]) -> None: ...


def state_of_rings(memory: Rings) -> dict[str, Any]:
    """The filled rows of all columns and all numbers, as they are: live arrays, and `Pieces` where rows lie apart."""
    filled = intervals(memory.heads, memory.sizes, memory.slots)
    return {name: rows_of(column, filled) for name, column in memory.columns().items()} | memory.numbers()


def check_rings(state: State, columns: Mapping[str, Kind], numbers: Mapping[str, Kind]) -> None:
    """Raise ValueError unless a state is whole, and has these columns and numbers.

    `columns` has the shape and the type of each column's row, `numbers` those of each number,
    "heads" and "sizes" among them; an N in a shape stands for the rings.
    """
    lacking, unknown = sorted({*columns, *numbers} - state.keys()), sorted(state.keys() - columns.keys() - numbers.keys())
    if lacking or unknown:
        raise ValueError(f"expected the state of a replay memory, given one that lacks {lacking} and has {unknown} besides")
    heads, sizes = np.asarray(state["heads"]), np.asarray(state["sizes"])
    fits = heads.ndim == 1 and heads.shape == sizes.shape != (0,) and heads.dtype == sizes.dtype == np.int64
    if not fits or not ((heads >= 0) & (heads <= sizes) & (sizes < 2**48)).all():
        raise ValueError(f"expected a replay memory with heads within what is filled, given heads {heads} of sizes {sizes}")
    filled = int(sizes.sum())
    for name, (shape, dtype) in {**columns, **numbers}.items():
        shape = (filled, *shape) if name in columns else tuple(len(sizes) if n == "N" else n for n in shape)
        if state[name].shape != shape or state[name].dtype != dtype:
            given = f"{state[name].shape} and {state[name].dtype}"
            raise ValueError(f"expected {name} of shape {shape} and {np.dtype(dtype)}, given {given}")


def fill(memory: Fillable, state: dict[str, Any]) -> None:
    """Fill a memory whose rings are taken, and empty, with a state that `check_rings` found right.

    What is used is taken out of the dict, so that columns which nobody else holds are let go one by
    one.
    """
    numbers = {name: np.asarray(state.pop(name)) for name in memory.numbers()}
    heads, sizes = numbers["heads"], numbers["sizes"]
    wraps = np.where(sizes == memory.slots, heads < memory.slots, (heads == sizes) & (sizes < memory.slots))
    if len(heads) == memory.copies and wraps.all():
        filled = intervals(heads, sizes, memory.slots)
        for name, column in memory.columns().items():
            _copy(state.pop(name), column, filled)
        memory.restored(numbers)
    else:
        ended = np.asarray(state["terminated"]) | np.asarray(state["truncated"])
        _fill_dealt(memory, state, numbers, deal(heads, sizes, ended, memory.copies, memory.slots))


def _copy(source, column: np.ndarray, filled: list[Interval]) -> None:
    source = np.asarray(source) if isinstance(source, Pieces) else source
    rows, done = max(CHUNK // max(math.prod(column.shape[1:]) * column.itemsize, 1), 1), 0
    for start, stop, _ in filled:
        for row in range(start, stop, rows):
            count = min(rows, stop - row)
            column[row : row + count] = source[done : done + count]
            done += count


def _fill_dealt(memory: Fillable, state: dict[str, Any], numbers: dict[str, np.ndarray], dealt: Deal) -> None:
    places = [slice(ring * memory.slots, ring * memory.slots + len(rows)) for ring, rows in enumerate(dealt.rows)]
    for name, column in memory.columns().items():
        source = np.asarray(state.pop(name))
        for place, rows in zip(places, dealt.rows, strict=True):
            np.take(source, rows, axis=0, out=column[place], mode="clip")  # "raise" would copy it once more
    for ring, place in enumerate(places):
        before, after = dealt.positions(ring)
        memory.truncated[place] |= (after == 0) & ~memory.terminated[place]
        if memory.episodes is not None:
            memory.episodes.position[place], memory.episodes.remaining[place] = before, after
    numbers |= {"heads": dealt.sizes % memory.slots, "sizes": dealt.sizes}
    if memory.episodes is not None:
        numbers["episodes.lengths"] = np.zeros(memory.copies, np.int64)  # all episodes were closed
    memory.restored(numbers)
