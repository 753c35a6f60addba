"""Derivatives of log-probability, entropy and KL against central differences; values against sums and samples."""

import math

import numpy as np
import pytest
from gymnasium import spaces

from deepnp import Tanh
from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error
from rl.experience.spaces import SpaceInfo
from rl.networks.branches import Bernoulli, MultiCategorical
from rl.networks.distributions import Categorical, DiagonalGaussian
from rl.networks.policies import ChoicePolicy, GaussianPolicy
from tests.rl.toys import space

ROWS, SIZE = 5, 3


def gaussian(rng, shared):
    return DiagonalGaussian(rng.normal(size=(ROWS, SIZE)), np.exp(rng.normal(size=SIZE if shared else (ROWS, SIZE))))


def categorical(rng, _):
    return Categorical(rng.normal(size=(ROWS, SIZE)) * 2)


def branches(rng, _):
    return MultiCategorical(rng.normal(size=(ROWS, SIZE)) * 2, (1, 2))


def switches(rng, _):
    return Bernoulli(rng.normal(size=(ROWS, SIZE)) * 2)


KINDS = [(gaussian, True), (gaussian, False), (categorical, None), (branches, None), (switches, None)]


def parameters(d):
    return [value for value in vars(d).values() if isinstance(value, np.ndarray)]


def like(d, *arrays):
    """A distribution of the same kind with other parameters."""
    return MultiCategorical(*arrays, d.choices) if isinstance(d, MultiCategorical) else type(d)(*arrays)


def actions_for(d, rng):
    if isinstance(d, DiagonalGaussian):
        return rng.normal(size=(ROWS, SIZE))
    if isinstance(d, MultiCategorical):
        return np.stack([rng.integers(n, size=ROWS) for n in d.choices], axis=1)
    return rng.integers(2, size=(ROWS, SIZE)) if isinstance(d, Bernoulli) else rng.integers(SIZE, size=ROWS)


@pytest.mark.parametrize(("make", "shared"), KINDS)
class TestDerivatives:
    def check(self, d, f, gradients):
        """f maps a distribution to a number; gradients are claimed for each of d's parameters."""
        for i, gradient in enumerate(gradients):

            def of_parameter(x, i=i):
                return f(like(d, *[x if j == i else p for j, p in enumerate(parameters(d))]))

            assert relative_error(gradient, numerical_gradient(of_parameter, parameters(d)[i])) < TOLERANCE

    def test_log_prob(self, make, shared, rng, kernels):
        d, upstream = make(rng, shared), rng.normal(size=ROWS)
        actions = actions_for(d, rng)
        self.check(d, lambda q: float(upstream @ q.log_prob(actions)), d.log_prob_backward(actions, upstream))

    def test_entropy(self, make, shared, rng, kernels):
        d, upstream = make(rng, shared), rng.normal(size=ROWS)
        self.check(d, lambda q: float(upstream @ q.entropy()), d.entropy_backward(upstream))

    def test_kl_with_respect_to_both(self, make, shared, rng, kernels):
        p, q, upstream = make(rng, shared), make(rng, shared), rng.normal(size=ROWS)
        gradients = p.kl_backward(q, upstream)
        count = len(parameters(p))
        self.check(p, lambda d: float(upstream @ d.kl(q)), gradients[:count])
        self.check(q, lambda d: float(upstream @ p.kl(d)), gradients[count:])

    def test_kernels_agree_in_float32(self, make, shared, rng):
        import deepnp

        d = make(rng, shared)
        d = like(d, *(p.astype(np.float32) for p in parameters(d)))
        actions, upstream = actions_for(d, rng), rng.normal(size=ROWS).astype(np.float32)
        actions = actions.astype(np.float32) if actions.dtype.kind == "f" else actions
        fast = (d.log_prob(actions), *d.log_prob_backward(actions, upstream))
        deepnp.use_kernels(False)
        plain = (d.log_prob(actions), *d.log_prob_backward(actions, upstream))
        deepnp.use_kernels(True)
        for a, b in zip(fast, plain, strict=True):
            assert a.dtype == b.dtype == np.float32
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(("make", "shared"), KINDS)
def test_kl_is_what_samples_say(make, shared, rng):
    p, q = make(rng, shared), make(rng, shared)
    difference = np.mean([p.log_prob(a) - q.log_prob(a) for a in (p.sample(rng) for _ in range(20_000))], axis=0)
    np.testing.assert_allclose(difference, p.kl(q), rtol=0.1, atol=0.05)
    np.testing.assert_allclose(p.kl(p), 0, atol=1e-12)


