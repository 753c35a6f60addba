"""What an agent needs to know of an environment's spaces, and nothing more: it can be written to a file as JSON.

Observations are laid out as a vector and images (see trees.py). Every part of a Dict or a Tuple
adds to them:

    Box                 its values; an image where it has three axes, two of them at least 8 long
    Discrete(n)         n values, one of them 1 and the others 0
    MultiDiscrete       the same for each of its numbers
    MultiBinary         its values

The part "action_mask" of a Dict is no observation: it says which choices are allowed, and follows
the images; see masks.py.

Actions are a Box, Discrete, MultiDiscrete (a choice in each branch), MultiBinary, or a Dict or Tuple
of these; see actions.py.

Shapes: N environments, B rows, O observation, A action dimensions.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from gymnasium import spaces

from rl.experience import masks
from rl.experience.actions import ActionLayout
from rl.experience.symmetry import Mirror
from rl.experience.trees import Observations

LARGEST = float(np.finfo(np.float32).max)
SMALLEST_IMAGE = 8  # pixels along a side
MOST_CHANNELS = 4  # of an image whose channels come last
MOST_CHOICES = 100_000  # beyond, one value for each choice is no representation


@dataclass(frozen=True)
class Leaf:
    """One array of an observation.

    Attributes
    ----------
    path : tuple
        Keys and positions that lead to it through Dicts and Tuples.
    kind : {"vector", "choices", "image", "mask"}
    shape : tuple of int
        As the environment gives it.
    dtype : str
    choices, start : tuple of int
        Of "choices": how many in each number, and the first one's number. Of "mask": `choices` are
        how many each branch of the action has.
    channels_last : bool
        Of "image".
    """

    path: tuple[str | int, ...]
    kind: str
    shape: tuple[int, ...]
    dtype: str
    choices: tuple[int, ...] = ()
    start: tuple[int, ...] = ()
    channels_last: bool = False

    @property
    def width(self) -> int:
        """Values that it adds to the vector."""
        return 0 if self.kind in ("image", "mask") else sum(self.choices) if self.choices else math.prod(self.shape)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        a, b, c = self.shape
        return (c, a, b) if self.channels_last else (a, b, c)

    def find(self, observation: Any) -> np.ndarray:
        """This leaf of a (batch of) observation(s)."""
        for key in self.path:
            observation = observation[key]
        return np.asarray(observation)

    def encode(self, batch: np.ndarray) -> np.ndarray:
        """A batch (N, *shape) as part of the vector (N, width)."""
        rows = batch.reshape(len(batch), math.prod(self.shape))
        if not self.choices:
            return rows
        numbers = rows - np.array(self.start)
        offsets = np.cumsum((0, *self.choices[:-1]))
        columns = (numbers + offsets).astype(np.int64)
        if ((numbers < 0) | (numbers >= np.array(self.choices)) | (columns != numbers + offsets)).any():
            raise ValueError(f"expected choices in {[(s, s + n - 1) for s, n in zip(self.start, self.choices)]}, given {rows}")
        encoded = np.zeros((len(rows), self.width), np.float32)
        encoded[np.arange(len(rows))[:, None], columns] = 1
        return encoded


@dataclass(frozen=True)
class ObservationLayout:
    """The leaves of an observation, in the order in which they are laid side by side."""

    leaves: tuple[Leaf, ...]

    @classmethod
    def of(cls, space: spaces.Space) -> "ObservationLayout":
        """Read a single environment's observation space.

        Raises
        ------
        ValueError
            For a space that is none of those above, or holds no value.
        """
        layout = cls(tuple(_leaves(space, ())))
        if not layout.width and not layout.images:
            raise ValueError(f"expected observations of at least one value, given {space}")
        return layout

    @cached_property
    def width(self) -> int:
        """O: values in the vector."""
        return sum(leaf.width for leaf in self.leaves)

    @cached_property
    def images(self) -> tuple[Leaf, ...]:
        """The leaves that are images."""
        return tuple(leaf for leaf in self.leaves if leaf.kind == "image")

    @cached_property
    def mask(self) -> Leaf | None:
        """The leaf that says which choices are allowed, where there is one."""
        return next((leaf for leaf in self.leaves if leaf.kind == "mask"), None)

    @cached_property
    def beside(self) -> tuple[Leaf, ...]:
        """The leaves that stand beside the vector: images, and the mask."""
        return (*self.images, self.mask) if self.mask else self.images

    def mask_of(self, observations: Observations) -> np.ndarray | None:
        """The choices that are allowed, bool (B, C), in observations as learners hold them; None where all are."""
        return observations[-1] if self.mask else None

    def masked_by(self, action: ActionLayout) -> "ObservationLayout":
        """The same leaves, with "action_mask" read as the mask of these actions, where they are choices.

        Raises
        ------
        ValueError
            If it has another size than they have choices, or another type than Boolean or integer.
        """
        if not action.choices:
            return self
        return ObservationLayout(tuple(_mask(leaf, action) if leaf.path == masks.PATH else leaf for leaf in self.leaves))

    @cached_property
    def wide(self) -> bool:
        """Whether float32 may not hold the vector's values: float64 and long integers."""
        vectors = [np.dtype(leaf.dtype) for leaf in self.leaves if leaf.kind == "vector"]
        return any(dtype.itemsize > 4 or (dtype.kind in "iu" and dtype.itemsize == 4) for dtype in vectors)

    def split(self, observations: Any, dtype: Any = np.float32) -> Observations:
        """A batch of observations as new arrays: the vector (N, O) in `dtype`, each image (N, C, H, W) as it is, a mask (N, C)."""
        if len(self.leaves) == 1 and not self.images:
            return np.array(self.leaves[0].encode(self.leaves[0].find(observations)), dtype)
        columns = [leaf.encode(leaf.find(observations)) for leaf in self.leaves if leaf.kind not in ("image", "mask")]
        rows = len(self.leaves[0].find(observations))
        vector = np.concatenate(columns, axis=1, dtype=dtype) if columns else np.empty((rows, 0), dtype)
        if not self.beside:
            return vector
        images = (_channels_first(leaf, leaf.find(observations)) for leaf in self.images)
        return vector, *images, *((masks.allowed(self.mask.find(observations)),) if self.mask else ())

    def batched(self, observation: Any) -> tuple[Any, bool]:
        """One observation as a batch of one; a batch as it is. And whether it was one.

        Raises
        ------
        ValueError
            If a shape is wrong, or a value is NaN, infinite or beyond float32; if the action mask of one
            observation allows nothing. In a batch it may: a copy may be between two episodes.
        """
        try:
            arrays = [leaf.find(observation) for leaf in self.leaves]
        except (KeyError, IndexError, TypeError, ValueError) as error:  # ValueError: rows of unequal length
            raise ValueError(f"expected {self._describe()}, given {_describe(observation)}") from error
        single = arrays[0].shape == self.leaves[0].shape
        for leaf, array in zip(self.leaves, arrays, strict=True):
            if array.shape[0 if single else 1 :] != leaf.shape or (not single and array.ndim == 0):
                name = f"{'/'.join(map(str, leaf.path))} " if leaf.path else ""
                inner = "".join(f", {n}" for n in leaf.shape)
                raise ValueError(f"expected an observation {name}of shape {leaf.shape} or (B{inner}), given {array.shape}")
            if array.dtype.kind not in "fiub":
                raise ValueError(f"expected an observation of numbers, given {array.dtype}")
            if not np.isfinite(array).all():
                raise ValueError("expected a finite observation, given NaN or infinity")
            if array.dtype.itemsize > 4 and np.abs(array).max(initial=0) > LARGEST:
                raise ValueError(f"expected an observation within float32, given {np.abs(array).max()}")
        if not single and len({len(array) for array in arrays}) > 1:
            raise ValueError(f"expected as many rows in each part, given {[len(array) for array in arrays]}")
        if self.mask and single:
            masks.check_some_allowed(masks.allowed(self.mask.find(observation)[None]), self.mask.choices)
        return (self.row(observation) if single else observation), single

    def row(self, observation: Any) -> Any:
        """An observation as a batch of one."""
        return _row(observation, [leaf.path for leaf in self.leaves])

    def _describe(self):
        if self.leaves[0].path:
            return f"an observation with {['/'.join(map(str, leaf.path)) for leaf in self.leaves]}"
        return f"an observation of shape {self.leaves[0].shape}"

    def empty(self, rows: int, dtype: Any = np.float32) -> Observations:
        """Zeros in the layout of so many observations; a mask allows everything."""
        vector = np.zeros((rows, self.width), dtype)
        if not self.beside:
            return vector
        images = (np.zeros((rows, *leaf.image_shape), leaf.dtype) for leaf in self.images)
        return vector, *images, *((np.ones((rows, sum(self.mask.choices)), bool),) if self.mask else ())


