"""When Q-learning with a function approximator contracts ("Towards Characterizing Divergence in Deep Q-Learning", §3).

    U Q = Q + α K D_ρ (T*Q − Q)        K the kernel ∇Q(i)ᵀ∇Q(j), D_ρ how often each pair is learned from
    U1: K D = I        U2: K = I        U3: K constant        U: K of the network, first order only

Pairs (s, a) are numbered i, j = 0 … S·A − 1. E31 to E33 are rows of docs/errata.md.
"""

import numpy as np
import pytest

from deepnp import Linear, Sequential, Tanh
from rl.algorithms.tabular import operators as bellman
from rl.algorithms.tabular.dynamic_programming import value_iteration_q
from rl.algorithms.tabular.mdp import MDP
from tests.rl.garnet import garnet

SEEDS = pytest.mark.parametrize("seed", range(4))


def update(mdp, q, step, kernel, rho) -> np.ndarray:
    """U Q (S·A,): α `step`, K (S·A, S·A), ρ (S·A,)."""
    return q + step * kernel @ (rho * td_errors(mdp, q))


def td_errors(mdp, q) -> np.ndarray:
    """T*Q − Q (S·A,)."""
    return bellman.optimality_operator_q(mdp, q.reshape(mdp.R.shape)).ravel() - q


def modulus(mdp, step, kernel, rho) -> float:
    """β(K) = max_i Σ_j (|δ_ij − αK_ijρ_j| + αγ|K_ij|ρ_j)."""
    rows = np.abs(np.eye(len(rho)) - step * kernel * rho) + step * mdp.gamma * np.abs(kernel) * rho
    return float(rows.sum(axis=1).max())


def stretch(mdp, step, kernel, rho, seed, pairs=300) -> float:
    """The largest ‖UQ − UQ′‖/‖Q − Q′‖ of many pairs, of tables that differ by signs and by random numbers."""
    rng, found = np.random.default_rng(seed), 0.0
    for k in range(pairs):
        x = 3 * rng.normal(size=len(rho))
        y = x + (rng.choice([-1.0, 1.0], len(rho)) if k % 2 else rng.normal(size=len(rho)))
        moved = update(mdp, x, step, kernel, rho) - update(mdp, y, step, kernel, rho)
        found = max(found, np.abs(moved).max() / np.abs(x - y).max())
    return found


@pytest.fixture
def identity():
    return np.eye(garnet(0).R.size)


class TestLemmas:
    @SEEDS
    @pytest.mark.parametrize("step", [0.1, 0.7])
    def test_1_the_whole_table_contracts(self, seed, step, identity):
        mdp, everywhere = garnet(seed), np.ones(len(identity))
        bound = 1 - (1 - mdp.gamma) * step
        assert stretch(mdp, step, identity, everywhere, seed) <= bound + 1e-12
        shift = update(mdp, everywhere, step, identity, everywhere) - update(mdp, 0 * everywhere, step, identity, everywhere)
        np.testing.assert_allclose(shift, bound)  # a constant is what shrinks the least
        best = value_iteration_q(mdp, 1e-12).action_values.ravel()
        np.testing.assert_allclose(update(mdp, best, step, identity, everywhere), best, atol=1e-10)

    @SEEDS
    def test_2_the_rarest_pair_decides(self, seed, identity):
        mdp = garnet(seed)
        rho = np.random.default_rng(seed).dirichlet(np.ones(len(identity)))
        step = 0.9 / rho.max()
        bound = 1 - (1 - mdp.gamma) * step * rho.min()
        assert stretch(mdp, step, identity, rho, seed) <= bound + 1e-12
        shift = update(mdp, rho * 0 + 1, step, identity, rho) - update(mdp, rho * 0, step, identity, rho)
        assert shift.max() == pytest.approx(bound, rel=1e-12)

    def test_2_what_is_never_seen_never_moves(self, identity):
        mdp, rho = garnet(1), np.full(len(identity), 1 / (len(identity) - 1))
        rho[5] = 0
        q = np.random.default_rng(0).normal(size=len(rho))
        for _ in range(50):
            following = update(mdp, q, 1.0, identity, rho)
            assert following[5] == q[5]
            q = following
        other = q.copy()
        other[5] += 1  # one that no step changes: the distance stays
        moved = update(mdp, q, 1.0, identity, rho) - update(mdp, other, 1.0, identity, rho)
        assert np.abs(moved).max() == pytest.approx(1, rel=1e-12)

    @SEEDS
    def test_3_linear_features_follow_u3_exactly(self, seed):
        mdp, rng = garnet(seed), np.random.default_rng(seed)
        phi, theta, rho = rng.normal(size=(mdp.R.size, 5)), rng.normal(size=5), rng.dirichlet(np.ones(mdp.R.size))
        after = phi @ (theta + 0.3 * phi.T @ (rho * td_errors(mdp, phi @ theta)))
        np.testing.assert_allclose(after, update(mdp, phi @ theta, 0.3, phi @ phi.T, rho), rtol=1e-12, atol=1e-12)

    @SEEDS
    def test_4_the_inverse_may_be_taken_on_either_side(self, seed):
        phi = np.random.default_rng(seed).normal(size=(9, 4)) @ np.random.default_rng(seed + 9).normal(size=(4, 6))  # rank 4
        left, right = (np.linalg.pinv(x, rcond=1e-10) for x in (phi @ phi.T, phi.T @ phi))
        np.testing.assert_allclose(left @ phi, phi @ right, atol=1e-8)


