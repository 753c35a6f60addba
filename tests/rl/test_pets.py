"""PETS: what a plan is worth, whose member it asks, where a search begins, when the model is fitted; every setting is felt."""

from dataclasses import fields

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, VectorEnv

import rl
from rl import PETS, PETSConfig
from rl.algorithms.model_based.config import ModelConfig
from rl.algorithms.model_based.pets import PlannerConfig
from rl.training.adapter import StableBaselinesModel
from tests.rl.references.worlds import World
from tests.rl.toys import MODEL, Counter, Target, states, vectorize

SMALL = {name: value for name, value in MODEL.items() if name in {f.name for f in fields(PETSConfig)}}
SMALL |= dict(warmup=20, memory=500, rounds=2)


def made(env=Target, copies=1, **settings):
    env = env if isinstance(env, VectorEnv) else vectorize(env, copies)
    return PETS(env, PETSConfig(**{**SMALL, **settings}), seed=0)


def stub(agent, ends_at=9.0):
    """s′ = s + a, r = 10e + s of the member e; it ends where s′ >= `ends_at`. Returns the members that were asked."""
    asked = []

    def step_of(s, a, members, rng):
        asked.append(members.copy())
        following = s + a
        return following, 10.0 * members + s[:, 0], following[:, 0] >= ends_at

    agent.model.step_of = step_of
    return asked


class TestWorth:
    def test_by_hand(self, rng):
        agent = made(members=1, elites=1, horizon=3, gamma=0.5)
        stub(agent)
        plans = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]], np.float32)
        np.testing.assert_allclose(agent.worth(np.array([4.0], "f"), plans, rng), [4 + 5 / 2 + 7 / 4, 4 + 4 / 2 + 4 / 4])

    def test_nothing_is_paid_after_an_end(self, rng):
        agent = made(members=1, elites=1, horizon=3, gamma=1.0)
        stub(agent, ends_at=5.0)
        plans = np.array([[1.0, 2.0, 3.0], [0.0, 2.0, 0.0]], np.float32)
        np.testing.assert_allclose(agent.worth(np.array([4.0], "f"), plans, rng), [4, 4 + 4])

    def test_it_is_the_mean_over_particles_of_all_elites(self, rng):
        agent = made(members=3, elites=2, particles=4, horizon=1)
        agent.policy.elites[...] = [2, 0]
        asked = stub(agent)
        np.testing.assert_allclose(agent.worth(np.array([0.0], "f"), np.zeros((5, 1), "f"), rng), np.full(5, 10.0))
        assert set(asked[0]) == {0, 2}

    @pytest.mark.parametrize("propagation", ["TS1", "TSinf"])
    def test_a_particle_keeps_its_member_or_draws_it(self, rng, propagation):
        agent = made(members=5, elites=5, particles=5, horizon=4, propagation=propagation)
        asked = stub(agent)
        agent.worth(np.zeros(1, "f"), np.zeros((20, 4), "f"), rng)
        assert [np.array_equal(asked[0], later) for later in asked[1:]] == [propagation == "TSinf"] * 3
        np.testing.assert_array_equal(np.bincount(asked[-1]), np.full(5, 20))


def test_the_search_goes_on_from_the_rest_of_the_last_plan():
    agent, begun = made(Counter, horizon=3, warmup=0), []
    agent.plan = lambda s, mean, rng: begun.append(mean.copy()) or np.array([[0.1], [0.2], [0.3]], np.float32)
    agent.learn(12)
    np.testing.assert_allclose(begun[0], np.zeros((3, 1)))
    np.testing.assert_allclose(begun[1], [[0.2], [0.3], [0]])
    ends = np.flatnonzero(agent.memory.terminated[:11]) + 1
    assert len(ends) > 1
    for n in ends:
        np.testing.assert_array_equal(begun[n], np.zeros((3, 1)))


def test_no_plan_goes_on_into_the_next_episode_where_a_step_is_the_reset():
    agent, begun = made(vectorize(Counter, 1, AutoresetMode.NEXT_STEP), horizon=3, warmup=0), []
    agent.plan = lambda s, mean, rng: begun.append((s.copy(), mean.copy())) or np.array([[0.1], [0.2], [0.3]], np.float32)
    agent.learn(12)
    first = [mean for s, mean in begun if s[0] == 0]
    assert len(first) > 1
    np.testing.assert_array_equal(first, np.zeros((len(first), 3, 1)))


def test_the_model_is_fitted_when_it_is_due():
    agent, fits = made(warmup=25, model_interval=10), []
    fit = agent.fit
    agent.fit = lambda: fits.append(agent.steps) or fit()
    agent.learn(50)
    assert fits == [25, 35, 45]


def test_predictions_are_the_same_each_time_and_row_by_row():
    agent = made().learn(40)
    observations = np.array([[0.5], [-0.5]], np.float32)
    both = agent.predict(observations)
    np.testing.assert_array_equal(both, agent.predict(observations))
    np.testing.assert_array_equal(both[1], agent.predict(observations[1]))
    assert not np.array_equal(both, agent.predict(observations, deterministic=False, rng=np.random.default_rng(1)))


