"""Observations in a graph: from the arrays that an environment gives to what the networks read.

Shapes: B rows, O observation.
"""

from typing import Any

import numpy as np

from rl.agent import Agent
from rl.experience import goals
from rl.experience.masks import has_choice
from rl.experience.normalizers import Normalizer
from rl.experience.spaces import Leaf
from rl.training.export.graph import Graph, Value

ROWS = 16  # of an example


def inputs_of(agent: Agent) -> list[Leaf]:
    """The arrays of an observation as the environment gives it: for goals, the three parts of the Dict."""
    if not agent.space.goal:
        return list(agent.space.observation.leaves)
    sizes = agent.space.observations - 2 * agent.space.goal, agent.space.goal, agent.space.goal
    return [Leaf((key,), "vector", (size,), "float32") for key, size in zip(goals.KEYS, sizes, strict=True)]


def name_of(leaf: Leaf) -> str:
    """What an input is called: where it lies in the observation."""
    return "/".join(map(str, leaf.path)) or "observation"


def observed(graph: Graph, agent: Agent, values: list[Value]) -> Any:
    """What the policy reads: the vector (B, O), or a tuple of it (None without), of images (B, C, H, W) and of a mask (B, C)."""
    pairs = list(zip(inputs_of(agent), values, strict=True))
    dtype = np.dtype(agent.space.vector_dtype(agent.normalizer is not None)).name
    columns = [laid_out(graph, leaf, x, dtype) for leaf, x in pairs if leaf.kind not in ("image", "mask")]
    vector = graph.add("Concat", *columns, axis=1) if len(columns) > 1 else next(iter(columns), None)
    if agent.normalizer is not None and vector is not None:
        vector = normalized(graph, vector, agent.normalizer)
    images = [channels_first(graph, leaf, x) for leaf, x in pairs if leaf.kind == "image"]
    masks = [laid_out(graph, leaf, x, "float32") for leaf, x in pairs if leaf.kind == "mask"]
    return (vector, *images, *masks) if images or masks else vector


def laid_out(graph: Graph, leaf: Leaf, x: Value, dtype: str) -> Value:
    """One array of an observation as part of the vector: (B, width)."""
    if leaf.kind == "mask":
        x = x if len(leaf.shape) == 1 else graph.add("Reshape", x, shape=[-1, sum(leaf.choices)])
    elif leaf.shape != (leaf.width,) and not (leaf.choices and leaf.shape == (len(leaf.choices),)):
        x = graph.add("Reshape", x, shape=[-1, len(leaf.choices) or leaf.width])
    if leaf.kind == "choices":
        which = np.repeat(np.arange(len(leaf.choices)), leaf.choices)
        numbers = np.concatenate([np.arange(start, start + n) for start, n in zip(leaf.start, leaf.choices, strict=True)])
        name = "_".join(map(str, leaf.path)) or "choices"
        wide = graph.add("Cast", x, to="int64")
        each = graph.add("Gather", wide, graph.constant(f"{name}.which", which), axis=1)
        x = graph.add("Equal", each, graph.constant(f"{name}.numbers", numbers))
    return x if x.dtype == dtype else graph.add("Cast", x, to=dtype)


def normalized(graph: Graph, x: Value, normalizer: Normalizer) -> Value:
    """clip((x − shift)/scale, ±clip), in the type of x. In float32 the shift comes in two pieces: it may be large."""
    shift, first = normalizer.shift, normalizer.shift.astype(x.dtype)
    x = graph.add("Sub", x, graph.constant("shift", first))
    if (shift != first).any():
        x = graph.add("Sub", x, graph.constant("shift_rest", (shift - first).astype(x.dtype)))
    x = graph.add("Div", x, graph.constant("scale", normalizer.scale.astype(x.dtype)))
    x = graph.add("Clip", x, -float(normalizer.clip), float(normalizer.clip))
    return x if x.dtype == np.float32 else graph.add("Cast", x, to="float32")


def channels_first(graph: Graph, leaf: Leaf, x: Value) -> Value:
    return graph.add("Transpose", x, perm=[0, 3, 1, 2]) if leaf.channels_last else x


def observations_like(agent: Agent) -> list[np.ndarray]:
    """Observations (ROWS, …) such as this agent may have seen, drawn at random: one array for each input."""
    rng, normalizer, start, drawn = np.random.default_rng(0), agent.normalizer, 0, []
    for leaf in inputs_of(agent):
        shape, dtype = (ROWS, *leaf.shape), np.dtype(leaf.dtype)
        if leaf.kind == "choices":
            x = rng.integers(0, leaf.choices, (ROWS, len(leaf.choices))) + np.array(leaf.start)
        elif leaf.kind == "mask":
            x = rng.random((ROWS, sum(leaf.choices))) < 0.5
            x[:, np.cumsum((0, *leaf.choices[:-1]))] |= ~has_choice(x, leaf.choices)
        elif leaf.kind == "image":
            x = rng.integers(0, 256, shape) if dtype.kind in "iu" else rng.random(shape)
        else:
            x = rng.standard_normal((ROWS, leaf.width))
            if normalizer is not None:
                x = normalizer.shift[start : start + leaf.width] + x * normalizer.scale[start : start + leaf.width]
            if dtype.kind != "f":
                limits = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
                x = np.clip(np.rint(x), *limits)
        start += leaf.width
        drawn.append(x.reshape(shape).astype(dtype))
    return drawn


def nested(leaves: list[Leaf], arrays: list[np.ndarray]) -> Any:
    """Arrays as the Dict, or Dict of Dicts, in which their paths find them."""
    if leaves[0].path == ():
        return arrays[0]
    tree: dict = {}
    for leaf, x in zip(leaves, arrays, strict=True):
        *outer, last = leaf.path
        place = tree
        for key in outer:
            place = place.setdefault(key, {})
        place[last] = x
    return tree