@dataclass(frozen=True)
class SpaceInfo:
    """An environment's spaces.

    Attributes
    ----------
    observation : ObservationLayout
    action : ActionLayout
    goal : int
        Size G of a goal: the vector ends in the desired and the achieved one. 0 without goals.
    mirror : Mirror or None
        The environment's reflection, where it knows one.
    """

    observation: ObservationLayout
    action: ActionLayout
    goal: int = 0
    mirror: Mirror | None = field(default=None, compare=False)

    @classmethod
    def of(
        cls, observation_space: spaces.Space, action_space: spaces.Space, goal: int = 0, mirror: Mirror | None = None
    ) -> "SpaceInfo":
        """Read a single environment's spaces.

        Raises ValueError for spaces that no agent here can handle.
        """
        observation, action = ObservationLayout.of(observation_space), ActionLayout.of(action_space)
        return cls(observation.masked_by(action), action, goal, mirror)

    @property
    def observations(self) -> int:
        """O: values in the vector of an observation."""
        return self.observation.width

    @property
    def actions(self) -> int:
        """Action dimensions A, or choices in all."""
        return self.action.outputs

    def vector_dtype(self, normalized: bool) -> type:
        """Of the vector as it is collected and stored: float64 where a normaliser would lose what float32 cannot hold."""
        return np.float64 if normalized and self.observation.wide else np.float32

    def check(self, other: "SpaceInfo") -> None:
        """Raise ValueError unless `other` has the same spaces."""
        for what in ("observation", "action", "goal"):
            expected, given = getattr(self, what), getattr(other, what)
            if expected != given:
                raise ValueError(f"environment does not fit the agent: {_difference(what, expected, given)}")

    def to_json(self) -> dict:
        return asdict(self) | {"mirror": self.mirror and self.mirror.to_json()}

    @classmethod
    def from_json(cls, content: dict) -> "SpaceInfo":
        """Read what `to_json` wrote; KeyError or TypeError where something is missing."""
        leaves = tuple(Leaf(**_tuples(leaf)) for leaf in content["observation"]["leaves"])
        mirror = content["mirror"] and Mirror.from_json(content["mirror"])
        return cls(ObservationLayout(leaves), _action(content["action"]), content["goal"], mirror)


