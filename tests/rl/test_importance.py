"""Importance weights, the memory of rollouts, and the algorithm that learns from them."""

from itertools import pairwise

import numpy as np
import pytest

import rl
from rl import OffPolicyPG, OffPolicyPGConfig
from rl.experience.past import Rollouts
from rl.losses.importance import effective_sample_size, log_mean_exp, log_weights, weights_of
from tests.rl.references.worlds import Choices, World
from tests.rl.toys import Target, vectorize


class TestWeights:
    @pytest.fixture
    def ratios(self, rng):
        return rng.normal(size=(9, 3)), rng.random((9, 3)) < 0.3

    def test_products_run_over_the_episode(self, ratios):
        """Episode by episode, with a plain product."""
        log_ratios, ended = ratios
        decision, trajectory = (log_weights(kind, log_ratios, ended) for kind in ("decision", "trajectory"))
        for n in range(3):
            cuts = [0, *(np.flatnonzero(ended[:, n]) + 1), 9]
            for start, stop in pairwise(cuts):
                own = log_ratios[start:stop, n]
                np.testing.assert_allclose(decision[start:stop, n], np.cumsum(own), rtol=1e-12, atol=1e-12)
                np.testing.assert_allclose(trajectory[start:stop, n], own.sum(), rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(log_weights("step", log_ratios, ended), log_ratios)

    def test_wrong_arguments_are_named(self, ratios):
        with pytest.raises(ValueError, match="expected a kind of weight among"):
            log_weights("episode", *ratios)
        with pytest.raises(ValueError, match="ended"):
            log_weights("step", ratios[0], ratios[1][:2])

    def test_truncated_then_normalised(self):
        w = np.array([0.5, 1.0, 3.0, 10.0])
        np.testing.assert_allclose(weights_of(np.log(w), 1e9, False), w)
        np.testing.assert_allclose(weights_of(np.log(w), 2.0, False), [0.5, 1, 2, 2])
        np.testing.assert_allclose(weights_of(np.log(w), 2.0, True), np.array([0.5, 1, 2, 2]) / 1.375)

    @pytest.mark.parametrize("shift", [-1000.0, 0.0, 1000.0])
    def test_the_sample_size_lies_between_one_and_all(self, rng, shift):
        assert effective_sample_size(np.full(7, shift)) == pytest.approx(7)
        assert effective_sample_size(np.array([shift, shift - 500, shift - 500])) == pytest.approx(1)
        log_w = rng.normal(size=50)
        w = np.exp(log_w)
        assert effective_sample_size(log_w + shift) == pytest.approx(w.sum() ** 2 / (w**2).sum())

    def test_weights_far_away_are_numbers(self):
        log_w = np.array([-1e4, 0.0, 1e4], np.float32)
        assert np.isfinite(weights_of(log_w, 1e9, True)).all()
        assert log_mean_exp(np.array([1e4, 1e4])) == pytest.approx(1e4)


def agent_of(env=World, **settings):
    return OffPolicyPG(
        env, OffPolicyPGConfig(**{**dict(num_envs=2, steps=6, hidden=(5,), batch_size=4, reuse=3), **settings}), seed=1
    )


class TestRollouts:
    def test_the_last_ones_are_kept(self):
        agent = agent_of(reuse=2).learn(60)
        assert len(agent.rollouts.past) == 2
        assert not agent_of(reuse=0).learn(60).rollouts.past

    def test_what_is_remembered_is_what_was(self):
        agent, seen = agent_of(reuse=5), []
        update = agent.update

        def recording(rollout, progress):
            seen.append((rollout, np.array(rollout.observations), agent.log_prob(rollout)))
            return update(rollout, progress)

        agent.update = recording
        agent.learn(36)
        for past, (rollout, observations, log_prob) in zip(agent.rollouts.past, seen, strict=True):
            assert past.rollout is rollout
            np.testing.assert_array_equal(rollout.observations, observations)
            np.testing.assert_array_equal(past.log_prob, log_prob)

    @pytest.mark.parametrize("env", [World, Choices], ids=["numbers", "choices"])
    def test_it_comes_back_from_its_state(self, env):
        agent = agent_of(env).learn(60)
        again = Rollouts(agent.space.observation, agent.space.action, 3)
        again.load_state_dict(agent.rollouts.state_dict())
        for given, expected in zip(again.past, agent.rollouts.past, strict=True):
            assert given.rollout.final.keys() == expected.rollout.final.keys()
            np.testing.assert_array_equal(given.rollout.following(), expected.rollout.following())
            np.testing.assert_array_equal(given.log_prob, expected.log_prob)
        assert any(past.rollout.final for past in again.past)

    def test_a_damaged_state_is_refused_and_changes_nothing(self):
        agent = agent_of().learn(60)
        state = agent.rollouts.state_dict()
        before = list(agent.rollouts.past)
        wrong = {name: state[name][:-1] for name in state}
        wrong |= {"1.rewards": np.zeros((0, 2), np.float32), "0.actions": state["0.actions"].astype(np.float64)}
        wrong |= {name: state[name] + 100 for name in state if name.endswith("final_places")}
        for name, array in wrong.items():
            with pytest.raises(ValueError, match="expected"):
                agent.rollouts.load_state_dict({**state, name: array})
            with pytest.raises(KeyError):
                agent.rollouts.load_state_dict({key: x for key, x in state.items() if key != name})
            assert agent.rollouts.past == before


class TestLearning:
    def test_the_newest_rows_weigh_one(self):
        """π is b itself, until it moves."""
        metrics = []
        agent = agent_of(reuse=0, policy_steps=1)
        agent.learn(60, lambda agent, m: metrics.append(m) or True)
        assert all(m["effective_sample_size"] == pytest.approx(m["rows"]) for m in metrics)

    def test_old_rows_weigh_what_they_are_worth(self):
        metrics = []
        agent_of(lr=5e-2).learn(120, lambda agent, m: metrics.append(m) or True)
        assert [m["rows"] for m in metrics[:5]] == [12, 24, 36, 48, 48]
        assert all(1 <= m["effective_sample_size"] <= m["rows"] for m in metrics)
        assert metrics[-1]["effective_sample_size"] < metrics[-1]["rows"] - 0.1

    @pytest.mark.parametrize("weights", ["step", "decision", "trajectory"])
    def test_each_kind_learns_the_right_choice(self, weights):
        config = OffPolicyPGConfig(num_envs=8, steps=16, hidden=(16,), lr=2e-2, weights=weights)
        agent = OffPolicyPG(vectorize(lambda: Target(discrete=True), 8), config)
        assert rl.evaluate(agent.learn(4000), Target(discrete=True), 20).mean() > 0.95

    def test_memory_is_refused(self):
        with pytest.raises(ValueError, match="expected memory=None, as old rollouts are read row by row, given 'gru'"):
            OffPolicyPGConfig(memory="gru")
