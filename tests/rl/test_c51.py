"""C51: projection, loss, and the values that it acts by."""

import numpy as np
import pytest

from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error
from rl import C51, C51Config
from rl.losses.distributional import categorical_loss, project
from rl.networks.q_networks import SupportMean
from tests.rl.references.worlds import Choices
from tests.rl.toys import Endless, suited, vectorize

SUPPORT = np.linspace(-2, 2, 9)


class TestProjection:
    def test_by_the_loop_of_the_paper(self, rng):
        p = rng.dirichlet(np.ones(9), 6)
        rewards, discounts = rng.normal(size=6), rng.choice([0.0, 0.9], 6)
        expected = np.zeros((6, 9))
        for b in range(6):
            for j in range(9):
                place = (np.clip(rewards[b] + discounts[b] * SUPPORT[j], -2, 2) + 2) / 0.5
                for k in range(9):
                    expected[b, k] += p[b, j] * max(0.0, 1 - abs(place - k))
        np.testing.assert_allclose(project(p, rewards, discounts, SUPPORT), expected, atol=1e-12)

    def test_it_keeps_the_mass_and_the_mean(self, rng):
        p = rng.dirichlet(np.ones(9), 50)
        rewards, discounts = rng.uniform(-0.5, 0.5, 50), np.full(50, 0.7)
        m = project(p, rewards, discounts, SUPPORT)
        np.testing.assert_allclose(m.sum(axis=1), 1)
        np.testing.assert_allclose(m @ SUPPORT, rewards + discounts * (p @ SUPPORT), atol=1e-12)

    def test_beyond_the_ends_all_of_it_lies_there(self):
        m = project(np.full((2, 9), 1 / 9), np.array([10.0, -10.0]), np.array([0.5, 0.5]), SUPPORT)
        np.testing.assert_allclose(m, np.eye(9)[[8, 0]], atol=1e-12)


def test_the_loss_by_its_definition(rng):
    x, a = rng.normal(size=(5, 3, 4)), rng.integers(3, size=5)
    m, w = rng.dirichlet(np.ones(4), 5), rng.uniform(size=5)
    value, dx, errors = categorical_loss(x, a, m, w)
    taken = x[np.arange(5), a]
    p = np.exp(taken) / np.exp(taken).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(errors, -(m * np.log(p)).sum(axis=1), rtol=1e-12)
    assert value == pytest.approx(np.mean(w * errors))
    assert relative_error(dx, numerical_gradient(lambda v: categorical_loss(v, a, m, w)[0], x)) < TOLERANCE


def test_it_acts_by_the_mean_of_its_support(rng):
    logits = np.log(np.array([[0.5, 0.0, 0.5, 0.0, 1.0, 0.0]]) + 1e-30)
    np.testing.assert_allclose(SupportMean(np.array([-1.0, 0.0, 3.0]))(logits), [[1.0, 0.0]], atol=1e-12)


def test_the_distribution_of_an_endless_reward_is_at_its_value():
    config = C51Config(lowest=0.0, highest=10.0, atoms=21, gamma=0.8, targets="polyak", tau=0.05, hidden=(16,), warmup=100, lr=1e-2)
    agent = C51(vectorize(suited(C51, Endless), 2), config, seed=0).learn(3000)
    assert agent.policy.predict(np.zeros((1, 1), "f")).max() == pytest.approx(5, rel=0.05)


def test_a_support_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"expected lowest < highest, given 3\.0 and 3\.0"):
        C51Config(lowest=3.0, highest=3.0)


def test_double_chooses_by_the_network(rng):
    agent = C51(Choices, C51Config(double=True, hidden=(8,), batch_size=16, warmup=50, memory=500)).learn(120)
    assert agent.policy_optimizer.t == 70
