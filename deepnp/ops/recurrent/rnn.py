"""Elman's recurrent network.                   T time, B batch, I inputs, H hidden

Forward    z_t = x_t Wᵀ + b + h_{t−1} Rᵀ + r        h_t = f(z_t),  f = tanh or ReLU        y_t = h_t
Backward   t = T … 1, with dh the gradient of the state after step t, at first that of h_T
           dh += dy_t                               the loss reads h_t as y_t; the rest of dh came from step t + 1
           dz_t = dh·f′(z_t)                        f′ written with h_t alone, so z need not be kept
           dh ← dz_t R                              h_{t−1} enters z_t through R
           dx, dW, dR from all dz at once (see ops.recurrent); db = dr = Σ_t Σ_b dz_t         sums: the mean is the loss's
Tangent    vz_t = vx_t Wᵀ + x_t vWᵀ + vb + vh_{t−1} Rᵀ + h_{t−1} vRᵀ + vr        vh_t = f′(z_t)·vz_t

`lengths`, `span` and `resets` are explained in ops.recurrent.
"""

from types import ModuleType
from typing import NamedTuple

import numpy as np

from deepnp.backend import array_module
from deepnp.ops import recurrent
from deepnp.ops.activation import relu, tanh

GATES, STATES = 1, 1


class Cache(NamedTuple):
    """What backward needs of one forward pass."""

    x: object  # (T, B, I)
    hidden: object  # (T + 1, B, H): the states before and after every step
    weight_ih: object
    weight_hh: object
    read: object  # (T, B, H): the states that steps read
    live: object  # (T, B, 1): which sequences take step t
    span: int | None
    begin: object  # (T, B): which begin anew with step t; or None
    activation: ModuleType  # f


def forward(
    x, h, weight_ih, weight_hh, bias_ih, bias_hh, activation: ModuleType = tanh, lengths=None, span=None, resets=None
) -> tuple[tuple[np.ndarray, ...], Cache]:
    """x (T, B, I), h (B, H), weights (H, I), (H, H), biases (H,) -> y (T, B, H), h_T (B, H)."""
    recurrent.check_inputs(GATES, x, (h,), weight_ih, weight_hh, bias_ih, bias_hh, lengths)
    xp, live, bias = array_module(x), recurrent.running(lengths, x), bias_ih + bias_hh
    x = recurrent.used(x, live, lengths)
    hidden, a, begin = recurrent.room(h, len(x)), recurrent.project(x, weight_ih), recurrent.begins(resets, live)
    read = recurrent.entering(hidden, begin)
    for t in range(len(x)):
        recurrent.enter(t, begin, hidden, read)
        new = activation.add_bias(a[t] + read[t] @ weight_hh.T, bias)
        hidden[t + 1] = new if lengths is None else xp.where(live[t], new, read[t])
    cache = Cache(x, hidden, weight_ih, weight_hh, read, live, span, begin, activation)
    return (recurrent.outputs(hidden, live, lengths), hidden[-1]), cache


def backward(dy, cache) -> tuple[np.ndarray, ...]:
    """dy = (dy (T, B, H), dh (B, H)) -> dx, dh, dweight_ih, dweight_hh, dbias_ih, dbias_hh."""
    dz, _, dh = backward_time(dy, cache)
    dx = recurrent.backward_input(dz, cache.weight_ih)
    return dx, dh, *recurrent.backward_parameters(dz, dz, cache.x, cache.read)


def backward_time(dy, cache) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The reverse loop: dy as in backward -> dz (T, B, H) twice (input side, hidden side), dh (B, H)."""
    recurrent.check_upstreams(dy, cache, STATES)
    (dy, dh), xp, hidden, live = dy, array_module(cache.hidden), cache.hidden, cache.live
    dz = xp.empty_like(hidden[1:])
    for t in reversed(range(len(dy))):
        dz[t] = xp.where(live[t], slope(dh + dy[t], hidden[t + 1], cache), 0)
        dh = xp.where(live[t], 0, dh) + dz[t] @ cache.weight_hh
        recurrent.cut(t, cache, dh)
    return dz, dz, dh


def states(cache) -> tuple[np.ndarray, ...]:
    """What the network's state was before and after every step: (T + 1, B, H) each."""
    return (cache.hidden,)


def jvp(vx, vh, vweight_ih, vweight_hh, vbias_ih, vbias_hh, cache) -> tuple[np.ndarray, ...]:
    """Tangents vx (T, B, I), vh (B, H) and of the weights and biases -> tangents of y and h_T."""
    recurrent.check_inputs(GATES, vx, (vh,), vweight_ih, vweight_hh, vbias_ih, vbias_hh, None)
    va = recurrent.tangent_inputs(vx, vweight_ih, vbias_ih + vbias_hh, cache)

    def step(t, vh):
        vz = va[t] + vh @ cache.weight_hh.T + cache.read[t] @ vweight_hh.T
        return (slope(vz, cache.hidden[t + 1], cache),)

    return recurrent.tangent_states([vh], cache, step)


def slope(d, h, cache) -> np.ndarray:
    """d·f′, with f′ written with h = f(z)."""
    return cache.activation.backward(d, cache.activation.Cache(h))


STATE = dict(h=(3, 5))
WEIGHTS = dict(weight_ih=(5, 4), weight_hh=(5, 5), bias_ih=(5,), bias_hh=(5,))
CASES = [
    dict(x=(4, 3, 4), **STATE, **WEIGHTS),
    dict(x=(4, 3, 4), **STATE, **WEIGHTS, activation=relu),
    dict(x=(1, 3, 4), **STATE, **WEIGHTS),
    dict(x=(5, 3, 4), **STATE, **WEIGHTS, lengths=recurrent.LENGTHS),
    dict(x=(5, 3, 4), **STATE, **WEIGHTS, resets=recurrent.RESETS),
    dict(x=(2, 0, 4), h=(0, 5), **WEIGHTS),
]
