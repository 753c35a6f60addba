"""Actors of SAC beside the squashed Gaussian: a flow, and a policy with latent variables. Gradients, densities, bounds."""

import math

import numpy as np
import pytest
from gymnasium import spaces

import rl
from deepnp import Tanh
from deepnp.gradcheck import TOLERANCE, check_module
from deepnp.models import mlp
from rl import evaluate
from rl.networks import squashed
from rl.networks.flow_policy import FlowPolicy
from rl.networks.variational_policy import VariationalPolicy
from tests.rl.toys import Target, space, vectorize

SEEN = 3


def flow(rng, actions=2, layers=3):
    return _moved(FlowPolicy(space(SEEN, actions), (5,), Tanh, layers, rng), rng)


def variational(rng, actions=2, latent=3):
    return _moved(VariationalPolicy(space(SEEN, actions), (5,), Tanh, latent, rng), rng)


def _moved(policy, rng):
    policy.to(np.float64)
    policy.flat.data[...] += 0.3 * rng.normal(size=len(policy.flat))
    return policy


MAKERS = pytest.mark.parametrize("make", [flow, variational])


@MAKERS
def test_gradients(rng, make):
    policy = make(rng)
    x, noise = rng.normal(size=(4, SEEN)), rng.normal(size=(4, policy.noise_size))
    for name, error in check_module(policy, x, noise=noise).items():
        assert error < TOLERANCE, name


@MAKERS
def test_inference_is_forward_without_a_memory(rng, make):
    policy = make(rng)
    x, noise = rng.normal(size=(4, SEEN)), rng.normal(size=(4, policy.noise_size))
    for given, expected in zip(policy.predict(x, noise), policy.forward(x, noise), strict=True):
        np.testing.assert_array_equal(given, expected)
    still, log_prob = policy.predict(x)
    np.testing.assert_array_equal(still, policy.predict(x, np.zeros_like(noise))[0])
    assert log_prob is None
    assert policy.draw(x, rng)[0].shape == (4, 2)


