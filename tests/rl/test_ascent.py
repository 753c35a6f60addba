"""The greedy action by gradient ascent: on a value whose maximum is known, in an agent, in an exported file."""

import numpy as np
import pytest
from gymnasium import spaces

import rl
from deepnp import BatchNorm1d, Linear, Module, Sequential, Tanh
from deepnp.gradcheck import check_module
from rl.algorithms.value_based.q_ascent import next_value
from rl.networks.ascent import AscentPolicy
from rl.training.export import export

BEST = np.array([[0.3, -0.8, 2.0, -5.0], [-0.1, 0.9, 0.5, 1.0], [0.0, 0.0, -1.0, 7.0]])  # of each row's actions
CURVATURE = np.array([1.0, 4.0, 2.0, 0.5])


class Quadratic(Module):
    """Q(s, a) = −½ Σ_j c_j (a_j − s_j)²: the observation is the best action."""

    def forward(self, x):
        self.error = x[:, 4:] - x[:, :4]
        return -0.5 * (CURVATURE.astype(x.dtype) * self.error**2).sum(axis=1, keepdims=True)

    def backward(self, dy, params=True, inputs=True):
        slope = -CURVATURE.astype(dy.dtype) * self.error
        return dy * np.concatenate([-slope, slope], axis=1)

    predict = forward


def test_it_ends_at_the_optimum_of_a_quadratic_value(rng):
    check_module(Quadratic(), rng.normal(size=(3, 8)))
    given = AscentPolicy(Quadratic(), 4, steps=60, rate=0.4).predict(BEST)
    np.testing.assert_allclose(given, BEST.clip(-1, 1), atol=1e-5)


def test_each_step_goes_as_far_as_the_gradient_says():
    one, two = (AscentPolicy(Quadratic(), 4, steps=k, rate=0.1).predict(BEST) for k in (1, 2))
    np.testing.assert_allclose(one, (0.1 * CURVATURE * BEST).clip(-1, 1), rtol=1e-12)
    np.testing.assert_allclose(two, (one + 0.1 * CURVATURE * (BEST - one)).clip(-1, 1), rtol=1e-12)


def test_it_is_over_the_critic_s_own_parameters(rng):
    critic = Sequential(Linear(5, 4, rng=rng), Tanh(), Linear(4, 1, rng=rng))
    policy = AscentPolicy(critic, 2, 3, 0.1)
    assert policy.flat is critic.flat
    x = rng.normal(size=(7, 3)).astype(np.float32)
    np.testing.assert_array_equal(policy.twin().predict(x), policy(x))
    with pytest.raises(TypeError, match="no gradient through gradient ascent"):
        policy.backward(np.ones((7, 2), np.float32))


@pytest.mark.parametrize("kind", ["batch", "spectral"])
def test_critics_that_a_pass_changes_are_refused(kind):
    with pytest.raises(ValueError, match="expected a critic that passes leave as it is"):
        rl.QAscent("Pendulum-v1", rl.QAscentConfig(critic_normalization=kind, hidden=(8, 8)))
    with pytest.raises(ValueError, match=r"given BatchNorm1d"):
        rl.QAscent("Pendulum-v1", critic=lambda rng: Sequential(Linear(4, 8, rng=rng), BatchNorm1d(8), Linear(8, 1, rng=rng)))


def test_the_target_is_the_value_of_the_target_s_own_greedy_action(rng):
    agent = rl.QAscent.of_spaces(spaces.Box(-1, 1, (3,)), spaces.Box(-1, 1, (2,)), rl.QAscentConfig(hidden=(8,)))
    (target,) = agent.critics.targets
    target.flat.data[...] = rng.normal(size=len(target.flat))
    x = rng.normal(size=(9, 3)).astype(np.float32)
    expected = agent.critics.target(x, agent.target_policy.predict(x))
    np.testing.assert_allclose(agent.halves.map(next_value, x), expected, rtol=1e-5, atol=1e-6)
    assert np.abs(agent.target_policy.predict(x) - agent.policy.predict(x)).max() > 1e-3


@pytest.mark.parametrize("activation", ["relu", "tanh", "sine"])
@pytest.mark.parametrize("hidden", [(8,), (8, 6, 4)])
def test_every_step_is_exported(activation, hidden, rng, tmp_path):
    action = spaces.Box(np.float32([-2, -0.5]), np.float32([1, 4]))
    config = rl.QAscentConfig(hidden=hidden, activation=activation, ascent_steps=5, ascent_rate=0.5)
    agent = rl.QAscent.of_spaces(spaces.Box(-1, 1, (3,)), action, config, seed=2)
    export(agent, tmp_path / "policy.py")
    names: dict = {}
    exec((tmp_path / "policy.py").read_text(), names)
    x = rng.uniform(-1, 1, (50, 3)).astype(np.float32)
    np.testing.assert_allclose(names["predict"](x), agent.predict(x), atol=1e-4)
    assert agent.predict(x).std(axis=0).min() > 0.02


@pytest.mark.parametrize("settings", [dict(critic_normalization="layer"), dict(activation="gelu"), dict(hidden=())])
def test_other_critics_are_not_exported(settings, tmp_path):
    agent = rl.QAscent.of_spaces(spaces.Box(-1, 1, (3,)), spaces.Box(-1, 1, (2,)), rl.QAscentConfig(**settings))
    with pytest.raises(ValueError, match="linear layers with biases, and tanh, ReLU or sine between them"):
        export(agent, tmp_path / "policy.onnx")
