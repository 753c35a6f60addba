"""Dyna with networks, and MBA: which rows a step is taken on."""

from dataclasses import fields

import numpy as np
import pytest

from rl import DQN, MBA, NAF, DQNConfig, Dyna, DynaConfig, MBAConfig, NAFConfig
from tests.rl.references.worlds import Choices, World
from tests.rl.toys import MODEL, states, vectorize

SMALL = dict(hidden=(8,), batch_size=4, warmup=20, memory=500)


def config(cls, **settings):
    known = {f.name for f in fields(cls)}
    return cls(**{name: value for name, value in (MODEL | SMALL | settings).items() if name in known})


def policy_of(agent) -> np.ndarray:
    return np.concatenate([x.ravel() for name, x in states(agent).items() if name.startswith("policy.")])


def test_without_planning_dyna_is_dqn():
    theirs = DQN(vectorize(Choices, 1), config(DQNConfig), seed=3).learn(60)
    ours = Dyna(vectorize(Choices, 1), config(DynaConfig, planning=0), seed=3).learn(60)
    np.testing.assert_array_equal(policy_of(theirs), policy_of(ours))


def test_each_real_step_is_followed_by_imagined_ones(monkeypatch):
    agent, batches = Dyna(vectorize(Choices, 1), config(DynaConfig, planning=3), seed=0).learn(30), []
    update = DQN.update
    monkeypatch.setattr(DQN, "update", lambda self, batch: batches.append(batch) or update(self, batch))
    batch = agent.memory.batch(np.arange(4), 0.99)
    agent.model.step = lambda s, a, rng: (s + 1, np.full(len(s), 7.0, "f"), s[:, 0] > 0)
    _, errors = agent.update(batch)
    assert len(batches) == 4
    assert errors.shape == (4,)
    for imagined in batches[1:]:
        np.testing.assert_array_equal(imagined.observations, agent.memory.observations[imagined.rows])
        np.testing.assert_array_equal(imagined.actions, agent.memory.actions[imagined.rows])
        np.testing.assert_array_equal(imagined.next_observations, imagined.observations + 1)
        np.testing.assert_array_equal(imagined.rewards, np.full(4, 7))
        np.testing.assert_array_equal(imagined.discounts, np.where(imagined.observations[:, 0] > 0, 0, np.float32(0.99)))


def test_mba_takes_naf_s_step_on_real_rows_and_imagined_ones(monkeypatch):
    agent, batches = MBA(vectorize(World, 1), config(MBAConfig, imagined_batch=6), seed=0).learn(30), []
    update = NAF.update
    monkeypatch.setattr(NAF, "update", lambda self, batch: batches.append(batch) or update(self, batch))
    agent.model.step = lambda s, a, rng: (s + 1, np.full(len(s), 7.0, "f"), s[:, 0] > 0)
    batch = agent.memory.batch(np.arange(4), 0.99)
    _, errors = agent.update(batch)
    (whole,) = batches
    assert (len(whole.rewards), errors.shape) == (10, (4,))
    np.testing.assert_array_equal(whole.observations[:4], batch.observations)
    np.testing.assert_array_equal(whole.next_observations[4:], whole.observations[4:] + 1)
    np.testing.assert_array_equal(whole.rewards[4:], np.full(6, 7))


@pytest.mark.parametrize(
    ("name", "low", "high"), [("planning", 1, 2), ("model_interval", 5, 100), ("model", "deterministic", "gaussian")]
)
def test_dyna_feels_its_settings(name, low, high):
    first, second = (Dyna(vectorize(Choices, 1), config(DynaConfig, **{name: value}), seed=0).learn(50) for value in (low, high))
    assert not np.array_equal(policy_of(first), policy_of(second))


@pytest.mark.parametrize(("name", "low", "high"), [("imagined_batch", 2, 8), ("batch_size", 4, 8), ("members", 2, 3)])
def test_mba_feels_its_settings(name, low, high):
    first, second = (MBA(vectorize(World, 1), config(MBAConfig, **{name: value}), seed=0).learn(50) for value in (low, high))
    assert not np.array_equal(policy_of(first), policy_of(second))


def test_naf_is_what_it_was():
    theirs = NAF(vectorize(World, 1), config(NAFConfig, warmup=60), seed=0).learn(40)
    ours = MBA(vectorize(World, 1), config(MBAConfig, warmup=60), seed=0).learn(40)
    np.testing.assert_array_equal(policy_of(theirs), policy_of(ours))
