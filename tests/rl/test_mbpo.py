"""MBPO: what an update learns from, when and from where it imagines."""

import copy
from dataclasses import fields

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rl import MBPO, SAC, MBPOConfig, SACConfig
from rl.algorithms.model_based.config import ModelConfig
from rl.experience.imagined import Imagined, joined
from tests.rl.references.worlds import World
from tests.rl.toys import MODEL, space, states, vectorize

SMALL = {name: value for name, value in MODEL.items() if name in {f.name for f in fields(MBPOConfig)}}
SMALL |= dict(hidden=(8,), batch_size=4, imagined_batch=12, updates=1, warmup=20, memory=500, model_interval=10, rollouts=6)


def made(**settings):
    return MBPO(vectorize(World, 1), MBPOConfig(**{**SMALL, **settings}), seed=0)


class Adding:
    """s′ = s + a, r = s_0, the end where s′_0 > 2."""

    def step(self, s, a, rng):
        return s + a, s[:, 0], (s + a)[:, 0] > 2


def test_branches_roll_ahead_from_states_that_were_seen():
    imagined, starts = Imagined(100, space(1, 1), 2), iter([[[0.0], [1.5]], [[1.0]], [[7.0], [8.0]]])
    act = lambda s: np.full((len(s), 1), 1.0, np.float32)  # noqa: E731
    imagined.imagine(Adding(), act, lambda count: np.array(next(starts)[:count]), 3, np.random.default_rng(0))
    m = imagined.memory
    rows = m.filled().reshape(2, 3)
    np.testing.assert_array_equal(m.observations[rows, 0], [[0, 1, 2], [1.5, 1, 2]])
    np.testing.assert_array_equal(m.next_observations[rows, 0], [[1, 2, 3], [2.5, 2, 3]])
    np.testing.assert_array_equal(m.terminated[rows], [[False, False, True], [True, False, True]])
    np.testing.assert_array_equal(m.rewards[rows], m.observations[rows, 0])


PARTS = {"p": spaces.Box(-1, 1, (2,), np.float32), "q": spaces.Discrete(3)}


@pytest.mark.parametrize(
    "observations",
    [spaces.Dict(PARTS), spaces.Tuple(PARTS.values()), spaces.Discrete(4), spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(3)],
    ids=lambda space: type(space).__name__,
)
def test_observations_of_every_kind_are_imagined_as_vectors(observations):
    class Drawn(gymnasium.Env):
        observation_space, action_space = observations, spaces.Box(-1, 1, (1,), np.float32)

        def reset(self, *, seed=None, options=None):
            self.observation_space.seed(seed)
            self.count = 0
            return self.observation_space.sample(), {}

        def step(self, action):
            self.count += 1
            return self.observation_space.sample(), 1.0, self.count > 5, False, {}

    agent = MBPO(Drawn, MBPOConfig(**SMALL), seed=0).learn(40)
    assert len(agent.imagined) > 0
    assert agent.imagined.memory.observations.shape[1] == agent.space.observations


def test_a_twin_has_the_same_rules():
    agent = made()
    agent.model.ends, agent.model.rewards = (lambda s, a, s_next: s[:, 0] > 2), (lambda s, a, s_next: s[:, 0])
    twin = copy.deepcopy(agent)
    assert (twin.model.ends, twin.model.rewards) == (agent.model.ends, agent.model.rewards)


def test_the_oldest_are_forgotten():
    imagined = Imagined(4, space(1, 1), 2)
    for start in (0.0, 1.0, 2.0):
        imagined.imagine(
            Adding(), lambda s: np.zeros_like(s), lambda count, x=start: np.full((count, 1), x), 1, np.random.default_rng(0)
        )
    assert len(imagined) == 4
    assert sorted(imagined.memory.observations[:, 0]) == [1, 1, 2, 2]


