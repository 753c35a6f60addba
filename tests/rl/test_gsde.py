"""State-dependent exploration: derivatives, what stays for how long, and learning."""

import numpy as np
import pytest
from gymnasium import spaces

import rl
from deepnp import Tanh
from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error
from deepnp.models import mlp
from rl.experience.spaces import SpaceInfo
from rl.networks.gsde import Exploration, StateDependentPolicy
from rl.networks.heads import HeadSettings
from rl.networks.policies import stochastic_policy
from tests.rl.toys import Hybrid, Target, space, states

SETTINGS = HeadSettings(initial_sigma=0.7, sde_interval=3)


def policy_of(rng, kind="gaussian"):
    settings = HeadSettings(kind, initial_sigma=0.7, sde_interval=3)
    policy = StateDependentPolicy(space(4, 2), (6, 5), Tanh, settings, rng).to(np.float64)
    policy.flat.data[...] += rng.normal(size=len(policy.flat)) * 0.2
    return policy


@pytest.mark.parametrize("kind", ["gaussian", "squashed"])
def test_gradients_reach_every_parameter(kind, rng):
    policy = policy_of(rng, kind)
    x, actions, upstream = rng.normal(size=(5, 4)), rng.normal(size=(5, 2)), rng.normal(size=(2, 5))

    def loss(x, theta=None):
        before = policy.flat.data.copy()
        policy.flat.data[...] = before if theta is None else theta
        d = policy.predict(x)
        policy.flat.data[...] = before
        return float(upstream[0] @ d.log_prob(actions) + upstream[1] @ d.entropy())

    d = policy.forward(x)
    policy.zero_grad()
    both = zip(d.log_prob_backward(actions, upstream[0]), d.entropy_backward(upstream[1]), strict=True)
    dx = policy.backward(tuple(a + b for a, b in both))
    numerical = numerical_gradient(lambda theta: loss(x, theta), policy.flat.data.copy())
    assert relative_error(policy.flat.grad, numerical) < TOLERANCE
    assert relative_error(dx, numerical_gradient(loss, x)) < TOLERANCE


def test_tangents_are_the_transpose(rng):
    policy = policy_of(rng)
    policy.forward(rng.normal(size=(5, 4)))
    v, dy = rng.normal(size=len(policy.flat)), rng.normal(size=(2, 5, 2))
    forward = float((dy * np.stack(policy.jvp(v))).sum())
    policy.zero_grad()
    policy.backward(tuple(dy), inputs=False)
    assert forward == pytest.approx(float(policy.flat.grad @ v), rel=1e-9)


def test_the_noise_has_the_distribution_that_is_claimed(rng):
    """Over draws of the matrix, actions in one state are N(μ(s), σ(s)²); a Gaussian of as much variance, written out."""
    policy = StateDependentPolicy(space(4, 2), (6, 5), Tanh, SETTINGS, rng)
    policy.log_sigma.data[...] += rng.normal(size=(5, 2)).astype(np.float32)
    x = np.repeat(rng.normal(size=(1, 4)), 20_000, axis=0).astype(np.float32)
    actions, d = Exploration(policy).act(x, rng), policy.predict(x[:1])
    np.testing.assert_allclose(actions.mean(axis=0), d.mean[0], atol=0.02)
    np.testing.assert_allclose(actions.std(axis=0), d.sigma[0], rtol=0.02)
    features = policy.features.predict(x[:1])[0]
    expected = np.sqrt(sum(features[i] ** 2 * np.exp(2 * policy.log_sigma.data[i]) for i in range(5)))
    np.testing.assert_allclose(d.sigma[0], expected, rtol=1e-5)


def test_the_noise_is_a_function_of_the_state_for_some_steps(rng):
    policy = StateDependentPolicy(space(4, 2), (6, 5), Tanh, SETTINGS, rng)
    x, exploration = rng.normal(size=(2, 4)).astype(np.float32), Exploration(policy)
    drawn = [exploration.act(x, rng) for _ in range(7)]
    for step in (1, 2, 4, 5):
        np.testing.assert_array_equal(drawn[step], drawn[step - 1])
    assert (drawn[3] != drawn[2]).all()
    assert (drawn[6] != drawn[5]).all()
    same = Exploration(policy).act(np.repeat(x[:1], 2, axis=0), rng)
    assert (same[0] != same[1]).all()  # each environment has a matrix of its own


def test_sigma_begins_near_where_it_is_asked_to(rng):
    policy = StateDependentPolicy(space(4, 2), (64, 64), Tanh, SETTINGS, rng)
    x = rng.normal(size=(200, 4)).astype(np.float32)
    root = np.sqrt(np.mean(policy.features.predict(x) ** 2, axis=1))
    np.testing.assert_allclose(policy.predict(x).sigma, 0.7 * root[:, None].repeat(2, axis=1), rtol=1e-3)


@pytest.mark.parametrize("settings", [{}, dict(head="squashed")])
def test_ppo_learns_with_it(settings):
    config = rl.PPOConfig(num_envs=32, steps=16, batch_size=256, lr=1e-2, hidden=(16,), gamma=0.0, sde_interval=4, **settings)
    agent = rl.PPO(Target, config, seed=0).learn(512 * 15)
    assert rl.evaluate(agent, Target, 100).mean() > -0.02
    assert agent.predict(np.zeros((5, 1), np.float32), deterministic=False).shape == (5, 1)


@pytest.mark.parametrize("algorithm", ["PPO", "A2C"])
def test_resume_equals_uninterrupted(algorithm, tmp_path):
    entry = rl.ALGORITHMS[algorithm]
    config = entry.config(num_envs=2, steps=16, hidden=(8,), sde_interval=5)

    def half_way(agent, _):
        if agent.steps == 64:
            agent.save(tmp_path / "agent.safetensors")

    whole = entry.cls("Pendulum-v1", config, seed=3).learn(128, callback=half_way)
    resumed = entry.cls.load(tmp_path / "agent.safetensors", "Pendulum-v1").learn(128)
    for name, array in states(whole).items():
        np.testing.assert_array_equal(states(resumed)[name], array, err_msg=name)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(head="beta"), 'expected a Gaussian with sigma="vector", .* given head="beta"'),
        (dict(sigma="network"), 'given head="gaussian" and sigma="network"'),
        (dict(hidden=()), "expected a policy with a hidden layer"),
        (dict(memory="gru"), "expected sde_interval None with memory='gru', given 4"),
        (dict(shared=True), "expected a policy with a hidden layer and no trunk or memory"),
    ],
)
def test_settings_that_exclude_it(settings, message):
    with pytest.raises(ValueError, match=message):
        rl.PPO.of_spaces(spaces.Box(-1, 1, (2,)), spaces.Box(-1, 1, (2,)), rl.PPOConfig(sde_interval=4, **settings))


def test_what_else_excludes_it(rng):
    with pytest.raises(ValueError, match=r"expected actions in a Box, .* given Dict"):
        rl.PPO(Hybrid, rl.PPOConfig(sde_interval=4))
    observed = SpaceInfo.of(spaces.Box(-1, 1, (2,)), spaces.Box(-1, 1, (2,)))
    with pytest.raises(ValueError, match="given Box, and a network of one’s own"):
        stochastic_policy(observed, (4,), Tanh, SETTINGS, rng, mlp((2, 2), rng=rng))
