"""Drawing from a squashed Gaussian and its backward pass, the network's included, each in one call.

`SquashedGaussianPolicy` in rl/networks/actors.py is the form to read: ops.mlp, then squashed. These
kernels do the same, without Python in between, where the network is one stack of dense layers.

Shapes: B rows, O observation, A action dimensions, P parameters.
"""

from typing import Any, NamedTuple

import numpy as np

from deepnp.backend import kernel_runs, ordered_kernel
from deepnp.blas import find_sgemm
from deepnp.checks import check_shape
from deepnp.layers.fusion import DenseStack, shape_of
from deepnp.ops import mlp
from rl.networks import squashed


class Cache(NamedTuple):
    """What backward needs."""

    x: np.ndarray  # (B, O)
    layers: np.ndarray  # what ops.mlp keeps of the network, its y_L last
    sigma: np.ndarray  # (B, A)
    noise: np.ndarray
    actions: np.ndarray


def runs(stack: DenseStack | None, x: Any, noise: np.ndarray) -> bool:
    """Whether the kernels may draw with this network from x and noise."""
    if stack is None or type(x) is not np.ndarray or not kernel_runs(x, noise) or not stack.kernels_run(x):
        return False
    first, *_, last = stack.layout.widths
    return 0 < len(x) == len(noise) and x.shape[1:] == (first,) and noise.shape[1:] == (last // 2,)


def forward(stack: Any, x: Any, noise: np.ndarray) -> tuple[tuple[np.ndarray, np.ndarray], Cache]:
    """x (B, O), noise (B, A) -> (actions (B, A), log_prob (B,)), cache."""
    rows, layout = len(x), stack.layout
    layers, log_prob = np.empty(rows * layout.kept, np.float32), np.empty(rows, np.float32)
    sigma, actions = np.empty_like(noise), np.empty_like(noise)
    _forward(*find_sgemm(), stack.vector, *shape_of(stack), x, noise, layers, sigma, actions, log_prob)
    return (actions, log_prob), Cache(x, layers, sigma, noise, actions)


def backward(stack: Any, dy: tuple, cache: Cache, params: bool, inputs: bool) -> np.ndarray | None:
    """dy = (dactions (B, A), dlog_prob (B,)) -> dx (B, O), or None unless `inputs`; adds to the gradient if `params`."""
    dactions, dlog_prob = dy
    check_shape("dactions", dactions, cache.actions.shape)
    check_shape("dlog_prob", dlog_prob, cache.actions.shape[:1])
    dactions, dlog_prob = (np.ascontiguousarray(d, np.float32) for d in dy)
    gradient = stack.gradient if params else stack.vector[:0]
    dx = np.empty((len(cache.x), cache.x.shape[1] if inputs else 0), np.float32)
    _backward(*find_sgemm(), stack.vector, *shape_of(stack), *cache, dactions, dlog_prob, dx, gradient)
    return dx if inputs else None


@ordered_kernel
def _forward(address, wide, vector, widths, codes, x, noise, layers, sigma, actions, log_prob):
    mlp._forward(address, wide, vector, widths, codes, x, layers)
    rows, a = noise.shape
    y = layers[len(layers) - 2 * rows * a :].reshape((rows, 2 * a))
    squashed._forward(y[:, :a], y[:, a:], noise, sigma, actions, log_prob)


@ordered_kernel
def _backward(address, wide, vector, widths, codes, x, layers, sigma, noise, actions, dactions, dlog_prob, dx, gradient):
    rows, a = noise.shape
    y, dy = layers[len(layers) - 2 * rows * a :].reshape((rows, 2 * a)), np.empty((rows, 2 * a), np.float32)
    dnoise = np.empty((rows, a), np.float32)
    squashed._backward(dactions, dlog_prob, y[:, a:], sigma, noise, actions, dy[:, :a], dy[:, a:], dnoise)
    mlp._backward(address, wide, vector, widths, codes, layers, dy, dx, x, gradient)
