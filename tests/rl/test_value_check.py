"""Values against returns: returns that are known, values that are put in."""

import errno
import os

import numpy as np
import pytest

import rl
from rl.runs.table import Table
from rl.training import playing
from rl.training.explorer.charts import charts_of
from rl.training.explorer.reading import read
from rl.training.value_check import FILE, POINTS, ValueCheck, values_and_returns
from tests.rl.test_explorer import record
from tests.rl.toys import Endless, states, suited, vectorize

SMALL = dict(hidden=(8,), num_envs=2, batch_size=16, warmup=50, steps=16, epochs=1, gamma=0.8)
WORTH = [(1 - 0.8**n) / 0.2 for n in (5, 4, 3, 2, 1)]  # Σ γ^t of what is left of five steps


def agent(name, **settings):
    algorithm = rl.ALGORITHMS[name]
    known = {key: x for key, x in {**SMALL, **settings}.items() if key in algorithm.config.__dataclass_fields__}
    return algorithm.cls(vectorize(suited(algorithm, Endless), 2), algorithm.config(**known), seed=0)


def constant(network, value):
    """Let a network say one number everywhere."""
    network.flat.data[...] = 0
    network.flat.data[-1] = value


def test_of_episodes_that_end():
    learner = agent("PPO", scale_rewards=False)
    constant(learner.value, 3.0)
    values, returns = values_and_returns(learner, lambda: Endless(5, terminates=True), episodes=2)
    np.testing.assert_allclose(np.sort(returns), np.sort(WORTH * 2))
    np.testing.assert_allclose(values, 3.0)


def test_of_episodes_that_are_cut():
    """The value of what would have followed completes them: with the true one, 5, every return is 5."""
    learner = agent("TD3")
    for critic in learner.critics.networks:
        constant(critic, 5.0)
    values, returns = values_and_returns(learner, lambda: Endless(4), episodes=1)
    np.testing.assert_allclose(returns, 5, rtol=1e-6)
    np.testing.assert_allclose(values, 5, rtol=1e-6)


SCALED = [name for name, a in rl.ALGORITHMS.items() if "scale_rewards" in a.config.__dataclass_fields__]


@pytest.mark.parametrize("name", SCALED)
def test_the_scale_of_the_rewards_is_taken_out(name):
    learner = agent(name, scale_rewards=True).learn(64)
    for network in learner.critics.networks if getattr(learner, "value", None) is None else [learner.value]:
        constant(network, 1.0)
    values, _ = values_and_returns(learner, lambda: Endless(5), episodes=1)
    np.testing.assert_allclose(values, learner.scaler.moments.sigma[0], rtol=1e-6)
    assert abs(values[0] - 1) > 0.1


def test_a_network_of_choices():
    learner = agent("DQN")
    learner.policy.flat.data[...] = 0
    learner.policy.flat.data[-2:] = 2.0, 7.0
    values, returns = values_and_returns(learner, suited(rl.ALGORITHMS["DQN"], lambda: Endless(5, terminates=True)))
    np.testing.assert_allclose(values, 7.0)
    assert len(values) == len(returns) == 20


def test_the_training_takes_the_same_bits_and_the_file_is_drawn(tmp_path):
    check = ValueCheck(record(tmp_path), lambda: Endless(5), every=64, episodes=2)
    plain, watched = agent("PPO").learn(128), agent("PPO").learn(128, check)
    for key, value in states(plain).items():
        np.testing.assert_array_equal(states(watched)[key], value, err_msg=key)
    columns = Table.read(tmp_path / FILE).columns()
    assert columns["steps"] == [64] * 10 + [128] * 10
    (drawn,) = charts_of(read(tmp_path))
    assert drawn.scatter
    np.testing.assert_allclose(drawn.lines[0].steps, check.returns)
    np.testing.assert_allclose(drawn.lines[0].values, check.values)


def test_points_are_few():
    check = ValueCheck(None, lambda: Endless(300), every=32, episodes=2)
    agent("PPO").learn(32, check)
    assert len(check.values) == POINTS


def test_what_has_no_value_is_refused():
    with pytest.raises(TypeError, match=r"expected an agent with critics, .* given CEM"):
        values_and_returns(agent("CEM"), Endless)
    with pytest.raises(TypeError, match="given NoneType"):
        values_and_returns(None, Endless)
    with pytest.raises(TypeError, match="given CEM"):
        agent("CEM").learn(10, ValueCheck(None, Endless, 5))
    with pytest.raises(TypeError, match="expected an environment's id or a factory"):
        values_and_returns(agent("PPO"), vectorize(Endless, 2))
    with pytest.raises(ValueError, match="every"):
        ValueCheck(None, Endless, 0)


def test_episodes_that_never_end_are_cut(monkeypatch):
    """As truncated ones: the values there complete the returns."""
    monkeypatch.setattr(playing, "LONGEST", 7)
    learner = agent("TD3")
    for critic in learner.critics.networks:
        constant(critic, 5.0)
    with pytest.warns(RuntimeWarning, match="cut 2 of 2 episodes after 7 steps"):
        values, returns = values_and_returns(learner, lambda: Endless(10**9), episodes=2)
    assert len(values) == 14
    np.testing.assert_allclose(returns, 5, rtol=1e-6)


def test_a_measurement_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    check = ValueCheck(record(tmp_path), lambda: Endless(5), every=64, episodes=2, on_write_error="warn")
    learner = agent("PPO").learn(64, check)
    whole = (tmp_path / FILE).read_bytes()
    monkeypatch.setattr(Table, "_write_more", full)
    with pytest.warns(RuntimeWarning, match=r"could not write values\.csv"):
        learner.learn(128, check)
    assert (tmp_path / FILE).read_bytes() == whole
    stopping = ValueCheck(tmp_path, lambda: Endless(5), every=64, episodes=2)
    with pytest.raises(OSError, match=r"could not write values\.csv"):
        learner.learn(192, stopping)
