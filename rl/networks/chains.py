"""Values and their gradients through several networks at once, for critics and for what reads them.

    v_i = V_i(x)            x = [s], or [s, a] side by side
    v = min_i v_i           the smallest, row by row
    ∂v/∂a                   comes through the smallest network of each row alone, through the first where they are equal

Each is written twice. The plain forms go from module to module. Where every network is one stack of
dense layers (`deepnp.layers.fusion`), the fast forms do the whole chain in one call that needs no
Python, and make no product that nobody reads: a row's gradient passes through one network instead
of all, and its first layer gives the columns of a alone.

Shapes: B rows, O observation, A action dimensions.
"""

import math
from collections.abc import Callable, Sequence
from functools import reduce, wraps
from typing import Any

import numpy as np

from deepnp import Module
from deepnp.backend import array_module, kernel_runs, ordered_kernel
from deepnp.blas import find_sgemm
from deepnp.layers.containers import whole
from deepnp.layers.fusion import DenseStack, shape_of
from deepnp.ops import mlp
from rl.experience import trees
from rl.losses.td import td_loss

Inputs = tuple  # (observations,) or (observations, actions (B, A))


def smallest(networks: Sequence[Module], inputs: Inputs) -> np.ndarray:
    """min_i V_i(x): (B,)."""
    x = beside(inputs)
    values = [network.predict(x)[:, 0] for network in networks]
    return reduce(array_module(values[0]).minimum, values)


def action_gradient(networks: Sequence[Module], inputs: Inputs, dvalue: float) -> tuple[np.ndarray, np.ndarray]:
    """min_i Q_i(s, a) (B,), and its gradient with respect to a, times `dvalue`: (B, A).

    The networks' parameters stay out of it.
    """
    x, width = beside(inputs), width_of(inputs[0])
    values = [q.forward(x)[:, 0] for q in networks]
    xp, kind = array_module(values[0]), values[0].dtype.type
    chosen = xp.stack(values).argmin(axis=0)
    gradient: Any = 0
    for i, q in enumerate(networks):
        dq = xp.where(chosen == i, kind(dvalue), kind(0))[:, None]
        gradient = gradient + q.backward(dq, params=False)[:, width:]
    return reduce(xp.minimum, values), gradient


def add_td_gradient(
    networks: Sequence[Module],
    inputs: Inputs,
    targets: np.ndarray,
    weights: np.ndarray,
    asymmetry: float = 0.5,
    limit: float = math.inf,
) -> tuple[float, np.ndarray]:
    """Add the gradient of the TD loss, (1/B) Σ w (V(x) − y)² by default, to the parameters of the one network given.

    See `rl.losses.td.td_loss`. Returns the loss, and the errors V − y: (B,).
    """
    (network,) = networks
    loss, dvalues, errors = td_loss(network.forward(beside(inputs))[:, 0], targets, weights, asymmetry, limit)
    if math.isfinite(loss):
        network.backward(dvalues[:, None], inputs=False)
    return loss, errors


def beside(inputs: Inputs) -> Any:
    """What a network reads: observations, with actions beside them where there are any."""
    if len(inputs) == 1:
        return inputs[0]
    if isinstance(inputs[0], trees.Whole):
        return inputs  # a memory reads the observations first, see recalling.py
    return trees.with_actions(*inputs)


def width_of(observations: trees.Observations | trees.Whole) -> int:
    """Columns before those of the actions in the gradient of what a network reads: O, and none where a memory reads them."""
    return 0 if isinstance(observations, trees.Whole) else trees.vector(observations).shape[1]


def chained(plain: Callable, fast: Callable) -> Callable:
    """The function that takes the fast form for stacks of dense layers and arrays that kernels may read."""

    @wraps(plain)
    def chosen(networks, inputs, *arguments):
        stacks = stacks_of(networks, inputs, arguments)
        return plain(networks, inputs, *arguments) if stacks is None else fast(stacks, inputs, *arguments)

    return chosen


def stacks_of(networks: Sequence[Module], inputs: Inputs, arguments: tuple) -> list[DenseStack] | None:
    """The networks as stacks of the same layers; None if one is something else, or an array is no kernel's."""
    rows, given = inputs[0], [x for x in arguments if not isinstance(x, float)]
    if type(rows) is not np.ndarray or not kernel_runs(*inputs, *given) or not len(rows):
        return None
    width, stacks = 0, []
    for x in inputs:
        if x.ndim != 2:
            return None
        width += x.shape[1]
    for network in networks:  # loops, as the generator expressions would take longer than all else here
        stack = whole(network)
        if stack is None or not stack.kernels_run(rows):
            return None
        stacks.append(stack)
        if stack.layout.widths != stacks[0].layout.widths or stack.layout.activations != stacks[0].layout.activations:
            return None
    for x in (*inputs[1:], *given):
        if len(x) != len(rows):
            return None
    for x in given:
        if x.ndim != 1:
            return None
    widths = stacks[0].layout.widths
    return stacks if width == widths[0] and widths[-1] == 1 else None