@MAKERS
def test_a_scale_that_is_held_has_no_gradient(rng, make):
    policy = make(rng)
    for name, p in policy.named_parameters():
        if name.endswith("2.bias") and not name.startswith("flow"):
            p.data[len(p.data) // 2 :] = 30.0
    x, noise = rng.normal(size=(4, SEEN)), 0.01 * rng.normal(size=(4, policy.noise_size))
    policy.forward(x, noise)
    policy.zero_grad()
    policy.backward((rng.normal(size=(4, 2)), rng.normal(size=4)))
    for name, p in policy.named_parameters():
        if name.endswith("2.bias") and not name.startswith("flow"):
            assert not p.grad[len(p.grad) // 2 :].any(), name
            assert p.grad[: len(p.grad) // 2].any(), name


class TestFlow:
    @pytest.mark.parametrize("actions", [1, 2])
    def test_its_density_integrates_to_one(self, rng, actions):
        """Over a grid of u, a = tanh u, whose ξ the inverse finds."""
        policy, side = flow(rng, actions), np.linspace(-14, 14, 561)
        for _, layer in policy.flow.children():
            layer.limit = 0.5  # so that all of it lies on the grid
        u = np.stack(np.meshgrid(*[side] * actions), axis=-1).reshape(-1, actions)
        x = np.repeat(rng.normal(size=(1, SEEN)), len(u), axis=0)
        y, (z, _) = policy.body.predict(x), policy.flow.invert(u, x)
        a, log_prob = policy.predict(x, (z - y[:, :actions]) / np.exp(y[:, actions:]))
        np.testing.assert_allclose(a, np.tanh(u), atol=1e-9)
        density = np.exp(log_prob - 2 * np.log(np.cosh(u)).sum(axis=1))  # of u: da = (1 − tanh² u) du
        assert density.sum() * (side[1] - side[0]) ** actions == pytest.approx(1, abs=2e-3)

    def test_it_begins_as_the_squashed_gaussian(self, rng):
        policy = FlowPolicy(space(SEEN, 2), (5,), Tanh, 4, rng)
        x, noise = rng.normal(size=(6, SEEN)).astype("f"), rng.normal(size=(6, 2)).astype("f")
        y = policy.body.predict(x)
        (a, log_prob), _ = squashed.forward(np.ascontiguousarray(y[:, :2]), np.ascontiguousarray(y[:, 2:]), noise)
        for given, expected in zip(policy.predict(x, noise), (a, log_prob), strict=True):
            np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-5)

    def test_images_are_refused(self):
        images = spaces.Box(0, 255, (3, 16, 16), np.uint8)
        with pytest.raises(ValueError, match="for a flow, given images"):
            rl.SAC.of_spaces(images, spaces.Box(-1, 1, (1,)), rl.SACConfig(actor="flow"))


class TestVariational:
    def test_the_bound_holds(self, rng):
        """E b = E ln π + E KL: with ln π by brute force over z, for one latent variable and one action."""
        policy, rows = variational(rng, 1, 1), 4000
        x = np.repeat(rng.normal(size=(1, SEEN)), rows, axis=0)
        noise = rng.normal(size=(rows, 2))
        actions, bound = policy.predict(x, noise)
        log_pi = _log_density(policy, x[:1], actions[:, 0])
        gap, error = (bound - log_pi).mean(), (bound - log_pi).std() / math.sqrt(rows)
        assert gap > 3 * error

    def test_it_is_tight_where_the_guess_is_the_posterior(self, rng):
        """π₁ that ignores z, and q₃ = π₂: b is ln π₁ itself."""
        policy = variational(rng)
        prior, action, posterior = policy.prior, policy.action, policy.posterior
        first = dict(action.named_parameters())["0.weight"].data
        first[:, SEEN:] = 0
        for (name, p), (_, q) in zip(posterior.named_parameters(), prior.named_parameters(), strict=True):
            p.data[...] = np.concatenate([q.data, np.zeros((len(q.data), 2))], axis=1) if name == "0.weight" else q.data
        x, noise = rng.normal(size=(5, SEEN)), rng.normal(size=(5, 5))
        a, bound = policy.predict(x, noise)
        y = action.predict(np.concatenate([x, np.zeros((5, 3))], axis=1))
        (expected, log_prob), _ = squashed.forward(y[:, :2].copy(), y[:, 2:].copy(), noise[:, 3:].copy())
        np.testing.assert_allclose(a, expected, rtol=1e-12)
        np.testing.assert_allclose(bound, log_prob, rtol=1e-10)


def _log_density(policy, x, actions):
    """ln ∫ π₁(a|z, s)π₂(z|s) dz on a grid: actions (B,) -> (B,)."""
    mean, log_sigma = policy.prior.predict(x)[0]
    z = mean + np.exp(log_sigma) * np.linspace(-8, 8, 2001)
    weight = np.exp(-0.5 * ((z - mean) / np.exp(log_sigma)) ** 2) / np.sqrt(2 * np.pi) * (16 / 2000)
    y = policy.action.predict(np.concatenate([np.repeat(x, len(z), axis=0), z[:, None]], axis=1))
    u = np.arctanh(actions)[:, None]
    density = np.exp(-0.5 * ((u - y[:, 0]) / np.exp(y[:, 1])) ** 2 - y[:, 1]) / np.sqrt(2 * np.pi) / (1 - actions[:, None] ** 2)
    return np.log((density * weight).sum(axis=1))


@pytest.mark.parametrize("actor", ["flow", "variational"])
@pytest.mark.parametrize("algorithm", ["SACLite", "SAC"])
def test_agents_learn_with_them(actor, algorithm):
    config = rl.ALGORITHMS[algorithm].config(
        hidden=(32, 32), batch_size=64, warmup=200, memory=10_000, lr=3e-3, num_envs=2, actor=actor, latent=2
    )
    agent = rl.ALGORITHMS[algorithm].cls(vectorize(Target, 2), config, seed=0).learn(1500)
    assert evaluate(agent, Target(), 20).mean() > -0.03


def test_a_network_of_one_s_own_is_a_gaussian_s():
    with pytest.raises(ValueError, match='expected actor="gaussian" with a policy'):
        rl.SAC(vectorize(Target, 1), rl.SACConfig(actor="flow"), policy=mlp((1, 4, 2)))
