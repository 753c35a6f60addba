"""Scaled dot-product attention.                          … batch and heads, i = 1…Lq queries, j = 1…Lk keys, d and dv columns

Forward    S = q kᵀ/√d + mask        A = softmax_j S        y = A v
           S_ij is a sum of d products; 1/√d keeps its variance that of one, whatever d. With several heads d is a head's own
           width
Backward   dv = Aᵀ dy                                     v_j enters every y_i, with weight A_ij
           dA = dy vᵀ                                     and A_ij enters y_i, with factor v_j
           dS = A ⊙ (dA − Σ_j A ⊙ dA)                     softmax row by row, as in ops.activation.softmax; 0 where masked
           dq = dS k/√d              dk = dSᵀ q/√d        S is a product of q and k: each gets the other
Tangent    vS = (vq kᵀ + q vkᵀ)/√d                        the product rule
           vA = A ⊙ (vS − Σ_j A ⊙ vS)                     softmax's Jacobian is symmetric
           vy = vA v + A vv

The mask is added before the softmax; masks are described in ops.attention. A row that is masked
throughout would divide 0 by 0: its A is set to zero, so its y and all that flows through it are zero.

The kernels take one head after another: the products by BLAS, the softmax while the head's scores are still in the cache.
"""

import math
from typing import NamedTuple

import numpy as np

from deepnp import elementary, gpu
from deepnp.backend import array_module
from deepnp.blas import find_sgemm, sgemm
from deepnp.ops import attention
from deepnp.ops.activation import softmax
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
    room,
    sizes,
    stack_mask,
    written,
)


class Cache(NamedTuple):
    """What backward needs of one forward pass."""

    q: np.ndarray  # (…, Lq, d)
    k: np.ndarray  # (…, Lk, d)
    v: np.ndarray  # (…, Lk, dv)
    weights: np.ndarray  # A (…, Lq, Lk)
    kernels: bool = True  # whether backward may take them


def forward(q, k, v, mask=None, causal=False) -> tuple[np.ndarray, Cache]:
    """q (…, Lq, d), k (…, Lk, d), v (…, Lk, dv), mask broadcast to (…, Lq, Lk) or None, causal -> y (…, Lq, dv)."""
    xp = array_module(q)
    scores = xp.matmul(q, k.swapaxes(-1, -2)) * (1 / math.sqrt(q.shape[-1]))
    hide(scores, mask, causal)
    if gpu.rows_run(scores):
        _weights_gpu(scores)
        return xp.matmul(scores, v), Cache(q, k, v, scores)
    largest = scores.max(axis=-1, keepdims=True)
    e = xp.exp(scores - xp.where(largest == -xp.inf, 0, largest))
    total = e.sum(axis=-1, keepdims=True)
    weights = e / xp.where(total == 0, 1, total)
    return xp.matmul(weights, v), Cache(q, k, v, weights)


def backward(dy, cache, out=None) -> tuple[np.ndarray, ...]:
    """dy (…, Lq, dv) -> dq (…, Lq, d), dk (…, Lk, d), dv (…, Lk, dv).

    Written into the three arrays of `out` where they are given.
    """
    q, k, v, weights, _ = cache
    xp = array_module(dy)
    dweights = xp.matmul(dy, v.swapaxes(-1, -2))
    dscores = softmax.backward(dweights, _softmax_cache(cache))
    gradients = xp.matmul(dscores, k), xp.matmul(dscores.swapaxes(-1, -2), q), xp.matmul(weights.swapaxes(-1, -2), dy)
    return written(out, gradients)


def jvp(vq, vk, vv, cache) -> np.ndarray:
    """Tangents vq (…, Lq, d), vk (…, Lk, d), vv (…, Lk, dv) -> tangent of y (…, Lq, dv)."""
    check_tangents(vq, vk, vv, cache)
    q, k, v, weights, _ = cache
    xp = array_module(vq)
    vproducts = xp.matmul(vq, k.swapaxes(-1, -2)) + xp.matmul(q, vk.swapaxes(-1, -2))
    return xp.matmul(softmax.jvp(vproducts, _softmax_cache(cache)), v) + xp.matmul(weights, vv)


def _softmax_cache(cache):
    """A as a softmax of q kᵀ + √d·mask, whose temperature is √d."""
    return softmax.Cache(cache.weights, math.sqrt(cache.q.shape[-1]))


def _forward_fast(q, k, v, mask, causal):
    y, weights = room(q, v.shape[-1]), np.empty((*q.shape[:-1], k.shape[-2]), np.float32)
    stacks, scores = Stacks(q, k, v, weights, y), weights.reshape(-1, *weights.shape[-2:])
    shapes, (rows, which) = sizes(q, k, v), stack_mask(mask, q.shape[:-2], k.shape[-2])

    def run(part):
        _forward(*find_sgemm(), stacks.places[:, part], stacks.steps, shapes, rows, which[part], causal, scores[part])

    for_all(len(scores), math.prod(shapes), run)
    return y, Cache(q, k, v, weights)