def test_an_update_is_sac_s_on_real_rows_and_imagined_ones(monkeypatch):
    agent, batches = made(), []
    update = SAC.update
    monkeypatch.setattr(SAC, "update", lambda self, batch: batches.append(batch) or update(self, batch))
    agent.learn(23)
    real, whole = agent.memory.batch(batches[-1].rows[:4], 0.99), batches[-1]
    assert len(whole.rewards) == 16
    np.testing.assert_array_equal(whole.observations[:4], real.observations)
    np.testing.assert_array_equal(whole.rewards[:4], real.rewards)
    imagined = {tuple(row) for row in agent.imagined.memory.next_observations[agent.imagined.memory.filled()]}
    assert all(tuple(row) in imagined for row in whole.next_observations[4:])
    _, errors = agent.update(real)
    assert errors.shape == (4,)


def test_fits_and_rollouts_come_when_they_are_due_and_as_long_as_the_schedule_says():
    agent, seen = made(rollout_length=lambda p: 1 + 4 * p), []
    imagine = agent.imagine
    agent.imagine = lambda length: seen.append((agent.steps, length)) or imagine(length)
    agent.learn(60)
    assert seen == [(21, 2), (31, 3), (41, 4), (51, 4)]
    seen_states = {tuple(s) for s in agent.memory.observations[agent.memory.filled()]}
    memory = agent.imagined.memory
    first_of_each = memory.observations[memory.filled()].reshape(6, -1, agent.space.observations)[:, 0]
    assert all(tuple(s) in seen_states for s in first_of_each)


def test_without_a_change_of_settings_sac_is_what_it_was():
    """The generators that a model needs besides leave SAC's own as they are."""
    settings = dict(hidden=(8,), warmup=50)
    theirs = SAC(vectorize(World, 1), SACConfig(**settings), seed=0).learn(30)
    ours = made(warmup=50).learn(30)
    for name, array in states(theirs).items():
        if name.startswith(("policy.", "critics.")):
            np.testing.assert_array_equal(array, states(ours)[name])
    np.testing.assert_array_equal(theirs.memory.actions[:30], ours.memory.actions[:30])


FELT = {
    "batch_size": (4, 8, {}),
    "imagined_batch": (4, 8, {}),
    "warmup": (20, 30, {}),
    "updates": (1, 2, {}),
    "members": (2, 3, {}),
    "elites": (1, 2, {}),
    "rollouts": (4, 6, {}),
    "rollout_length": (1.0, 3.0, {}),
    "imagined_memory": (6, 60, {}),
    "model": ("deterministic", "gaussian", {}),
    "model_ends": (False, True, dict(rollout_length=5.0)),
    "model_interval": (5, 200, {}),
}


def test_every_setting_of_its_own_has_an_entry():
    own = set(MBPOConfig.__annotations__) - {"algorithm"}
    assert own <= set(FELT)
    assert {f.name for f in fields(ModelConfig)} - set(FELT) <= {f for f in MODEL if f.startswith("model_")} | {
        "model_activation",
        "model_patience",
        "holdout",
    }  # these are felt in test_pets


@pytest.mark.parametrize("name", FELT)
def test_every_setting_is_felt(name):
    low, high, besides = FELT[name]
    first, second = (states(made(**{**besides, name: value}).learn(45)) for value in (low, high))
    same = [name for name in first if name.startswith("policy.") and np.array_equal(first[name], second[name])]
    assert len(same) < len([name for name in first if name.startswith("policy.")])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(recall="gru"), "expected recall None with a model"),
        (dict(hindsight="future"), "expected hindsight None with a model"),
        (dict(rollouts=100, imagined_memory=99), r"imagined_memory >= rollouts · rollout_length, given 99, and 100 rollouts of"),
        (dict(rollout_length=lambda p: 1 + 14 * p), "10000 rollouts of up to 15 steps"),
    ],
)
def test_what_does_not_go_together_is_refused(settings, words):
    """A memory that is too small would forget the first steps of each rollout, and keep the worst."""
    with pytest.raises(ValueError, match=words):
        MBPOConfig(**settings)


def test_joined_batches_have_the_rows_of_both(rng):
    agent = made().learn(30)
    a, b = (agent.memory.batch(agent.memory.draw(n, rng), 0.9) for n in (3, 5))
    both = joined(a, b)
    for f in fields(a):
        np.testing.assert_array_equal(getattr(both, f.name), np.concatenate([getattr(a, f.name), getattr(b, f.name)]))