def _smallest_fast(stacks, inputs):
    values = np.empty(len(inputs[0]), np.float32)
    _smallest(*find_sgemm(), tuple(stack.vector for stack in stacks), *shape_of(stacks[0]), inputs, values)
    return values


def _action_gradient_fast(stacks, inputs, dvalue):
    values, dactions = np.empty(len(inputs[0]), np.float32), np.empty_like(inputs[1])
    vectors, shape = tuple(stack.vector for stack in stacks), shape_of(stacks[0])
    _action_gradient(*find_sgemm(), vectors, *shape, inputs, np.float32(dvalue), values, dactions)
    return values, dactions


def _add_td_gradient_fast(stacks, inputs, targets, weights, asymmetry=0.5, limit=math.inf):
    errors, (stack,) = np.empty_like(targets), stacks
    shape, form = shape_of(stack), (np.float32(2 * asymmetry), np.float32(2 - 2 * asymmetry), np.float32(limit))
    loss = _add_td_gradient(*find_sgemm(), stack.vector, *shape, inputs, targets, weights, form, errors, stack.gradient)
    return loss, errors


@ordered_kernel
def _smallest(address, wide, vectors, widths, codes, inputs, values):
    x = _beside(inputs)
    rows = len(x)
    layers, chosen = np.empty(rows * mlp._blocks(widths, codes).sum(), np.float32), np.empty(rows, np.int64)
    for i in range(len(vectors)):
        mlp._forward(address, wide, vectors[i], widths, codes, x, layers)
        _keep_smallest(layers[len(layers) - rows :], values, chosen, i)


@ordered_kernel
def _action_gradient(address, wide, vectors, widths, codes, inputs, dvalue, values, dactions):
    x = _beside(inputs)
    rows, blocks, count = len(x), mlp._blocks(widths, codes), len(vectors)
    layers, chosen = np.empty((count, rows * blocks.sum()), np.float32), np.empty(rows, np.int64)
    for i in range(count):
        mlp._forward(address, wide, vectors[i], widths, codes, x, layers[i])
        _keep_smallest(layers[i, layers.shape[1] - rows :], values, chosen, i)
    for i in range(count):
        own = np.flatnonzero(chosen == i)
        n = len(own)
        picked, da = _rows_of(layers[i], blocks, rows, own), np.empty((n, dactions.shape[1]), np.float32)
        dv = np.full((n, 1), dvalue, np.float32)
        mlp._backward(address, wide, vectors[i], widths, codes, picked, dv, da, x[:n], layers[i, :0])
        for k in range(n):
            dactions[own[k]] = da[k]


@ordered_kernel
def _add_td_gradient(address, wide, vector, widths, codes, inputs, targets, weights, form, errors, gradient):
    x = _beside(inputs)
    rows = len(x)
    layers, dv = np.empty(rows * mlp._blocks(widths, codes).sum(), np.float32), np.empty((rows, 1), np.float32)
    mlp._forward(address, wide, vector, widths, codes, x, layers)
    loss = _td(layers[len(layers) - rows :], targets, weights, form, errors, dv)
    if np.isfinite(loss):
        mlp._backward(address, wide, vector, widths, codes, layers, dv, x[:0], x, gradient)
    return loss


@ordered_kernel
def _td(values, targets, weights, form, errors, dvalues):
    """See `td_loss`; form: the factors of values too high and too low, and the limit."""
    loss, share, (high, low, limit) = 0.0, np.float32(2 / len(values)), form
    for b in range(len(values)):
        errors[b] = error = values[b] - targets[b]
        held = error if error != error else min(max(error, -limit), limit)  # a NaN stays
        weight = weights[b] * (high if error > 0 else low)
        dvalues[b, 0] = weight * share * held
        loss += weight * held * error if held == error else weight * held * (error + error - held)
    return loss / len(values)


@ordered_kernel
def _keep_smallest(new, values, chosen, i):
    """Network i's values where they are smaller, and its number; a NaN counts as smallest, as in numpy.minimum."""
    for b in range(len(values)):
        if i == 0 or new[b] < values[b] or (new[b] != new[b] and values[b] == values[b]):
            values[b], chosen[b] = new[b], i


@ordered_kernel
def _beside(inputs):
    """[s, a] of (s, a)."""
    width = 0
    for part in inputs:
        width += part.shape[1]
    x, start = np.empty((len(inputs[0]), width), np.float32), 0
    for part in inputs:
        for b in range(len(x)):
            for j in range(part.shape[1]):
                x[b, start + j] = part[b, j]
        start += part.shape[1]
    return x


@ordered_kernel
def _rows_of(layers, blocks, rows, chosen):
    """What `ops.mlp` keeps of some rows alone, laid out as that of all."""
    picked, start, end = np.empty(len(chosen) * blocks.sum(), np.float32), 0, 0
    for o in blocks:
        for k in range(len(chosen)):
            source = start + chosen[k] * o
            picked[end : end + o] = layers[source : source + o]
            end += o
        start += rows * o
    return picked


smallest = chained(smallest, _smallest_fast)
action_gradient = chained(action_gradient, _action_gradient_fast)
add_td_gradient = chained(add_td_gradient, _add_td_gradient_fast)
