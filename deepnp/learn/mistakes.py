"""Mistakes that people make, and that no single change of the right formula makes.

Each is a backward pass that is wrong in one way, with the words for it. `diagnosis` compares a
reader's results with theirs, as with those of the variants.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from deepnp.learn.exercise import Exercise
from deepnp.learn.variants import Variant
from deepnp.ops.convolution import conv

DIAGONAL = "of the diagonal of softmax's Jacobian alone: each input also reaches the other outputs, through the common denominator"
SKIPPED = "where softmax's backward pass is left out: dS is not dA"
UNCENTRED = "where softmax's backward pass is A·dA alone, without the sum over its row"
ACROSS = "where the sum is taken over axis {} instead of the last: softmax is over the last axis"
GAMMA_LAST = "where γ is multiplied at the end: the means are those of dx̂ = γ·dy"
ROW_MEANS = "where the means are taken over the rows: μ and σ belong to one row, so the means are over its channels"
PLAIN_X = "with x in the place of x̂"
TURNED = "where the window is turned round: what x̄ gave through tap t comes back through the same tap"


def mistakes(exercise: Exercise) -> list[Variant]:
    """Those of an exercise; none for most."""
    return [Variant(text, function, False) for text, function in (*_KNOWN.get(exercise.name, ()), *exercise.mistakes)]


def _turned(dy, cache):
    """Convolution's backward pass whose dx sees the window turned round."""
    turned = np.flip(cache.weight, tuple(range(2, cache.weight.ndim)))
    return conv.backward(dy, cache._replace(weight=turned))[0], *conv.backward(dy, cache)[1:]


def _softmax(jacobian: Callable) -> Callable:
    return lambda dy, cache: jacobian(cache.y, dy) / cache.temperature


def _attention(jacobian: Callable) -> Callable:
    """Attention's backward pass with another one of softmax in it."""

    def backward(dy, cache):
        q, k, v, weights = cache[:4]
        dscores = jacobian(weights, dy @ v.swapaxes(-1, -2)) / math.sqrt(q.shape[-1])
        return dscores @ k, dscores.swapaxes(-1, -2) @ q, weights.swapaxes(-1, -2) @ dy

    return backward


def _diagonal(y, dy):
    return y * (1 - y) * dy


def _summed_over(axis: int) -> Callable:
    return lambda y, dy: y * (dy - (dy * y).sum(axis=axis, keepdims=True))


def _layer_norm(means_over: Callable, gamma_last: bool = False) -> Callable:
    def backward(dy, cache):
        normal, axes = (cache.x - cache.mean) / cache.sigma, means_over(dy)
        dnormal = dy if gamma_last else cache.gamma * dy
        centred = dnormal - dnormal.mean(axis=axes, keepdims=True) - normal * (dnormal * normal).mean(axis=axes, keepdims=True)
        rows = tuple(range(dy.ndim - 1))
        return centred * (cache.gamma if gamma_last else 1) / cache.sigma, (dy * cache.x).sum(axis=rows), dy.sum(axis=rows)

    return backward


def _last(dy) -> tuple[int, ...]:
    return (dy.ndim - 1,)


def _leading(dy) -> tuple[int, ...]:
    return tuple(range(dy.ndim - 1))


_KNOWN: Mapping[str, tuple[tuple[str, Callable], ...]] = MappingProxyType(
    {
        "activation.softmax": (
            (DIAGONAL, _softmax(_diagonal)),
            (ACROSS.format(0), _softmax(_summed_over(0))),
        ),
        "attention.scaled_dot_product": (
            (DIAGONAL, _attention(_diagonal)),
            (SKIPPED, _attention(lambda y, dy: dy)),
            (UNCENTRED, _attention(np.multiply)),
            (ACROSS.format(-2), _attention(_summed_over(-2))),
        ),
        "convolution.conv": ((TURNED, _turned),),
        "normalization.layer_norm": (
            (PLAIN_X, _layer_norm(_last)),
            (GAMMA_LAST, _layer_norm(_last, gamma_last=True)),
            (ROW_MEANS, _layer_norm(_leading)),
        ),
    }
)
