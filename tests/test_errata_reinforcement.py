"""docs/errata.md, computed: the thesis's chapter on reinforcement learning. Shapes: T steps, one environment."""

import math

import numpy as np
import pytest

from deepnp import losses
from deepnp.gradcheck import numerical_gradient
from deepnp.ops.regularization import spectral_norm
from rl.experience.normalize import ObservationNormalizer
from rl.losses.returns import gae, monte_carlo_returns
from rl.networks import squashed
from rl.networks.distributions import Categorical, DiagonalGaussian
from tests.test_errata import EXACT, off

GAMMA, LAM = 0.9, 0.8


def test_entropy_is_added_not_its_negative(rng):
    """§3.2.1–2 climb J, and add the derivative of the negative entropy to it."""
    logits, one = rng.normal(size=(1, 4)), np.ones(1)
    before = Categorical(logits)
    (dentropy,) = before.entropy_backward(one)
    assert off(dentropy, numerical_gradient(lambda z: float(Categorical(z).entropy()[0]), logits)) < EXACT
    assert Categorical(logits + 0.1 * -dentropy).entropy() < before.entropy()  # ascent with what is printed: less exploration
    assert Categorical(logits + 0.1 * dentropy).entropy() > before.entropy()
    mean, sigma = np.zeros((1, 2)), np.array([0.5, 2.0])
    _, dsigma = DiagonalGaussian(mean, sigma).entropy_backward(one)
    assert off(dsigma, numerical_gradient(lambda s: float(DiagonalGaussian(mean, s).entropy()[0]), sigma)) < EXACT
    assert (dsigma > 0).all()


@pytest.fixture
def steps(rng):
    """Rewards, values and next values (6, 1) of one unfinished episode, and where episodes end: nowhere."""
    rewards, values = rng.normal(size=(6, 1)), rng.normal(size=(7, 1))
    return rewards, values[:-1], values[1:], np.zeros((6, 1), bool)


def test_exponent_of_the_last_reward(steps):
    rewards, _, next_values, ended = steps
    t, end = 2, 6
    first = sum(GAMMA ** (k - t) * rewards[k, 0] for k in range(t, end - 1)) + GAMMA ** (end - t) * next_values[-1, 0]
    printed = first + GAMMA ** (end - t + 1) * rewards[-1, 0]
    right = first + GAMMA ** (end - 1 - t) * rewards[-1, 0]
    ours = monte_carlo_returns(rewards, next_values, ended, GAMMA)[t, 0]
    assert abs(printed - right) > 0.01
    assert ours == pytest.approx(right, rel=1e-12)


def test_exponents_of_the_advantage(steps):
    rewards, values, next_values, ended = steps
    delta, t, decay = (rewards + GAMMA * next_values - values)[:, 0], 2, GAMMA * LAM
    by_definition = sum(decay ** (i - t) * delta[i] for i in range(t, 6))
    equation_17 = sum(decay**k * delta[t + k] for k in range(t, 6 - t))  # its sum begins at k = t
    expansion = by_definition - decay ** (5 - t) * delta[5] + decay ** (6 - t + 1) * delta[5]  # its last exponent is T − t + 1
    algorithm_12 = sum(decay**i * delta[i] for i in range(t, 6))
    for printed in (equation_17, expansion, algorithm_12):
        assert abs(printed - by_definition) > 0.01
    assert gae(rewards, values, next_values, ended, GAMMA, LAM)[t, 0] == pytest.approx(by_definition, rel=1e-12)


def test_advantages_stop_where_the_episode_does(steps):
    rewards, values, _, _ = steps
    deltas = (rewards + GAMMA * np.append(values[1:], [[5.0]], axis=0) - values)[:, 0]
    printed = sum((GAMMA * LAM) ** i * deltas[i] for i in range(6))  # through the end of an episode after step 2
    ended, next_values = np.zeros((6, 1), bool), np.append(values[1:], [[5.0]], axis=0)
    ended[2], next_values[2] = True, 0  # s₂ terminated
    alone = deltas[0] + GAMMA * LAM * deltas[1] + (GAMMA * LAM) ** 2 * (rewards[2, 0] - values[2, 0])
    assert abs(printed - alone) > 0.1
    assert gae(rewards, values, next_values, ended, GAMMA, LAM)[0, 0] == pytest.approx(alone, rel=1e-12)


