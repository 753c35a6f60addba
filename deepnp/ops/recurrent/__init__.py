"""Recurrent networks: one layer over a whole sequence.        T time, B batch, I inputs, H hidden, G gates

Every one of them reads the input and its own past through two linear maps,

    a_t = x_t Wᵀ                       for all steps at once: one product of (T·B, I) and (I, G·H)
    m_t = h_{t−1} Rᵀ                   step by step: h_{t−1} is not known before

and differs in what it makes of a_t and m_t. Backward runs through time in reverse and leaves da_t and dm_t; what follows
is three products for all steps at once:

    dx_t = da_t W        dW = Σ_t da_tᵀ x_t        dR = Σ_t dm_tᵀ h_{t−1}        one W and one R serve every step: sums

Lengths    Sequence b ends after `lengths[b]` steps (None: all after T). From then on its state stays as it is, its outputs are
           zeros, and its inputs are not used, whatever they are: what it would give alone, cut to its length.
Span       With `span=k`, backward is truncated: the state that enters step k, 2k, … counts as a constant there, so a gradient
           flows through at most k steps. That is the gradient of the chunks of k steps, each begun with the state that the one
           before it left. None: the whole sequence, the exact gradient.
Resets     Where `resets[t, b]` is true, sequence b begins anew with step t: the step reads zeros in the place of the state, and no
           gradient flows from it into the steps before. None: never. What a sequence gives is what its parts between resets give.
"""

from collections.abc import Callable

import numpy as np

from deepnp import gpu
from deepnp.backend import array_module, kernels_enabled
from deepnp.checks import check_one_device, check_shape, check_upstream
from deepnp.dispatch import FLOATS


def project(x, weight) -> np.ndarray:
    """a_t for every step: x (T, B, I), weight (G·H, I) -> (T, B, G·H)."""
    return (x.reshape(-1, x.shape[-1]) @ weight.T).reshape(*x.shape[:-1], len(weight))


def room(state, steps) -> np.ndarray:
    """For the states of all steps: state (B, H) -> (T + 1, B, H), of which the first is set."""
    states = array_module(state).empty((steps + 1, *state.shape), state.dtype)
    states[0] = state
    return states


def running(lengths, x) -> np.ndarray:
    """Which sequences still run: lengths (B,) or None, x (T, B, I) -> Boolean (T, B, 1)."""
    xp = array_module(x)
    steps, batch = x.shape[:2]
    if lengths is None:
        return xp.ones((steps, batch, 1), bool)
    return (xp.arange(steps)[:, None] < lengths)[..., None]


def used(x, live, lengths) -> np.ndarray:
    """x (T, B, I) with zeros where a sequence has ended: 0 times what stands there is 0 then, be it NaN."""
    return x if lengths is None else array_module(x).where(live, x, x.dtype.type(0))


def outputs(hidden, live, lengths) -> np.ndarray:
    """y: the states after every step, hidden[1:] (T, B, H), zeros where a sequence has ended."""
    return hidden[1:] if lengths is None else array_module(hidden).where(live, hidden[1:], 0)


def begins(resets, live) -> np.ndarray | None:
    """Which sequences begin anew, step by step: Booleans (T, B), those that have ended left out; None: none ever does."""
    if resets is None:
        return None
    check_shape("resets", resets, live.shape[:2])
    return resets & live[..., 0] if resets.any() else None


def entering(states, begin) -> np.ndarray:
    """For the states that steps read, (T, B, H): those before the steps, or room for `enter` to fill where sequences begin anew."""
    return states[:-1] if begin is None else array_module(states).empty_like(states[:-1])


def enter(t, begin, states, read) -> None:
    """Write into read[t] what step t reads: states[t], zeros where a sequence begins anew."""
    if begin is not None:
        read[t] = array_module(states).where(begin[t][:, None], 0, states[t])


def cut(t, cache, *gradients) -> None:
    """Gradients (B, H) of the state before step t, made zero in place where truncation ends there, or a sequence begins anew."""
    if cache.begin is not None:
        for d in gradients:
            d[cache.begin[t]] = 0
    if cache.span is not None and t > 0 and t % cache.span == 0:
        for d in gradients:
            d *= ~cache.live[t]  # a sequence that has ended takes no step, so there is nothing to cut


