"""Prioritised and combined replay: the tree against sums by hand, draws and weights against their definition, resuming."""

import numpy as np
import pytest

import deepnp
import envs  # noqa: F401  (registers deepnp/…)
import rl
from rl.algorithms.replay_config import make_memory
from rl.experience.prioritized import Priorities, SumTree
from rl.experience.replay import ReplayMemory
from rl.loops.off_policy import draw_batch
from tests.rl.test_replay import history
from tests.rl.toys import Endless, Target, space, vectorize

ALGORITHMS = [rl.SAC, rl.SACLite, rl.TD3, rl.DDPG, rl.TD2]
SMALL = dict(hidden=(32, 32), batch_size=64, warmup=200, memory=10_000, lr=3e-3)


@pytest.fixture(params=ALGORITHMS, ids=lambda a: a.__name__)
def algorithm(request):
    return request.param


def sums_by_hand(tree):
    """Every node of a tree, from its leaves, one after the other."""
    nodes = tree.nodes.copy()
    for i in range(tree.leaves - 1, 0, -1):
        nodes[i] = nodes[2 * i] + nodes[2 * i + 1]
    return nodes


class TestSumTree:
    @pytest.mark.parametrize("leaves", [1, 2, 3, 7, 8, 100, 1000])
    def test_every_node_is_the_sum_of_its_leaves(self, rng, kernels, leaves):
        tree, values = SumTree(leaves), np.zeros(leaves)
        for _ in range(30):
            rows = rng.integers(leaves, size=rng.integers(0, 20))
            new = rng.exponential(size=len(rows)) ** 4
            tree[rows] = new
            for row, value in zip(rows, new, strict=True):
                values[row] = value
            np.testing.assert_array_equal(tree[np.arange(leaves)], values)
            np.testing.assert_array_equal(tree.nodes[1:], sums_by_hand(tree)[1:])
            assert tree.total == pytest.approx(values.sum(), rel=1e-12, abs=1e-300)

    @pytest.mark.parametrize("leaves", [1, 2, 3, 7, 8, 100, 1000])
    def test_filled_at_once_is_filled_one_by_one(self, rng, leaves):
        whole, single, values = SumTree(leaves), SumTree(leaves), rng.random(leaves)
        whole.fill(values)
        for row in rng.permutation(leaves):
            single[np.array([row])] = values[[row]]
        np.testing.assert_array_equal(whole.nodes[1:], single.nodes[1:])

    @pytest.mark.parametrize("leaves", [1, 3, 8, 50])
    def test_each_leaf_has_its_share_of_the_line(self, rng, kernels, leaves):
        """Over evenly spaced numbers, the counts are the values to within one; a leaf that is 0 is never found."""
        tree = SumTree(leaves)
        values = rng.random(leaves) * (rng.random(leaves) < 0.6)
        values[0] = 0.5
        tree[np.arange(leaves)] = values
        numbers = (np.arange(100_000) + 0.5) * (tree.total / 100_000)
        counts = np.bincount(tree.find(numbers), minlength=leaves)
        np.testing.assert_allclose(counts, 100_000 * values / values.sum(), atol=1 + 1e-6)
        assert not counts[values == 0].any()
        assert values[tree.find(np.array([0.0, tree.total, tree.total * (1 + 1e-15)]))].all()  # even at, and beyond, the ends

    @pytest.mark.parametrize("zeros", [[1], [0, 1], [2, 3], [1, 2, 3], [5, 6, 7]])
    def test_no_rounding_leads_to_a_leaf_without_value(self, kernels, zeros):
        values = np.full(8 if zeros[-1] > 3 else 4, 0.1)
        values[zeros] = 0
        tree = SumTree(len(values))
        tree.fill(values)
        assert values[tree.find(np.array([tree.total, np.nextafter(tree.total, 9), *values.cumsum()]))].all()

    def test_kernel_and_plain_find_the_same(self, rng):
        tree = SumTree(777)
        tree[np.arange(777)] = rng.exponential(size=777)
        numbers = rng.random(5000) * tree.total
        found = tree.find(numbers)
        deepnp.use_kernels(False)
        try:
            np.testing.assert_array_equal(found, tree.find(numbers))
        finally:
            deepnp.use_kernels(True)


