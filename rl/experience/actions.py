"""Action spaces: from what a policy draws to what the environment takes.

    Box               A numbers. The agent acts in [−1, 1]; its actions are clipped to that and stretched onto the bounds
    Discrete          one choice of C
    MultiDiscrete     a choice in each of K branches
    MultiBinary       K switches, on or off

Shapes: N environments, A action dimensions, K branches.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from gymnasium import spaces

from rl.experience.masks import random_choices


@dataclass(frozen=True)
class ActionLayout:
    """An action space.

    Attributes
    ----------
    kind : {"Box", "Discrete", "MultiDiscrete", "MultiBinary"}
    shape : tuple of int
        Of one action as the environment wants it.
    dtype : str
        Of the space; bounds are computed and kept in it.
    low, high : tuple of float or None
        Bounds of each dimension of a Box; None where it is unbounded.
    choices, start : tuple of int
        How many choices each branch has, and the first one's number.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: str
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None
    choices: tuple[int, ...] = ()
    start: tuple[int, ...] = ()

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
        if not isinstance(space, spaces.Box) or space.dtype.kind != "f":
            known = "a Box of floats, a Discrete, a MultiDiscrete or a MultiBinary space"
            raise ValueError(f"expected actions in {known}, given {space}")
        return cls._box(space)

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
        """Action dimensions A of a Box, choices of all branches, or switches."""
        return {"Box": math.prod(self.shape), "MultiBinary": len(self.choices)}.get(self.kind, sum(self.choices))

    @property
    def stored(self) -> tuple[tuple[int, ...], type]:
        """Shape and dtype of one action as the agent keeps it: (A,) float32, () int64, (K,) int64 or (K,) int8."""
        if self.kind == "Box":
            return (self.outputs,), np.float32
        if self.kind == "Discrete":
            return (), np.int64
        return (len(self.choices),), np.int8 if self.kind == "MultiBinary" else np.int64

    def random(self, count: int, rng: np.random.Generator, mask: np.ndarray | None = None) -> np.ndarray:
        """Uniform actions (count, …) as the agent keeps them, of those that a mask (count, C) allows."""
        if self.kind == "Box":
            return rng.uniform(-1, 1, (count, self.outputs)).astype(np.float32)
        shape, dtype = self.stored
        if mask is None:
            numbers = rng.integers(0, np.array(self.choices), size=(count, len(self.choices)))
        else:
            numbers = random_choices(mask, self.choices, rng)
        return numbers.astype(dtype).reshape(count, *shape)

    def to_environment(self, actions: np.ndarray) -> np.ndarray:
        """The agent's actions (N, A), choices (N,) or (N, K), as the environment takes them: in the space, and in a new array."""
        if self.kind == "Discrete":
            return actions + self.start[0]
        if self.kind != "Box":
            return (actions + np.array(self.start, actions.dtype)).reshape(len(actions), *self.shape).astype(self.dtype)
        rows = actions[0] if len(actions) == 1 else actions  # without an axis to broadcast along, NumPy takes half as long
        rows = np.array(rows, self.dtype) if self.low is None else self._stretch(rows)
        return rows.reshape(len(actions), *self.shape)

    def _stretch(self, actions):
        low, high, start, half = self.bounds
        one = self._one
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
