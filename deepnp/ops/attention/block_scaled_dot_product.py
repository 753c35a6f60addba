"""Scaled dot-product attention without the matrix of scores.      … batch and heads, i = 1…Lq queries, j = 1…Lk keys

The same map as ops.attention.scaled_dot_product, computed over blocks of keys (FlashAttention, Dao et al. 2022), so that memory
grows with Lq + Lk and not with Lq·Lk.

Forward    S = q kᵀ/√d + mask        y_i = Σ_j e^{S_ij} v_j / Σ_j e^{S_ij}
           block by block, with the largest score so far, m, in place of the largest of all:
           m′ = max(m, max_j S_ij)    c = e^{m − m′}       a larger maximum makes all earlier terms smaller by c
           t ← c·t + Σ_j e^{S_ij − m′}                     the denominator
           y ← c·y + Σ_j e^{S_ij − m′} v_j                 y/t once all blocks are through
           kept for backward: y and l = m + ln t, with which A_ij = e^{S_ij − l_i}
Backward   S and A once more for every block, then as in the plain form
           dv_j = Σ_i A_ij dy_i      dS = A ⊙ (dA − D)      dA = dy vᵀ
           D_i = Σ_j A_ij dA_ij = ⟨dy_i, Σ_j A_ij v_j⟩ = ⟨dy_i, y_i⟩           the sum over all keys, without having them
           dq_i = Σ_j dS_ij k_j/√d   dk_j = Σ_i dS_ij q_i/√d

Tangent    vy = (A ⊙ vS) v + A vv − D ⊙ y         D_i = Σ_j A_ij vS_ij: what vA = A ⊙ (vS − D) of the plain form leaves of
                                                          Σ_j vA_ij v_j, with y for Σ_j A_ij v_j

Rows that see no key (ops.attention) have t = 0; with l = +∞ their A is zero.

The kernels also take the queries in blocks: one block of scores stays in the cache from its product to its last use.
"""

import math
from typing import NamedTuple

import numpy as np

from deepnp import elementary
from deepnp.backend import array_module
from deepnp.blas import find_sgemm, sgemm
from deepnp.ops import attention
from deepnp.ops.attention import (
    Stacks,
    accelerated_backward,
    accelerated_forward,
    careful_kernel,
    check_tangents,
    for_all,
    gradients_room,
    hide,
    padding_mask,
    sizes,
    stack_mask,
    written,
)


class Cache(NamedTuple):
    """What backward needs of one forward pass."""

    q: np.ndarray  # (…, Lq, d)
    k: np.ndarray  # (…, Lk, d)
    v: np.ndarray  # (…, Lk, dv)
    mask: np.ndarray | None
    causal: bool
    block: int
    y: np.ndarray  # (…, Lq, dv)
    log_total: np.ndarray  # l (…, Lq, 1)
    kernels: bool = True  # whether backward may take them


def forward(q, k, v, mask=None, causal=False, block=128) -> tuple[np.ndarray, Cache]:
    """q (…, Lq, d), k (…, Lk, d), v (…, Lk, dv), mask broadcast to (…, Lq, Lk) or None, causal, block size -> y (…, Lq, dv)."""
    xp = array_module(q)
    y, total = xp.zeros((*q.shape[:-1], v.shape[-1]), q.dtype), xp.zeros((*q.shape[:-1], 1), q.dtype)
    largest = xp.full(total.shape, -xp.inf, q.dtype)
    for rows, keys in _blocks(q, k, causal, block):
        scores = _scores(q, k, mask, causal, rows, keys)
        before = largest[..., rows, :]
        after = xp.maximum(before, scores.max(axis=-1, keepdims=True))
        shift = xp.where(after == -xp.inf, 0, after)
        e, correction = xp.exp(scores - shift), xp.exp(before - shift)
        total[..., rows, :] = correction * total[..., rows, :] + e.sum(axis=-1, keepdims=True)
        y[..., rows, :] = correction * y[..., rows, :] + xp.matmul(e, v[..., keys, :])
        largest[..., rows, :] = after
    blind = total == 0
    total = xp.where(blind, 1, total)
    y /= total
    return y, Cache(q, k, v, mask, causal, block, y, xp.where(blind, xp.inf, largest + xp.log(total)))


def backward(dy, cache, out=None) -> tuple[np.ndarray, ...]:
    """dy (…, Lq, dv) -> dq (…, Lq, d), dk (…, Lk, d), dv (…, Lk, dv), written into the three arrays of `out` where given."""
    q, k, v, mask, causal, block, y, log_total, _ = cache
    xp, scale = array_module(dy), 1 / math.sqrt(q.shape[-1])
    dq, dk, dv = xp.zeros(q.shape, q.dtype), xp.zeros(k.shape, k.dtype), xp.zeros(v.shape, v.dtype)
    mean = (dy * y).sum(axis=-1, keepdims=True)
    for rows, keys in _blocks(q, k, causal, block):
        weights = xp.exp(_scores(q, k, mask, causal, rows, keys) - log_total[..., rows, :])
        dweights = xp.matmul(dy[..., rows, :], v[..., keys, :].swapaxes(-1, -2))
        dscores = weights * (dweights - mean[..., rows, :]) * scale
        dv[..., keys, :] = xp.matmul(weights.swapaxes(-1, -2), dy[..., rows, :])
        dk[..., keys, :] = xp.matmul(dscores.swapaxes(-1, -2), q[..., rows, :])
        dq[..., rows, :] += xp.matmul(dscores, k[..., keys, :])
    return written(out, (dq, dk, dv))


