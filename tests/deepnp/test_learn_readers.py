"""Exercises: mistakes that readers make with linear, softmax, layer norm and attention are recognised."""

import numpy as np
import pytest

from deepnp.learn import examine, exercises, find
from deepnp.learn.mistakes import mistakes
from tests.deepnp.test_learn import Everything

KNOWN = exercises()


def transposed(x):
    return x.swapaxes(-1, -2)


def attention(dy, cache, scale=lambda c: np.sqrt(c.q.shape[-1]), jacobian=None):
    """Attention's backward pass as a reader may write it: with another factor, or another backward pass of softmax."""
    weights, dweights = cache.weights, dy @ transposed(cache.v)
    centred = weights * (dweights - (weights * dweights).sum(-1, keepdims=True))
    dscores = (centred if jacobian is None else jacobian(weights, dweights)) / scale(cache)
    return dscores @ cache.k, transposed(dscores) @ cache.q, transposed(weights) @ dy


def diagonal(weights, dweights):
    return weights * (1 - weights) * dweights


def soft(jacobian):
    return lambda dy, cache: jacobian(cache.y, dy, cache.temperature)


def norm(dgamma=lambda x, normal: normal, axes=-1, before=True):
    def backward(dy, c):
        normal, gamma = (c.x - c.mean) / c.sigma, c.gamma if before else 1
        d, axis = gamma * dy, tuple(range(dy.ndim - 1)) if axes == 0 else axes
        dx = (d - d.mean(axis, keepdims=True) - normal * (d * normal).mean(axis, keepdims=True)) / c.sigma
        rows = tuple(range(dy.ndim - 1))
        return dx if before else dx * c.gamma, (dy * dgamma(c.x, normal)).sum(rows), dy.sum(rows)

    return backward


def flat(x):
    return x.reshape(-1, x.shape[-1])


READERS = {
    "the softmax's diagonal": ("softmax", soft(lambda s, dy, t: s * (1 - s) * dy / t), "the diagonal of softmax's Jacobian alone"),
    "the sum over axis 0": ("softmax", soft(lambda s, dy, t: s * (dy - (s * dy).sum(0)) / t), "over axis 0 instead of the last"),
    "no temperature": (
        "softmax",
        soft(lambda s, dy, t: s * (dy - (s * dy).sum(-1, keepdims=True))),
        "times temperature, which is 0.5",
    ),
    "the mean for the sum": (
        "softmax",
        soft(lambda s, dy, t: s * (dy - (s * dy).mean(-1, keepdims=True)) / t),
        "counted 1/7 times",
    ),
    "no scale": (
        "scaled_dot_product",
        lambda dy, c: attention(dy, c, lambda c: 1),
        "factor 2, the root of the length of axis 3 of q",
    ),
    "scale 1/d": (
        "scaled_dot_product",
        lambda dy, c: attention(dy, c, lambda c: c.q.shape[-1]),
        "small by the factor 2, the root of",
    ),
    "dS = dA": ("scaled_dot_product", lambda dy, c: attention(dy, c, jacobian=lambda a, da: da), "backward pass is left out"),
    "dS = A·dA": ("scaled_dot_product", lambda dy, c: attention(dy, c, jacobian=np.multiply), "without the sum over its row"),
    "attention's diagonal": (
        "scaled_dot_product",
        lambda dy, c: attention(dy, c, jacobian=lambda a, da: a * (1 - a) * da),
        "diagonal",
    ),
    "the sum over queries": (
        "scaled_dot_product",
        lambda dy, c: attention(dy, c, jacobian=lambda a, da: a * (da - (a * da).sum(-2, keepdims=True))),
        "over axis -2 instead of the last",
    ),
    "another order": (
        "scaled_dot_product",
        lambda dy, c: attention(dy, c)[::-1],
        "these are the numbers of dv, and results come in",
    ),
    "x for x̂": ("layer_norm", norm(lambda x, normal: x), "with x in the place of x̂"),
    "means over rows": ("layer_norm", norm(axes=0), "the means are over its channels"),
    "γ at the end": ("layer_norm", norm(before=False), "the means are those of dx̂ = γ·dy"),
    "the mean over rows": (
        "linear",
        lambda dy, c: (dy @ c.weight, flat(dy).T @ flat(c.x) / len(flat(dy)), flat(dy).mean(0)),
        "too small by the factor 5, the number of rows of x",
    ),
    "two axes only": ("linear", lambda dy, c: (dy @ c.weight, dy.T @ c.x, dy.sum(0)), "x has 3 axes here, and 2 in case 0"),
}


@pytest.mark.parametrize("mistake", READERS)
def test_what_readers_get_wrong_is_said(mistake):
    name, function, told = READERS[mistake]
    report = examine(find(name, KNOWN), function)
    assert not report.passed
    assert told in "\n".join([*report.faults, *report.wrong.values()])


@pytest.mark.parametrize("name", KNOWN)
def test_known_mistakes_are_mistakes(name):
    for mistake in mistakes(name):
        report = examine(KNOWN[name], mistake.function, allowed=Everything())
        assert report.wrong, mistake.text
        assert any(mistake.text in told for told in report.wrong.values())


def test_a_group_s_name_lists_its_exercises():
    with pytest.raises(ValueError, match="given 'attention', a group: scaled_dot_product, block_scaled_dot_product"):
        find("attention", KNOWN)
    assert find("embedding", KNOWN).name == "embedding.embedding"
