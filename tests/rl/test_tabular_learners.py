"""Learners with a table: each update against a few lines of plain Python, and what they find where the answer is known."""

from collections import defaultdict
from dataclasses import fields

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

import deepnp
import rl
from benchmarks import tables
from envs.planar.table import Table as World
from envs.vector import CoreVectorEnv
from rl.algorithms.tabular import steps
from rl.experience.visits import Transitions

TABULAR = {name: a for name, a in rl.ALGORITHMS.items() if a.takes.tables}
OF_ALL = pytest.mark.parametrize("name", TABULAR)
S, A, N, GAMMA = 5, 3, 2, 0.9


def agent_of(name, **settings):
    algorithm = TABULAR[name]
    return algorithm.cls.of_spaces(spaces.Discrete(S), spaces.Discrete(A), algorithm.config(gamma=GAMMA, **settings), seed=3)


def experience(seed, length=60):
    """Steps of N copies that begin anew where they end; some are cut, some never happened."""
    rng, states, found = np.random.default_rng(seed), np.zeros(N, int), []
    for _ in range(length):
        following, ends, valid = rng.integers(S, size=N), rng.random(N), rng.random(N) < 0.9
        terminated, truncated = (ends < 0.15) & valid, (ends > 0.9) & valid
        found.append(Transitions(states, rng.integers(A, size=N), rng.normal(size=N), following, terminated, truncated, valid))
        states = np.where(terminated | truncated, rng.integers(S, size=N), np.where(valid, following, states))
    return found


def learned(name, **settings):
    """Q (S, A) after all of it; actions are those of the experience."""
    agent = agent_of(name, **settings)
    for part in (agent.parts().get("planned"), agent.parts().get("episodes")):
        if part is not None:
            part.begin(N)
    for t in experience(0):
        if name == "OffPolicyMonteCarlo":
            agent.chances = np.full(N, 0.4)
        agent.update(t)
    return agent


def rows(t):
    """What happened, copy by copy."""
    return [(*(x[n] for x in t[:6]), n) for n in range(N) if t.valid[n]]


class Plain:
    """Q as a dictionary, as a textbook has it."""

    def __init__(self, lr, decay=0.0):
        self.q, self.n, self.lr, self.decay = defaultdict(float), defaultdict(int), lr, decay

    def row(self, s):
        return [self.q[s, a] for a in range(A)]

    def towards(self, s, a, target):
        self.n[s, a] += 1
        self.q[s, a] += self.lr / self.n[s, a] ** self.decay * (target - self.q[s, a])

    def array(self):
        return np.array([self.row(s) for s in range(S)])


@pytest.mark.parametrize("decay", [0.0, 0.7])
def test_q_learning(decay):
    plain = Plain(0.3, decay)
    for t in experience(0):
        for s, a, r, s_next, terminated, _, _ in rows(t):
            plain.towards(s, a, r + (0 if terminated else GAMMA * max(plain.row(s_next))))
    np.testing.assert_allclose(learned("QLearning", lr=0.3, decay=decay).policy.values.data, plain.array(), rtol=1e-12)