def jvp(vq, vk, vv, cache) -> np.ndarray:
    """Tangents vq (…, Lq, d), vk (…, Lk, d), vv (…, Lk, dv) -> tangent of y (…, Lq, dv)."""
    check_tangents(vq, vk, vv, cache)
    q, k, v, mask, causal, block, y, log_total, _ = cache
    xp, scale = array_module(vq), 1 / math.sqrt(q.shape[-1])
    vy, mean = xp.zeros_like(y), xp.zeros_like(log_total)
    for rows, keys in _blocks(q, k, causal, block):
        weights = xp.exp(_scores(q, k, mask, causal, rows, keys) - log_total[..., rows, :])
        moved_q = xp.matmul(vq[..., rows, :], k[..., keys, :].swapaxes(-1, -2))
        moved_k = xp.matmul(q[..., rows, :], vk[..., keys, :].swapaxes(-1, -2))
        vscores = weights * (moved_q + moved_k) * scale
        mean[..., rows, :] += vscores.sum(axis=-1, keepdims=True)
        vy[..., rows, :] += xp.matmul(vscores, v[..., keys, :]) + xp.matmul(weights, vv[..., keys, :])
    return vy - mean * y


def _blocks(q, k, causal, block):
    """For each block of keys: the queries that may see some of it, and the keys, as slices."""
    queries, keys = q.shape[-2], k.shape[-2]
    for start in range(0, min(queries, keys) if causal else keys, block):
        yield slice(start if causal else 0, queries), slice(start, min(start + block, keys))


def _scores(q, k, mask, causal, rows, keys):
    xp = array_module(q)
    scores = xp.matmul(q[..., rows, :], k[..., keys, :].swapaxes(-1, -2)) * (1 / math.sqrt(q.shape[-1]))
    hide(scores, mask, causal, rows.start, keys.start)
    return scores


def _forward_fast(q, k, v, mask, causal, block):
    y, log_total = np.empty((*q.shape[:-1], v.shape[-1]), np.float32), np.empty((*q.shape[:-1], 1), np.float32)
    each_y, each_l = y.reshape(-1, *y.shape[-2:]), log_total.reshape(-1, q.shape[-2])
    stacks, shapes = Stacks(q, k, v), sizes(q, k, v)
    rows, which = stack_mask(mask, q.shape[:-2], k.shape[-2])

    def run(part):
        masks, results = (rows, which[part], causal, block), (each_y[part], each_l[part])
        _forward(*find_sgemm(), stacks.places[:, part], stacks.steps, shapes, *masks, _square(block, shapes), *results)

    for_all(len(each_y), math.prod(shapes), run)
    return y, Cache(q, k, v, mask, causal, block, y, log_total)


def _backward_fast(dy, cache, out):
    q, k, v, mask, causal, block, y, log_total, _ = cache
    gradients = gradients_room(q, k, v, out)
    for gradient in gradients:
        gradient.fill(0)
    stacks, shapes = Stacks(q, k, v, dy, *gradients), sizes(q, k, v)
    rows, which = stack_mask(mask, q.shape[:-2], k.shape[-2])
    mean, each_l = (dy * y).sum(axis=-1).reshape(-1, q.shape[-2]), log_total.reshape(-1, q.shape[-2])

    def run(part):
        masks, known = (rows, which[part], causal, block), (each_l[part], mean[part])
        squares = _square(block, shapes), _square(block, shapes)
        _backward(*find_sgemm(), stacks.places[:, part], stacks.steps, shapes, *masks, *known, *squares)

    for_all(len(mean), math.prod(shapes), run)
    return written(out, gradients)


def _square(block, shapes):
    """Room for one block of scores."""
    return np.empty((min(block, shapes[0]), min(block, shapes[1])), np.float32)


