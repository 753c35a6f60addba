"""What the theory promises, on random decision processes, and where a printed line fails; docs/theory.md goes through it.

Numbers in brackets are those of docs/errata.md's rows, where the print is compared.
"""

from itertools import pairwise

import numpy as np
import pytest

from deepnp.gradcheck import numerical_gradient
from rl.algorithms.tabular import operators as bellman
from rl.algorithms.tabular.dynamic_programming import evaluate, policy_iteration_v, soft_policy_iteration, value_iteration_v
from rl.algorithms.tabular.mdp import MDP
from rl.algorithms.tabular.occupancy import expected_return, state_distribution
from tests.rl.garnet import garnet, policy

ALPHA = 0.3
SEEDS = pytest.mark.parametrize("seed", range(4))
OPERATORS = {
    "B^pi on V": lambda mdp, pi, x: bellman.policy_operator_v(mdp, pi, x[:, 0]),
    "B^pi on Q": bellman.policy_operator_q,
    "B* on V": lambda mdp, pi, x: bellman.optimality_operator_v(mdp, x[:, 0]),
    "B* on Q": lambda mdp, pi, x: bellman.optimality_operator_q(mdp, x),
    "soft B^pi on V": lambda mdp, pi, x: bellman.soft_policy_operator_v(mdp, pi, x[:, 0], ALPHA),
    "soft B^pi on Q": lambda mdp, pi, x: bellman.soft_policy_operator_q(mdp, pi, x, ALPHA),
    "soft B* on V": lambda mdp, pi, x: bellman.soft_optimality_operator_v(mdp, x[:, 0], ALPHA),
    "soft B* on Q": lambda mdp, pi, x: bellman.soft_optimality_operator_q(mdp, x, ALPHA),
}
OF_ALL_OPERATORS = pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)


def largest(x) -> float:
    return float(np.abs(x).max())


class TestContraction:
    @OF_ALL_OPERATORS
    @SEEDS
    def test_every_operator_contracts_by_gamma(self, operator, seed):
        mdp, rng = garnet(seed, ends=0.1 * (seed % 2)), np.random.default_rng(seed)
        pi = policy(seed, mdp)
        for _ in range(50):
            x, y = np.repeat(rng.normal(size=(2, mdp.states, 1)), mdp.actions, axis=2) + rng.normal(size=(2, *mdp.R.shape))
            of_values = operator(mdp, pi, x).ndim == 1
            distance = largest((x - y)[:, 0]) if of_values else largest(x - y)
            assert largest(operator(mdp, pi, x) - operator(mdp, pi, y)) <= mdp.gamma * distance + 1e-12

    @OF_ALL_OPERATORS
    def test_and_by_no_less(self, operator):
        """A constant added everywhere comes out as γ times it, where no episode ends."""
        mdp = garnet(0)
        pi, x = policy(0, mdp), np.random.default_rng(1).normal(size=mdp.R.shape)
        moved = operator(mdp, pi, x + 2.0) - operator(mdp, pi, x)
        np.testing.assert_allclose(moved, 2.0 * mdp.gamma, rtol=1e-12)

    @OF_ALL_OPERATORS
    def test_where_episodes_may_end_it_is_faster(self, operator):
        mdp = garnet(0, ends=0.5)
        pi, x = policy(0, mdp), np.random.default_rng(1).normal(size=mdp.R.shape)
        np.testing.assert_allclose(operator(mdp, pi, x + 2.0) - operator(mdp, pi, x), 2.0 * mdp.gamma * 0.5, rtol=1e-12)