class TestPredictionsThatGoOnFromAPlan:
    PLAN = np.array([[0.1], [0.2], [0.3]], np.float32)

    def spied(self, env=Target):
        agent, begun = made(env, horizon=3), []
        agent.plan = lambda s, mean, rng: begun.append(mean.copy()) or self.PLAN
        return agent, begun

    def test_the_state_is_the_rest_of_the_last_plan(self):
        agent, begun = self.spied()
        action, state = agent.predict(np.zeros((2, 1), "f"), state=agent.initial_state(2))
        assert action.shape == (2, 1)
        np.testing.assert_allclose(state[0], np.broadcast_to([[0.2], [0.3], [0.0]], (2, 3, 1)))
        agent.predict(np.zeros((2, 1), "f"), state=state, episode_start=np.array([False, True]))
        np.testing.assert_allclose(begun[2:], [[[0.2], [0.3], [0.0]], np.zeros((3, 1))])

    def test_without_a_state_a_plan_is_made_anew_and_none_is_returned(self):
        agent, begun = self.spied()
        assert agent.predict(np.zeros(1, "f")).shape == (1,)
        np.testing.assert_array_equal(begun[0], np.zeros((3, 1)))

    def test_evaluation_goes_on_from_it(self):
        agent, begun = self.spied(Counter)
        rl.evaluate(agent, vectorize(Counter, 2), 2, seed=1)
        np.testing.assert_array_equal(begun[:2], np.zeros((2, 3, 1)))
        np.testing.assert_allclose(begun[-1], [[0.2], [0.3], [0.0]])

    def test_models_in_the_words_of_stable_baselines_carry_it(self):
        agent, begun = self.spied()
        model = StableBaselinesModel(agent)
        _, state = model.predict(np.zeros((2, 1), "f"))
        model.predict(np.zeros((2, 1), "f"), state)
        np.testing.assert_allclose(begun, [np.zeros((3, 1))] * 2 + [[[0.2], [0.3], [0.0]]] * 2)

    @pytest.mark.parametrize(
        "state", [np.zeros((2, 3, 1), "f"), (), (np.zeros((1, 3, 1), "f"),), (np.full((2, 3, 1), np.nan, "f"),)]
    )
    def test_a_state_that_does_not_fit_is_refused(self, state):
        with pytest.raises(ValueError, match="expected"):
            self.spied()[0].predict(np.zeros((2, 1), "f"), state=state)


def test_each_state_has_draws_of_its_own():
    """Where all plans are worth the same, the same draws in every state would push the same way for ever."""
    agent, drawn = made(), []
    agent.plan = lambda s, mean, rng: drawn.append(rng.random()) or mean
    for s in (0.5, -0.5, np.float32(0.5)):
        agent.predict(np.array([s]))
    assert drawn[0] == drawn[2] != drawn[1]


FELT = {  # a lower and a higher value, and what they need besides
    "num_envs": (1, 2, {}),
    "gamma": (0.1, 0.99, {}),
    "memory": (10, 200, {}),
    "warmup": (20, 40, {}),
    "horizon": (1, 3, {}),
    "candidates": (6, 20, {}),
    "plan_elites": (2, 5, {}),
    "rounds": (1, 3, {}),
    "smoothing": (0.0, 0.5, {}),
    "initial_sigma": (0.1, 0.5, {}),
    "particles": (1, 3, {}),
    "propagation": ("TS1", "TSinf", dict(particles=3)),
    "model": ("deterministic", "gaussian", {}),
    "members": (2, 3, {}),
    "elites": (1, 2, {}),
    "model_hidden": ((16,), (16, 16), {}),
    "model_activation": ("silu", "tanh", {}),
    "model_lr": (1e-4, 1e-2, {}),
    "model_batch_size": (8, 64, {}),
    "model_interval": (10, 200, {}),
    "model_epochs": (1, 5, {}),
    "model_patience": (0, 9, dict(model_epochs=40, model_lr=0.1)),
    "holdout": (0.0, 0.5, {}),
    "model_ends": (False, True, dict(horizon=4)),
}


def test_every_setting_has_an_entry():
    assert {f.name for c in (ModelConfig, PlannerConfig) for f in fields(c)} == set(FELT)


@pytest.mark.parametrize("name", FELT)
def test_every_setting_is_felt(name):
    low, high, besides = FELT[name]
    results = []
    for value in (low, high):
        agent = made(World, value if name == "num_envs" else 1, **{**besides, name: value})
        results.append(agent.learn(60))
    first, second = (np.concatenate([x.ravel() for x in states(agent).values()]) for agent in results)
    assert first.shape != second.shape or not np.array_equal(first, second)


@pytest.mark.parametrize(
    ("settings", "words"), [(dict(elites=3, members=2), "elites <= members"), (dict(plan_elites=300), "plan_elites")]
)
def test_what_does_not_go_together_is_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        PETSConfig(**settings)


def test_other_spaces_are_refused():
    with pytest.raises(ValueError, match=r"PETS takes continuous actions \(a Box\)"):
        rl.PETS("CartPole-v1")