def test_truncation_is_no_end():
    """A reward of 1 for ever, cut every ten steps: V = 1/(1 − γ), unless the cut is taken for an end."""
    ones, ended = np.ones((10, 1)), np.arange(10)[:, None] == 9
    right, printed = 1 / (1 - GAMMA), sum(GAMMA**k for k in range(10))  # nothing after the last step
    next_values = np.full((10, 1), right)
    np.testing.assert_allclose(monte_carlo_returns(ones, next_values, ended, GAMMA), right)
    np.testing.assert_allclose(gae(ones, next_values, next_values, ended, GAMMA, LAM), 0, atol=1e-12)
    assert printed < 0.7 * right


def test_gaussian_probability_by_its_mean(rng):
    mean, sigma, action = rng.normal(size=(1, 3)), np.array([0.3, 0.7, 2.0]), rng.normal(size=(1, 3))

    def probability(mean):
        return float(np.exp(DiagonalGaussian(mean, sigma).log_prob(action)[0]))

    true, p = numerical_gradient(probability, mean), probability(mean)
    assert off(p * (action - mean) / sigma, true) > 0.2
    assert off(p * (action - mean) / sigma**2, true) < EXACT
    ours, _ = DiagonalGaussian(mean, sigma).log_prob_backward(action, np.array([p]))  # ∂π = π ∂ ln π
    assert off(ours, true) < EXACT


def test_divergence_is_of_distributions(rng):
    """Alg. 12 l. 63 puts two probabilities of one action into KL."""
    grid = np.linspace(-12, 12, 20_001)[:, None]
    old, new = (DiagonalGaussian(np.full_like(grid, m), np.array([s])) for m, s in ((0.0, 1.0), (0.5, 0.8)))
    log_p, log_q = old.log_prob(grid), new.log_prob(grid)
    printed = np.exp(log_p) * (log_p - log_q)  # of one action
    right = float(printed.sum() * (grid[1, 0] - grid[0, 0]))  # over all of them
    assert printed.min() < -0.05  # a divergence is never negative
    assert old.kl(new)[0] == pytest.approx(right, rel=1e-9)
    assert right > 0


def test_squashed_policy_gradient(rng):
    """Eq. 35–38 and Alg. 13 l. 33–36: J = Q(tanh u) − β ln π, u = μ + σξ, with ξ held."""
    mean, log_sigma, noise = rng.normal(size=(3, 1, 4))
    beta, weights = 0.7, rng.normal(size=4)
    sigma = np.exp(log_sigma)

    def objective(mean, sigma):
        (a, log_prob), _ = squashed.forward(mean, np.log(sigma), noise)
        return float((a @ weights - beta * log_prob)[0])

    true_mean = numerical_gradient(lambda m: objective(m, sigma), mean)
    true_sigma = numerical_gradient(lambda s: objective(mean, s), sigma)
    u = mean + sigma * noise
    t = np.tanh(u)
    printed = weights * (1 - t**2) - beta * ((u - mean) / sigma**2 - -2 * t)
    assert off(printed, true_mean) > 0.3
    assert off(printed * noise, true_sigma) > 0.3
    signed = weights * (1 - t**2) - beta * (-(u - mean) / sigma**2 + 2 * t)  # the right ∂/∂u; but μ moves u and ln π together
    assert off(signed, true_mean) > 0.3
    right = weights * (1 - t**2) - 2 * beta * t
    assert off(right, true_mean) < EXACT
    assert off(right * noise, true_sigma) > 0.1  # without β/σ nothing holds σ up
    assert off(right * noise + beta / sigma, true_sigma) < EXACT
    _, cache = squashed.forward(mean, log_sigma, noise)
    dmean, dlog_sigma, _ = squashed.backward((np.broadcast_to(weights, mean.shape), np.array([-beta])), cache)
    assert off(dmean, true_mean) < EXACT
    assert off(dlog_sigma / sigma, true_sigma) < EXACT  # dℓ = σ dσ


def test_bounded_mean_before_tanh():
    assert np.tanh(np.tanh(1e9)) < 0.77  # the most probable action never comes nearer to its bound
    (action, _), _ = squashed.forward(np.full((1, 1), 5.0), np.full((1, 1), -20.0), np.zeros((1, 1)))
    assert action > 0.999