def _backward_fast(dy, cache, out):
    q, k, v, weights, _ = cache
    gradients = gradients_room(q, k, v, out)
    stacks, kept = Stacks(q, k, v, weights, dy, *gradients), weights.reshape(-1, *weights.shape[-2:])
    shapes = sizes(q, k, v)
    for_all(len(kept), math.prod(shapes), lambda n: _backward(*find_sgemm(), stacks.places[:, n], stacks.steps, shapes, kept[n]))
    return written(out, gradients)


@careful_kernel
def _forward(address, wide, places, steps, sizes, mask, which, causal, scores):
    (lq, lk, d, dv), (q_step, k_step, v_step, s_step, y_step) = sizes, steps
    zero, scale = np.float32(0), np.float32(1 / math.sqrt(d))
    for n in range(len(scores)):
        q, k, v, s, y = places[0, n], places[1, n], places[2, n], places[3, n], places[4, n]
        sgemm(address, wide, False, True, lq, lk, d, q, q_step, k, k_step, zero, s, s_step)
        for i in range(lq):
            seen = min(i + 1, lk) if causal else lk
            row = scores[n, i]
            largest = attention.scale_row(row[:seen], scale, mask[which[n], i if mask.shape[1] > 1 else 0])
            shift, total = zero if largest == -np.inf else largest, zero
            for j in range(seen):
                row[j] = elementary.exp(row[j] - shift)
                total += row[j]
            inverse = zero if total == zero else np.float32(1) / total
            for j in range(seen):
                row[j] *= inverse
            row[seen:] = zero
        sgemm(address, wide, False, False, lq, dv, lk, s, s_step, v, v_step, zero, y, y_step)


@careful_kernel
def _backward(address, wide, places, steps, sizes, weights):
    (lq, lk, d, dv), (q_step, k_step, v_step, a_step, dy_step, dq_step, dk_step, dv_step) = sizes, steps
    zero, scale, dscores = np.float32(0), np.float32(1 / math.sqrt(d)), np.empty((lq, lk), np.float32)
    ds, s_step = dscores.ctypes.data, lk
    for n in range(len(weights)):
        q, k, v, a, dy = places[0, n], places[1, n], places[2, n], places[3, n], places[4, n]
        dq, dk, dvalue = places[5, n], places[6, n], places[7, n]
        sgemm(address, wide, True, False, lk, dv, lq, a, a_step, dy, dy_step, zero, dvalue, dv_step)
        sgemm(address, wide, False, True, lq, lk, dv, dy, dy_step, v, v_step, zero, ds, s_step)
        for i in range(lq):
            total = zero
            for j in range(lk):
                total += weights[n, i, j] * dscores[i, j]
            for j in range(lk):
                dscores[i, j] = weights[n, i, j] * (dscores[i, j] - total) * scale
        sgemm(address, wide, False, False, lq, d, lk, ds, s_step, k, k_step, zero, dq, dq_step)
        sgemm(address, wide, True, False, lk, d, lq, ds, s_step, q, q_step, zero, dk, dk_step)


_weights_gpu = gpu.Rows(
    "T* scores",
    """
    scores += row * columns;
    T largest = scores[0], total = 0;
    for (int j = threadIdx.x; j < columns; j += THREADS) largest = scores[j] > largest ? scores[j] : largest;
    largest = largest_in_row(largest);
    if (isinf(largest)) largest = 0;  // the row sees no key
    for (int j = threadIdx.x; j < columns; j += THREADS) total += scores[j] = exp(scores[j] - largest);
    total = sum_over_row(total);
    for (int j = threadIdx.x; j < columns; j += THREADS) scores[j] /= total == 0 ? T(1) : total;
    """,
    "attention_weights",
)

forward = accelerated_forward(forward, _forward_fast)
backward = accelerated_backward(backward, _backward_fast)

TWO_OF_THREE = padding_mask(np.array([[False, True, False], [True, True, True]]), np.float64)  # the second row sees no key
PENALTY = -0.3 * np.abs(np.subtract.outer(np.arange(5.0), np.arange(4.0)))  # a mask that is neither 0 nor −∞
CASES = [
    dict(q=(2, 3, 5, 4), k=(2, 3, 6, 4), v=(2, 3, 6, 3)),
    dict(q=(2, 2, 4, 3), k=(2, 2, 3, 3), v=(2, 2, 3, 3), mask=TWO_OF_THREE),
    dict(q=(2, 3, 5, 2), k=(2, 3, 4, 2), v=(2, 3, 4, 2), mask=PENALTY, causal=True),
    dict(q=(3, 4, 1), k=(3, 7, 1), v=(3, 7, 2), causal=True),
    dict(q=(1, 3), k=(1, 3), v=(1, 3)),
    dict(q=(0, 2, 4, 3), k=(0, 2, 5, 3), v=(0, 2, 5, 3)),
]
