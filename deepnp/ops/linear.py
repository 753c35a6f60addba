"""Linear map.                               B rows (every leading axis), I inputs, O outputs

Forward    y_bo = Σ_i x_bi W_oi + b_o                        y = x Wᵀ + b
Backward   dx_bi = Σ_o dy_bo W_oi         dx = dy W          x_bi reaches every output o, each through W_oi
           dW_oi = Σ_b dy_bo x_bi         dW = dyᵀ x         W_oi meets x_bi in every row b, so rows sum
           db_o  = Σ_b dy_bo                                 b_o, too; a mean over rows is the loss's, and is in dy already
Tangent    vy = vx Wᵀ + x vWᵀ + vb                           the product rule
"""

from typing import Any, NamedTuple

import numpy as np

from deepnp.backend import array_module
from deepnp.checks import check_one_device, check_tangent, check_upstream


class Cache(NamedTuple):
    """What backward needs."""

    x: Any  # (…, I)
    weight: Any  # (O, I)


def forward(x, weight, bias=None) -> tuple[np.ndarray, Cache]:
    """x (…, I), weight (O, I), bias (O,) or None, which is zero -> y (…, O)."""
    if type(x) is not type(weight):
        check_one_device(x, weight)
    y = x @ weight.T
    if bias is not None:
        y += bias
    return y, Cache(x, weight)


def backward(dy, cache) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dy (…, O) -> dx (…, I), dweight (O, I), dbias (O,)."""
    dweight, dbias = backward_parameters(dy, cache)
    return dy @ cache.weight, dweight, dbias


def jvp(vx, vweight, vbias, cache) -> np.ndarray:
    """Tangents vx (…, I), vweight (O, I), vbias (O,) -> tangent of y (…, O)."""
    x, weight = cache
    for tangent, shape in ((vx, x.shape), (vweight, weight.shape), (vbias, weight.shape[:1])):
        check_tangent(tangent, shape)
    return vx @ weight.T + x @ vweight.T + vbias


def backward_input(dy, cache) -> np.ndarray:
    """dy (…, O) -> dx (…, I), where the parameters' gradients are not wanted."""
    check_output(dy, cache)
    return dy @ cache.weight


def backward_parameters(dy, cache) -> tuple[np.ndarray, np.ndarray]:
    """dy (…, O) -> dweight (O, I), dbias (O,), where dx is not wanted."""
    check_output(dy, cache)
    rows, x = dy.reshape(-1, dy.shape[-1]), cache.x
    return array_module(dy).matmul(rows.T, x.reshape(-1, x.shape[-1])), rows.sum(axis=0)


def check_output(dy, cache: Cache) -> None:
    """Raise ValueError unless dy has the shape of y (…, O)."""
    if getattr(dy, "shape", None) != (shape := (*cache.x.shape[:-1], cache.weight.shape[0])):
        check_upstream(dy, shape)


CASES = [
    dict(x=(5, 7), weight=(3, 7), bias=(3,)),
    dict(x=(1, 1), weight=(1, 1), bias=(1,)),
    dict(x=(4, 2, 7), weight=(3, 7), bias=(3,)),
    dict(x=(0, 7), weight=(3, 7), bias=(3,)),
]
