"""The cross-entropy method: generations equal a float64 reference, and it finds known optima."""

import numpy as np
import pytest

import rl
from rl.algorithms.black_box.cem import SearchDistribution
from tests.rl.references import black_box
from tests.rl.toys import Target


def agent_of(**settings):
    return rl.CEM(Target(), rl.CEMConfig(**{"hidden": (3,), "population": 10, **settings}), seed=2)


class TestGenerations:
    @pytest.mark.parametrize("settings", [{}, dict(elite_share=0.5, extra_sigma=2.0, extra_generations=3, initial_sigma=0.1)])
    def test_equal_the_reference(self, rng, settings):
        agent = agent_of(**settings)
        c, theta = agent.config, agent.policy.flat.data
        reference = black_box.CEM(theta, c.initial_sigma, c.elites, c.extra_sigma, c.extra_generations)
        for _ in range(5):
            noise = np.random.default_rng()
            noise.bit_generator.state = agent.rngs["candidates"].bit_generator.state
            candidates, scores = agent.draw(), rng.normal(size=10)
            expected = reference.candidates(noise.standard_normal(candidates.shape))
            np.testing.assert_allclose(candidates, expected, rtol=1e-9, atol=1e-12)
            metrics = agent.update(candidates, scores)
            reference.update(expected, scores)
            np.testing.assert_allclose(agent.distribution.mean, reference.m, rtol=1e-9)
            np.testing.assert_allclose(agent.distribution.variance, reference.v, rtol=1e-9)
            np.testing.assert_array_equal(theta, reference.m.astype(np.float32))
            assert metrics["elite_return"] == pytest.approx(np.sort(scores)[-c.elites :].mean())
            assert metrics["best_return"] == scores.max()
            assert metrics["candidate_return"] == pytest.approx(scores.mean())

    def test_at_least_two_are_elites(self):
        """One alone would leave no variance, for good."""
        assert rl.CEMConfig(population=5, elite_share=0.01).elites == 2
        agent = agent_of(population=5, elite_share=0.01, extra_sigma=0.0)
        agent.update(agent.draw(), np.arange(5.0))
        assert (agent.distribution.variance > 0).all()
        assert rl.CEMConfig(population=64).elites == 13


class TestDistribution:
    def test_finds_the_bottom_of_a_quadratic(self, rng):
        center, scales = rng.normal(size=6), np.geomspace(0.1, 10, 6)
        search = SearchDistribution(np.zeros(6), 1.0)
        for k in range(60):
            candidates = search.sample(60, 0.3 * max(0, 1 - k / 30), rng)
            losses = (scales * (candidates - center) ** 2).sum(axis=1)
            search.fit(candidates[np.argsort(losses)[:12]])
        np.testing.assert_allclose(search.mean, center, atol=1e-2)

    def test_extra_variance_spreads_the_draws(self, rng):
        search = SearchDistribution(np.zeros(1000), 0.5)
        assert search.sample(100, 0.75, rng).std() == pytest.approx(1, rel=0.02)
        assert search.sample(100, 0.0, rng).std() == pytest.approx(0.5, rel=0.02)

    def test_a_state_that_does_not_fit_is_refused(self):
        search = SearchDistribution(np.zeros(3), 1.0)
        with pytest.raises(ValueError, match="mean"):
            search.load_state_dict({"mean": np.zeros(2), "variance": np.ones(3)})
        with pytest.raises(ValueError, match="expected variances >= 0"):
            search.load_state_dict({"mean": np.zeros(3), "variance": np.array([1.0, -1, 1])})


def test_cart_pole_with_few_steps():
    """A linear policy balances for 500 steps after 60,000."""
    agent = rl.CEM("CartPole-v1", rl.CEMConfig(num_envs=8, hidden=(), population=30), seed=0).learn(60_000)
    assert rl.evaluate(agent, "CartPole-v1", 10).mean() > 450


@pytest.mark.parametrize("settings", [dict(population=2), dict(elite_share=0.0), dict(elite_share=1.1), dict(extra_generations=0)])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        rl.CEMConfig(**settings)
