"""Exercises: mistakes that readers make with linear, softmax, layer norm and attention are recognised; so are those with
convolution, advantages and squashed Gaussians."""

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
    "the window turned round": (
        "conv",
        lambda dy, c: convolution(dy, c, turned=True),
        "the window is turned round",
    ),
    "stride left out": (
        "conv",
        lambda dy, c: convolution(dy, c, stride=False),
        "right wherever stride is 1, and nowhere",
    ),
    "padding left on": ("conv", lambda dy, c: convolution(dy, c, cut=False), "it is right; it begins at (0, 0, 2, 1)"),
    "the bias over the batch alone": (
        "conv",
        lambda dy, c: (*convolution(dy, c)[:2], dy.sum(axis=0)),
        "summed over axes 1, 2, it is right",
    ),
    "through the episode's end": ("gae", lambda **k: advantages(**k, cut=False), "goes on into the next episode"),
    "no bootstrap at a time limit": ("gae", lambda **k: advantages(**k, bootstrap=False), "is 0 at every end"),
    "γ missing": ("gae", lambda **k: advantages(**k, decay=k["lam"]), "without the factor `gamma`"),
    "the horizon left out": ("gae", lambda **k: advantages(**{**k, "horizon": None}), "`horizon` is left out"),
    "no change of volume": ("squashed", lambda dy, c: squashed(dy, c, volume=0), "without the term `2 * actions"),
    "the volume's sign": ("squashed", lambda dy, c: squashed(dy, c, volume=-2), "the other sign of `2 * actions"),
    "outside the bounds": ("squashed", lambda dy, c: squashed(dy, c, bounds=False), "where it should be zero"),
}


def convolution(dy, c, turned=False, stride=True, cut=True):
    """Convolution's backward pass, tap by tap, as a reader may write it; two axes at most."""
    steps = c.window.stride if stride else (1,) * len(c.window.stride)
    padding = [(0, 0), (0, 0), *((p, p) for p in c.window.padding)]
    x, dweight, out = np.pad(c.x, padding), np.zeros_like(c.weight), dy.shape[2:]
    dx, outputs, inputs = np.zeros_like(x), c.weight.shape[0] // c.groups, c.weight.shape[1]
    weight = np.flip(c.weight, tuple(range(2, c.weight.ndim))) if turned else c.weight
    axes = (0, *range(2, dy.ndim))
    for tap in np.ndindex(*c.window.kernel):
        cells = tuple(slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, c.window.dilation, out, steps))
        for group in range(c.groups):
            o, i = slice(group * outputs, (group + 1) * outputs), slice(group * inputs, (group + 1) * inputs)
            dweight[(o, slice(None), *tap)] = np.tensordot(dy[:, o], x[(slice(None), i, *cells)], (axes, axes))
            dx[(slice(None), i, *cells)] += np.moveaxis(np.tensordot(weight[(o, slice(None), *tap)], dy[:, o], (0, 1)), 0, 1)
    inside = (..., *(slice(p, p + n) for p, n in zip(c.window.padding, c.x.shape[2:])))
    return dx[inside] if cut else dx, dweight, *([dy.sum(axis=axes)] if c.has_bias else [])


def advantages(rewards, values, next_values, ended, gamma, lam, horizon=None, cut=True, bootstrap=True, decay=None):
    """GAE, as a sum of so many terms."""
    decay = gamma * lam if decay is None else decay
    deltas = rewards + gamma * np.where(ended & (not bootstrap), 0, next_values) - values
    found = np.zeros_like(deltas)
    for t in range(len(deltas)):
        lives, last = np.ones_like(deltas[0]), len(deltas) if horizon is None else min(t + horizon, len(deltas))
        for k in range(t, last):
            found[t] += decay ** (k - t) * lives * deltas[k]
            lives = lives * ~ended[k] if cut else lives
    return found


def squashed(dy, c, volume=2, bounds=True):
    dlog_prob = dy[1][:, None]
    du = dy[0] * (1 - c.actions**2) + volume * c.actions * dlog_prob
    dlog_sigma = du * c.sigma * c.noise - dlog_prob
    inside = np.abs(c.log_sigma + 9) <= 11
    return du, np.where(inside, dlog_sigma, 0) if bounds else dlog_sigma, du * c.sigma - c.noise * dlog_prob


@pytest.mark.parametrize(("name", "function"), [("conv", convolution), ("gae", advantages), ("squashed", squashed)])
def test_without_a_mistake_readers_are_right(name, function):
    assert examine(find(name, KNOWN), function).passed


@pytest.mark.parametrize("mistake", READERS)
def test_what_readers_get_wrong_is_said(mistake):
    name, function, told = READERS[mistake]
    report = examine(find(name, KNOWN), function)
    assert not report.passed
    assert told in "\n".join([*report.faults, *report.wrong.values()])


@pytest.mark.parametrize("name", KNOWN)
def test_known_mistakes_are_mistakes(name):
    for mistake in mistakes(KNOWN[name]):
        report = examine(KNOWN[name], mistake.function, allowed=Everything())
        assert report.wrong, mistake.text
        assert any(mistake.text in told for told in report.wrong.values())


def test_a_group_s_name_lists_its_exercises():
    with pytest.raises(ValueError, match="given 'attention', a group: scaled_dot_product, block_scaled_dot_product"):
        find("attention", KNOWN)
    assert find("embedding", KNOWN).name == "embedding.embedding"
