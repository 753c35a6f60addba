"""Algebra of returns, normalisers, the surrogate and the value loss."""

import numpy as np
import pytest

from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error
from rl.experience.normalize import ObservationNormalizer, RewardScaler, RunningMoments
from rl.losses.returns import gae, monte_carlo_returns, n_step_returns, td_errors
from rl.losses.surrogate import clipped_surrogate, standardize, value_loss
from rl.losses.td import td_loss

T, N, GAMMA = 12, 4, 0.9


@pytest.fixture
def data(rng):
    """rewards, values, next_values, ended: with terminations and truncations in the middle."""
    rewards, values, next_values = rng.normal(size=(3, T, N))
    ended = rng.random((T, N)) < 0.2
    terminated = ended & (rng.random((T, N)) < 0.5)
    following = np.concatenate([values[1:], next_values[-1:]])
    return rewards, values, np.where(terminated, 0, np.where(ended, next_values, following)), ended


class TestReturns:
    def test_lambda_zero_is_the_td_error(self, data, kernels):
        np.testing.assert_allclose(gae(*data, GAMMA, 0.0), td_errors(*data[:3], GAMMA), rtol=1e-12)

    def test_lambda_one_is_monte_carlo(self, data, kernels):
        rewards, values, next_values, ended = data
        expected = monte_carlo_returns(rewards, next_values, ended, GAMMA) - values
        np.testing.assert_allclose(gae(*data, GAMMA, 1.0), expected, rtol=1e-10, atol=1e-12)

    def test_gae_is_the_weighted_mean_of_n_step_advantages(self, data, kernels):
        """A = (1−λ) Σ λ^{n−1} A⁽ⁿ⁾, the tail of the sum being the longest return there is."""
        rewards, values, next_values, ended = data
        lam, total = 0.7, np.zeros((T, N))
        for n in range(1, 200):
            total += (1 - lam) * lam ** (n - 1) * (n_step_returns(rewards, next_values, ended, GAMMA, n) - values)
        np.testing.assert_allclose(gae(*data, GAMMA, lam), total, rtol=1e-8, atol=1e-10)

    @pytest.mark.parametrize("horizon", [1, 3, 12, 100, None])
    def test_horizon_cuts_the_sum(self, data, horizon, kernels):
        deltas, ended = td_errors(*data[:3], GAMMA), data[3]
        expected = np.zeros((T, N))
        for i in range(N):
            for t in range(T):
                for k in range(t, min(t + (horizon or T), T)):
                    expected[t, i] += (GAMMA * 0.8) ** (k - t) * deltas[k, i]
                    if ended[k, i]:
                        break
        np.testing.assert_allclose(gae(*data, GAMMA, 0.8, horizon), expected, rtol=1e-12, atol=1e-14)

    def test_n_step(self, data):
        rewards, _, next_values, ended = data
        one = n_step_returns(rewards, next_values, ended, GAMMA, 1)
        np.testing.assert_allclose(one, rewards + GAMMA * next_values)
        np.testing.assert_allclose(
            n_step_returns(rewards, next_values, ended, GAMMA, 99), monte_carlo_returns(rewards, next_values, ended, GAMMA)
        )
        with pytest.raises(ValueError, match="n >= 1"):
            n_step_returns(rewards, next_values, ended, GAMMA, 0)

    def test_float32_stays(self, data, kernels):
        arrays = [x.astype(np.float32) for x in data[:3]]
        for horizon in (None, 3):
            assert gae(*arrays, data[3], GAMMA, 0.9, horizon).dtype == np.float32