class TestPolicyIteration:
    @SEEDS
    def test_it_never_gets_worse_and_comes_to_an_end(self, seed):
        mdp = garnet(seed, states=6)
        pi, rounds = bellman.greedy(-mdp.R), 0  # a bad one
        v = evaluate(mdp, pi)
        while True:
            rounds, better = rounds + 1, bellman.greedy(bellman.action_values(mdp, v))
            if (better == pi).all():
                break
            before, v, pi = v, evaluate(mdp, better), better
            assert (v >= before - 1e-12).all()
            assert (v > before + 1e-12).any()  # so no policy comes twice
        assert 1 < rounds <= mdp.actions**mdp.states
        np.testing.assert_allclose(v, value_iteration_v(mdp, 1e-12).values, atol=1e-10)

    @SEEDS
    def test_a_greedy_policy_is_at_least_as_good_everywhere(self, seed):
        mdp = garnet(seed)
        pi = policy(seed, mdp)
        v = evaluate(mdp, pi)
        assert (evaluate(mdp, bellman.greedy(bellman.action_values(mdp, v))) >= v - 1e-12).all()

    @SEEDS
    def test_no_policy_is_better_than_the_best(self, seed):
        mdp = garnet(seed)
        best = policy_iteration_v(mdp).values
        assert all((evaluate(mdp, policy(k, mdp, 0.3)) <= best + 1e-12).all() for k in range(100))

    def test_an_end_that_pays_is_no_end(self):
        """E41: with mass anywhere in [0, 1] of rewards, the notes' absorbing state keeps paying."""
        table = np.zeros((2, 1, 2))
        table[:, 0, 1] = 1.0  # one step, then the absorbing state
        right, printed = MDP(table, [[1.0], [0.0]], 0.9), MDP(table, [[1.0], [0.5]], 0.9)
        assert evaluate(right, [[1.0]] * 2)[0] == pytest.approx(1.0)
        assert evaluate(printed, [[1.0]] * 2)[0] == pytest.approx(1 + 0.9 * 0.5 / 0.1)

    def test_one_greedy_improvement_is_not_optimal(self):
        """E42: the notes return "the optimal greedy policy" of the first Q^π."""
        mdp = garnet(3)
        pi = policy(1, mdp)
        once = bellman.greedy(bellman.action_values(mdp, evaluate(mdp, pi)))
        best = expected_return(mdp, policy_iteration_v(mdp).policy)
        assert expected_return(mdp, pi) < expected_return(mdp, once) < best - 1e-3


class TestDistributions:
    @SEEDS
    def test_the_return_is_what_the_discounted_distribution_earns(self, seed):
        mdp = garnet(seed, ends=0.1 * (seed % 2))
        pi = policy(seed, mdp)
        d = state_distribution(mdp, pi)
        assert d.sum() == pytest.approx(1) if seed % 2 == 0 else d.sum() < 0.9
        assert d @ bellman.values(pi, mdp.R) / (1 - mdp.gamma) == pytest.approx(expected_return(mdp, pi), rel=1e-12)

    def test_it_is_the_discounted_sum_over_time(self):
        mdp = garnet(1)
        pi = policy(1, mdp)
        p, at_t, total = np.einsum("sa,sat->st", pi, mdp.P), mdp.start, np.zeros(mdp.states)
        for t in range(400):
            total += (1 - mdp.gamma) * mdp.gamma**t * at_t
            at_t = at_t @ p
        np.testing.assert_allclose(state_distribution(mdp, pi), total, atol=1e-12)

    def test_towards_gamma_1_it_becomes_the_stationary_one(self):
        gaps = []
        for gamma in (0.9, 0.99, 0.999, 0.9999):
            mdp = garnet(2, gamma=gamma)
            pi = policy(2, mdp)
            d, p = state_distribution(mdp, pi), np.einsum("sa,sat->st", pi, mdp.P)
            gaps.append(np.abs(d @ p - d).sum())
        assert all(later < 0.2 * earlier for earlier, later in pairwise(gaps))

    @SEEDS
    def test_performance_difference(self, seed):
        """J(π′) − J(π) = E[A^π] over the new policy's states and actions, /(1 − γ)."""
        mdp = garnet(seed, ends=0.1 * (seed % 2))
        old, new = policy(seed, mdp), policy(seed + 50, mdp)
        gain = expected_return(mdp, new) - expected_return(mdp, old)
        assert mean_advantage(mdp, old, new, state_distribution(mdp, new)) == pytest.approx(gain, rel=1e-10)
        over_old_states = mean_advantage(mdp, old, new, state_distribution(mdp, old))
        assert abs(over_old_states - gain) > 1e-3  # the surrogate of TRPO and PPO: equal to first order only

    def test_the_surrogate_is_right_to_first_order(self):
        mdp = garnet(0)
        old, other = policy(0, mdp), policy(9, mdp)
        errors = []
        for share in (0.1, 0.05, 0.025):
            new = (1 - share) * old + share * other
            gain = expected_return(mdp, new) - expected_return(mdp, old)
            errors.append(abs(mean_advantage(mdp, old, new, state_distribution(mdp, old)) - gain))
        np.testing.assert_allclose([errors[0] / errors[1], errors[1] / errors[2]], 4, rtol=0.15)


