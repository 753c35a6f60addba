"""NAF: its gradients, its maximum, its noise, and that it learns."""

import numpy as np
import pytest

import deepnp
import rl
from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error
from rl import NAF, NAFConfig
from rl.networks.naf import NAFNetwork
from tests.rl.toys import Target, space, vectorize


@pytest.fixture
def network(rng):
    made = NAFNetwork(space(4, 3), (8,), deepnp.Tanh, rng).to(np.float64)
    made.flat.data[...] += 0.3 * rng.normal(size=len(made.flat))
    return made


class TestNetwork:
    def test_gradients(self, network, rng):
        s, a, dq = rng.normal(size=(6, 4)), rng.uniform(-1, 1, (6, 3)), rng.normal(size=6)
        network.forward((s, a))
        network.zero_grad()
        ds = network.backward(dq)
        assert relative_error(ds, numerical_gradient(lambda v: float(dq @ network.forward((v, a))), s)) < TOLERANCE
        theta, given = network.flat.data.copy(), network.flat.grad.copy()

        def of_parameters(v):
            network.flat.data[...] = v
            return float(dq @ network.forward((s, a)))

        assert relative_error(given, numerical_gradient(of_parameters, theta)) < TOLERANCE

    def test_the_largest_value_is_v_and_lies_at_mu(self, network, rng):
        s = rng.normal(size=(1, 4))
        axis = np.linspace(-1, 1, 41)
        grid = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
        q = network.forward((np.repeat(s, len(grid), axis=0), grid))
        assert network.forward((s, network.predict(s)))[0] == pytest.approx(network.value(s)[0], abs=1e-12)
        assert network.value(s)[0] - 0.1 < q.max() <= network.value(s)[0]
        np.testing.assert_allclose(grid[q.argmax()], network.predict(s)[0], atol=0.2)

    def test_by_the_definition(self, network, rng):
        s, a = rng.normal(size=(1, 4)), rng.uniform(-1, 1, (1, 3))
        y = network.body.predict(s)[0]
        lower = np.array([[np.exp(y[4]), 0, 0], [y[5], np.exp(y[6]), 0], [y[7], y[8], np.exp(y[9])]])
        d = a[0] - np.tanh(y[1:4])
        assert network.forward((s, a))[0] == pytest.approx(y[0] - d @ lower @ lower.T @ d / 2, rel=1e-12)

    def test_noise_has_the_inverse_as_its_covariance(self, network, rng):
        s = rng.normal(size=(1, 4))
        draws = network.noise(np.repeat(s, 100_000, axis=0), rng)
        network.forward((s, np.zeros((1, 3))))
        precision = network.cache.factor[0] @ network.cache.factor[0].T
        expected = np.linalg.inv(precision)
        np.testing.assert_allclose(np.cov(draws.T), expected, atol=0.03 * np.abs(expected).max())


@pytest.mark.parametrize("noise", ["gaussian", "shaped"])
def test_actions_stay_in_the_range_and_it_learns(noise):
    config = NAFConfig(hidden=(32, 32), warmup=200, memory=5000, batch_size=64, lr=3e-3, noise=noise, exploration=0.5)
    agent = NAF(vectorize(Target, 2), config, seed=0).learn(1500)
    assert np.abs(agent.memory.actions).max() <= 1
    assert rl.evaluate(agent, Target(), 20).mean() > -0.02