class TestTheorem2:
    """Little generalisation, small steps: then U3 contracts."""

    @staticmethod
    def case(seed, off_diagonal):
        """A kernel whose off-diagonal rows are this share of what (17) allows, and a step that (16) allows."""
        mdp, rng = garnet(seed, states=4), np.random.default_rng(seed)
        n = mdp.R.size
        rho = rng.dirichlet(np.full(n, 20.0))
        kernel = rng.uniform(-1, 1, (n, n))
        kernel = kernel + kernel.T
        np.fill_diagonal(kernel, 0)
        rows = (1 + mdp.gamma) * (np.abs(kernel) * rho).sum(axis=1)
        kernel = kernel * off_diagonal * (1 - mdp.gamma) * rho.min() / rows.max() + np.eye(n)
        return mdp, kernel, rho, 0.9 / rho.max()

    @SEEDS
    def test_within_both_conditions_it_contracts(self, seed):
        mdp, kernel, rho, step = self.case(seed, 0.9)
        assert modulus(mdp, step, kernel, rho) < 1
        assert stretch(mdp, step, kernel, rho, seed) <= modulus(mdp, step, kernel, rho) + 1e-12
        best, q = value_iteration_q(mdp, 1e-12).action_values.ravel(), np.zeros(len(rho))
        for _ in range(2000):
            q = update(mdp, q, step, kernel, rho)
        np.testing.assert_allclose(q, best, atol=1e-6)

    def test_with_much_generalisation_it_diverges(self):
        """Two pairs that learn from each other, both followed by the one of the larger value: failure mode 3."""
        mdp, kernel, rho = two_pairs(gamma=0.95), np.array([[1.0, 2.0], [2.0, 4.1]]), np.array([1.0, 0.0])
        q = np.array([0.0, 1.0])
        for _ in range(200):
            q = update(mdp, q, 0.1, kernel, rho)
        assert np.abs(q).max() > 1e4

    def test_with_large_steps_it_overshoots(self):
        """αK_iiρ_i = 2.5 breaks (16): failure mode 2."""
        mdp, q = two_pairs(gamma=0.5), np.array([1.0, 0.0])
        for _ in range(20):
            q = update(mdp, q, 5.0, np.eye(2), np.full(2, 0.5))
        assert np.abs(q).max() > 1e2

    def test_with_equality_in_17_it_does_not_contract(self):
        """E31: the print has ≤. At equality β(K) = 1, and there are tables that the step leaves as far apart."""
        gamma, step, rho = 0.9, 0.1, np.full(2, 0.5)
        c = (1 - gamma) / (1 + gamma)
        mdp, kernel = two_pairs(gamma), np.array([[1.0, c], [c, 1.0]])
        assert (1 + gamma) * c * 0.5 == pytest.approx((1 - gamma) * 0.5, rel=1e-12)
        assert modulus(mdp, step, kernel, rho) == pytest.approx(1, rel=1e-12)
        q, other = np.array([1.0, -1.0]), np.zeros(2)
        moved = update(mdp, q, step, kernel, rho) - update(mdp, other, step, kernel, rho)
        assert np.abs(moved).max() == pytest.approx(np.abs(q - other).max(), rel=1e-12)