def backward_input(da, weight) -> np.ndarray:
    """da (T, B, G·H), weight (G·H, I) -> dx (T, B, I)."""
    return (da.reshape(-1, da.shape[-1]) @ weight).reshape(*da.shape[:-1], weight.shape[1])


def backward_parameters(da, dm, x, read) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """da, dm (T, B, G·H), x (T, B, I), read (T, B, H) -> dweight_ih, dweight_hh, dbias_ih, dbias_hh."""
    da, dm, x, read = (part.reshape(-1, part.shape[-1]) for part in (da, dm, x, read))
    return da.T @ x, dm.T @ read, da.sum(axis=0), dm.sum(axis=0)


def tangent_inputs(vx, vweight_ih, vbias_ih, cache) -> np.ndarray:
    """The tangent of a_t + b for every step: vx (T, B, I), vweight_ih (G·H, I), vbias_ih (G·H,) -> (T, B, G·H)."""
    return project(vx, cache.weight_ih) + project(cache.x, vweight_ih) + vbias_ih


def tangent_states(tangents, cache, step) -> tuple[np.ndarray, ...]:
    """Tangents of y and of the last states; step(t, *states) gives those of the states after step t from those before it.

    What backward truncates is constant here, too: `cut` works on tangents as on gradients.
    """
    xp, vy = array_module(cache.hidden), []
    for t, live in enumerate(cache.live):
        tangents = [v.copy() for v in tangents]
        cut(t, cache, *tangents)
        tangents = [xp.where(live, after, v) for after, v in zip(step(t, *tangents), tangents, strict=True)]
        vy.append(xp.where(live, tangents[0], 0))
    return (xp.stack(vy), *tangents)


def check_inputs(gates: int, x, states, weight_ih, weight_hh, bias_ih, bias_hh, lengths) -> None:
    """Raise ValueError unless x (T, B, I), states (B, H), weights, biases and lengths fit one another."""
    if x.ndim != 3 or states[0].ndim != 2:
        raise ValueError(f"expected x (T, B, I) and states (B, H), given {x.shape} and {states[0].shape}")
    check_one_device(x, *states, weight_ih)
    hidden = states[0].shape[1]
    for state in states:
        check_shape("a state", state, (x.shape[1], hidden))
    check_shape("weight_ih", weight_ih, (gates * hidden, x.shape[2]))
    check_shape("weight_hh", weight_hh, (gates * hidden, hidden))
    for bias in (bias_ih, bias_hh):
        check_shape("a bias", bias, (gates * hidden,))
    if lengths is not None:
        check_shape("lengths", lengths, x.shape[1:2])


def check_upstreams(dy: tuple, cache, states: int) -> None:
    """Raise ValueError unless dy holds the gradient of y (T, B, H), and one (B, H) for each of so many states."""
    if not isinstance(dy, tuple | list) or len(dy) != 1 + states:
        raise ValueError(f"expected dy as a tuple of {1 + states}, for y and for each state, given {type(dy).__name__}")
    check_upstream(dy[0], cache.hidden[1:].shape)
    for d in dy[1:]:
        check_upstream(d, cache.hidden.shape[1:])


def fastest(plain, kernel, on_gpu, *arrays, types=FLOATS) -> Callable:
    """One step of the loop: `kernel` or `on_gpu` where it may run on arrays like these, whose rows steps take, else `plain`."""
    dtype = arrays[0].dtype
    if gpu.rows_run(*arrays):
        return on_gpu
    fits = dtype in types and all(type(x) is np.ndarray and x.dtype == dtype and x.flags.c_contiguous for x in arrays)
    return kernel if fits and kernels_enabled() else plain


LENGTHS = np.array([2, 5, 1])  # for CASES of five steps and three sequences
RESETS = np.array([[0, 0, 1], [0, 0, 0], [1, 0, 0], [1, 0, 1], [0, 0, 0]], bool)