@pytest.mark.parametrize(("make", "shared"), KINDS)
def test_entropy_is_what_samples_say(make, shared, rng):
    p = make(rng, shared)
    surprise = -np.mean([p.log_prob(p.sample(rng)) for _ in range(20_000)], axis=0)
    np.testing.assert_allclose(surprise, p.entropy(), rtol=0.05, atol=0.05)


def test_gaussian_log_prob_written_out(kernels):
    d = DiagonalGaussian(np.array([[1.0, -2.0]]), np.array([0.5, 2.0]))
    each = [(0.0, 1.0, 0.5), (1.0, -2.0, 2.0)]
    expected = sum(math.log(math.exp(-0.5 * ((a - m) / s) ** 2) / (s * math.sqrt(2 * math.pi))) for a, m, s in each)
    assert d.log_prob(np.array([[0.0, 1.0]]))[0] == pytest.approx(expected, rel=1e-12)


def test_categorical_is_stable_and_samples_its_probabilities(rng):
    d = Categorical(np.array([[1000.0, 0.0, -1000.0]]))
    assert d.log_prob(np.array([0]))[0] == 0
    assert d.entropy()[0] == 0
    assert np.isfinite(d.entropy_backward(np.ones(1))[0]).all()
    p = np.array([0.2, 0.5, 0.3])
    draws = Categorical(np.tile(np.log(p), (50_000, 1))).sample(rng)
    np.testing.assert_allclose(np.bincount(draws) / 50_000, p, atol=0.01)


@pytest.mark.parametrize("sigma", ["vector", "fixed", "network"])
def test_gaussian_policy_gradients_reach_every_parameter(sigma, rng):
    policy = GaussianPolicy(space(4, 2), (6,), Tanh, sigma, 0.7, rng).to(np.float64)
    policy.flat.data[...] += rng.normal(size=len(policy.flat)) * 0.1
    x, actions, upstream = rng.normal(size=(5, 4)), rng.normal(size=(5, 2)), rng.normal(size=5)
    d = policy.forward(x)
    policy.zero_grad()
    dx = policy.backward(d.log_prob_backward(actions, upstream))

    def loss_of(theta):
        before = policy.flat.data.copy()
        policy.flat.data[...] = theta
        value = float(upstream @ policy.predict(x).log_prob(actions))
        policy.flat.data[...] = before
        return value

    assert relative_error(policy.flat.grad, numerical_gradient(loss_of, policy.flat.data.copy())) < TOLERANCE
    expected = numerical_gradient(lambda v: float(upstream @ policy.predict(v).log_prob(actions)), x)
    assert relative_error(dx, expected) < TOLERANCE


def test_policies_start_undecided_at_the_given_sigma(rng):
    for sigma in ("vector", "fixed", "network"):
        d = GaussianPolicy(space(4, 2), (6,), Tanh, sigma, 0.7, rng).predict(rng.normal(size=(5, 4)).astype(np.float32))
        np.testing.assert_allclose(d.sigma, 0.7, rtol=0.02)
        assert np.abs(d.mean).max() < 0.1
    with pytest.raises(ValueError, match="given 'wide'"):
        GaussianPolicy(space(4, 2), (6,), Tanh, "wide", 0.7, rng)
    choices = SpaceInfo.of(spaces.Box(-1, 1, (4,)), spaces.Discrete(3))
    p = ChoicePolicy(choices, (6,), Tanh, rng).predict(rng.normal(size=(5, 4)).astype(np.float32))
    assert p.entropy().min() > 0.99 * math.log(3)


class TestExcludedChoices:
    """A logit of −∞ is a probability of 0, and 0·ln 0 is 0."""

    def test_entropy_kl_and_gradients_are_those_of_the_rest(self):
        p, q, one = Categorical(np.array([[0, 0, -np.inf]])), Categorical(np.array([[1.0, 0, -np.inf]])), np.ones(1)
        rest_p, rest_q = Categorical(p.logits[:, :2]), Categorical(q.logits[:, :2])
        assert p.entropy()[0] == pytest.approx(math.log(2))
        assert p.kl(q)[0] == pytest.approx(rest_p.kl(rest_q)[0])
        pairs = zip(
            (*q.entropy_backward(one), *p.kl_backward(q, one), *q.log_prob_backward(np.array([1]), one)),
            (*rest_q.entropy_backward(one), *rest_p.kl_backward(rest_q, one), *rest_q.log_prob_backward(np.array([1]), one)),
            strict=True,
        )
        for given, expected in pairs:
            np.testing.assert_allclose(given, np.append(expected, [[0.0]], axis=1), atol=1e-15)

    def test_they_are_never_drawn(self, rng):
        d = Categorical(np.tile([-np.inf, 0.0, 1.0, -np.inf], (5000, 1)))
        assert set(d.sample(rng)) == {1, 2}
