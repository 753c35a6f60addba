"""Elman's recurrent network.                   T time, B batch, I inputs, H hidden

Forward    z_t = x_t Wᵀ + b + h_{t−1} Rᵀ + r        h_t = f(z_t),  f = tanh or ReLU        y_t = h_t
Backward   t = T … 1, with dh the gradient of the state after step t, at first that of h_T
           dh += dy_t                               the loss reads h_t as y_t; the rest of dh came from step t + 1
           dz_t = dh·f′                             f′ written with h_t alone, so z need not be kept
           dh ← dz_t R                              the thesis's Alg. 8 has a W_ρ here that it never defines
           dx, dW, dR from all dz at once (see ops.recurrent); db = dr = Σ_t Σ_b dz_t         sums: the mean is the loss's

`lengths` and `span` are explained in ops.recurrent.
"""

from types import ModuleType

from deepnp.backend import array_module
from deepnp.ops import recurrent
from deepnp.ops.activation import relu, tanh

GATES, STATES = 1, 1


def forward(x, h, weight_ih, weight_hh, bias_ih, bias_hh, activation: ModuleType = tanh, lengths=None, span=None):
    """x (T, B, I), h (B, H), weights (H, I), (H, H), biases (H,) -> y (T, B, H), h_T (B, H)."""
    xp, hidden, a = array_module(x), recurrent.room(h, len(x)), recurrent.project(x, weight_ih)
    live, bias = recurrent.running(lengths, x), bias_ih + bias_hh
    for t in range(len(x)):
        new = activation.add_bias(a[t] + hidden[t] @ weight_hh.T, bias)
        hidden[t + 1] = new if lengths is None else xp.where(live[t], new, hidden[t])
    cache = (x, hidden, weight_ih, weight_hh, live, span, activation)
    return (recurrent.outputs(hidden, live, lengths), hidden[-1]), cache


def backward(dy, cache):
    """dy = (dy (T, B, H), dh (B, H)) -> dx, dh, dweight_ih, dweight_hh, dbias_ih, dbias_hh."""
    dz, _, dh = backward_time(dy, cache)
    x, hidden, weight_ih, *_ = cache
    return recurrent.backward_input(dz, weight_ih), dh, *recurrent.backward_parameters(dz, dz, x, hidden)


def backward_time(dy, cache):
    """The reverse loop: dy as in backward -> dz (T, B, H) twice (input side, hidden side), dh (B, H)."""
    _, hidden, _, weight_hh, live, span, activation = cache
    (dy, dh), xp = dy, array_module(hidden)
    dz = xp.empty_like(dy)
    for t in reversed(range(len(dy))):
        dz[t] = activation.backward(xp.where(live[t], dh + dy[t], 0), hidden[t + 1])
        dh = xp.where(live[t], 0, dh) + dz[t] @ weight_hh
        recurrent.cut(t, span, live, dh)
    return dz, dz, dh


STATE = dict(h=(3, 5))
WEIGHTS = dict(weight_ih=(5, 4), weight_hh=(5, 5), bias_ih=(5,), bias_hh=(5,))
CASES = [
    dict(x=(4, 3, 4), **STATE, **WEIGHTS),
    dict(x=(4, 3, 4), **STATE, **WEIGHTS, activation=relu),
    dict(x=(1, 3, 4), **STATE, **WEIGHTS),
    dict(x=(5, 3, 4), **STATE, **WEIGHTS, lengths=recurrent.LENGTHS),
    dict(x=(2, 0, 4), h=(0, 5), **WEIGHTS),
]