def test_sarsa_learns_from_the_action_that_is_taken_next():
    agent = agent_of("SARSA", lr=0.3, exploration=0.6)
    agent.planned.begin(N)
    plain, states, rng = Plain(0.3), np.array([0, 1]), np.random.default_rng(1)
    actions, pending = agent.explore(states, rng), {}
    for _ in range(200):
        reached, rewards, ends = rng.integers(S, size=N), rng.normal(size=N), rng.random(N)
        terminated, truncated = ends < 0.2, ends > 0.95
        agent.update(Transitions(states, actions, rewards, reached, terminated, truncated, np.ones(N, bool)))
        for n in range(N):
            if terminated[n]:
                plain.towards(states[n], actions[n], rewards[n])
            elif not truncated[n]:
                pending[n] = states[n], actions[n], rewards[n], reached[n]
            else:
                plain.q[states[n], actions[n]] = agent.policy.values.data[states[n], actions[n]]  # its a′ nobody takes
        following = np.where(terminated | truncated, 2, reached)
        planned = agent.planned.actions.copy()
        actions = agent.explore(following, rng)
        np.testing.assert_array_equal(planned < 0, terminated | truncated)
        for n, (s, a, r, s_next) in sorted(pending.items()):
            plain.towards(s, a, r + GAMMA * plain.q[s_next, actions[n]])
        pending, states = {}, following
        if truncated.any() or terminated.any():  # the order of two copies' steps differs there
            plain.q = defaultdict(float, {(s, a): agent.policy.values.data[s, a] for s in range(S) for a in range(A)})
        np.testing.assert_allclose(agent.policy.values.data, plain.array(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("terminated", "target"), [(True, 1.0), (False, 1.0 + GAMMA * 10)])
def test_sarsa_bootstraps_where_an_episode_was_cut(terminated, target):
    """Whatever action would have been taken next is worth 10."""
    agent = agent_of("SARSA", lr=1.0, initial_value=10.0)
    agent.planned.begin(N)
    states, ends, never = np.array([0, 1]), np.full(N, terminated), np.zeros(N, bool)
    agent.update(Transitions(states, states, np.ones(N), states + 2, ends, never if terminated else ~never, ~never))
    np.testing.assert_allclose(agent.policy.values.data[states, states], target)


def test_double_q_learning():
    coins = np.random.SeedSequence(3).spawn(3)[1]
    rng, both = np.random.default_rng(coins), (Plain(0.3), Plain(0.3))
    for t in experience(0):
        drawn = rng.integers(2, size=N)
        for s, a, r, s_next, terminated, _, n in rows(t):
            own, other = both[drawn[n]], both[1 - drawn[n]]
            best = int(np.argmax(own.row(s_next)))
            own.towards(s, a, r + (0 if terminated else GAMMA * other.q[s_next, best]))
    agent = learned("DoubleQLearning", lr=0.3)
    np.testing.assert_allclose(agent.tables["values"], [one.array() for one in both], rtol=1e-12)
    np.testing.assert_allclose(agent.policy.values.data, agent.tables["values"].mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize("planning", [0, 3])
def test_dyna_q(planning):
    rng, plain, model, tried = np.random.default_rng(np.random.SeedSequence(3).spawn(3)[1]), Plain(0.3), {}, []

    def learn(s, a):
        r, s_next, terminated = model[s, a]
        plain.towards(s, a, r + (0 if terminated else GAMMA * max(plain.row(s_next))))

    for t in experience(0):
        for s, a, r, s_next, terminated, _, _ in rows(t):
            if (s, a) not in model:
                tried.append((s, a))
            model[s, a] = r, s_next, terminated
            learn(s, a)
        for number in rng.random(planning * len(rows(t))):
            learn(*tried[int(number * len(tried))])
    np.testing.assert_allclose(learned("DynaQ", lr=0.3, planning=planning).policy.values.data, plain.array(), rtol=1e-12)


def episodes():
    """Each finished episode: its steps (s, a, r), the state after them, and whether it terminated."""
    under_way = defaultdict(list)
    for t in experience(0):
        for s, a, r, s_next, terminated, truncated, n in rows(t):
            under_way[n].append((s, a, r))
            if terminated or truncated:
                yield under_way.pop(n), s_next, terminated


def test_monte_carlo_takes_the_mean_of_first_visits():
    plain, epsilon = Plain(1.0, 1.0), 0.2
    for played, last, terminated in episodes():
        row = plain.row(last)
        g = 0 if terminated else (1 - epsilon) * max(row) + epsilon * np.mean(row)
        pairs = [(s, a) for s, a, _ in played]
        for k in range(len(played) - 1, -1, -1):
            g = played[k][2] + GAMMA * g
            if pairs.index(pairs[k]) == k:
                plain.towards(*pairs[k], g)
    np.testing.assert_allclose(learned("MonteCarlo", exploration=epsilon).policy.values.data, plain.array(), rtol=1e-12)


@pytest.mark.parametrize(("fade", "limit"), [(0.0, None), (0.1, None), (0.0, 1.7)])
def test_off_policy_monte_carlo_weighs_the_ends_of_episodes(fade, limit):
    plain, weights = Plain(1.0), defaultdict(float)
    for played, last, terminated in episodes():
        g, w = 0 if terminated else max(plain.row(last)), 1.0
        for s, a, r in reversed(played):
            g = r + GAMMA * g
            weights[s, a] = (1 - fade) * weights[s, a] + w
            plain.q[s, a] += w / weights[s, a] * (g - plain.q[s, a])
            if plain.q[s, a] < max(plain.row(s)):
                break
            w = min(limit or np.inf, w / (plain.row(s).count(max(plain.row(s))) * 0.4))
    agent = learned("OffPolicyMonteCarlo", lr=fade, weight_limit=limit)
    np.testing.assert_allclose(agent.policy.values.data, plain.array(), rtol=1e-12)


def test_off_policy_monte_carlo_s_weights_are_1_where_both_policies_are_alike():
    """Without rewards all values stay equal: the greedy policy is as random as the one that acts."""
    agent, counts = agent_of("OffPolicyMonteCarlo"), np.zeros((S, A))
    agent.episodes.begin(N)
    for t in experience(0):
        agent.chances = np.full(N, 1 / A)
        agent.update(t._replace(rewards=np.zeros(N)))
    for played, _, _ in episodes():
        for s, a, _ in played:
            counts[s, a] += 1
    np.testing.assert_allclose(agent.weights["sum"], counts, rtol=1e-12)


@OF_ALL
def test_kernels_and_plain_python_give_the_same_bits(name):
    fast = learned(name, exploration=0.3)
    try:
        deepnp.use_kernels(False)
        plain = learned(name, exploration=0.3)
    finally:
        deepnp.use_kernels(True)
    for key, part in fast.parts().items():
        for array, value in part.state_dict().items():
            np.testing.assert_array_equal(value, plain.parts()[key].state_dict()[array], err_msg=f"{key}.{array}")


class TestExploration:
    def test_frequencies_are_the_probabilities_that_are_told(self):
        q, states, rng = np.array([[1.0, 2.0, 2.0, 0.0]]), np.zeros(40_000, int), np.random.default_rng(0)
        actions, chances = steps.drawn(q, states, 0.4, rng)
        expected = [0.1, 0.4, 0.4, 0.1]
        np.testing.assert_allclose(np.bincount(actions) / 40_000, expected, atol=0.01)
        np.testing.assert_allclose(chances, np.array(expected)[actions])

    @pytest.mark.parametrize(("epsilon", "expected"), [(0.0, {1}), (1.0, {0, 1, 2})])
    def test_ends_of_the_range(self, epsilon, expected):
        rng = np.random.default_rng(0)
        assert set(steps.drawn(np.array([[0.0, 1.0, 0.5]]), np.zeros(200, int), epsilon, rng)[0]) == expected

    @pytest.mark.parametrize("row", [[np.nan] * 3, [np.nan, 1.0, 2.0], [-np.inf] * 3])
    def test_values_that_are_no_numbers_choose_some_action(self, row):
        actions, chances = steps.drawn(np.array([row]), np.zeros(50, int), 0.5, np.random.default_rng(0))
        assert ((actions >= 0) & (actions < 3)).all()
        assert np.isfinite(chances).all()

    def test_a_trained_agent_takes_the_first_of_the_best(self):
        agent = agent_of("QLearning")
        agent.policy.values.data[2] = [0.0, 4.0, 4.0]
        assert agent.predict(2) == 1
        assert agent.predict(np.array([0, 2])).tolist() == [0, 1]
        assert set(agent.predict(np.full(200, 2), deterministic=False).tolist()) >= {1, 2}


class TestBars:
    """The values of S-20 and S-23, on one seed; benchmarks/tables.py takes more."""

    @OF_ALL
    def test_frozen_lake(self, name):
        assert tables.lake_value(name, seed=0) > 0.542 - 0.02

    def test_from_the_ends_of_episodes_it_learns_what_others_do(self):
        """Four seeds of 24 do not: see docs/results/tabular.md."""
        assert tables.lake_value("OffPolicyMonteCarlo", seed=0) >= 0.522

    def test_the_cliff(self):
        (q, while_q, row_q), (sarsa, while_sarsa, row_sarsa) = (tables.cliff_walk(name, 0) for name in ("QLearning", "SARSA"))
        assert (q, row_q) == (-13, 2)  # along the edge
        assert sarsa < -13
        assert row_sarsa < 2
        assert while_sarsa > while_q + 10

    def test_planning_saves_episodes(self):
        none, few, many = (tables.maze_episodes(planning, seed=0) for planning in tables.PLANNING)
        assert many < few < none


def copies(outcomes, count):
    return CoreVectorEnv(World(count, outcomes=outcomes), None, AutoresetMode.SAME_STEP)


def dense_world():
    """Every step pays something in [0, 1], and one in ten is the last."""
    rng, outcomes = np.random.default_rng(0), {}
    for s in range(S):
        pairs = {a: (int(rng.integers(S)), float(rng.random())) for a in range(A)}
        outcomes[s] = {a: [(0.9, s_next, r, False), (0.1, s_next, r, True)] for a, (s_next, r) in pairs.items()}
    return outcomes


def test_the_largest_of_noisy_values_is_too_large_and_two_tables_are_not():
    """Ten actions that pay ±1 by chance, worth 0, behind a first step: with one table it looks worth more."""
    coin = [(0.5, 1, 1.0, True), (0.5, 1, -1.0, True)]
    outcomes = {0: {a: [(1.0, 1, 0.0, False)] for a in range(10)}, 1: dict.fromkeys(range(10), coin)}
    worth = {}
    for name in ("QLearning", "DoubleQLearning"):
        config = TABULAR[name].config(exploration=1.0, lr=0.1, gamma=1.0)
        values, agent = [], TABULAR[name].cls(copies(outcomes, 64), config, seed=0)
        agent.learn(40_000, lambda agent, metrics, values=values: values.append(agent.policy.values.data[0].mean()))
        worth[name] = np.mean(values[20:])
    assert worth["QLearning"] > 0.2
    assert abs(worth["DoubleQLearning"]) < 0.05


FIELDS = {
    "num_envs": (1, 3),
    "gamma": (0.5, 0.99),
    "lr": (0.1, 0.5),
    "decay": (0.0, 0.9),
    "exploration": (0.1, 0.9),
    "weight_limit": (None, 1.0),
    "initial_value": (0.0, 1.0),
    "planning": (0, 5),
}
ENTRIES = [(name, f.name) for name, a in TABULAR.items() for f in fields(a.config)]


@pytest.mark.parametrize(("name", "field"), ENTRIES, ids=lambda x: x)
def test_every_setting_is_felt(name, field):
    found = []
    for value in FIELDS[field]:
        config = TABULAR[name].config(**{"num_envs": 2, "exploration": 0.5, "lr": 0.5, field: value})
        agent = TABULAR[name].cls(copies(dense_world(), config.num_envs), config, seed=0)
        agent.learn(600)
        found.append(agent.policy.values.data.copy())
    assert np.abs(found[0] - found[1]).max() > 0
    if field == "gamma":  # no reward is below 0
        assert found[1].sum() > found[0].sum()


@OF_ALL
def test_schedules_are_followed(name):
    agent = agent_of(name, exploration=rl.schedules.Linear(1.0, 0.5))
    agent.total_steps, agent.steps = 100, 50
    assert agent.now.exploration == 0.75


@OF_ALL
@pytest.mark.parametrize(
    ("observation", "action", "message"),
    [
        (spaces.Box(-1, 1, (2,)), spaces.Discrete(2), r"takes observations that are choices .* given numbers \(a Box"),
        (spaces.Dict(a=spaces.Discrete(2), b=spaces.MultiBinary(2)), spaces.Discrete(2), "takes observations that are choices"),
        (spaces.Box(0, 255, (12, 12, 3), np.uint8), spaces.Discrete(2), "images"),
        (spaces.Discrete(4), spaces.Box(-1, 1, (1,)), "takes actions in a Discrete space, given Box"),
        (spaces.MultiDiscrete([1000, 1000, 100]), spaces.Discrete(2), "expected a table of at most 50,000,000 values"),
    ],
    ids=["vector", "switches", "image", "numbers", "too large"],
)
def test_spaces_without_a_table_are_refused(name, observation, action, message):
    with pytest.raises(ValueError, match=message):
        TABULAR[name].cls.of_spaces(observation, action)


def test_several_choices_are_one_number():
    space = spaces.Tuple((spaces.Discrete(3, start=-1), spaces.MultiDiscrete([2, 4])))
    agent = rl.QLearning.of_spaces(space, spaces.Discrete(2, start=5))
    assert agent.policy.values.shape == (24, 2)
    seen = set()
    for first in range(-1, 2):
        for second in np.ndindex(2, 4):
            observations = agent.space.observation.split((np.array([first]), np.array([second])))
            seen.add(int(agent.policy.states(observations)[0]))
            assert agent.predict((np.array(first), np.array(second))) == 5
    assert seen == set(range(24))


def test_the_table_is_a_module():
    agent = agent_of("QLearning")
    agent.policy.values.data[:] = np.random.default_rng(0).normal(size=(S, A))
    x, dy = np.eye(S, dtype=np.float32)[[3, 1, 3]], np.random.default_rng(1).normal(size=(3, A))
    np.testing.assert_array_equal(agent.policy.forward(x), agent.policy.values.data[[3, 1, 3]])
    assert (agent.policy.backward(dy) == 0).all()
    np.testing.assert_allclose(agent.policy.values.grad[[3, 1, 0]], [dy[0] + dy[2], dy[1], np.zeros(A)])
    v = np.random.default_rng(2).normal(size=S * A)
    assert (agent.policy.jvp(v) * dy).sum() == pytest.approx(agent.policy.flat.grad @ v, rel=1e-12)
    with pytest.raises(ValueError, match="expected"):
        agent.policy.forward(x[:, :3])
