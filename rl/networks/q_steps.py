"""One gradient step of a network of Q(s, ·) on the choices that were made.

    q = Q(s, ·)        L = loss(q, a, y)        θ ← a step of the optimizer on dL/dθ

It is written twice. The plain form goes from module to module. Where the network is one stack of
dense layers (`deepnp.layers.fusion`), the fast form does forward pass, loss and backward pass in
one call that needs no Python.

Shapes: B rows, C choices.
"""

import math
from collections.abc import Callable

import numpy as np

from deepnp import Module
from deepnp.backend import kernel_runs, ordered_kernel
from deepnp.blas import find_sgemm
from deepnp.layers.containers import whole
from deepnp.layers.fusion import DenseStack, shape_of
from deepnp.ops import mlp
from deepnp.optim.optimizer import Optimizer
from rl.experience.trees import Observations
from rl.losses.checks import check_finite, check_gradient
from rl.losses.choices import choice_loss

Loss = Callable[[np.ndarray], tuple[float, np.ndarray, np.ndarray]]  # outputs -> loss, their gradient, a number for each row


def step(network: Module, optimizer: Optimizer, x: Observations, loss: Loss) -> tuple[float, np.ndarray]:
    """One step on any loss of the network's outputs.

    Returns the loss, and the number (B,) that it gives for each row.

    Raises
    ------
    NonFiniteError
        If the loss or the gradient is NaN or infinite: the network stays as it is.
    """
    value, dy, errors = loss(network.forward(x))
    check_finite("critic loss", value)
    optimizer.vector.zero_grad()
    network.backward(dy, inputs=False)
    check_gradient("critic's gradient", optimizer.vector)
    optimizer.step()
    return value, errors


def choice_step(
    network: Module,
    optimizer: Optimizer,
    x: Observations,
    choices: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    limit: float = math.inf,
) -> tuple[float, np.ndarray]:
    """One step on `rl.losses.choices.choice_loss`; see `step`.

    Returns the loss, and Q(s, a) − y of each row (B,).
    """
    stack = _stack_of(network, x, targets, weights)
    if stack is None or choices.shape != targets.shape or not len(choices):
        return step(network, optimizer, x, lambda q: choice_loss(q, choices, targets, weights, limit))
    optimizer.vector.zero_grad()
    errors = np.empty_like(targets)
    arrays = x, choices, targets, weights, np.float32(limit), errors, stack.gradient
    value = _add_choice_gradient(*find_sgemm(), stack.vector, *shape_of(stack), *arrays)
    check_finite("critic loss", value)
    check_gradient("critic's gradient", optimizer.vector)
    optimizer.step()
    return value, errors


def _stack_of(network, x, targets, weights) -> DenseStack | None:
    """The network as a stack that kernels may run on these arrays; None if they may not."""
    if type(x) is not np.ndarray or x.ndim != 2 or not kernel_runs(x, targets, weights):
        return None
    stack = whole(network)
    fits = stack is not None and stack.kernels_run(x) and stack.layout.widths[0] == x.shape[1]
    return stack if fits and targets.shape == weights.shape == x.shape[:1] else None


@ordered_kernel
def _add_choice_gradient(address, wide, vector, widths, codes, x, choices, targets, weights, limit, errors, gradient):
    """See `choice_loss`; the gradient of the parameters is added to `gradient` unless the loss is no number."""
    rows, outputs = len(x), widths[-1]
    layers, dy = np.empty(rows * mlp._blocks(widths, codes).sum(), np.float32), np.zeros((rows, outputs), np.float32)
    mlp._forward(address, wide, vector, widths, codes, x, layers)
    values, share, loss = layers[len(layers) - rows * outputs :], np.float32(2 / rows), 0.0
    for b in range(rows):
        errors[b] = error = values[b * outputs + choices[b]] - targets[b]
        held = error if error != error else min(max(error, -limit), limit)  # a NaN stays
        dy[b, choices[b]] = weights[b] * share * held
        loss += weights[b] * held * error if held == error else weights[b] * held * (error + error - held)
    if np.isfinite(loss):
        mlp._backward(address, wide, vector, widths, codes, layers, dy, x[:0], x, gradient)
    return loss / rows
