"""Observations as learners hold them: one array (B, O), or a tuple of it, of images (B, C, H, W) and of a mask (B, C).

Most environments give vectors: then an observation is one array and every function here is one
NumPy call. With images the first part is still the vector (of width 0 where there is none), and
each image follows as it was, uint8 and all. Where the environment says which choices are allowed,
the last part is that mask, Boolean; see masks.py.
"""

from collections.abc import Callable, Sequence

import numpy as np

from deepnp.backend import array_module, to_device

Observations = np.ndarray | tuple[np.ndarray, ...]


class Whole:
    """Rows that networks with memory read, in the place of observations: no arrays, and never cut. See sequences.py."""


def each(function: Callable[..., np.ndarray], *trees: Observations) -> Observations:
    """`function` of corresponding parts; a tuple where the trees are tuples."""
    if isinstance(trees[0], tuple):
        return tuple(function(*parts) for parts in zip(*trees, strict=True))
    return function(*trees)


def parts(tree: Observations) -> tuple[np.ndarray, ...]:
    """All parts, the vector first."""
    return tree if isinstance(tree, tuple) else (tree,)


def vector(tree: Observations) -> np.ndarray:
    """The vector part (B, O)."""
    return tree[0] if isinstance(tree, tuple) else tree


def with_vector(tree: Observations, changed: np.ndarray) -> Observations:
    """The same observations with another vector part."""
    return (changed, *tree[1:]) if isinstance(tree, tuple) else changed


def with_actions(tree: Observations, actions: np.ndarray) -> Observations:
    """What a critic reads: the actions (B, A) beside the vector part, [s, a]."""
    return with_vector(tree, array_module(actions).concatenate([vector(tree), actions], axis=1))


def on(tree: Observations, device: str) -> Observations:
    """The same observations on "cpu" or "cuda"; what is there already is not copied."""
    if isinstance(tree, Whole):
        return tree  # networks with memory are on the CPU
    return tuple(to_device(part, device) for part in tree) if isinstance(tree, tuple) else to_device(tree, device)


def take(tree: Observations, rows: np.ndarray) -> Observations:
    """Some rows, in their order."""
    return each(lambda part: part.take(rows, axis=0), tree)


def at(tree: Observations, index) -> Observations:
    """Rows by a slice or a mask."""
    return tuple(part[index] for part in tree) if isinstance(tree, tuple) else tree[index]


def concatenate(trees: Sequence[Observations]) -> Observations:
    """The rows of several, one after the other."""
    return each(lambda *arrays: np.concatenate(arrays), *trees)


def flat(tree: Observations) -> Observations:
    """Steps (T, N, …) as rows (T·N, …), those of width 0 too."""
    return each(lambda part: part.reshape(len(part) * part.shape[1], *part.shape[2:]), tree)


def stack(trees: Sequence[Observations]) -> Observations:
    """Several of the same shape along a new first axis."""
    return each(lambda *arrays: np.stack(arrays), *trees)


def write(target: Observations, index, source: Observations) -> None:
    """target[index] = source, part by part."""
    if not isinstance(target, tuple):
        target[index] = source
        return
    for own, given in zip(target, source, strict=True):
        own[index] = given


def length(tree: Observations) -> int:
    """Rows."""
    return len(vector(tree))