class TestSurrogate:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_standardize(self, rng, dtype, kernels):
        x = rng.normal(3, 2, 50).astype(dtype)
        y = standardize(x)
        assert y.dtype == dtype
        np.testing.assert_allclose(y, (x - np.mean(x)) / np.std(x), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(standardize(np.ones(1, dtype)), 0)

    @pytest.mark.parametrize("seed", range(5))
    def test_gradient_on_both_sides_of_both_clips(self, seed, kernels):
        rng = np.random.default_rng(seed)
        old, advantages = rng.normal(size=60), rng.normal(size=60)
        ratio = rng.permutation(np.repeat([0.5, 0.75, 0.85, 1.0, 1.15, 1.25], 10)) * rng.uniform(0.98, 1.02, 60)
        log_prob = old + np.log(ratio)
        value, gradient, info = clipped_surrogate(log_prob, old, advantages, 0.2)
        expected = numerical_gradient(lambda x: clipped_surrogate(x, old, advantages, 0.2)[0], log_prob)
        assert relative_error(gradient, expected) < TOLERANCE
        outside = ((ratio > 1.2) & (advantages > 0)) | ((ratio < 0.8) & (advantages < 0))
        assert 0 < outside.sum() < 60
        assert (gradient[outside] == 0).all()
        assert (gradient[~outside] != 0).all()
        assert info["clip_fraction"] == pytest.approx((np.abs(ratio - 1) > 0.2).mean())
        assert info["kl"] == pytest.approx((ratio - 1 - np.log(ratio)).mean())
        assert value == pytest.approx(-np.minimum(ratio * advantages, np.clip(ratio, 0.8, 1.2) * advantages).mean())

    def test_at_ratio_one_it_is_the_policy_gradient(self, rng, kernels):
        log_prob, advantages = rng.normal(size=(2, 30))
        np.testing.assert_allclose(clipped_surrogate(log_prob, log_prob, advantages, 0.2)[1], -advantages / 30, rtol=1e-12)

    def test_huge_ratios_stay_finite(self, kernels):
        value, gradient, _ = clipped_surrogate(np.array([1e4, -1e4]), np.zeros(2), np.array([-1.0, 1.0]), 0.2)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("shapes", [((3,), (2,), (3,)), ((3,), (3,), (3, 1)), ((0,), (0,), (0,))])
def test_td_error_of_unequal_or_no_rows_is_refused(shapes):
    with pytest.raises(ValueError, match=r"expected .*given"):
        td_loss(*map(np.zeros, shapes))


class TestValueLoss:
    @pytest.mark.parametrize("clip", [None, 0.3])
    def test_gradient(self, rng, clip):
        values, old, targets = rng.normal(size=(3, 50))
        value, gradient = value_loss(values, old, targets, clip)
        expected = numerical_gradient(lambda x: value_loss(x, old, targets, clip)[0], values)
        assert relative_error(gradient, expected) < TOLERANCE
        if clip:
            assert 0 < (gradient == 0).sum() < 50
            assert value >= value_loss(values, old, targets)[0]


def begun(copies):
    scaler = RewardScaler(0.9)
    scaler.begin(copies)
    return scaler


@pytest.mark.usefixtures("kernels")
class TestNormalizers:
    def test_moments_equal_those_of_all_data_at_once(self, rng):
        batches = [rng.normal(1e6, 0.5, (n, 3)) for n in (1, 7, 0, 30, 2)]
        moments = RunningMoments(3)
        for batch in batches:
            moments.update(batch)
        everything = np.concatenate(batches)
        np.testing.assert_allclose(moments.mean, everything.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(moments.sigma, everything.std(axis=0, ddof=1), rtol=1e-6)

    def test_normalizes_clips_and_survives_a_constant(self, rng):
        normalizer = ObservationNormalizer(3)
        x = np.column_stack([rng.normal(5, 2, 1000), np.full(1000, 7.0), rng.normal(size=1000)]).astype(np.float32)
        normalizer.update(x)
        y = normalizer(x)
        assert y.dtype == np.float32
        np.testing.assert_allclose(y[:, 0].std(), 1, rtol=0.01)
        np.testing.assert_allclose(y[:, 1], 0, atol=1e-6)
        assert normalizer(np.array([[1e9, 7.0, 0.0]]))[0, 0] == 10

    def test_calling_does_not_learn(self, rng):
        normalizer = ObservationNormalizer(3)
        normalizer.update(rng.normal(size=(10, 3)))
        before = {k: np.copy(v) for k, v in normalizer.state_dict().items()}
        normalizer(rng.normal(100, 1, (10, 3)))
        for name, value in normalizer.state_dict().items():
            np.testing.assert_array_equal(value, before[name])

    def test_reward_scale_is_the_deviation_of_the_discounted_return(self, rng):
        scaler, returns, seen = begun(2), np.zeros(2), []
        for _ in range(50):
            rewards, ended = rng.normal(size=2) * 3, rng.random(2) < 0.1
            scaled = scaler(rewards, ended, np.ones(2, bool))
            returns = 0.9 * returns + rewards
            seen.append(returns.copy())
            np.testing.assert_allclose(scaled, np.clip(rewards / np.std(seen, ddof=1), -10, 10), rtol=1e-6)
            returns[ended] = 0

    def test_steps_that_never_happened_leave_the_reward_scale_alone(self, rng):
        all_valid, some_dead = begun(1), begun(1)
        one, none = np.ones(1, bool), np.zeros(1, bool)
        for reward in rng.normal(size=(20, 1)):
            scaled = all_valid(reward, one, one)
            np.testing.assert_array_equal(some_dead(reward, one, one), scaled)
            some_dead(np.zeros(1), none, none)

    def test_a_large_mean_does_not_swallow_float64_observations(self, rng):
        normalizer, x = ObservationNormalizer(1), 1e8 + rng.normal(size=(500, 1))
        normalizer.update(x)
        np.testing.assert_allclose(normalizer(x), (x - x.mean()) / x.std(ddof=1), atol=1e-2)

    def test_wrong_size_is_refused(self):
        with pytest.raises(ValueError, match=r"moments of 3 features, given mean of shape \(4,\)"):
            RunningMoments(3).load_state_dict(RunningMoments(4).state_dict())


def test_values_too_high_and_too_low_are_weighed_apart():
    """δ = +1 and −1 with α = 0.8: factors 1.6 and 0.4; beyond κ = 0.5 the loss is 0.5·(2·1 − 0.5)."""
    values, targets, ones = np.array([2.0, 0.0]), np.array([1.0, 1.0]), np.ones(2)
    loss, dvalues, errors = td_loss(values, targets, ones, 0.8)
    np.testing.assert_allclose((loss, *dvalues, *errors), (1.0, 1.6, -0.4, 1, -1))
    loss, dvalues, _ = td_loss(values, targets, ones, 0.8, 0.5)
    np.testing.assert_allclose((loss, *dvalues), (0.75, 0.8, -0.2))
