"""Long short-term memory.                     T time, B batch, I inputs, H hidden

Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000 and no peepholes; gates in PyTorch's order i, f, g, o.

Forward    z_t = x_t Wᵀ + b + h_{t−1} Rᵀ + r                   (B, 4H), in four quarters
           i, f, o = σ(z^i), σ(z^f), σ(z^o)        g = tanh z^g
           c_t = f·c_{t−1} + i·g                               the cell: a sum, so a gradient passes through time unsquashed
           h_t = o·tanh c_t                        y_t = h_t
Backward   t = T … 1, with dh, dc the gradients of the states after step t, at first those of h_T and c_T
           dh += dy_t                                          the loss reads h_t as y_t; the rest of dh came from step t + 1
           do = dh·tanh c_t                                    h_t is a product: each factor gets dh times the other one,
           dc += dh·o·(1 − tanh² c_t)                          and c_t acts through h_t besides c_{t+1}
           di = dc·g        dg = dc·i        df = dc·c_{t−1}   c_t is a sum of two products
           dz^i = di·i(1 − i)   dz^f = df·f(1 − f)   dz^g = dg·(1 − g²)   dz^o = do·o(1 − o)
           dc ← dc·f        dh ← dz_t R                        what step t passes back to step t − 1
           dx, dW, dR from all dz at once (see ops.recurrent); db = dr = Σ_t Σ_b dz_t
Tangent    vz_t = vx_t Wᵀ + x_t vWᵀ + vb + vh_{t−1} Rᵀ + h_{t−1} vRᵀ + vr        vi = i(1 − i)·vz^i, and so on
           vc_t = vf·c_{t−1} + f·vc_{t−1} + vi·g + i·vg        the product rule, twice
           vh_t = vo·tanh c_t + o·(1 − tanh² c_t)·vc_t

`lengths`, `span` and `resets` are explained in ops.recurrent.
"""

from typing import NamedTuple

import numpy as np

from deepnp import elementary, gpu, scan
from deepnp.backend import array_module, kernel, ordered_kernel
from deepnp.dispatch import SINGLE
from deepnp.ops import recurrent
from deepnp.ops.activation.sigmoid import sigmoid

GATES, STATES = 4, 2


class Cache(NamedTuple):
    """What backward needs of one forward pass."""

    x: object  # (T, B, I)
    hidden: object  # (T + 1, B, H): h before and after every step
    weight_ih: object
    weight_hh: object
    read: object  # (T, B, H): h that steps read
    live: object  # (T, B, 1): which sequences take step t
    span: int | None
    begin: object  # (T, B): which begin anew with step t; or None
    gates: object  # (T, B, 4H): i, f, g, o
    cell: object  # (T + 1, B, H): c before and after every step
    read_cell: object  # (T, B, H): c that steps read
    squashed: object  # (T, B, H): tanh c_t


def forward(
    x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, lengths=None, span=None, resets=None
) -> tuple[tuple[np.ndarray, ...], Cache]:
    """x (T, B, I), h, c (B, H), weights (4H, I), (4H, H), biases (4H,) -> y (T, B, H), h_T (B, H), c_T (B, H)."""
    recurrent.check_inputs(GATES, x, (h, c), weight_ih, weight_hh, bias_ih, bias_hh, lengths)
    live, bias = recurrent.running(lengths, x), bias_ih + bias_hh
    x = recurrent.used(x, live, lengths)
    gates = recurrent.project(x, weight_ih)  # (T, B, 4H), made into i, f, g, o step by step
    hidden, cell, begin = recurrent.room(h, len(x)), recurrent.room(c, len(x)), recurrent.begins(resets, live)
    read, read_cell = recurrent.entering(hidden, begin), recurrent.entering(cell, begin)
    squashed = array_module(x).empty_like(cell[1:])
    step = recurrent.fastest(step_plain, _step, _step_on_gpu, gates, hidden, cell, bias, types=SINGLE)
    together = step is _step_on_gpu and begin is None and scan.pays(weight_hh, hidden)
    if together:
        _forward_scan(len(x), hidden, scan.transposed(weight_hh), cell, gates, bias, live, squashed)
    for t in range(0 if together else len(x)):
        recurrent.enter(t, begin, hidden, read)
        recurrent.enter(t, begin, cell, read_cell)
        before, after = (read[t], read_cell[t]), (hidden[t + 1], cell[t + 1])
        step(gates[t], read[t] @ weight_hh.T, bias, live[t], *before, *after, squashed[t])
    cache = Cache(x, hidden, weight_ih, weight_hh, read, live, span, begin, gates, cell, read_cell, squashed)
    return (recurrent.outputs(hidden, live, lengths), hidden[-1], cell[-1]), cache


