"""SAC of choices: its losses, its updates, masks, and that it learns."""

import numpy as np
import pytest
from gymnasium import spaces

import rl
from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error
from rl import DiscreteSAC, DiscreteSACConfig
from rl.losses.soft import soft_policy_loss, soft_value
from tests.rl.references.worlds import Choices
from tests.rl.toys import Allowed, Target, vectorize

SMALL = dict(hidden=(16, 16), batch_size=32, warmup=100, memory=1000, lr=3e-3)


class TestLosses:
    def test_the_gradient_is_the_derivative(self, rng):
        z, q = rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
        _, dz, _ = soft_policy_loss(z, q, 0.3)
        assert relative_error(dz, numerical_gradient(lambda v: soft_policy_loss(v, q, 0.3)[0], z)) < TOLERANCE

    def test_by_the_definition(self, rng):
        z, q, alpha = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), 0.7
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        value, _, entropies = soft_policy_loss(z, q, alpha)
        np.testing.assert_allclose(entropies, -(p * np.log(p)).sum(axis=1), rtol=1e-12)
        np.testing.assert_allclose(value, (p * (alpha * np.log(p) - q)).sum(axis=1).mean(), rtol=1e-12)
        np.testing.assert_allclose(soft_value(z, q, alpha), (p * (q - alpha * np.log(p))).sum(axis=1), rtol=1e-12)

    def test_the_best_policy_is_softmax_of_values(self, rng):
        """There the gradient is 0, and the value is α ln Σ e^{Q/α}, whatever is added to the logits."""
        q, alpha = rng.normal(size=(5, 3)), 0.7
        z = q / alpha + rng.normal(size=(5, 1))
        np.testing.assert_allclose(soft_policy_loss(z, q, alpha)[1], 0, atol=1e-15)
        np.testing.assert_allclose(soft_value(z, q, alpha), alpha * np.log(np.exp(q / alpha).sum(axis=1)), rtol=1e-12)

    def test_what_is_excluded_counts_nowhere(self):
        z, q = np.float32([[1.0, 2.0, -np.inf]]), np.float32([[1.0, 2.0, 9.0]])
        for all_of_it, part in zip(soft_policy_loss(z, q, 0.5), soft_policy_loss(z[:, :2], q[:, :2], 0.5), strict=True):
            np.testing.assert_allclose(np.ravel(all_of_it)[: np.size(part)], np.ravel(part), rtol=1e-6)
        np.testing.assert_allclose(soft_value(z, q, 0.5), soft_value(z[:, :2], q[:, :2], 0.5), rtol=1e-6)

    def test_other_shapes_are_refused(self):
        with pytest.raises(ValueError, match="expected values of shape"):
            soft_policy_loss(np.zeros((2, 3)), np.zeros((3, 2)), 0.1)


def test_the_target_entropy_is_a_share_of_that_of_a_uniform_choice():
    agent = DiscreteSAC(Choices, DiscreteSACConfig(**SMALL))
    assert agent.temperature.target_entropy == pytest.approx(0.6 * np.log(3))
    with_own = DiscreteSAC(Choices, DiscreteSACConfig(**SMALL, target_entropy=0.25))
    assert with_own.temperature.target_entropy == 0.25


def test_the_entropy_comes_to_its_target():
    agent, metrics = DiscreteSAC(lambda: Target(discrete=True), DiscreteSACConfig(**{**SMALL, "lr": 1e-2}), seed=0), []
    agent.learn(3000, lambda agent, m: metrics.append(m["entropy"]) if "entropy" in m else None)
    assert metrics[-1] == pytest.approx(0.6 * np.log(2), abs=0.05)
    assert rl.evaluate(agent, lambda: Target(discrete=True), 20).mean() == 1


def test_the_critics_error_is_the_mean_of_both(rng):
    agent = DiscreteSAC(Choices, DiscreteSACConfig(**SMALL))
    s, a = rng.normal(size=(9, 3)).astype("f"), rng.integers(3, size=9)
    y, w = rng.normal(size=9).astype("f"), np.ones(9, "f")
    q = [network.predict(s)[np.arange(9), a] for network in agent.critics.networks]
    loss, errors = agent.critics.fit(s, a, y, w)
    np.testing.assert_allclose(errors, (np.abs(q[0] - y) + np.abs(q[1] - y)) / 2, rtol=1e-5)
    np.testing.assert_allclose(loss, (((q[0] - y) ** 2).mean() + ((q[1] - y) ** 2).mean()) / 2, rtol=1e-5)


def test_masks_hold_in_acting_and_in_values():
    """The task raises at a choice that is forbidden."""

    def make():
        return Allowed(spaces.Discrete(4))

    agent = DiscreteSAC(vectorize(make, 2), DiscreteSACConfig(**SMALL, temperature=0.01), seed=0).learn(800)
    assert rl.evaluate(agent, make, 20).mean() > 0.7
