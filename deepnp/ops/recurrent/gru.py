"""Gated recurrent unit.                        T time, B batch, I inputs, H hidden

Cho et al. 2014, in PyTorch's variant: the reset gate multiplies the finished product h R^nᵀ + r^n (the paper resets h before it,
which would need a product of its own after r is known). Gates in PyTorch's order r, u, n. Its z is u here, its b_hh s.

Forward    a = x_t Wᵀ + b        m = h_{t−1} Rᵀ + s            (B, 3H) each, in three thirds
           r, u = σ(a^r + m^r), σ(a^u + m^u)                   reset, update
           n = tanh(a^n + r·m^n)                               the candidate
           h_t = (1 − u)·n + u·h_{t−1}     y_t = h_t           u near 1 keeps the state, and its gradient
Backward   t = T … 1, with dh the gradient of the state after step t, at first that of h_T
           dh += dy_t                                          the loss reads h_t as y_t; the rest of dh came from step t + 1
           da^n = dh·(1 − u)·(1 − n²)                          h_t is linear in n, with factor 1 − u; tanh′ = 1 − n²
           dm^n = da^n·r        dr = da^n·m^n                  n reads the product r·m^n
           da^r = dm^r = dr·r(1 − r)                           r reads the sum a^r + m^r; σ′ = r(1 − r)
           da^u = dm^u = dh·(h_{t−1} − n)·u(1 − u)             u stands in h_t twice, with −n and with h_{t−1}
           dh ← dh·u + dm R                                    directly through u, and through the three gates
           dx, dW from all da, dR from all dm at once (see ops.recurrent); db = Σ_t Σ_b da_t, ds = Σ_t Σ_b dm_t
Tangent    va = vx_t Wᵀ + x_t vWᵀ + vb        vm = vh_{t−1} Rᵀ + h_{t−1} vRᵀ + vs
           vr = r(1 − r)·(va^r + vm^r)        vu = u(1 − u)·(va^u + vm^u)
           vn = (1 − n²)·(va^n + vr·m^n + r·vm^n)
           vh_t = (1 − u)·vn + u·vh_{t−1} + (h_{t−1} − n)·vu

`lengths`, `span` and `resets` are explained in ops.recurrent.
"""

from typing import NamedTuple

import numpy as np

from deepnp import elementary, gpu, scan
from deepnp.backend import array_module, kernel, ordered_kernel
from deepnp.dispatch import SINGLE
from deepnp.ops import recurrent
from deepnp.ops.activation.sigmoid import sigmoid

GATES, STATES = 3, 1


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
    gates: object  # (T, B, 3H): r, u, n
    share: object  # (T, B, H): m^n


def forward(
    x, h, weight_ih, weight_hh, bias_ih, bias_hh, lengths=None, span=None, resets=None
) -> tuple[tuple[np.ndarray, ...], Cache]:
    """x (T, B, I), h (B, H), weights (3H, I), (3H, H), biases (3H,) -> y (T, B, H), h_T (B, H)."""
    recurrent.check_inputs(GATES, x, (h,), weight_ih, weight_hh, bias_ih, bias_hh, lengths)
    live = recurrent.running(lengths, x)
    x = recurrent.used(x, live, lengths)
    gates = recurrent.project(x, weight_ih)  # (T, B, 3H), made into r, u, n step by step
    hidden, begin = recurrent.room(h, len(x)), recurrent.begins(resets, live)
    read = recurrent.entering(hidden, begin)
    share = array_module(x).empty_like(hidden[1:])
    step = recurrent.fastest(step_plain, _step, _step_on_gpu, gates, hidden, bias_ih, bias_hh, types=SINGLE)
    together = step is _step_on_gpu and begin is None and scan.pays(weight_hh, hidden)
    if together:
        _forward_scan(len(x), hidden, scan.transposed(weight_hh), gates, bias_ih, bias_hh, live, share)
    for t in range(0 if together else len(x)):
        recurrent.enter(t, begin, hidden, read)
        step(gates[t], read[t] @ weight_hh.T, bias_ih, bias_hh, live[t], read[t], hidden[t + 1], share[t])
    cache = Cache(x, hidden, weight_ih, weight_hh, read, live, span, begin, gates, share)
    return (recurrent.outputs(hidden, live, lengths), hidden[-1]), cache


def step_plain(gates, m, bias_ih, bias_hh, live, h, new_h, share) -> None:
    """One step: gates (B, 3H) hold x Wᵀ, m = h Rᵀ; writes the last two, and r, u, n into gates."""
    xp = array_module(gates)
    gates += bias_ih
    r, u, n = thirds(gates)
    m_r, m_u, m_n = thirds(m + bias_hh)
    share[...] = m_n
    r[...], u[...] = sigmoid(r + m_r), sigmoid(u + m_u)
    n[...] = xp.tanh(n + r * m_n)
    new_h[...] = xp.where(live, (1 - u) * n + u * h, h)


