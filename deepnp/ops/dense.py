"""Dense layer: a linear map and an activation in one operation.      B rows, I inputs, O outputs

Forward    z = x Wᵀ + b       y = f(z)
Backward   dz = dy·f′(z)      f acts on each element alone; f′ is written with y alone, and z need not be kept, but for the sine
           dx = dz W          and z is ops.linear's y, so its backward goes on from dz
           dW = dzᵀ x
           db = Σ_b dz
Tangent    vz = vx Wᵀ + x vWᵀ + vb        vy = f′(z)·vz

The same mathematics as ops.linear followed by the activation; bias and activation take one pass over memory instead of
two, and the activation's backward sums the bias gradient on its way.
"""

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from deepnp.checks import check_shape, check_tangent, check_upstream
from deepnp.ops import linear
from deepnp.ops.activation import relu, sigmoid, sine, tanh


class Cache(NamedTuple):
    """What backward needs."""

    rows: Any  # x as (B, I)
    shape: tuple[int, ...]  # of x
    weight: Any  # (O, I)
    kept: Any  # (B, O), what f′ is written with: y, or z
    activation: ModuleType


def forward(x, weight, bias, activation: ModuleType) -> tuple[np.ndarray, Cache]:
    """x (…, I), weight (O, I), bias (O,), activation one of ops.activation's tanh, relu, sigmoid, sine -> y (…, O)."""
    check_shape("bias", bias, weight.shape[:1])
    rows = x.reshape(-1, x.shape[-1])
    kept = rows @ weight.T
    y = activation.add_bias(kept, bias)  # which leaves in `kept` what backward_bias reads
    return y.reshape(*x.shape[:-1], len(bias)), Cache(rows, x.shape, weight, kept, activation)


def backward(dy, cache) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """dy (…, O) -> dx (…, I), dweight (O, I), dbias (O,)."""
    dz, dbias = backward_activation(dy, cache)
    return (dz @ cache.weight).reshape(cache.shape), dz.T @ cache.rows, dbias


def jvp(vx, vweight, vbias, cache) -> np.ndarray:
    """Tangents vx (…, I), vweight (O, I), vbias (O,) -> tangent of y (…, O)."""
    check_tangent(vx, cache.shape)
    vz = linear.jvp(vx.reshape(cache.rows.shape), vweight, vbias, linear.Cache(cache.rows, cache.weight))
    vy, _ = cache.activation.backward_bias(vz, cache.kept)  # the Jacobian is diagonal: f′·vz
    return vy.reshape(*cache.shape[:-1], vy.shape[-1])


def backward_input(dy, cache) -> np.ndarray:
    """dy (…, O) -> dx (…, I), where the parameters' gradients are not wanted."""
    return (backward_activation(dy, cache)[0] @ cache.weight).reshape(cache.shape)


def backward_parameters(dy, cache) -> tuple[np.ndarray, np.ndarray]:
    """dy (…, O) -> dweight (O, I), dbias (O,), where dx is not wanted."""
    dz, dbias = backward_activation(dy, cache)
    return dz.T @ cache.rows, dbias


def backward_activation(dy, cache) -> np.ndarray:
    """dy (…, O) -> dz (B, O), dbias (O,): the activation's share of the backward pass."""
    check_upstream(dy, (*cache.shape[:-1], cache.kept.shape[1]))
    return cache.activation.backward_bias(dy.reshape(cache.kept.shape), cache.kept)


CASES = [
    dict(x=(5, 7), weight=(3, 7), bias=(3,), activation=tanh),
    dict(x=(5, 7), weight=(3, 7), bias=(3,), activation=relu),
    dict(x=(4, 2, 7), weight=(3, 7), bias=(3,), activation=sigmoid),
    dict(x=(4, 2, 7), weight=(3, 7), bias=(3,), activation=sine),
    dict(x=(0, 7), weight=(3, 7), bias=(3,), activation=tanh),
]
