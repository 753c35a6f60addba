"""Actions in a graph: from what a policy network gives to what the environment takes; see rl/experience/actions.py.

Shapes: B rows, A action dimensions.
"""

import numpy as np

from rl.experience.actions import ActionLayout
from rl.training.export.graph import Graph, Value

OUT_OF_REACH = 1e30  # what is taken off a value that is not to be the largest again


def acted(graph: Graph, action: ActionLayout, y: Value) -> Value:
    """What a network gives (B, …) as the environment takes it.

    Raises
    ------
    ValueError
        For a Dict or a Tuple: a file gives one array.
    """
    if action.parts:
        raise ValueError(f"expected actions that are one array, given a {action.kind}: export to PyTorch writes the weights alone")
    if action.choose is not None:
        return shaped(graph, action, graph.add("Cast", among_largest(graph, y, action.choose), to=action.dtype))
    if action.kind == "Box":
        return shaped(graph, action, stretched(graph, action, y))
    if action.kind == "MultiBinary":
        return shaped(graph, action, graph.add("Cast", graph.add("Greater", y, 0.0), to=action.dtype))
    if action.kind == "Discrete":
        chosen = graph.add("ArgMax", y, axis=1, keepdims=0)
        return chosen if action.start == (0,) else graph.add("Add", chosen, action.start[0])
    ends = np.cumsum(action.choices)
    branches = [
        graph.add("Slice", y, starts=[int(e - n)], ends=[int(e)], axes=[1]) for e, n in zip(ends, action.choices, strict=True)
    ]
    chosen = graph.add("Concat", *(graph.add("ArgMax", branch, axis=1, keepdims=1) for branch in branches), axis=1)
    if any(action.start):
        chosen = graph.add("Add", chosen, graph.constant("start", np.array(action.start, np.int64)))
    return shaped(graph, action, chosen if action.dtype == "int64" else graph.add("Cast", chosen, to=action.dtype))


def stretched(graph: Graph, action: ActionLayout, y: Value) -> Value:
    """Actions (B, A) in [−1, 1], clipped to that, on the bounds of a Box."""
    if action.low is not None:
        y = graph.add("Tanh", y) if action.squash == "tanh" else y
        dtype = np.promote_types(action.dtype, np.float32)
        low, high, start, half = (bound.astype(dtype) for bound in action.bounds)
        y = graph.add("Clip", y, -1.0, 1.0)
        y = y if y.dtype == dtype else graph.add("Cast", y, to=dtype.name)
        if (low != -1).any() or (high != 1).any():
            if (start == low).all():
                y = graph.add("Add", y, 1.0)
            y = graph.add("Add", graph.add("Mul", y, graph.constant("half", half)), graph.constant("start", start))
            y = graph.add("Min", graph.add("Max", y, graph.constant("low", low)), graph.constant("high", high))
    return y if y.dtype == action.dtype else graph.add("Cast", y, to=action.dtype)


def among_largest(graph: Graph, y: Value, k: int) -> Value:
    """Whether each of y (B, n) is one of the k largest of its row; of equal ones, the first.

    The largest is taken out k times, with operations that are here already.
    """
    places = graph.constant("places", np.arange(y.shape[1]))
    total: Value | None = None
    for _ in range(k):
        largest = graph.add("Cast", graph.add("Equal", places, graph.add("ArgMax", y, axis=1, keepdims=1)), to="float32")
        total = largest if total is None else graph.add("Add", total, largest)
        y = graph.add("Sub", y, graph.add("Mul", largest, OUT_OF_REACH))
    assert total is not None
    return total


def shaped(graph: Graph, action: ActionLayout, y: Value) -> Value:
    """Rows of actions in the shape of the space's."""
    return y if y.shape[1:] == action.shape else graph.add("Reshape", y, shape=[-1, *action.shape])