def mean_advantage(mdp, old, new, d) -> float:
    """E_{s ~ d, a ~ new}[A^old]/(1 − γ)."""
    v = evaluate(mdp, old)
    return float(d @ bellman.values(new, bellman.action_values(mdp, v) - v[:, None]) / (1 - mdp.gamma))


class TestPolicyGradient:
    @SEEDS
    def test_the_theorem_has_a_factor(self, seed):
        """E44: ∇J = E_{s ~ d_γ, a ~ π}[∇ln π Q^π] / (1 − γ), for π a softmax of θ."""
        mdp = garnet(seed)
        theta = np.random.default_rng(seed).normal(size=mdp.R.shape)
        exact = numerical_gradient(lambda x: expected_return(mdp, bellman.softmax(x, 1.0)), theta)
        printed = policy_gradient(mdp, theta)
        np.testing.assert_allclose(printed / (1 - mdp.gamma), exact, rtol=1e-5, atol=1e-8)
        assert largest(exact) / largest(printed) == pytest.approx(10, rel=1e-4)

    def test_the_surrogate_s_gradient_is_that_of_the_return_and_its_value_is_0(self):
        """E62: Ā_θ(θ) = 0, as E_π A^π = 0; the lecture prints J(θ)."""
        mdp = garnet(1)
        theta = np.random.default_rng(1).normal(size=mdp.R.shape)
        old = bellman.softmax(theta, 1.0)
        d = state_distribution(mdp, old)
        assert mean_advantage(mdp, old, old, d) == pytest.approx(0, abs=1e-12)
        assert abs(expected_return(mdp, old)) > 0.1
        slope = numerical_gradient(lambda x: mean_advantage(mdp, old, bellman.softmax(x, 1.0), d), theta)
        np.testing.assert_allclose(slope, policy_gradient(mdp, theta) / (1 - mdp.gamma), rtol=1e-5, atol=1e-8)


def policy_gradient(mdp, theta) -> np.ndarray:
    """E_{s ~ d_γ, a ~ π}[∇ln π Q^π] (S, A): for a softmax, d(s) π(a|s) A(s, a)."""
    pi = bellman.softmax(theta, 1.0)
    v = evaluate(mdp, pi)
    return state_distribution(mdp, pi)[:, None] * pi * (bellman.action_values(mdp, v) - v[:, None])


class TestMismatch:
    """How far the states of two policies can be apart, if the policies are ε apart in total variation."""

    @SEEDS
    def test_states_drift_apart_by_2_epsilon_a_step_at_most(self, seed):
        mdp = garnet(seed, gamma=0.99)
        old = policy(seed, mdp)
        new = 0.95 * old + 0.05 * policy(seed + 9, mdp)
        epsilon = 0.5 * np.abs(new - old).sum(axis=1).max()
        f = np.random.default_rng(seed).normal(size=mdp.states)
        steps = list(zip(states_over_time(mdp, old, 12), states_over_time(mdp, new, 12), strict=True))
        for t, (p, q) in enumerate(steps):
            assert np.abs(q - p).sum() <= 2 * epsilon * t + 1e-12
            assert q @ f >= p @ f - 2 * epsilon * t * largest(f) - 1e-12
        assert np.abs(steps[1][1] - steps[1][0]).sum() > 0.2 * epsilon  # no bound that nothing comes near to

    def test_the_printed_bound_does_not_scale_with_what_is_averaged(self):
        """E61: the lecture subtracts 2εT² from the sum over T steps, however large the advantages are."""
        mdp = garnet(0, gamma=0.99)
        old = policy(0, mdp)
        new = 0.95 * old + 0.05 * policy(9, mdp)
        epsilon, horizon = 0.5 * np.abs(new - old).sum(axis=1).max(), 10
        p, q = (sum(states_over_time(mdp, pi, horizon)) for pi in (old, new))
        f = 1e4 * np.sign(p - q)  # large where the old policy is more often
        assert q @ f < p @ f - 2 * epsilon * horizon**2
        assert q @ f >= p @ f - 2 * epsilon * horizon**2 * largest(f)

    def test_pinsker(self):
        rng = np.random.default_rng(0)
        for _ in range(200):
            p, q = rng.dirichlet(np.full(4, 0.7), 2)
            assert 0.5 * np.abs(p - q).sum() <= np.sqrt(0.5 * (p * np.log(p / q)).sum()) + 1e-12


def states_over_time(mdp, pi, steps) -> list[np.ndarray]:
    """P(s_t = s) for t = 0 … steps − 1."""
    p, at_t = np.einsum("sa,sat->st", pi, mdp.P), [mdp.start]
    for _ in range(steps - 1):
        at_t.append(at_t[-1] @ p)
    return at_t