class TestPriorities:
    def test_rows_come_as_often_as_defined(self, rng, kernels):
        """P(i) = p_i^α / Σ p^α with p = |δ| + ε: total variation of 400,000 draws, and each row's own deviation."""
        alpha, epsilon, errors = 0.7, 0.1, rng.exponential(size=40) ** 2
        priorities = Priorities(alpha, epsilon)
        priorities.prepare(1, 60)  # 20 of them are never written
        priorities.insert(np.arange(40))
        priorities.update(np.arange(40), errors.astype(np.float32))
        p = (errors.astype(np.float32).astype(float) + epsilon) ** alpha
        expected = np.append(p / p.sum(), np.zeros(20))
        counts = sum(np.bincount(priorities.draw(100, rng), minlength=60) for _ in range(4000)) / 400_000
        assert np.abs(counts - expected).sum() / 2 < 0.005
        np.testing.assert_allclose(counts, expected, atol=4 * np.sqrt(expected.max() / 400_000))
        assert not counts[40:].any()

    def test_a_batch_takes_one_row_of_each_part(self, rng):
        priorities = Priorities(1.0, 0.1)
        priorities.prepare(1, 64)
        priorities.insert(np.arange(64))
        first, second = priorities.draw(32, rng), priorities.draw(32, rng)
        np.testing.assert_array_equal(first // 2, np.arange(32))
        assert (first != second).any()

    def test_weights_are_those_of_the_paper(self, rng):
        priorities, rows = Priorities(0.6, 0.01), np.arange(30)
        priorities.prepare(1, 30)
        errors = rng.exponential(size=30)
        priorities.update(rows, errors)
        p = (errors + 0.01) ** 0.6
        batch = np.array([3, 3, 7, 21, 29])
        for beta in (0.0, 0.4, 1.0):
            w = (30 * (p / p.sum())[batch]) ** -beta
            np.testing.assert_allclose(priorities.weights(batch, beta), w / w.max(), rtol=1e-6)
        assert priorities.weights(batch, 1.0).dtype == np.float32

    def test_full_weights_undo_the_priorities(self, rng):
        """Σ P(i) w_i f_i ∝ mean f at β = 1: the mean of anything is what uniform rows would give."""
        priorities, values = Priorities(0.8, 0.1), rng.normal(size=50)
        priorities.prepare(1, 50)
        priorities.update(np.arange(50), rng.exponential(size=50))
        rows = np.concatenate([priorities.draw(100, rng) for _ in range(5000)])
        w = priorities.weights(rows, 1.0).astype(float)
        assert (w * values[rows]).sum() / w.sum() == pytest.approx(values.mean(), abs=0.01)

    def test_new_rows_get_the_largest_priority_so_far(self):
        priorities = Priorities(0.5, 0.25)
        priorities.prepare(2, 5)
        priorities.insert(np.array([0]))
        assert priorities.tree[np.array([0])] == 1
        priorities.update(np.array([0]), np.array([3.75]))
        priorities.insert(np.array([1]))
        np.testing.assert_allclose(priorities.tree[np.array([0, 1])], 2)  # √4
        priorities.update(np.array([0, 1]), np.zeros(2))
        np.testing.assert_allclose(priorities.tree[np.array([0, 1])], 0.5)  # √ε
        priorities.insert(np.array([0]))  # overwritten
        assert priorities.tree[np.array([0])] == 2

    def test_state_is_restored_bit_for_bit(self, rng):
        first, second = (ReplayMemory(40, space(3, 2), priorities=Priorities(0.6, 0.1)) for _ in range(2))
        first.prepare(2)
        history(rng, first, 13, 2)
        first.priorities.update(rng.integers(13, size=10), rng.exponential(size=10))
        second.load_state_dict(first.state_dict())
        second.prepare(2)
        np.testing.assert_array_equal(first.priorities.tree.nodes, second.priorities.tree.nodes)
        assert first.priorities.largest == second.priorities.largest
        for memory, generator in ((first, np.random.default_rng(5)), (second, np.random.default_rng(5))):
            history(generator, memory, 30, 2)
            memory.priorities.update(memory.priorities.draw(20, generator), generator.exponential(size=20))
        np.testing.assert_array_equal(first.priorities.tree.nodes, second.priorities.tree.nodes)

    def test_memory_counts_them(self, monkeypatch):
        asked = []
        monkeypatch.setattr("rl.experience.replay.check_memory", lambda needed, what: asked.append(needed))
        memory = ReplayMemory(1000, space(3, 2), priorities=Priorities(0.6, 0.1))
        memory.prepare(1)
        assert asked == [1000 * ReplayMemory(1000, space(3, 2)).bytes_per_row + memory.priorities.tree.nodes.nbytes]


class TestLearning:
    def agent(self, algorithm=rl.TD3, **settings):
        return algorithm(vectorize(Target, 2), algorithm.Config(**{**SMALL, **settings}), seed=0)

    def test_without_priorities_there_is_no_tree(self):
        agent = self.agent()
        assert make_memory(agent.space, agent.config).priorities is None

    def test_beta_rises_linearly_to_one(self):
        agent = self.agent(priority_exponent=0.6, importance_exponent=0.4).learn(400)
        tree = agent.memory.priorities.tree
        for progress, beta in ((0.0, 0.4), (0.5, 0.7), (1.0, 1.0)):
            batch = draw_batch(agent, progress)
            np.testing.assert_allclose(batch.weights, (tree[batch.rows].min() / tree[batch.rows]) ** beta, rtol=1e-6)
        assert batch.weights.min() < batch.weights.max() == 1

    def test_progress_reaches_the_weights(self, monkeypatch):
        seen, weights = [], Priorities.weights
        monkeypatch.setattr(Priorities, "weights", lambda self, rows, beta: seen.append(beta) or weights(self, rows, beta))
        self.agent(priority_exponent=0.6, importance_exponent=0.4, update_interval=100).learn(4000)
        expected = 0.4 + 0.6 * np.arange(300, 4001, 100) / 4000  # at every update, to the end
        np.testing.assert_allclose(seen, expected)

    @pytest.mark.parametrize("exponent", [0.0, 0.6])
    def test_the_newest_are_appended_with_full_weight(self, exponent):
        agent = self.agent(priority_exponent=exponent, newest=3).learn(500)
        batch = draw_batch(agent, 0.0)
        assert len(batch.rows) == 64 + 2 * 3
        np.testing.assert_array_equal(batch.rows[64:], agent.memory.newest(3))
        np.testing.assert_array_equal(batch.weights[64:], 1)
        np.testing.assert_array_equal(batch.observations, agent.memory.observations[batch.rows])

    def test_priorities_are_the_errors_of_the_update(self, algorithm):
        agent = self.agent(algorithm, priority_exponent=0.5, priority_offset=0.2, newest=2).learn(500)
        batch, told = draw_batch(agent, 0.5), {}
        s, a = batch.observations, batch.actions
        before = [q.predict(np.concatenate([s, a], axis=1))[:, 0] for q in agent.critics.networks]
        _, told_errors = agent.update(batch)
        errors = np.mean([np.abs(q - batch.rewards) for q in before], axis=0)  # every step terminates: the target is r
        np.testing.assert_allclose(told_errors, errors, rtol=1e-4, atol=1e-5)
        agent.memory.priorities.update(batch.rows, told_errors)
        for row, error in zip(batch.rows, told_errors, strict=True):
            told[row] = (np.float64(error) + 0.2) ** 0.5
        np.testing.assert_allclose(agent.memory.priorities.tree[np.array(list(told))], list(told.values()))

    def test_the_loop_sets_them(self):
        agent = self.agent(priority_exponent=0.5).learn(1000)
        powers = agent.memory.priorities.tree[np.arange(5)]
        assert (powers < 1).all()  # drawn, learned, and no longer as surprising as new ones
        assert powers.min() >= 0.1**0.5 - 1e-12

    def test_solves_a_trivial_environment(self, algorithm):
        agent = self.agent(algorithm, priority_exponent=0.6, newest=1).learn(1000)
        assert rl.evaluate(agent, Target(), 20).mean() > -0.02

    def test_value_of_endless_reward_reaches_its_limit(self):
        settings = {**SMALL, "gamma": 0.8, "tau": 0.05, "priority_exponent": 0.6, "newest": 2, "n_step": 3}
        agent = rl.TD3(vectorize(Endless, 2), rl.TD3Config(**settings), seed=0).learn(3000)
        q = agent.critics.target(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.float32))
        assert q[0] == pytest.approx(5, rel=0.03)

    def test_bad_settings(self):
        for settings, message in (
            ({"priority_exponent": 1.5}, r"priority_exponent as a number in \[0, 1\], given 1.5"),
            ({"priority_offset": 0.0}, "priority_offset as a finite number >= .* given 0.0"),
            ({"importance_exponent": -0.1}, "importance_exponent"),
            ({"newest": -1}, "newest as an integer"),
        ):
            with pytest.raises(ValueError, match=message):
                rl.TD3Config(**settings)
