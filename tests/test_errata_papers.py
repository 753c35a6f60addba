"""docs/errata.md, computed: what the other papers print."""

import math

import numpy as np
import pytest

from deepnp.gradcheck import numerical_gradient
from deepnp.ops.normalization import layer_norm
from deepnp.optim import polyak
from rl.losses.returns import gae
from rl.losses.surrogate import clipped_surrogate
from rl.networks import squashed
from rl.networks.distributions import Categorical
from tests.test_errata import EXACT, off


def integral(density, x):
    """Trapezoids."""
    return float(((density[1:] + density[:-1]) / 2 * np.diff(x)).sum())


def test_density_of_a_squashed_action():
    a, mean, sigma = np.tanh(np.linspace(-9, 9, 20_001)), 0.3, 0.8
    noise = (np.arctanh(a) - mean) / sigma
    log_normal = -0.5 * noise**2 - math.log(sigma) - 0.5 * math.log(2 * math.pi)
    assert integral(np.exp(log_normal) * (1 - a) ** 2, a) < 0.7
    assert integral(np.exp(log_normal) / (1 - a**2), a) == pytest.approx(1, abs=1e-5)
    (actions, log_prob), _ = squashed.forward(np.full((len(a), 1), mean), np.full((len(a), 1), math.log(sigma)), noise[:, None])
    np.testing.assert_allclose(actions[:, 0], a, rtol=1e-9)
    assert integral(np.exp(log_prob), actions[:, 0]) == pytest.approx(1, abs=1e-5)


def test_entropy_tuning_has_a_target(rng):
    """β should rise where the entropy is below its target, and rest where it is at it."""
    target = 1.2
    for entropy in (target - 0.5, target, target + 0.5):
        log_pi = rng.normal(size=1000)
        log_pi += -entropy - log_pi.mean()  # E[−ln π] is the entropy
        printed = numerical_gradient(lambda beta, log_pi=log_pi: float((target - beta * log_pi).mean()), np.ones(1))
        right = numerical_gradient(lambda beta, log_pi=log_pi: float((-beta * (log_pi + target)).mean()), np.ones(1))
        assert printed[0] == pytest.approx(entropy)  # falls for ever: the target plays no part
        assert right[0] == pytest.approx(entropy - target)


def test_boltzmann_policy_sums_to_one(rng):
    q, tau = rng.normal(size=5), 2.0
    assert (np.exp(tau * q) / np.exp(-tau * q).sum()).sum() != pytest.approx(1, rel=0.1)
    right = np.exp(tau * q) / np.exp(tau * q).sum()
    assert right.sum() == pytest.approx(1)
    np.testing.assert_allclose(np.exp(Categorical(tau * q[None]).log_prob(np.arange(5)[:1])), right[:1])


def test_deterministic_actor_climbs():
    def q(action):
        return -((action - 0.4) ** 2)

    printed = right = 0.0
    for _ in range(50):
        printed -= 0.1 * -2 * (printed - 0.4)  # min over the actor of E[Q]
        right += 0.1 * -2 * (right - 0.4)
    assert q(printed) < -100
    assert q(right) > -1e-6


def test_target_network_moves_by_the_gap(rng):
    theta, target, step, alpha = *rng.normal(size=(3, 4)), 0.1
    moved = target.copy()
    polyak(moved, theta + step, alpha)
    assert off(alpha * step, moved - target) > 0.3
    assert off(alpha * (theta + step - target), moved - target) < 1e-12


def test_layer_normalisation_does_not_guarantee_convergence():
    """A linear value over LayerNormed features, two transitions: its expected TD update grows without bound."""
    plane = np.array([[1, -1, 0], [1, 1, -2]]) / np.sqrt([[2], [6]])  # what LayerNorm keeps of three numbers
    angles = np.array([5.36, 0.15, 1.30])
    raw = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ plane
    features, _ = layer_norm.forward(raw, np.ones(3), np.zeros(3), eps=1e-12)
    gamma, transitions = 0.99, [(0, 1, 0.54), (2, 1, 0.46)]  # from, to, share of the data
    update = sum(share * np.outer(features[s], gamma * features[n] - features[s]) for s, n, share in transitions)
    assert np.linalg.eigvals(update).real.max() > 0.1
    w = 1e-3 * raw[0]
    for _ in range(500):
        w = w + 0.1 * update @ w
    assert np.linalg.norm(w) > 1e6


