"""A2C: one step a rollout, by every estimator, with either optimizer."""

import numpy as np
import pytest

import rl
from deepnp.optim import Adam, RMSprop
from rl import A2C, A2CConfig
from rl.losses.returns import ESTIMATORS
from tests.rl.references.worlds import World
from tests.rl.toys import Target, vectorize


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_each_estimator_learns_the_right_choice(estimator):
    config = A2CConfig(num_envs=8, hidden=(16,), lr=1e-2, estimator=estimator)
    agent = A2C(vectorize(lambda: Target(discrete=True), 8), config)
    assert rl.evaluate(agent.learn(4000), Target(discrete=True), 20).mean() > 0.95


@pytest.mark.parametrize(("name", "kind"), [("adam", Adam), ("rmsprop", RMSprop)])
def test_the_optimizer_is_the_one_that_was_asked_for(name, kind):
    agent = A2C(World, A2CConfig(num_envs=1, optimizer=name, optimizer_eps=1e-3, value_lr=0.5))
    assert type(agent.policy_optimizer) is type(agent.value_optimizer) is kind
    assert agent.policy_optimizer.eps == 1e-3
    assert (agent.policy_optimizer.lr, agent.value_optimizer.lr) == (7e-4, 0.5)


def test_one_step_of_each_network_for_each_rollout():
    agent = A2C(World, A2CConfig(num_envs=2, steps=5, hidden=(4,))).learn(100)
    assert agent.policy_optimizer.t == agent.value_optimizer.t == agent.iterations == 10


def test_the_advantages_are_those_of_the_value_before_its_step(monkeypatch):
    """Algorithm 5 fits V first; A was computed before."""
    seen = []

    def recording(policy, optimizer, observations, actions, psi, c):
        seen.append(psi)
        return {}

    monkeypatch.setattr("rl.algorithms.policy_gradient.a2c.policy_step", recording)
    config = A2CConfig(num_envs=1, steps=4, hidden=(4,), estimator="td", gamma=0.0, scale_rewards=False, lr=0.1, anneal_lr=False)
    agent = A2C(World, config, seed=1)
    values, update = [], agent.update

    def updating(rollout, progress):
        values.append((rollout, rollout.values(lambda s: agent.value.predict(s)[:, 0])[0]))
        return update(rollout, progress)

    agent.update = updating
    agent.learn(8)
    for psi, (rollout, value) in zip(seen, values, strict=True):
        np.testing.assert_allclose(psi, (rollout.rewards - value).ravel(), rtol=1e-6)


def test_burn_in_is_refused():
    with pytest.raises(ValueError, match="expected burn_in=0, as A2C reads each rollout as a whole, given 2"):
        A2CConfig(memory="gru", burn_in=2)