def test_normalised_by_the_deviation(rng):
    x = rng.normal(3, 5, size=(4000, 1)).astype(np.float32)
    printed = (x - x.mean()) / x.var(ddof=1)
    assert printed.std() == pytest.approx(1 / 5, rel=0.05)
    normalizer = ObservationNormalizer(1)
    normalizer.update(x)
    assert normalizer(x).std() == pytest.approx(1, abs=1e-3)
    constant = ObservationNormalizer(1)
    constant.update(np.full((9, 1), 7.0, np.float32))
    np.testing.assert_array_equal(constant(np.full((2, 1), 7.0, np.float32)), 0)


def test_sign_of_a_product_of_rewards():
    """§3.4.4: an even number of negative factors is what goes unnoticed."""
    assert np.prod([-0.5, -0.5, 1.0]) > 0
    assert np.prod([-0.5, -0.5, -0.5]) < 0


def test_length_of_the_memory():
    """§3.4.6: a memory of k states, s_{t−k} … s_t."""
    k, t = 4, 10
    assert len(range(t - k, t + 1)) == k + 1
    assert len(range(t - k + 1, t + 1)) == k


def test_spectral_norm_gradient(rng):
    weight = rng.normal(size=(4, 5))
    upstream = weight + rng.normal(size=(4, 5))
    u, s, vt = np.linalg.svd(weight)
    true = numerical_gradient(lambda w: float((upstream * w).sum() / np.linalg.norm(w, 2)), weight)
    normal = weight / s[0]
    assert off(upstream, true) > 0.5  # the step at W_SN, taken by W
    assert off(upstream / s[0], true) > 0.2
    assert off((upstream - (upstream * normal).sum() * np.outer(u[:, 0], vt[0])) / s[0], true) < EXACT
    assert off(spectral_norm.backward(upstream, spectral_norm.forward(weight, u[:, 0], vt[0])[1]), true) < EXACT


def test_importance_weights_belong_to_the_critic(rng):
    """Algorithm 17 scales the actor's gradient by w·δ, and leaves the critic's as it is."""
    q, target, p = rng.normal(size=8), rng.normal(size=8), rng.dirichlet(np.ones(8))
    w, delta = 1 / (8 * p), q - target
    true = numerical_gradient(lambda q: float((w * (q - target) ** 2).mean()), q)
    assert off(2 * delta / 8, true) > 0.3
    assert off(w * 2 * delta / 8, true) < EXACT
    assert off(losses.mse(q, target, weight=w)[1], true) < EXACT
    actor = rng.normal(size=8)  # each transition's gradient; drawn with probability p, weighted by w, its mean is the plain one
    assert (p * w * actor).sum() == pytest.approx(actor.mean())
    assert abs((p * w * delta * actor).sum() - actor.mean()) > 0.01


def test_shaped_reward_of_a_goal():
    """§3.4.10: progress is measured with |·|ᵖ, as Andrychowicz et al. 2017 have it."""
    goal, before, after, p = np.zeros(2), np.array([3.0, 4.0]), np.array([0.0, 4.0]), 2
    printed = np.linalg.norm(goal - before, p) - np.linalg.norm(goal - after, p)
    right = (np.abs(goal - before) ** p).sum() - (np.abs(goal - after) ** p).sum()
    assert printed == pytest.approx(1)
    assert right == pytest.approx(9)


def test_goal_of_a_relabelled_step():
    """Algorithm 18 l. 16 rewards by the old goal, and §3.4.10 by the state that was left."""

    def reward(state, goal):
        return -float(np.abs(state - goal) > 0.1)

    left, reached, goal = 0.0, 1.0, 9.0
    relabelled = reached  # strategy "future", k = 1: the state that was reached becomes the goal
    assert reward(reached, goal) == -1
    assert reward(left, relabelled) == -1
    assert reward(reached, relabelled) == 0


def test_clipped_targets_suit_one_reward():
    """Algorithm 18 l. 26 clips into [−1/(1 − γ), 0]: the range of values for rewards in {−1, 0}, and of no others."""
    low, true = -1 / (1 - GAMMA), 1 / (1 - GAMMA)  # a reward of 1 for ever
    assert np.clip(true, low, 0) == 0
    assert np.clip(-true, low, 0) == pytest.approx(-true)
    assert math.isclose(low, -10)