def test_evidence_is_bounded_from_below(rng):
    joint, prior = 0.3 * rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(4))  # p(x, z) of one x and four z; p(z)
    evidence = math.log(joint.sum())

    def terms(q):
        return (q * np.log(joint / prior)).sum(), (q * np.log(q / prior)).sum()

    reconstruction, kl = terms(joint / joint.sum())
    assert reconstruction + kl > evidence + 0.1  # no lower bound
    assert reconstruction - kl == pytest.approx(evidence)  # the bound is reached where q is the posterior
    for q in rng.dirichlet(np.ones(4), size=100):
        reconstruction, kl = terms(q)
        assert reconstruction - kl <= evidence


def test_change_of_variables():
    z = np.linspace(-8, 8, 4001)
    x, slope = z + 0.5 * np.tanh(z) * 2, 1 + 1 / np.cosh(z) ** 2  # x = g(z)
    p = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    assert integral(p * slope, x) > 2
    assert integral(p / slope, x) == pytest.approx(1, abs=1e-6)


def test_backtracking_needs_a_cap():
    """Two rows that look alike and want different values: no step, however short, moves them apart."""
    features, wanted, eta = np.array([[1.0, 2.0], [1.0, 2.0]]), np.array([1.0, -0.2]), 0.97
    kernel = features @ features.T
    assert np.linalg.matrix_rank(kernel) == 1
    z = np.linalg.lstsq(kernel, wanted, rcond=None)[0]
    for halvings in range(50):
        change = features @ (0.5**halvings * (z @ features))
        assert change @ wanted / np.linalg.norm(change) / np.linalg.norm(wanted) < eta
    apart = np.array([[1.0, 2.0], [1.0, -2.0]])
    change = apart @ (np.linalg.lstsq(apart @ apart.T, wanted, rcond=None)[0] @ apart)
    assert change @ wanted / np.linalg.norm(change) / np.linalg.norm(wanted) > eta


def test_row_ratio_averages_what_is_off_the_diagonal():
    n = 4
    kernel = np.full((n, n), 2.0)  # every entry like the diagonal: a ratio of 1
    off_diagonal = np.abs(kernel[0, 1:]).sum() / kernel[0, 0]
    assert off_diagonal / n == 0.75
    assert off_diagonal / (n - 1) == 1


def test_length_of_a_natural_step(rng):
    root = rng.normal(size=(4, 4))
    fisher, g, delta = root @ root.T + np.eye(4), rng.normal(size=4), 0.01
    direction = np.linalg.solve(fisher, g)

    def divergence(alpha):
        return 0.5 * alpha**2 * direction @ fisher @ direction

    assert divergence(math.sqrt(2 * delta / (g @ fisher @ g))) < 0.5 * delta
    assert divergence(math.sqrt(2 * delta / (g @ direction))) == pytest.approx(delta)


def test_generalised_advantage_is_a_mean(rng):
    rewards, values, next_values = rng.normal(size=(3, 400, 1))
    next_values[:-1] = values[1:]
    gamma, lam = 0.9, 0.7
    deltas = (rewards + gamma * next_values - values)[:, 0]
    n_step = np.cumsum(gamma ** np.arange(400) * deltas)  # A⁽ⁿ⁾, n = 1 …
    printed = (lam ** np.arange(400) * n_step).sum()
    ours = gae(rewards, values, next_values, np.zeros((400, 1), bool), gamma, lam)[0, 0]
    assert abs(printed - ours) > 0.1
    assert (1 - lam) * printed == pytest.approx(ours, rel=1e-9)


