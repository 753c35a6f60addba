"""Spaces that were read from a file: anything may stand there, and networks are made of it."""

import math
from typing import Any

import numpy as np

from rl.experience.actions import ActionLayout
from rl.experience.masks import PATH
from rl.experience.spaces import Leaf, SpaceInfo
from rl.experience.symmetry import Mirror

SQUASHES = ("clip", "tanh")
KINDS = ("Box", "Discrete", "MultiDiscrete", "MultiBinary")
LEAVES = ("vector", "choices", "image", "mask")
LIMIT = 2**40  # of a size


def check_space(space: SpaceInfo) -> None:
    """Raise ValueError unless this is what `SpaceInfo.of` makes of some spaces."""
    leaves = space.observation.leaves
    if not leaves or not all(map(_is_leaf, leaves)) or not (space.observation.width or space.observation.images):
        raise ValueError(f"expected the layout of an observation, given {leaves!r:.200}")
    if not _is_action(space.action):
        raise ValueError(f"expected the layout of an action, given {space.action!r:.200}")
    masks = [leaf for leaf in leaves if leaf.kind == "mask"]
    if len(masks) > 1 or any(leaf.path != PATH or leaf.choices != space.action.choices for leaf in masks):
        raise ValueError(f"expected a mask of the action's choices, given {masks!r:.200}")
    if type(space.goal) is not int or not 0 <= 2 * space.goal <= space.observation.width:
        raise ValueError(f"expected a goal within the observation, given one of size {space.goal!r:.80}")
    if space.mirror and not _is_mirror(space.mirror, space.observation.width, space.action.outputs):
        raise ValueError(f"expected the reflection of {space.observation.width} and {space.action.outputs} numbers, given another")


def largest_array(space: SpaceInfo) -> int:
    """Numbers in the largest array that one observation or action is."""
    sizes = [math.prod(leaf.shape) for leaf in space.observation.leaves]
    return max(*sizes, space.observation.width, space.action.outputs)


def _is_leaf(leaf: Leaf) -> bool:
    fits = leaf.kind in LEAVES and _sizes(leaf.shape) and _numbers(leaf.dtype) and type(leaf.channels_last) is bool
    if not fits or not isinstance(leaf.path, tuple) or not all(type(key) in (str, int) for key in leaf.path):
        return False
    if leaf.kind == "choices":
        return _choices(leaf.choices, leaf.start) and len(leaf.choices) == math.prod(leaf.shape)
    if leaf.kind == "mask":
        return _choices(leaf.choices, (0,) * len(leaf.choices)) and sum(leaf.choices) == math.prod(leaf.shape) and leaf.start == ()
    return leaf.choices == leaf.start == () and (leaf.kind == "vector" or (len(leaf.shape) == 3 and min(leaf.shape) > 0))


def _is_action(action: ActionLayout) -> bool:
    if action.parts:
        return _is_joint(action)
    if (
        action.kind not in KINDS
        or not _own_choice(action)
        or action.paths != ()
        or not _sizes(action.shape)
        or not _numbers(action.dtype)
    ):
        return False
    size = math.prod(action.shape)
    if action.kind != "Box":
        return _choices(action.choices, action.start) and len(action.choices) == size and action.low is action.high is None
    unbounded = action.low is action.high is None
    bounded = not unbounded and all(_finite(bound, size, action.dtype) for bound in (action.low, action.high))
    return size > 0 and np.dtype(action.dtype).kind == "f" and action.choices == action.start == () and (unbounded or bounded)


def _is_joint(action: ActionLayout) -> bool:
    """Whether this is what `ActionLayout.joint` makes of parts that are none."""
    whole = isinstance(action.parts, tuple) and isinstance(action.paths, tuple)
    whole = whole and len(action.parts) == len(action.paths) == len(set(action.paths))
    if not whole or not all(part.parts == () and _is_action(part) for part in action.parts):
        return False
    keys = all(isinstance(path, tuple) and path and all(type(key) in (str, int) for key in path) for path in action.paths)
    return keys and _own_choice(action) and action == ActionLayout.joint(list(zip(action.paths, action.parts, strict=True)))


def _own_choice(action: ActionLayout) -> bool:
    """Whether the agent's own part of a layout is one: how numbers are squashed, and how many switches are on."""
    k = action.choose
    some = k is None or (action.kind == "MultiBinary" and type(k) is int and 1 <= k <= len(action.choices))
    return some and action.squash in SQUASHES


def _is_mirror(mirror: Mirror, observations: int, actions: int) -> bool:
    pairs = (
        (mirror.observation_index, mirror.observation_sign, observations),
        (mirror.action_index, mirror.action_sign, actions),
    )
    return all(
        index.shape == sign.shape == (size,) and ((index >= 0) & (index < size)).all() and np.isfinite(sign).all()
        for index, sign, size in pairs
    )


def _sizes(shape: Any) -> bool:
    return isinstance(shape, tuple) and all(type(n) is int and 0 <= n < LIMIT for n in shape) and math.prod(shape) < LIMIT


def _choices(choices: Any, start: Any) -> bool:
    whole = all(isinstance(x, tuple) and all(type(n) is int and abs(n) < LIMIT for n in x) for x in (choices, start))
    return whole and len(choices) == len(start) > 0 and min(choices) > 0


def _finite(bound: Any, size: int, dtype: str) -> bool:
    numbers = isinstance(bound, tuple) and len(bound) == size and all(type(n) in (int, float) for n in bound)
    with np.errstate(over="ignore"):
        return numbers and bool(np.isfinite(np.array(bound, np.float64).astype(dtype)).all())


def _numbers(dtype: Any) -> bool:
    try:
        return isinstance(dtype, str) and np.dtype(dtype).kind in "fiub"
    except TypeError:
        return False