class TestMaximumEntropy:
    def test_the_best_distribution_is_a_softmax_at_the_temperature(self):
        """E63: max Σ p c + λ H(p) is at p ∝ exp(c/λ), and not exp(c); its value is λ ln Σ exp(c/λ). E46: a distribution."""
        c, temperature = np.random.default_rng(0).normal(size=(1, 5)), 2.5

        def objective(p):
            return float(bellman.soft_values(p, c, temperature)[0])

        best, printed = objective(bellman.softmax(c, temperature)), objective(bellman.softmax(c, 1.0))
        assert best == pytest.approx(bellman.best_soft_values(c, temperature)[0], rel=1e-12)
        assert printed < best - 0.01
        assert objective(bellman.greedy(c)) < best
        assert all(objective(p[None]) < best for p in np.random.default_rng(1).dirichlet(np.ones(5), 500))

    @SEEDS
    def test_entropy_of_the_next_state_is_discounted(self, seed):
        """E64: Q of r_π = r + γ α E[H(π(·|s′))] is the soft Q; without γ it is another."""
        mdp = garnet(seed)
        pi = policy(seed, mdp)
        v = evaluate(mdp, pi, ALPHA)
        q = bellman.action_values(mdp, v)
        to_come = ALPHA * mdp.P @ bellman.entropies(pi)
        right, printed = (MDP(mdp.P, mdp.R + share * to_come, mdp.gamma) for share in (mdp.gamma, 1.0))
        np.testing.assert_allclose(bellman.action_values(right, evaluate(right, pi)), q, rtol=1e-12, atol=1e-12)
        assert largest(bellman.action_values(printed, evaluate(printed, pi)) - q) > 0.02
        np.testing.assert_allclose(bellman.soft_policy_operator_v(mdp, pi, v, ALPHA), v, atol=1e-12)

    @SEEDS
    def test_soft_policy_iteration_rises_to_its_limit_and_never_arrives(self, seed):
        """E47: "after a finite number of iterations" is true of finitely many policies; soft ones are a continuum.

        The error is squared from round to round, until rounding ends it.
        """
        mdp = garnet(seed)
        best, pi, errors = soft_policy_iteration(mdp, ALPHA, 1e-14), np.full_like(mdp.R, 1 / mdp.actions), []
        before = evaluate(mdp, pi, ALPHA)
        while not errors or errors[-1] > 1e-10:
            pi = bellman.softmax(bellman.action_values(mdp, before), ALPHA)
            v = evaluate(mdp, pi, ALPHA)
            assert (v >= before - 1e-12).all()
            errors.append(largest(best.values - v))
            before = v
        assert len(errors) >= 3
        assert errors[-2] > 1e-10
        assert errors[-1] < 10 * errors[-2] ** 2 / (1 - mdp.gamma) + 1e-13
        np.testing.assert_allclose(bellman.soft_optimality_operator_v(mdp, best.values, ALPHA), best.values, atol=1e-10)
        np.testing.assert_allclose(bellman.best_soft_values(best.action_values, ALPHA), best.values, atol=1e-10)


class TestMaximizationBias:
    def test_the_largest_of_noisy_values_is_too_large_but_less_than_their_largest_noise_added(self):
        """E43: E max(Q + ε) lies between max Q and max Q + E max ε; the notes print the second as a lower bound."""
        q, noise = np.array([1.0, 0.0, -2.0]), np.random.default_rng(0).normal(size=(200_000, 3))
        given, most = (q + noise).max(axis=1).mean(), q.max() + noise.max(axis=1).mean()
        assert given == pytest.approx(1.207, abs=0.01)
        assert most == pytest.approx(1.846, abs=0.01)
        assert q.max() < given < most

    @pytest.mark.parametrize(("actions", "exact"), [(2, 1 / np.sqrt(np.pi)), (10, 1.538753)])
    def test_of_equal_actions_the_bias_is_the_largest_noise(self, actions, exact):
        """E max of k standard normals; choosing with one table and reading the other one has none."""
        rng = np.random.default_rng(1)
        first, second = rng.normal(size=(2, 100_000, actions))
        assert first.max(axis=1).mean() == pytest.approx(exact, abs=0.01)
        read = np.take_along_axis(second, first.argmax(axis=1)[:, None], axis=1)
        assert read.mean() == pytest.approx(0, abs=0.01)