@runtime_checkable
class ActsIn(Protocol):
    """Settings that say how actions are drawn."""

    def acting_in(self, space: SpaceInfo) -> SpaceInfo: ...


def _leaves(space, path):
    if isinstance(space, spaces.Dict | spaces.Tuple):
        children = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        for key, child in children:
            yield from _leaves(child, (*path, key))
    elif isinstance(space, spaces.Box):
        yield _box(space, path)
    elif isinstance(space, spaces.Discrete):
        yield _choices(path, (), space, (int(space.n),), (int(space.start),))
    elif isinstance(space, spaces.MultiDiscrete):
        sizes, starts = (tuple(map(int, x.ravel())) for x in (space.nvec, space.start))
        yield _choices(path, tuple(space.shape), space, sizes, starts)
    elif isinstance(space, spaces.MultiBinary):
        yield Leaf(path, "vector", tuple(space.shape), str(space.dtype))
    else:
        known = "Box, Discrete, MultiDiscrete, MultiBinary, Dict or Tuple"
        raise ValueError(f"expected observations in a {known}, given {space}")


def _box(space, path):
    shape, dtype = tuple(map(int, space.shape)), str(space.dtype)
    if len(shape) == 3:
        last = shape[2] <= MOST_CHANNELS < shape[0]
        sides = shape[:2] if last else shape[1:]
        if min(sides) >= SMALLEST_IMAGE:
            return Leaf(path, "image", shape, dtype, channels_last=last)
    return Leaf(path, "vector", shape, dtype)


def _choices(path, shape, space, sizes, starts):
    if sum(sizes) > MOST_CHOICES:
        raise ValueError(f"expected at most {MOST_CHOICES:,} choices in an observation, given {space}")
    return Leaf(path, "choices", shape, str(space.dtype), sizes, starts)


def _mask(leaf, action):
    masks.check_form(leaf.shape, leaf.dtype, action.choices)
    return Leaf(leaf.path, "mask", leaf.shape, leaf.dtype, action.choices)


def _channels_first(leaf, batch):
    return np.array(batch.transpose(0, 3, 1, 2) if leaf.channels_last else batch, order="C")


def _row(observation, paths):
    """What lies at these paths, each array with a first axis of one: the paths say where an array begins."""
    if () in paths:
        return np.asarray(observation)[None]
    keys = dict.fromkeys(path[0] for path in paths)
    return {key: _row(observation[key], [path[1:] for path in paths if path[0] == key]) for key in keys}


def _describe(observation) -> str:
    return str(sorted(observation)) if isinstance(observation, Mapping) else type(observation).__name__


def _difference(what, expected, given) -> str:
    if isinstance(expected, ObservationLayout):
        if len(expected.leaves) != len(given.leaves):
            return f"expected observations of {len(expected.leaves)} parts, given {len(given.leaves)}"
        pair = next((a, b) for a, b in zip(expected.leaves, given.leaves, strict=True) if a != b)
        expected, given = pair
    if isinstance(expected, int):
        return f"expected {what} {expected}, given {given}"
    name = next(name for name, value in vars(expected).items() if value != getattr(given, name))
    return f"expected {what} {name} {getattr(expected, name)}, given {getattr(given, name)}"


def _action(content: dict) -> ActionLayout:
    parts, paths = tuple(map(_action, content["parts"])), tuple(map(tuple, content["paths"]))
    return ActionLayout(**{**_tuples(content), "parts": parts, "paths": paths})


def _tuples(content: dict) -> dict:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
