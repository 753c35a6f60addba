"""RWR: its weights, and whole updates against a float64 reference."""

import numpy as np
import pytest

import rl
from rl.algorithms.black_box.likelihood import fit_by_likelihood
from rl.algorithms.black_box.rwr import reward_weights
from tests.rl.references import adapter
from tests.rl.references.black_box import RWR, LikelihoodSettings
from tests.rl.references.worlds import Choices, Worlds
from tests.rl.test_updates import assert_equal, trajectories

CASES = {
    "as it is": {},
    "no baseline": dict(baseline="none", gamma=0.8, max_grad_norm=0.05),
    "σ a network": dict(sigma="network", value_lr=None),
    "choices": dict(epochs=1, batch_size=10),
}


@pytest.mark.parametrize("case", CASES)
def test_update_equals_the_reference(rng, case):
    settings = dict(hidden=(8, 6), steps=12, updates=4, epochs=2, batch_size=16, scale_rewards=False) | CASES[case]
    agent = adapter.learner("RWR", Choices() if case == "choices" else Worlds(4), **settings)
    known = LikelihoodSettings.__dataclass_fields__
    fields = {name: getattr(agent.config, name) for name in known if hasattr(agent.config, name)} | {"lam": 1.0}
    given = adapter.parameters(agent.policy), adapter.parameters(agent.value)
    reference = RWR(LikelihoodSettings(**fields, discrete=case == "choices"), *given)
    for _ in range(5):
        adapter.update_from_rollout(agent, reference, trajectories(rng, case == "choices"), 0.5)
        assert_equal(agent, reference)


def test_weights_are_never_negative_and_do_not_know_the_returns_level(rng):
    returns = rng.normal(-100, 5, 40).astype(np.float32)
    weights = reward_weights(returns)
    assert weights.min() == 0
    assert weights.mean() == pytest.approx(1, rel=1e-6)
    np.testing.assert_allclose(reward_weights(3 * returns + 7), weights, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(reward_weights(np.full(3, 2.0)), 1)


def test_the_fit_is_the_weighted_maximum_of_likelihood(rng):
    """With weights for some actions alone, enough steps lead to their weighted mean and deviation."""
    agent = rl.RWR("Pendulum-v1", rl.RWRConfig(hidden=(), lr=0.05, updates=1500, max_grad_norm=10.0), seed=0)
    observations, actions = np.zeros((40, 3), np.float32), rng.normal(0.5, 2, (40, 1)).astype(np.float32)
    weights = rng.random(40)
    weights /= weights.mean()
    fit_by_likelihood(agent.policy, agent.policy_optimizer, agent.guard, observations, actions, weights, agent.config)
    fitted = agent.policy.predict(observations[:1])
    mean = np.average(actions[:, 0], weights=weights)
    assert fitted.mean[0, 0] == pytest.approx(mean, abs=1e-3)
    assert fitted.sigma[0] == pytest.approx(np.sqrt(np.average((actions[:, 0] - mean) ** 2, weights=weights)), rel=1e-3)
