"""QR-DQN: its loss, and that quantiles are what it finds."""

import numpy as np
import pytest

import deepnp
from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error
from rl import QRDQN, QRDQNConfig
from rl.losses.distributional import quantile_loss
from rl.networks.q_networks import QuantileMean
from tests.rl.toys import Endless, suited, vectorize


def test_the_loss_by_its_loop(rng, kernels):
    theta, a = rng.normal(size=(4, 2, 3)), rng.integers(2, size=4)
    y, w, limit = rng.normal(size=(4, 5)), rng.uniform(size=4), 0.7
    expected = np.zeros(4)
    for b in range(4):
        for i in range(3):
            for j in range(5):
                u, level = y[b, j] - theta[b, a[b], i], (i + 0.5) / 3
                huber = u * u / 2 if abs(u) <= limit else limit * (abs(u) - limit / 2)
                expected[b] += abs(level - (u < 0)) * huber / limit / 5
    value, dtheta, errors = quantile_loss(theta, a, y, w, limit)
    assert value == pytest.approx(np.mean(w * expected), rel=1e-12)
    np.testing.assert_allclose(errors, theta[np.arange(4), a].mean(axis=1) - y.mean(axis=1), rtol=1e-12)
    assert relative_error(dtheta, numerical_gradient(lambda v: quantile_loss(v, a, y, w, limit)[0], theta)) < TOLERANCE


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-6), (np.float64, 1e-12)])
@pytest.mark.parametrize("odd", [0.0, np.nan, np.inf, -np.inf])
def test_the_kernel_agrees_with_the_plain_form(dtype, tolerance, odd, rng):
    theta, y = (3 * rng.normal(size=(9, 2, 37))).astype(dtype), (3 * rng.normal(size=(9, 53))).astype(dtype)
    theta[0, 0, 0], y[3, 7] = odd, odd
    arguments = theta, rng.integers(2, size=9), y, rng.uniform(size=9).astype(dtype), 0.7
    fast = quantile_loss(*arguments)
    deepnp.use_kernels(False)
    plain = quantile_loss(*arguments)
    deepnp.use_kernels(True)
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


def test_descent_finds_the_quantiles(rng):
    """Of 10,000 exponential draws, by plain descent on θ itself."""
    y, theta = rng.exponential(size=(1, 10_000)), np.zeros((1, 1, 4))
    for _ in range(3000):
        theta -= 0.2 * quantile_loss(theta, np.array([0]), y, np.ones(1), 0.01)[1]
    np.testing.assert_allclose(theta[0, 0], np.quantile(y, [0.125, 0.375, 0.625, 0.875]), atol=0.03)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="expected values"):
        quantile_loss(np.zeros((4, 2, 3)), np.zeros(3, int), np.zeros((4, 5)), np.ones(4))
    with pytest.raises(ValueError, match="expected targets"):
        quantile_loss(np.zeros((4, 2, 3)), np.zeros(4, int), np.zeros((3, 5)), np.ones(4))


def test_it_acts_by_the_mean_of_its_quantiles():
    np.testing.assert_allclose(QuantileMean(3)(np.array([[1.0, 2.0, 3.0, -1.0, 0.0, 7.0]])), [[2.0, 2.0]])


def test_all_quantiles_of_an_endless_reward_are_at_its_value():
    config = QRDQNConfig(quantiles=5, gamma=0.8, targets="polyak", tau=0.05, hidden=(16,), warmup=100, lr=1e-2)
    agent = QRDQN(vectorize(suited(QRDQN, Endless), 2), config, seed=0).learn(3000)
    np.testing.assert_allclose(agent.policy.outputs(np.zeros((1, 1), "f")), 5, rtol=0.05)