def step_plain(gates, m, bias, live, h, c, new_h, new_c, squashed) -> None:
    """One step: gates (B, 4H) hold x Wᵀ, m = h Rᵀ; writes the last three, and i, f, g, o into gates."""
    xp = array_module(gates)
    i, f, g, o = quarters(gates)
    gates += m + bias
    g[...] = xp.tanh(g)
    for gate in (i, f, o):
        gate[...] = sigmoid(gate)
    new_c[...] = xp.where(live, f * c + i * g, c)
    squashed[...] = xp.tanh(new_c)
    new_h[...] = xp.where(live, o * squashed, h)


def backward(dy, cache) -> tuple[np.ndarray, ...]:
    """dy = (dy (T, B, H), dh, dc (B, H)) -> dx, dh, dc, dweight_ih, dweight_hh, dbias_ih, dbias_hh."""
    dz, _, *dstates = backward_time(dy, cache)
    dx = recurrent.backward_input(dz, cache.weight_ih)
    return dx, *dstates, *recurrent.backward_parameters(dz, dz, cache.x, cache.read)


def backward_time(dy, cache) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The reverse loop: dy as in backward -> dz (T, B, 4H) twice (input side, hidden side), dh, dc (B, H)."""
    recurrent.check_upstreams(dy, cache, STATES)
    gates, cell, squashed, live = cache.gates, cache.read_cell, cache.squashed, cache.live
    xp = array_module(gates)
    dy, dh, dc = xp.ascontiguousarray(dy[0]), dy[1].copy(), dy[2].copy()
    dz = xp.empty_like(gates)
    step = recurrent.fastest(step_backward_plain, _step_backward, _step_backward_on_gpu, dy, dh, dc, gates, cell, squashed)
    whole = cache.begin is None and cache.span is None
    together = whole and step is _step_backward_on_gpu and scan.pays(cache.weight_hh, dh)
    if together:
        _backward_scan(len(dz), dh, dz, cache.weight_hh, dc, dy, live, gates, cell, squashed)
    for t in reversed(range(0 if together else len(dz))):
        step(dy[t], live[t], gates[t], cell[t], squashed[t], dh, dc, dz[t])
        dh += dz[t] @ cache.weight_hh
        recurrent.cut(t, cache, dh, dc)
    return dz, dz, dh, dc


def step_backward_plain(dy, live, gates, c, squashed, dh, dc, dz) -> None:
    """One step: dh, dc of the states after it become those of the states before it, except dh's share through dz."""
    xp = array_module(gates)
    i, f, g, o = quarters(gates)
    d_h = xp.where(live, dh + dy, 0)
    d_c = xp.where(live, dc, 0) + d_h * o * (1 - squashed * squashed)
    di, df, dg, do = quarters(dz)
    di[...], df[...] = d_c * g * i * (1 - i), d_c * c * f * (1 - f)
    dg[...], do[...] = d_c * i * (1 - g * g), d_h * squashed * o * (1 - o)
    dz[...] = xp.where(live, dz, 0)
    dh[...] = xp.where(live, 0, dh)
    dc[...] = xp.where(live, d_c * f, dc)


def states(cache) -> tuple[np.ndarray, ...]:
    """What the network's state was before and after every step: (T + 1, B, H) each."""
    return (cache.hidden, cache.cell)


