"""Gradient norms and activations: what they are, and that a training does not notice that they are recorded."""

import numpy as np
import pytest

import rl
from deepnp import Linear, Sequential, Tanh
from rl.runs.table import Table
from rl.training.insides import FILE, Insides, activations, bodies_of, gradient_norms, networks_of
from tests.rl.toys import Endless, Target, states, suited, vectorize

SMALL = dict(hidden=(8,), num_envs=2, batch_size=16, warmup=50, steps=16, epochs=1, population=4)


def agent(name, make=Target, **settings):
    algorithm = rl.ALGORITHMS[name]
    known = {key: value for key, value in {**SMALL, **settings}.items() if key in algorithm.config.__dataclass_fields__}
    return algorithm.cls(vectorize(suited(algorithm, make), 2), algorithm.config(**known), seed=0)


def test_norms_are_those_of_the_last_gradient():
    learner = agent("PPO").learn(64)
    norms, value = gradient_norms(learner), learner.value
    expected = np.sqrt(np.sum(value[0].weight.grad ** 2) + np.sum(value[0].bias.grad ** 2))
    assert norms["gradient/value/0"] == pytest.approx(expected, rel=1e-6)
    assert norms["gradient/value/0"] > 0


def test_each_critic_has_its_own_and_targets_have_none():
    learner = agent("SAC").learn(100)
    assert list(networks_of(learner)) == ["policy", "critics.0", "critics.1"]
    assert list(networks_of(agent("TD3"))) == ["policy", "critics.0", "critics.1"]
    assert gradient_norms(agent("TD3")) == {}  # nothing was learned yet


def test_spread_and_idle_units():
    learner = agent("PPO", normalize_observations=False)
    x = np.linspace(-1, 1, 50, dtype=np.float32)[:, None]
    first = learner.value[0]
    first.weight.data[...], first.bias.data[...] = 1, 0
    first.weight.data[2:4], first.bias.data[4] = 0, 50.0  # two that see nothing, and one that is saturated
    row = activations(learner, x)
    z = x @ first.weight.data.T + first.bias.data
    assert row["activation/value/0 Linear"] == pytest.approx(z.std(), rel=1e-5)
    assert row["activation/value/1 Tanh"] == pytest.approx(np.tanh(z).std(), rel=1e-5)
    assert row["idle_units/value/1 Tanh"] == 3 / 8
    assert "idle_units/value/0 Linear" not in row


def test_critics_see_the_actions_too():
    row = activations(agent("SAC"), np.zeros((4, 1), np.float32))
    assert {"activation/critics.1/0 Linear", "activation/policy.body/0 Linear"} <= row.keys()
    assert activations(agent("SAC", hidden=(4,)), np.ones((4, 1), np.float32))["idle_units/critics.0/1 ReLU"] == 1  # all alike


def test_bodies_read_vectors():
    assert [name for name, _ in bodies_of(Sequential(Linear(3, 2), Tanh()))] == [""]
    assert list(bodies_of(Sequential(Tanh(), Linear(3, 2)))) == []


@pytest.mark.parametrize("name", ["PPO", "SAC", "DQN"])
def test_a_training_takes_the_same_bits(name):
    insides = Insides(1)
    plain, watched = agent(name).learn(300), agent(name).learn(300, insides)
    assert insides.rows
    for key, value in states(plain).items():
        np.testing.assert_array_equal(states(watched)[key], value, err_msg=key)


@pytest.mark.parametrize("name", ["CEM", "QLearning"])
def test_without_gradients_and_layers_nothing_is_written(name, tmp_path):
    insides = Insides(1, tmp_path)
    agent(name, Endless).learn(200, insides)
    assert not [key for row in insides.rows for key in row if key.startswith("gradient")]


def test_it_writes_beside_the_log_and_drops_what_is_taken_again(tmp_path):
    learner = agent("PPO")
    learner.learn(128, Insides(2), log=tmp_path / "run")
    rows = Table.read(tmp_path / "run" / FILE)
    assert rows.columns()["steps"] == [64, 128]
    rows.append({"steps": 999})
    learner.learn(192, Insides(1, tmp_path / "run"))
    assert Table.read(tmp_path / "run" / FILE).columns()["steps"] == [64, 128, 160, 192]


@pytest.mark.parametrize("every", [0, -1, 1.5, "x", True])
def test_every_is_a_positive_whole_number(every):
    with pytest.raises((ValueError, TypeError), match="every"):
        Insides(every)