def backward(dy, cache) -> tuple[np.ndarray, ...]:
    """dy = (dy (T, B, H), dh (B, H)) -> dx, dh, dweight_ih, dweight_hh, dbias_ih, dbias_hh."""
    da, dm, dh = backward_time(dy, cache)
    dx = recurrent.backward_input(da, cache.weight_ih)
    return dx, dh, *recurrent.backward_parameters(da, dm, cache.x, cache.read)


def backward_time(dy, cache) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The reverse loop: dy as in backward -> da (input side), dm (hidden side) (T, B, 3H), dh (B, H)."""
    recurrent.check_upstreams(dy, cache, STATES)
    gates, read, share, live = cache.gates, cache.read, cache.share, cache.live
    xp = array_module(gates)
    dy, dh = xp.ascontiguousarray(dy[0]), dy[1].copy()
    da, dm = xp.empty_like(gates), xp.empty_like(gates)
    step = recurrent.fastest(step_backward_plain, _step_backward, _step_backward_on_gpu, dy, dh, gates, read, share)
    whole = cache.begin is None and cache.span is None
    together = whole and step is _step_backward_on_gpu and scan.pays(cache.weight_hh, dh)
    if together:
        _backward_scan(len(da), dh, dm, cache.weight_hh, dy, live, gates, read, share, da)
    for t in reversed(range(0 if together else len(da))):
        step(dy[t], live[t], gates[t], read[t], share[t], dh, da[t], dm[t])
        dh += dm[t] @ cache.weight_hh
        recurrent.cut(t, cache, dh)
    return da, dm, dh


def step_backward_plain(dy, live, gates, h, share, dh, da, dm) -> None:
    """One step: dh of the state after it becomes that of the state before it, except its share through dm."""
    xp = array_module(gates)
    r, u, n = thirds(gates)
    d = xp.where(live, dh + dy, 0)
    (da_r, da_u, da_n), dm_n = thirds(da), thirds(dm)[2]
    da_n[...] = d * (1 - u) * (1 - n * n)
    da_r[...] = da_n * share * r * (1 - r)
    da_u[...] = d * (h - n) * u * (1 - u)
    dm[...] = da
    dm_n *= r
    da[...], dm[...] = xp.where(live, da, 0), xp.where(live, dm, 0)
    dh[...] = xp.where(live, d * u, dh)


def states(cache) -> tuple[np.ndarray, ...]:
    """What the network's state was before and after every step: (T + 1, B, H) each."""
    return (cache.hidden,)


def jvp(vx, vh, vweight_ih, vweight_hh, vbias_ih, vbias_hh, cache) -> tuple[np.ndarray, ...]:
    """Tangents vx (T, B, I), vh (B, H) and of the weights and biases -> tangents of y and h_T."""
    recurrent.check_inputs(GATES, vx, (vh,), vweight_ih, vweight_hh, vbias_ih, vbias_hh, None)
    va = recurrent.tangent_inputs(vx, vweight_ih, vbias_ih, cache)

    def step(t, vh):
        (r, u, n), h = thirds(cache.gates[t]), cache.read[t]
        (va_r, va_u, va_n), vm = thirds(va[t]), vh @ cache.weight_hh.T + h @ vweight_hh.T + vbias_hh
        vm_r, vm_u, vm_n = thirds(vm)
        vr, vu = r * (1 - r) * (va_r + vm_r), u * (1 - u) * (va_u + vm_u)
        vn = (1 - n * n) * (va_n + vr * cache.share[t] + r * vm_n)
        return ((1 - u) * vn + u * vh + (h - n) * vu,)

    return recurrent.tangent_states([vh], cache, step)


def thirds(z) -> tuple[np.ndarray, ...]:
    """Views of the three gates: z (B, 3H) -> three of (B, H)."""
    size = z.shape[1] // 3
    return tuple(z[:, k * size : (k + 1) * size] for k in range(3))


@ordered_kernel
def _step(gates, m, bias_ih, bias_hh, live, h, new_h, share):
    size, one = h.shape[1], gates.dtype.type(1)
    for b in range(h.shape[0]):
        if not live[b, 0]:
            new_h[b], share[b] = h[b], 0
            continue
        a_r, a_u, a_n = gates[b, :size], gates[b, size : 2 * size], gates[b, 2 * size :]
        m_r, m_u, m_n = m[b, :size], m[b, size : 2 * size], m[b, 2 * size :]
        b_r, b_u, b_n = bias_ih[:size], bias_ih[size : 2 * size], bias_ih[2 * size :]
        s_r, s_u, s_n = bias_hh[:size], bias_hh[size : 2 * size], bias_hh[2 * size :]
        for j in range(size):
            r = elementary.sigmoid(a_r[j] + b_r[j] + (m_r[j] + s_r[j]))
            u = elementary.sigmoid(a_u[j] + b_u[j] + (m_u[j] + s_u[j]))
            q = m_n[j] + s_n[j]
            n = elementary.tanh(a_n[j] + b_n[j] + r * q)
            a_r[j], a_u[j], a_n[j], share[b, j] = r, u, n, q
            new_h[b, j] = (one - u) * n + u * h[b, j]