def jvp(vx, vh, vc, vweight_ih, vweight_hh, vbias_ih, vbias_hh, cache) -> tuple[np.ndarray, ...]:
    """Tangents vx (T, B, I), vh, vc (B, H) and of the weights and biases -> tangents of y, h_T and c_T."""
    recurrent.check_inputs(GATES, vx, (vh, vc), vweight_ih, vweight_hh, vbias_ih, vbias_hh, None)
    va = recurrent.tangent_inputs(vx, vweight_ih, vbias_ih + vbias_hh, cache)

    def step(t, vh, vc):
        (i, f, g, o), squashed = quarters(cache.gates[t]), cache.squashed[t]
        vi, vf, vg, vo = quarters(va[t] + vh @ cache.weight_hh.T + cache.read[t] @ vweight_hh.T)
        vi, vf, vg, vo = vi * i * (1 - i), vf * f * (1 - f), vg * (1 - g * g), vo * o * (1 - o)
        vc = vf * cache.read_cell[t] + f * vc + vi * g + i * vg
        return vo * squashed + o * (1 - squashed * squashed) * vc, vc

    return recurrent.tangent_states([vh, vc], cache, step)


def quarters(z) -> tuple[np.ndarray, ...]:
    """Views of the four gates: z (B, 4H) -> four of (B, H)."""
    size = z.shape[1] // 4
    return tuple(z[:, k * size : (k + 1) * size] for k in range(4))


@ordered_kernel
def _step(gates, m, bias, live, h, c, new_h, new_c, squashed):
    size = h.shape[1]
    for b in range(h.shape[0]):
        if not live[b, 0]:
            for j in range(size):
                new_h[b, j], new_c[b, j] = h[b, j], c[b, j]
            squashed[b] = 0
            continue
        z_i, z_f, z_g, z_o = gates[b, :size], gates[b, size : 2 * size], gates[b, 2 * size : 3 * size], gates[b, 3 * size :]
        m_i, m_f, m_g, m_o = m[b, :size], m[b, size : 2 * size], m[b, 2 * size : 3 * size], m[b, 3 * size :]
        b_i, b_f, b_g, b_o = bias[:size], bias[size : 2 * size], bias[2 * size : 3 * size], bias[3 * size :]
        for j in range(size):
            i, f = elementary.sigmoid(z_i[j] + m_i[j] + b_i[j]), elementary.sigmoid(z_f[j] + m_f[j] + b_f[j])
            g, o = elementary.tanh(z_g[j] + m_g[j] + b_g[j]), elementary.sigmoid(z_o[j] + m_o[j] + b_o[j])
            z_i[j], z_f[j], z_g[j], z_o[j] = i, f, g, o
            cell = f * c[b, j] + i * g
            t = elementary.tanh(cell)
            new_c[b, j], squashed[b, j], new_h[b, j] = cell, t, o * t


@kernel
def _step_backward(dy, live, gates, c, squashed, dh, dc, dz):
    size, one, zero = c.shape[1], dz.dtype.type(1), dz.dtype.type(0)
    for b in range(c.shape[0]):
        if not live[b, 0]:
            dz[b] = zero
            continue
        i, f, g, o = gates[b, :size], gates[b, size : 2 * size], gates[b, 2 * size : 3 * size], gates[b, 3 * size :]
        d_i, d_f, d_g, d_o = dz[b, :size], dz[b, size : 2 * size], dz[b, 2 * size : 3 * size], dz[b, 3 * size :]
        for j in range(size):
            t = squashed[b, j]
            d_h = dh[b, j] + dy[b, j]
            d_c = dc[b, j] + d_h * o[j] * (one - t * t)
            d_i[j] = d_c * g[j] * i[j] * (one - i[j])
            d_f[j] = d_c * c[b, j] * f[j] * (one - f[j])
            d_g[j] = d_c * i[j] * (one - g[j] * g[j])
            d_o[j] = d_h * t * o[j] * (one - o[j])
            dh[b, j], dc[b, j] = zero, d_c * f[j]


