"""Action spaces: from what a policy draws to what the environment takes.

    Box               A numbers. The agent acts in [−1, 1]; its actions are clipped to that and stretched onto the bounds
    Discrete          one choice of C
    MultiDiscrete     a choice in each of K branches
    MultiBinary       K switches, on or off; or k of them, drawn one after the other
    Dict, Tuple       several of these at once, also nested

The agent keeps an action of a Dict or a Tuple as one row of float32 numbers, part after part.

Shapes: N environments, A action dimensions, K branches, W numbers of a row.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
from gymnasium import spaces

from rl.experience.masks import random_choices

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class ActionLayout:
    """An action space.

    Attributes
    ----------
    kind : {"Box", "Discrete", "MultiDiscrete", "MultiBinary", "Dict", "Tuple"}
    shape : tuple of int
        Of one action as the environment wants it; () for a Dict or a Tuple.
    dtype : str
        Of the space; bounds are computed and kept in it.
    low, high : tuple of float or None
        Bounds of each dimension of a Box; None where it is unbounded.
    choices, start : tuple of int
        How many choices each branch has, and the first one's number. Of a Dict or a Tuple, those of
        all parts.
    parts : tuple of ActionLayout
        Of a Dict or a Tuple.
    paths : tuple of tuple
        The keys and positions that lead to each part.
    squash : {"clip", "tanh"}
        How a policy's numbers come into [−1, 1] of a bounded Box. The agent's, not the space's.
    choose : int or None
        How many switches are on; None: any number. The agent's, not the space's.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: str
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None
    choices: tuple[int, ...] = ()
    start: tuple[int, ...] = ()
    parts: tuple["ActionLayout", ...] = ()
    paths: tuple[tuple[str | int, ...], ...] = ()
    squash: str = field(default="clip", compare=False)
    choose: int | None = field(default=None, compare=False)

    @classmethod
    def of(cls, space: spaces.Space) -> "ActionLayout":
        """Read a single environment's action space.

        Raises
        ------
        ValueError
            For spaces that no agent here can handle.
        """
        if isinstance(space, spaces.Discrete):
            return cls("Discrete", (), str(space.dtype), choices=(int(space.n),), start=(int(space.start),))
        if isinstance(space, spaces.MultiDiscrete):
            sizes, starts = (tuple(map(int, x.ravel())) for x in (space.nvec, space.start))
            return cls("MultiDiscrete", tuple(space.shape), str(space.dtype), choices=sizes, start=starts)
        if isinstance(space, spaces.MultiBinary):
            size = math.prod(space.shape)
            return cls("MultiBinary", tuple(space.shape), str(space.dtype), choices=(2,) * size, start=(0,) * size)
        if isinstance(space, spaces.Dict | spaces.Tuple):
            return cls.joint(list(_parts(space, ())))
        if not isinstance(space, spaces.Box) or space.dtype.kind != "f":
            known = "a Box of floats, a Discrete, MultiDiscrete, MultiBinary, Dict or Tuple space"
            raise ValueError(f"expected actions in {known}, given {space}")
        return cls._box(space)

    def drawn(self, squash: str, choose: int | None, bounded: bool, masked: bool) -> "ActionLayout":
        """The same space, with actions that an agent draws in this way.

        Parameters
        ----------
        squash, choose
            See the attributes.
        bounded : bool
            Whether each Box needs finite bounds.
        masked : bool
            Whether choices are masked.

        Raises
        ------
        ValueError
            If a Box has no bounds; if `choose` is given for other actions than MultiBinary, for masked
            ones, or with more than there are switches.
        """
        if self.parts and choose is None:
            return replace(self, parts=tuple(part.drawn(squash, None, bounded, masked) for part in self.parts))
        if bounded and self.kind == "Box" and self.low is None:
            raise ValueError(
                "expected bounded actions (a Box with finite low and high), to squash into them, given an unbounded Box"
            )
        if choose is not None and (self.kind != "MultiBinary" or masked or choose > self.outputs):
            given = f"{self.kind} of {self.outputs}{', with an action mask' if masked else ''}"
            raise ValueError(
                f"expected MultiBinary actions of at least {choose} switches without a mask, to choose {choose}, given {given}"
            )
        return replace(self, squash=squash, choose=choose)

    @classmethod
    def joint(cls, parts: Sequence[tuple[Path, "ActionLayout"]]) -> "ActionLayout":
        """Several at once, each with the path that leads to it; a Tuple where the paths begin with positions."""
        if not parts:
            raise ValueError("expected actions of at least one part, given an empty Dict or Tuple")
        paths, layouts = zip(*parts, strict=True)
        choices, start = (tuple(n for layout in layouts for n in getattr(layout, name)) for name in ("choices", "start"))
        kind = "Tuple" if isinstance(paths[0][0], int) else "Dict"
        return cls(kind, (), "float32", None, None, choices, start, layouts, paths)

    @classmethod
    def _box(cls, space):
        finite, shape, dtype = np.isfinite([space.low, space.high]), tuple(map(int, space.shape)), str(space.dtype)
        if not math.prod(shape):
            raise ValueError(f"expected actions of at least one value, given {space}")
        if finite.all():
            low, high = (tuple(map(float, bound.ravel())) for bound in (space.low, space.high))
            return cls("Box", shape, dtype, low, high)
        if finite.any():
            raise ValueError(f"expected action bounds that are all finite or all infinite, given {space}")
        return cls("Box", shape, dtype)

    @property
    def outputs(self) -> int:
        """Action dimensions A of a Box, choices of all branches, or switches; of several parts, those of all."""
        if self.parts:
            return sum(part.outputs for part in self.parts)
        return {"Box": math.prod(self.shape), "MultiBinary": len(self.choices)}.get(self.kind, sum(self.choices))

    @property
    def stored(self) -> tuple[tuple[int, ...], type]:
        """Shape and dtype of one action as the agent keeps it.

        (A,) float32, () int64, (K,) int64 or (K,) int8; (k,) int64, the numbers of k switches that are
        on, in the order in which they were drawn; (W,) float32 of several parts.
        """
        if self.parts:
            return (self.columns[-1].stop,), np.float32
        if self.kind == "Box":
            return (self.outputs,), np.float32
        if self.kind == "Discrete":
            return (), np.int64
        if self.choose is not None:
            return (self.choose,), np.int64
        return (len(self.choices),), np.int8 if self.kind == "MultiBinary" else np.int64

    @cached_property
    def columns(self) -> list[slice]:
        """Where each part lies in a row."""
        ends = [0, *accumulate(math.prod(part.stored[0]) for part in self.parts)]
        return [slice(*pair) for pair in pairwise(ends)]

    def split(self, rows: np.ndarray) -> list[np.ndarray]:
        """Rows (N, W) -> the actions (N, …) of each part, as an agent of this part alone keeps them."""
        pairs = zip(self.columns, (part.stored for part in self.parts), strict=True)
        return [rows[:, columns].astype(dtype).reshape(len(rows), *shape) for columns, (shape, dtype) in pairs]

    @staticmethod
    def join(actions: Sequence[np.ndarray]) -> np.ndarray:
        """The actions (N, …) of each part -> rows (N, W)."""
        return np.concatenate([part.reshape(len(part), -1) for part in actions], axis=1, dtype=np.float32)

    def masks(self, mask: np.ndarray | None) -> list[np.ndarray | None]:
        """What a mask (N, C) says of each part; None of a part without choices."""
        if mask is None:
            return [None] * len(self.parts)
        pieces = np.split(mask, np.cumsum([sum(part.choices) for part in self.parts])[:-1], axis=1)
        return [piece if part.choices else None for piece, part in zip(pieces, self.parts, strict=True)]

    def random(self, count: int, rng: np.random.Generator, mask: np.ndarray | None = None) -> np.ndarray:
        """Uniform actions (count, …) as the agent keeps them, of those that a mask (count, C) allows."""
        if self.parts:
            pairs = zip(self.parts, self.masks(mask), strict=True)
            return self.join([part.random(count, rng, allowed) for part, allowed in pairs])
        if self.choose is not None:
            return rng.random((count, self.outputs)).argsort(axis=1)[:, : self.choose]
        if self.kind == "Box":
            return rng.uniform(-1, 1, (count, self.outputs)).astype(np.float32)
        shape, dtype = self.stored
        if mask is None:
            numbers = rng.integers(0, np.array(self.choices), size=(count, len(self.choices)))
        else:
            numbers = random_choices(mask, self.choices, rng)
        return numbers.astype(dtype).reshape(count, *shape)

    def to_environment(self, actions: np.ndarray) -> Any:
        """The agent's actions (N, A), choices (N,) or (N, K), rows (N, W), as the environment takes them.

        In the space, and in a new array; of several parts, in a Dict or Tuple of arrays.
        """
        if self.kind == "Discrete":
            return actions + self.start[0]
        if self.parts:
            arrays = [part.to_environment(own) for part, own in zip(self.parts, self.split(actions), strict=True)]
            return nested(self.paths, arrays)
        if self.choose is not None:
            on = np.zeros((len(actions), self.outputs), self.dtype)
            np.put_along_axis(on, actions, 1, axis=1)
            return on.reshape(len(actions), *self.shape)
        if self.kind != "Box":
            return (actions + np.array(self.start, actions.dtype)).reshape(len(actions), *self.shape).astype(self.dtype)
        rows = actions[0] if len(actions) == 1 else actions  # without an axis to broadcast along, NumPy takes half as long
        rows = np.array(rows, self.dtype) if self.low is None else self._stretch(rows)
        return rows.reshape(len(actions), *self.shape)

    def from_environment(self, actions: np.ndarray) -> np.ndarray:
        """What the agent keeps of actions (N, …) that the environment took: `to_environment` the other way.

        Numbers beyond a Box's bounds are clipped. Raises ValueError for another shape or type, and for
        actions of several parts.
        """
        shape, dtype = self.stored
        if self.parts or self.choose is not None:
            raise ValueError(f"expected actions in one space, given {self.kind}")
        whole = actions.dtype.kind in ("iub" if self.kind != "Box" else "fiu")
        if actions.ndim == 0 or actions.shape[1:] != self.shape or not whole:
            inner = "".join(f", {n}" for n in self.shape)
            raise ValueError(f"expected actions of shape (N{inner}) for {self.kind}, given {actions.shape} and {actions.dtype}")
        rows = actions.reshape(len(actions), *shape)
        if self.kind != "Box":
            return (rows.astype(np.int64) - np.array(self.start).reshape(shape)).astype(dtype)
        if self.low is None:
            return rows.astype(dtype)
        _, _, start, half = (bound.astype(np.float64) for bound in self.bounds)
        centred = (rows.astype(np.float64) - start) / np.where(half == 0, 1, half)
        return (centred - 1 if self.bounds[2] is self.bounds[0] else centred).clip(-1, 1).astype(dtype)

    def _stretch(self, actions):
        low, high, start, half = self.bounds
        one = self._one
        if self.squash == "tanh":
            actions = np.tanh(actions)
        inside = np.minimum(np.maximum(actions, -one), one)
        if start is low:
            stretched = low + (inside + one) * half
        else:
            stretched = start + inside * half
        return np.minimum(np.maximum(stretched, low), high, dtype=low.dtype)  # against rounding, in the space's own type

    @cached_property
    def _one(self) -> np.ndarray:
        """1 in each dimension: with an array of the same shape, NumPy takes half as long as with a number."""
        return np.ones(self.outputs, np.float32)

    @cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """low, high, where actions start from and half the range: from the middle where high − low is no finite number."""
        low, high = np.array(self.low, self.dtype), np.array(self.high, self.dtype)
        with np.errstate(over="ignore"):
            width = high - low
        if np.isfinite(width).all():
            return low, high, low, width.dtype.type(0.5) * width
        half_low, half_high = low.dtype.type(0.5) * low, high.dtype.type(0.5) * high
        return low, high, half_high + half_low, half_high - half_low


def each(function: Callable[[np.ndarray], Any], actions: Any) -> Any:
    """`function` of every array of an action, which may be a Dict or a Tuple of them."""
    if isinstance(actions, dict):
        return {key: each(function, part) for key, part in actions.items()}
    return tuple(each(function, part) for part in actions) if isinstance(actions, tuple) else function(actions)


def nested(paths: Sequence[Path], arrays: Sequence[np.ndarray]) -> Any:
    """The Dict or Tuple, with others in it, in which each array lies at its path."""
    if paths[0] == ():
        return arrays[0]
    heads = dict.fromkeys(path[0] for path in paths)
    pairs = list(zip(paths, arrays, strict=True))
    made = {key: nested(*zip(*((path[1:], x) for path, x in pairs if path[0] == key), strict=True)) for key in heads}
    return tuple(made.values()) if isinstance(paths[0][0], int) else made


def _parts(space: spaces.Space, path: Path) -> Iterator[tuple[Path, ActionLayout]]:
    if isinstance(space, spaces.Dict | spaces.Tuple):
        for key, child in space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces):
            yield from _parts(child, (*path, key))
    else:
        yield path, ActionLayout.of(space)
