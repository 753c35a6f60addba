"""The overestimation probe: values against discounted returns that are known."""

import numpy as np
import pytest

import rl
from rl.runs.table import Table
from rl.training import playing
from rl.training.overestimation import FILE, OverestimationProbe, overestimation
from tests.rl.toys import Endless, suited, vectorize

SMALL = dict(hidden=(8,), batch_size=16, warmup=50, memory=500, num_envs=2, gamma=0.8)


def agent(name="TD3"):
    return rl.ALGORITHMS[name].cls(vectorize(Endless, 2), rl.ALGORITHMS[name].config(**SMALL), seed=0)


def constant(agent, *values):
    """Let each critic say one number everywhere."""
    for q, value in zip(agent.critics.networks, values, strict=True):
        q.flat.data[...] = 0
        q.flat.data[-1] = value
    return agent


def test_of_an_episode_that_ends():
    """Five steps of reward 1, terminated: Σ γ^t = (1 − γ⁵)/(1 − γ)."""
    result = overestimation(constant(agent(), 7.0, 6.0), lambda: Endless(5, terminates=True), episodes=3)
    worth = (1 - 0.8**5) / 0.2
    np.testing.assert_allclose(result["return"], worth)
    np.testing.assert_allclose(result["bias"], 7 - worth, rtol=1e-6)
    np.testing.assert_allclose(result["smallest_bias"], 6 - worth, rtol=1e-6)
    assert all(values.shape == (3,) for values in result.values())


def test_of_an_episode_that_is_cut():
    """The smaller critic's value completes it: with the true one, 5, nothing is biased."""
    result = overestimation(constant(agent(), 5.0, 5.0), lambda: Endless(4), episodes=1)
    np.testing.assert_allclose(result["return"], 5, rtol=1e-6)
    np.testing.assert_allclose(result["bias"], 0, atol=1e-6)


@pytest.mark.parametrize("name", ["DQN", "DiscreteSAC"])
def test_of_values_of_choices(name):
    """The value of the best choice; of two critics, the first one's and the smaller one's."""
    cls = rl.ALGORITHMS[name].cls
    make = suited(cls, lambda: Endless(5, terminates=True))
    learner = cls(vectorize(make, 2), cls.Config(**SMALL), seed=0)
    networks = learner.critics.networks if name == "DiscreteSAC" else [learner.policy]
    for network, (first, second) in zip(networks, ((7.0, 4.0), (6.0, 6.5)), strict=False):
        network.flat.data[...] = 0
        network.flat.data[-2:] = first, second
    result, worth = overestimation(learner, make, episodes=2), (1 - 0.8**5) / 0.2
    chosen = int(learner.predict(np.zeros(1, np.float32)))
    np.testing.assert_allclose(result["bias"], (7.0, 4.0)[chosen] - worth, rtol=1e-6)
    smallest = 7.0 if name == "DQN" else min((7.0, 4.0)[chosen], (6.0, 6.5)[chosen])
    np.testing.assert_allclose(result["smallest_bias"], smallest - worth, rtol=1e-6)


def test_all_episodes_begin_alike():
    learner = rl.SAC("Pendulum-v1", rl.SACConfig(**SMALL), seed=0)
    result = overestimation(learner, "Pendulum-v1", episodes=3, seed=4)
    assert np.ptp(result["return"]) == 0
    other = overestimation(learner, "Pendulum-v1", episodes=1, seed=5)
    assert other["return"][0] != result["return"][0]


def test_the_probe_measures_while_training(tmp_path):
    make = lambda: Endless(5)  # noqa: E731
    probe, learner = OverestimationProbe(tmp_path, make, every=1000, episodes=1), agent("DDPG")
    learner.learn(3000, probe)
    assert [row["steps"] for row in probe.rows] == [1000, 2000, 3000]
    assert abs(probe.rows[-1]["bias"]) < abs(probe.rows[0]["bias"])
    columns = Table.read(tmp_path / FILE).columns()
    np.testing.assert_allclose(columns["bias"], [row["bias"] for row in probe.rows])


def test_what_it_cannot_measure_is_refused():
    ppo = rl.PPO(vectorize(Endless, 1), rl.PPOConfig(hidden=(4,)))
    with pytest.raises(TypeError, match="expected an agent with critics, given PPO"):
        overestimation(ppo, Endless)
    with pytest.raises(TypeError, match="expected an environment's id or a factory"):
        overestimation(agent(), Endless())
    with pytest.raises(ValueError, match="episodes"):
        overestimation(agent(), Endless, episodes=0)


@pytest.mark.parametrize("normalization", ["batch", "spectral"])
def test_measuring_moves_nothing_of_the_critics(normalization):
    """And what it says does not depend on how many copies begin alike, as a batch's own statistics would."""
    learner = rl.SAC("Pendulum-v1", rl.SACConfig(**SMALL | dict(hidden=(8, 8)), critic_normalization=normalization), seed=0)
    learner.learn(100)
    before = {name: array.copy() for name, array in learner.critics.state_dict().items()}
    result = overestimation(learner, "Pendulum-v1", episodes=1, seed=4)
    np.testing.assert_equal(learner.critics.state_dict(), before)
    elsewhere = overestimation(learner, "Pendulum-v1", episodes=1, seed=5)
    assert elsewhere["first"][0] != result["first"][0]


def test_critics_of_scaled_rewards_are_refused():
    make = lambda scale: rl.DPG(vectorize(Endless, 1), rl.DPGConfig(hidden=(4,), scale_rewards=scale))  # noqa: E731
    with pytest.raises(ValueError, match="given DPG with scale_rewards=True"):
        overestimation(make(True), Endless)
    assert overestimation(make(False), lambda: Endless(4), episodes=1)["return"] > 0


def test_an_episode_that_never_ends_is_cut(monkeypatch):
    """As one that is truncated: with the true value, 5, nothing is biased."""
    monkeypatch.setattr(playing, "LONGEST", 3)
    with pytest.warns(RuntimeWarning, match="cut 2 of 2 episodes after 3 steps"):
        result = overestimation(constant(agent(), 5.0, 5.0), lambda: Endless(10**9), episodes=2)
    np.testing.assert_allclose(result["return"], 5, rtol=1e-6)