def _step_on_gpu(gates, m, bias, live, h, c, new_h, new_c, squashed):
    _step_gpu(h, c, gates, m.astype(gates.dtype, copy=False), bias, live, new_h, new_c, squashed)


def _step_backward_on_gpu(dy, live, gates, c, squashed, dh, dc, dz):
    _step_backward_gpu(dh, dc, dy, live, gates, c, squashed, dz)


_step_gpu = gpu.Cells(
    "const T* h, const T* c, T* gates, const T* m, const T* bias, const bool* live, T* new_h, T* new_c, T* squashed",
    """
    if (!live[row]) {
        new_h[cell] = h[cell], new_c[cell] = c[cell], squashed[cell] = 0;
        return;
    }
    gates += 4 * row * columns + j, m += 4 * row * columns + j, bias += j;
    const int f_ = columns, g_ = 2 * columns, o_ = 3 * columns;  // where their gates lie
    const T i = gates[0] = sigmoid(gates[0] + m[0] + bias[0]);
    const T f = gates[f_] = sigmoid(gates[f_] + m[f_] + bias[f_]);
    const T g = gates[g_] = tanh(gates[g_] + m[g_] + bias[g_]);
    const T o = gates[o_] = sigmoid(gates[o_] + m[o_] + bias[o_]);
    new_c[cell] = f * c[cell] + i * g;
    squashed[cell] = tanh(new_c[cell]);
    new_h[cell] = o * squashed[cell];
    """,
    "lstm_step",
)

_step_backward_gpu = gpu.Cells(
    "T* dh, T* dc, const T* dy, const bool* live, const T* gates, const T* c, const T* squashed, T* dz",
    """
    gates += 4 * row * columns + j, dz += 4 * row * columns + j;
    const int f_ = columns, g_ = 2 * columns, o_ = 3 * columns;
    if (!live[row]) {
        dz[0] = dz[f_] = dz[g_] = dz[o_] = 0;
        return;
    }
    const T i = gates[0], f = gates[f_], g = gates[g_], o = gates[o_], t = squashed[cell];
    const T d_h = dh[cell] + dy[cell];
    const T d_c = dc[cell] + d_h * o * (1 - t * t);
    dz[0] = d_c * g * i * (1 - i);
    dz[f_] = d_c * c[cell] * f * (1 - f);
    dz[g_] = d_c * i * (1 - g * g);
    dz[o_] = d_h * t * o * (1 - o);
    dh[cell] = 0, dc[cell] = d_c * f;
    """,
    "lstm_step_backward",
)


_forward_scan = scan.Scan(
    _step_gpu,
    GATES,
    "T* cells, T* gates, const T* bias, const bool* live, T* squashed",
    "hidden + at, cells + at, gates + GATES * at, m, bias, live + place, hidden + next, cells + next, squashed + at",
    scan.FORWARD,
)

_backward_scan = scan.Scan(
    _step_backward_gpu,
    GATES,
    "T* dc, const T* dy, const bool* live, const T* gates, const T* cells, const T* squashed",
    "dh + state, dc + state, dy + at, live + place, gates + GATES * at, cells + at, squashed + at, dm + GATES * at",
    scan.BACKWARD,
)

STATE = dict(h=(3, 5), c=(3, 5))
WEIGHTS = dict(weight_ih=(20, 4), weight_hh=(20, 5), bias_ih=(20,), bias_hh=(20,))
CASES = [
    dict(x=(4, 3, 4), **STATE, **WEIGHTS),
    dict(x=(1, 3, 4), **STATE, **WEIGHTS),
    dict(x=(5, 3, 4), **STATE, **WEIGHTS, lengths=recurrent.LENGTHS),
    dict(x=(5, 3, 4), **STATE, **WEIGHTS, resets=recurrent.RESETS),
    dict(x=(2, 0, 4), h=(0, 5), c=(0, 5), **WEIGHTS),
]