def two_pairs(gamma) -> MDP:
    """Two states, one action, which leads to the second state; no rewards."""
    table = np.zeros((2, 1, 2))
    table[:, 0, 1] = 1.0
    return MDP(table, np.zeros((2, 1)), gamma)


def affine(factor, fixed_point):
    return lambda q: fixed_point + factor * (q - fixed_point)


class TestTheorem3:
    """Operators with one fixed point, one after the other."""

    def test_each_step_multiplies_by_its_own_factor(self):
        """(18), and E33: the proof's second line prints the whole product for one step."""
        fixed, q, product = np.array([1.0, 2.0]), np.array([4.0, -2.0]), 1.0
        start = np.abs(q - fixed).max()
        for factor in (1.5, 0.5, 0.9, 0.2):
            before, q = q, affine(factor, fixed)(q)
            product *= factor
            assert np.abs(q - fixed).max() <= product * start + 1e-12
            assert np.abs(q - fixed).max() == pytest.approx(factor * np.abs(before - fixed).max(), rel=1e-12)

    def test_factors_below_1_are_not_enough(self):
        """E32: β_k = 1 − 1/(k + 2)² are all in [0, 1), and Q stops half-way, as their product is ½."""
        q = 1.0
        for k in range(100_000):
            q *= 1 - 1 / (k + 2) ** 2
        assert q == pytest.approx(0.5, abs=1e-5)

    def test_bounded_away_from_1_they_are(self):
        mdp = garnet(0)
        best, rng = value_iteration_q(mdp, 1e-12).action_values.ravel(), np.random.default_rng(0)
        q = np.zeros(len(best))
        for _ in range(3000):  # other steps and other data each time; the smallest αρ keeps β below 1
            rho = rng.dirichlet(np.full(len(q), 20.0))
            q = update(mdp, q, rng.uniform(0.5, 1) / rho.max(), np.eye(len(q)), rho)
        np.testing.assert_allclose(q, best, atol=1e-6)


class TestTheorem1:
    """A network's values after a step: to first order what its kernel says."""

    @pytest.fixture
    def world(self):
        mdp, rng = garnet(2), np.random.default_rng(2)
        network = Sequential(Linear(4, 12, rng=rng, dtype=float), Tanh(), Linear(12, 1, rng=rng, dtype=float))
        return mdp, network, rng.normal(size=(mdp.R.size, 4)), rng.dirichlet(np.ones(mdp.R.size))

    @staticmethod
    def remainders(mdp, network, x, rho, steps, kernel_of):
        """What Theorem 1 leaves over, for steps α from the same parameters."""
        start, q = network.flat.data.copy(), network.predict(x)[:, 0]
        error, found = td_errors(mdp, q), []
        kernel, g = kernel_of(network, x), gradient(network, x, rho * error)
        for step in steps:
            network.flat.data[:] = start + step * g
            found.append(np.abs(network.predict(x)[:, 0] - (q + step * kernel @ (rho * error))).max())
        network.flat.data[:] = start
        return np.array(found)

    def test_half_the_step_leaves_a_quarter(self, world):
        left = self.remainders(*world, [0.04, 0.02, 0.01, 0.005], tangent_kernel)
        np.testing.assert_allclose(left[:-1] / left[1:], 4, rtol=0.03)

    def test_with_another_kernel_it_leaves_half(self, world):
        left = self.remainders(*world, [0.04, 0.02, 0.01], lambda network, x: np.eye(len(x)))
        np.testing.assert_allclose(left[:-1] / left[1:], 2, rtol=0.1)


def gradient(network, x, weights) -> np.ndarray:
    """Σ_i w_i ∇Q(i)."""
    network.zero_grad()
    network.forward(x)
    network.backward(weights[:, None], inputs=False)
    return network.flat.grad.copy()


def tangent_kernel(network, x) -> np.ndarray:
    rows = np.stack([gradient(network, x, row) for row in np.eye(len(x))])
    return rows @ rows.T