def test_divergence_is_a_difference_of_logarithms(rng):
    p, b = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(4))
    ours = Categorical(np.log(p)[None]).kl(Categorical(np.log(b)[None]))[0]
    assert abs((p * np.log(p) / np.log(b)).sum() - ours) > 0.1
    assert (p * (np.log(p) - np.log(b))).sum() == pytest.approx(ours)
    assert (p * np.log(p) / np.log(p)).sum() == pytest.approx(1)  # of a distribution from itself, where it should be 0


def test_cloning_term_is_not_scaled(rng):
    """TD3+BC: J = λ Q(μ) − (μ − a)², here with Q(μ) = −½|μ − c|²."""
    mu, action, best, lam = *rng.normal(size=(3, 4)), 5.0
    true = numerical_gradient(lambda m: float(lam * -0.5 * ((m - best) ** 2).sum() - ((m - action) ** 2).sum()), mu)
    dq = best - mu
    assert off(lam * (dq - 2 * (mu - action)), true) > 0.3
    assert off(lam * dq - 2 * (mu - action), true) < EXACT


def test_advantage_compares_actions():
    """AWAC: with the right Q, r + γ E Q′ − Q is zero for every action."""
    rewards, pi, gamma, value = np.array([1.0, 0.0, 2.0]), np.array([0.2, 0.5, 0.3]), 0.9, 0.0
    for _ in range(1000):  # one state, three actions that lead back to it
        value = pi @ (rewards + gamma * value)
    q = rewards + gamma * value
    np.testing.assert_allclose(rewards + gamma * pi @ q - q, 0, atol=1e-9)
    advantage = q - pi @ q
    assert advantage.argmax() == 2
    assert advantage.max() > 1


def test_actor_draws_its_action_anew(rng):
    """SAC, simplified: a stored action does not move with the policy, so no gradient of Q reaches it."""
    mean, log_sigma, noise = rng.normal(size=(3, 1, 2))
    (stored, _), _ = squashed.forward(mean, log_sigma, noise)
    pull = rng.normal(size=2)

    def q(action):
        return float((action @ pull)[0])

    np.testing.assert_array_equal(numerical_gradient(lambda m: q(stored), mean), 0)
    true = numerical_gradient(lambda m: q(squashed.forward(m, log_sigma, noise)[0][0]), mean)
    assert np.abs(true).max() > 0.01
    _, cache = squashed.forward(mean, log_sigma, noise)
    assert off(squashed.backward((pull[None], np.zeros(1)), cache)[0], true) < EXACT


def test_share_of_the_source(rng):
    """No error, two ways of saying it: their τ ≈ 0.999 is the target's share, ours 0.001 the source's."""
    target, source = rng.normal(size=(2, 5))
    theirs = 0.999 * target + (1 - 0.999) * source
    polyak(target, source, 0.001)
    np.testing.assert_allclose(target, theirs, rtol=1e-12)


def test_surrogate_is_climbed(rng):
    log_prob, advantages = rng.normal(size=(2, 8))
    old = log_prob + 0.05

    def printed(log_prob):  # what stands under min over θ
        ratio = np.exp(log_prob - old)
        return float(np.minimum(ratio * advantages, np.clip(ratio, 0.8, 1.2) * advantages).mean())

    downhill = -numerical_gradient(printed, log_prob)
    assert (downhill * advantages).sum() < 0  # good actions become rare
    value, dlog_prob, _ = clipped_surrogate(log_prob, old, advantages, clip=0.2)
    assert value == pytest.approx(-printed(log_prob))
    assert (-dlog_prob * advantages).sum() > 0
    assert off(dlog_prob, downhill) < EXACT


def test_every_so_many_steps():
    """`if t mod d` is true at all steps but every d-th."""
    d = 3
    assert sum(bool(t % d) for t in range(30)) == 20
    assert sum(t % d == 0 for t in range(30)) == 10