@careful_kernel
def _forward(address, wide, places, steps, sizes, mask, which, causal, block, scores, y, log_total):
    (lq, lk, d, dv), (q_step, k_step, v_step) = sizes, steps
    zero, low, scale = np.float32(0), np.float32(-np.inf), np.float32(1 / math.sqrt(d))
    s, s_step = scores.ctypes.data, scores.shape[1]
    y[:] = zero
    for n in range(len(y)):
        for first in range(0, lq, block):
            rows = min(block, lq - first)
            q, out = places[0, n] + 4 * first * q_step, y[n, first : first + rows]
            largest, total = np.full(rows, low), np.zeros(rows, np.float32)
            for start in range(0, min(lk, first + rows) if causal else lk, block):
                columns = min(block, lk - start)
                k, v = places[1, n] + 4 * start * k_step, places[2, n] + 4 * start * v_step
                sgemm(address, wide, False, True, rows, columns, d, q, q_step, k, k_step, zero, s, s_step)
                for i in range(rows):
                    row, seen = scores[i, :columns], min(max(first + i + 1 - start, 0), columns) if causal else columns
                    fits = attention.scale_row(
                        row[:seen], scale, mask[which[n], first + i if mask.shape[1] > 1 else 0, start : start + seen]
                    )
                    after, part = max(largest[i], fits), zero
                    shift = zero if after == low else after
                    for j in range(seen):
                        row[j] = elementary.exp(row[j] - shift)
                        part += row[j]
                    row[seen:] = zero
                    correction = elementary.exp(largest[i] - shift)
                    total[i], largest[i] = correction * total[i] + part, after
                    for c in range(dv):
                        out[i, c] *= correction
                sgemm(address, wide, False, False, rows, dv, columns, s, s_step, v, v_step, np.float32(1), out.ctypes.data, dv)
            for i in range(rows):
                inverse = zero if total[i] == zero else np.float32(1) / total[i]
                log_total[n, first + i] = np.float32(np.inf) if total[i] == zero else largest[i] + np.log(total[i])
                for c in range(dv):
                    out[i, c] *= inverse


@careful_kernel
def _backward(address, wide, places, steps, sizes, mask, which, causal, block, log_total, means, weights, dscores):
    (lq, lk, d, dv), (q_step, k_step, v_step, dy_step, dq_step, dk_step, dv_step) = sizes, steps
    zero, one, scale = np.float32(0), np.float32(1), np.float32(1 / math.sqrt(d))
    a, ds, step = weights.ctypes.data, dscores.ctypes.data, weights.shape[1]
    for n in range(len(means)):
        for start in range(0, lk, block):
            columns = min(block, lk - start)
            k, v = places[1, n] + 4 * start * k_step, places[2, n] + 4 * start * v_step
            dk, dvalue = places[5, n] + 4 * start * dk_step, places[6, n] + 4 * start * dv_step
            for first in range(start if causal else 0, lq, block):
                rows = min(block, lq - first)
                q, dy, dq = (
                    places[0, n] + 4 * first * q_step,
                    places[3, n] + 4 * first * dy_step,
                    places[4, n] + 4 * first * dq_step,
                )
                sgemm(address, wide, False, True, rows, columns, d, q, q_step, k, k_step, zero, a, step)
                sgemm(address, wide, False, True, rows, columns, dv, dy, dy_step, v, v_step, zero, ds, step)
                for i in range(rows):
                    seen = min(max(first + i + 1 - start, 0), columns) if causal else columns
                    shown = mask[which[n], first + i if mask.shape[1] > 1 else 0, start : start + seen]
                    shift, mean = log_total[n, first + i], means[n, first + i]
                    for j in range(seen):
                        weights[i, j] = elementary.exp(weights[i, j] * scale + shown[j] - shift)
                        dscores[i, j] = weights[i, j] * (dscores[i, j] - mean) * scale
                    weights[i, seen:] = zero
                    dscores[i, seen:] = zero
                sgemm(address, wide, True, False, columns, dv, rows, a, step, dy, dy_step, one, dvalue, dv_step)
                sgemm(address, wide, True, False, columns, d, rows, ds, step, q, q_step, one, dk, dk_step)
                sgemm(address, wide, False, False, rows, d, columns, ds, step, k, k_step, one, dq, dq_step)


forward = accelerated_forward(forward, _forward_fast)
backward = accelerated_backward(backward, _backward_fast)

LAST_THREE = padding_mask(np.array([[False] * 4 + [True] * 3, [True] * 7]), np.float64)  # the second batch row sees no key
PENALTY = -0.3 * np.abs(np.subtract.outer(np.arange(5.0), np.arange(4.0)))  # a mask that is neither 0 nor −∞
CASES = [
    dict(q=(2, 3, 5, 4), k=(2, 3, 6, 4), v=(2, 3, 6, 3), block=4),
    dict(q=(2, 2, 4, 3), k=(2, 2, 7, 3), v=(2, 2, 7, 3), mask=LAST_THREE, block=2),
    dict(q=(2, 3, 5, 2), k=(2, 3, 4, 2), v=(2, 3, 4, 2), mask=PENALTY, causal=True, block=2),
    dict(q=(3, 4, 1), k=(3, 9, 1), v=(3, 9, 2), causal=True, block=3),
    dict(q=(7, 3), k=(5, 3), v=(5, 3), causal=True, block=3),
    dict(q=(1, 3), k=(1, 3), v=(1, 3)),
    dict(q=(0, 2, 4, 3), k=(0, 2, 5, 3), v=(0, 2, 5, 3)),
]