@kernel
def _step_backward(dy, live, gates, h, share, dh, da, dm):
    size, one, zero = h.shape[1], da.dtype.type(1), da.dtype.type(0)
    for b in range(h.shape[0]):
        if not live[b, 0]:
            da[b] = zero
            dm[b] = zero
            continue
        r, u, n = gates[b, :size], gates[b, size : 2 * size], gates[b, 2 * size :]
        a_r, a_u, a_n = da[b, :size], da[b, size : 2 * size], da[b, 2 * size :]
        m_r, m_u, m_n = dm[b, :size], dm[b, size : 2 * size], dm[b, 2 * size :]
        for j in range(size):
            d = dh[b, j] + dy[b, j]
            d_n = d * (one - u[j]) * (one - n[j] * n[j])
            d_r = d_n * share[b, j] * r[j] * (one - r[j])
            d_u = d * (h[b, j] - n[j]) * u[j] * (one - u[j])
            a_r[j], a_u[j], a_n[j] = d_r, d_u, d_n
            m_r[j], m_u[j], m_n[j] = d_r, d_u, d_n * r[j]
            dh[b, j] = d * u[j]


def _step_on_gpu(gates, m, bias_ih, bias_hh, live, h, new_h, share):
    _step_gpu(h, gates, m.astype(gates.dtype, copy=False), bias_ih, bias_hh, live, new_h, share)


def _step_backward_on_gpu(dy, live, gates, h, share, dh, da, dm):
    _step_backward_gpu(dh, dy, live, gates, h, share, da, dm)


_step_gpu = gpu.Cells(
    "const T* h, T* gates, const T* m, const T* b, const T* s, const bool* live, T* new_h, T* share",
    """
    if (!live[row]) {
        new_h[cell] = h[cell], share[cell] = 0;
        return;
    }
    gates += 3 * row * columns + j, m += 3 * row * columns + j, b += j, s += j;
    const int u_ = columns, n_ = 2 * columns;  // where their gates lie
    const T r = gates[0] = sigmoid(gates[0] + b[0] + (m[0] + s[0]));
    const T u = gates[u_] = sigmoid(gates[u_] + b[u_] + (m[u_] + s[u_]));
    const T q = share[cell] = m[n_] + s[n_];
    const T n = gates[n_] = tanh(gates[n_] + b[n_] + r * q);
    new_h[cell] = (1 - u) * n + u * h[cell];
    """,
    "gru_step",
)

_step_backward_gpu = gpu.Cells(
    "T* dh, const T* dy, const bool* live, const T* gates, const T* h, const T* share, T* da, T* dm",
    """
    gates += 3 * row * columns + j, da += 3 * row * columns + j, dm += 3 * row * columns + j;
    const int u_ = columns, n_ = 2 * columns;
    if (!live[row]) {
        da[0] = da[u_] = da[n_] = dm[0] = dm[u_] = dm[n_] = 0;
        return;
    }
    const T r = gates[0], u = gates[u_], n = gates[n_], d = dh[cell] + dy[cell];
    const T d_n = d * (1 - u) * (1 - n * n);
    da[0] = dm[0] = d_n * share[cell] * r * (1 - r);
    da[u_] = dm[u_] = d * (h[cell] - n) * u * (1 - u);
    da[n_] = d_n, dm[n_] = d_n * r;
    dh[cell] = d * u;
    """,
    "gru_step_backward",
)


_forward_scan = scan.Scan(
    _step_gpu,
    GATES,
    "T* gates, const T* b, const T* s, const bool* live, T* share",
    "hidden + at, gates + GATES * at, m, b, s, live + place, hidden + next, share + at",
    scan.FORWARD,
)

_backward_scan = scan.Scan(
    _step_backward_gpu,
    GATES,
    "const T* dy, const bool* live, const T* gates, const T* hidden, const T* share, T* da",
    "dh + state, dy + at, live + place, gates + GATES * at, hidden + at, share + at, da + GATES * at, dm + GATES * at",
    scan.BACKWARD,
)

STATE = dict(h=(3, 5))
WEIGHTS = dict(weight_ih=(15, 4), weight_hh=(15, 5), bias_ih=(15,), bias_hh=(15,))
CASES = [
    dict(x=(4, 3, 4), **STATE, **WEIGHTS),
    dict(x=(1, 3, 4), **STATE, **WEIGHTS),
    dict(x=(5, 3, 4), **STATE, **WEIGHTS, lengths=recurrent.LENGTHS),
    dict(x=(5, 3, 4), **STATE, **WEIGHTS, resets=recurrent.RESETS),
    dict(x=(2, 0, 4), h=(0, 5), **WEIGHTS),
]
