"""Hindsight against a list of everything that happened, and a task that is learned with it and not without."""

from functools import cache

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import rl
from rl.experience.collector import EpisodeStatistics
from rl.experience.episodes import Episodes
from rl.experience.hindsight import STRATEGIES, Hindsight, binary, shaped
from rl.experience.replay import ReplayMemory
from rl.loops.off_policy import gather
from rl.training.evaluation import play
from tests.rl.test_replay import history
from tests.rl.toys import Reach, ResumableReach, Target, space, states, vectorize

SAME, NEXT = AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP
ALGORITHMS = {name: getattr(rl, name) for name in ("SAC", "TD3", "DDPG", "TD2", "SACLite")}
GAMMA, SLOTS = 0.9, 50


def told(make, steps, mode=SAME, copies=2, **settings):
    """An agent that only gathered, and what its memory was given, per copy: dicts with the episode's number."""
    config = rl.TD3Config(warmup=10**6, memory=copies * SLOTS, batch_size=64, hidden=(8,), hindsight="future", **settings)
    agent, lists = rl.TD3(vectorize(make, copies, mode), config, seed=0), [[] for _ in range(copies)]
    add, names = agent.memory.add, ("s", "a", "r", "next", "terminated", "truncated")

    def write_down(*columns):
        *columns, valid = columns
        for n in np.flatnonzero(valid):
            row = dict(zip(names, (np.copy(column[n]) for column in columns), strict=True))
            before = lists[n][-1] if lists[n] else None
            new = before is not None and (before["terminated"] or before["truncated"])
            row["episode"] = before["episode"] + new if before else 0
            lists[n].append(row)
        return add(*columns, valid)

    agent.memory.add = write_down
    agent.begin_episodes()
    for _ in range(-(-steps // copies)):
        gather(agent, EpisodeStatistics(), agent.now.random_share)
    return agent, lists


def place(lists, row):
    """Copy and number of a row of the memory."""
    n, slot = divmod(int(row), SLOTS)
    return n, max(i for i in range(len(lists[n])) if i % SLOTS == slot)


def allowed(lists, row, strategy):
    """Numbers (copy, step) of all steps whose achieved goal this row may get."""
    kept = {(n, i) for n, steps in enumerate(lists) for i in range(max(0, len(steps) - SLOTS), len(steps))}
    if strategy == "random":
        return kept
    n, own = place(lists, row)
    episode = sorted(i for m, i in kept if m == n and lists[n][i]["episode"] == lists[n][own]["episode"])
    chosen = {"final": episode[-1:], "future": [i for i in episode if i >= own], "episode": episode}[strategy]
    return {(n, i) for i in chosen}


def moves(limit=7, terminates=False, distance=(0.0, 0.2)):
    return lambda: Reach(limit, terminates, distance)


CASES = [
    (30, 7, SAME),
    (90, 7, SAME),
    (260, 7, SAME),
    (260, 7, NEXT),
    (260, 80, SAME),
    (180, 80, SAME),
    (90, 7, NEXT),
    (232, 33, NEXT),
]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("steps", "limit", "mode"), CASES)
def test_goals_come_from_the_right_steps(rng, strategy, steps, limit, mode):
    """All of them, and no other: also with rings that went round, episodes longer than a ring, and dead steps."""
    agent, lists = told(moves(limit), steps, mode)
    memory, hindsight = agent.memory, Hindsight(2, strategy)
    for row in memory.draw(25, rng):
        drawn = hindsight.steps(memory, np.full(1500, row), rng)
        expected = allowed(lists, row, strategy)
        assert {place(lists, step) for step in set(drawn)} == expected
        counts, mean = np.unique(drawn, return_counts=True)[1], 1500 / len(expected)
        chi_square = ((counts - mean) ** 2 / mean).sum()
        assert chi_square < len(expected) + 6 * np.sqrt(2 * len(expected))


@pytest.mark.parametrize("terminates", [False, True])
@pytest.mark.parametrize("n_step", [1, 3])
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("reward", ["environment", "binary", "shaped"])
def test_batches_equal_brute_force(rng, strategy, reward, n_step, terminates):
    agent, lists = told(moves(9, terminates), 240, NEXT)
    assert terminates == any(step["terminated"] for copy in lists for step in copy)
    env, goal, changed = agent.env.env.envs[0], slice(-4, -2), 0
    hindsight = Hindsight(2, strategy, 2, reward, tolerance=0.07, keep=0.5, power=2.0)
    rows = agent.memory.draw(600, rng)
    batch = hindsight.batch(agent.memory, rows, GAMMA, n_step, None, agent.env, rng)

    @cache
    def goals_of(row):
        return [lists[m][j]["next"][-2:] for m, j in allowed(lists, row, strategy)]

    for i, row in enumerate(rows):
        n, own = place(lists, row)
        desired = batch.observations[i, goal]
        relabelled = (desired != lists[n][own]["s"][goal]).any()
        changed += relabelled
        if relabelled:
            assert any((desired == g).all() for g in goals_of(row))
        total, discount = 0.0, 1.0
        for step in lists[n][own : own + n_step]:
            before, reached = step["s"][-2:], step["next"][-2:]
            wanted = desired if relabelled else step["s"][goal]
            if reward == "environment":
                r = env.compute_reward(reached, wanted, {}) if relabelled else step["r"]
            elif reward == "binary":
                r = -1.0 if np.linalg.norm(wanted - reached) > 0.07 else 0.0
            else:
                r = 0.5 * ((wanted - before) ** 2).sum() - ((wanted - reached) ** 2).sum()
            ends = env.compute_terminated(reached, wanted, {}) if relabelled else step["terminated"]
            total, discount, last = total + discount * r, discount * GAMMA, step
            if ends or step["terminated"] or step["truncated"]:
                break
        np.testing.assert_allclose(batch.rewards[i], total, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(batch.discounts[i], 0 if ends else discount, rtol=1e-6)
        for given, stored in ((batch.observations[i], lists[n][own]["s"]), (batch.next_observations[i], last["next"])):
            expected = stored.copy()
            expected[goal] = desired
            np.testing.assert_array_equal(given, expected)
        np.testing.assert_array_equal(batch.actions[i], lists[n][own]["a"])
    assert 0.6 < changed / 600 < 0.73  # 2/3
    if reward != "shaped":
        assert len(set(np.round(batch.rewards, 4))) > 1  # goals that were reached and goals that were not


def test_the_environment_itself_rewards_the_goals_it_set(rng):
    """For the goals that the environment had set, its compute_reward is the reward that it gave."""
    agent, lists = told(moves(40), 90)
    steps = [step for copy in lists for step in copy]
    achieved, desired = (np.array([step["next"][part] for step in steps]) for part in (slice(-2, None), slice(-4, -2)))
    np.testing.assert_array_equal(agent.env.rewards(achieved, desired), [step["r"] for step in steps])


def test_k_zero_changes_nothing(rng):
    agent, _ = told(moves(), 90)
    rows = agent.memory.draw(100, rng)
    batch = Hindsight(2, k=0).batch(agent.memory, rows, GAMMA, 3, None, agent.env, rng)
    plain = agent.memory.batch(rows, GAMMA, 3)
    for name in ("observations", "next_observations", "rewards", "discounts", "actions", "weights"):
        np.testing.assert_array_equal(getattr(batch, name), getattr(plain, name))


def test_memory_keeps_what_happened(rng):
    agent, _ = told(moves(), 90)
    before = {name: array.copy() for name, array in agent.memory.state_dict().items()}
    for strategy in STRATEGIES:
        for reward in ("environment", "binary", "shaped"):
            Hindsight(2, strategy, 8, reward).batch(agent.memory, agent.memory.draw(200, rng), GAMMA, 2, None, agent.env, rng)
    for name, array in agent.memory.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_rewards_by_hand():
    g, s, s_next = np.float32([[0, 0], [0, 0], [1, 1]]), np.float32([[3, 4], [1, 0], [1, 0]]), np.float32([[0, 1], [0, 0], [4, 5]])
    np.testing.assert_array_equal(binary(g, s_next, 1.0), [0, 0, -1])
    np.testing.assert_array_equal(shaped(g, s, s_next, 0.0, 1.0), [-1, 0, -5])
    np.testing.assert_allclose(shaped(g, s, s_next, 1.0, 2.0), [25 - 1, 1 - 0, 1 - 25], rtol=1e-6)


class TestEpisodes:
    @pytest.mark.parametrize("steps", [13, 90])
    def test_restored_state_goes_on(self, rng, steps):
        first, second = (ReplayMemory(40, space(3, 2), episodes=Episodes()) for _ in range(2))
        first.prepare(2)
        history(rng, first, steps, 2, dead=0.2)
        second.load_state_dict(first.state_dict())
        second.prepare(2)
        for memory, generator in ((first, np.random.default_rng(5)), (second, np.random.default_rng(5))):
            history(generator, memory, 9, 2)
        for name, array in first.state_dict().items():
            np.testing.assert_array_equal(array, second.state_dict()[name], err_msg=name)

    def test_a_new_beginning_ends_what_goes_on(self, rng):
        memory = ReplayMemory(40, space(1, 1), episodes=Episodes())
        memory.prepare(2)
        memory.begin(2)  # nothing there yet
        step = np.zeros((2, 1), np.float32), np.zeros((2, 1), np.float32), np.ones(2), np.zeros((2, 1), np.float32)
        for _ in range(3):
            memory.add(*step, np.zeros(2, bool), np.zeros(2, bool), np.ones(2, bool))
        memory.begin(2)
        for _ in range(2):
            memory.add(*step, np.zeros(2, bool), np.zeros(2, bool), np.ones(2, bool))
        np.testing.assert_allclose(memory.batch(np.array([0, 20]), 1.0, 5).rewards, [3, 3])
        last, own, first = memory.episodes.steps(np.array([0, 3, 20]), memory.heads, memory.sizes)
        np.testing.assert_array_equal([last, own, first], [[2, 0, 2], [4, 1, 4], [4, 1, 4]])
        memory.add(*step, np.ones(2, bool), np.zeros(2, bool), np.ones(2, bool))
        memory.begin(2)
        np.testing.assert_array_equal(np.flatnonzero(memory.truncated), [2, 22])  # what terminated was not truncated

    def test_an_episode_does_not_go_on_after_loading(self, tmp_path):
        """The environment cannot be saved and begins anew: no return and no goal reaches across."""
        config = rl.TD3Config(warmup=10**6, memory=2000, hindsight="final")
        first = rl.TD3(vectorize(moves(300), 1), config, seed=0).learn(1000)
        assert not first.memory.truncated[999]
        first.save(tmp_path / "agent.safetensors")
        with pytest.warns(UserWarning, match="Reach begins new episodes"):
            second = rl.TD3.load(tmp_path / "agent.safetensors", vectorize(moves(300), 1)).learn(2000)
        assert second.memory.truncated[999]
        np.testing.assert_array_equal(np.flatnonzero(second.memory.truncated), [299, 599, 899, 999, 1299, 1599, 1899])
        rows = Hindsight(2, "final").steps(second.memory, np.array([950, 1000]), np.random.default_rng(0))
        np.testing.assert_array_equal(rows, [999, 1299])

    def test_memory_counts_them(self, monkeypatch):
        asked = []
        monkeypatch.setattr("rl.experience.replay.check_memory", lambda needed, what: asked.append(needed))
        memory = ReplayMemory(1000, space(3, 2), episodes=Episodes())
        memory.prepare(1)
        taken = memory.episodes.position.nbytes + memory.episodes.remaining.nbytes
        assert asked == [1000 * ReplayMemory(1000, space(3, 2)).bytes_per_row + taken]


class TestBadInput:
    def test_a_goal_environment_without_hindsight(self):
        for algorithm in ALGORITHMS.values():
            with pytest.raises(ValueError, match="given an environment with goals and hindsight None"):
                algorithm(Reach(), algorithm.Config(), seed=0)

    def test_hindsight_without_goals(self):
        for algorithm in ALGORITHMS.values():
            with pytest.raises(ValueError, match="given an environment without goals and hindsight 'final'"):
                algorithm(Target(), algorithm.Config(hindsight="final"), seed=0)

    def test_bad_settings(self):
        for settings, message in (
            ({"hindsight": "past"}, "hindsight as one of .* given 'past'"),
            ({"hindsight_k": -1}, "hindsight_k as an integer"),
            ({"hindsight_reward": "dense"}, "hindsight_reward as one of"),
            ({"clip_targets": True}, "expected clip_targets False: the soft values"),
        ):
            with pytest.raises(ValueError, match=message):
                rl.SACConfig(**settings)
        with pytest.raises(ValueError, match="expected gamma < 1 where targets are clipped"):
            rl.TD3Config(clip_targets=True, gamma=1.0)


REACH = dict(hidden=(64, 64), batch_size=128, warmup=800, memory=50_000, lr=1e-3, gamma=0.95, tau=0.01, hindsight="future")
REACH |= dict(update_interval=8, updates=4)


def near():
    """Goals within reach of 20 steps."""
    return Reach(20, distance=(0.3, 0.6))


def learned(name, steps, seed=0, **settings):
    """Share of 100 goals that are reached at the end of their episodes."""
    algorithm = ALGORITHMS[name]
    settings = {"exploration": 0.2, **settings} if name in ("TD3", "DDPG", "TD2") else settings
    agent = algorithm(vectorize(near, 8), algorithm.Config(**{**REACH, **settings}), seed=seed).learn(steps)
    return play(agent, vectorize(near, 100), 100, seed=1)["is_success"].mean()


@pytest.mark.parametrize("name", ["TD3", "DDPG", "TD2", "SACLite"])
def test_targets_are_held_where_values_can_be(rng, name):
    """Rewards of −1 and 0: y ∈ [−1/(1 − γ), 0], however wrong the networks are; the inside is left as it is."""
    algorithm = ALGORITHMS[name]
    s, a = rng.normal(size=(100, 6)).astype("f"), rng.normal(size=(100, 2)).astype("f")
    values = []
    for clip in (False, True):
        agent = algorithm(Reach(), algorithm.Config(hindsight="future", gamma=0.75, clip_targets=clip, hidden=(8,)), seed=0)
        for q in agent.critics.targets:
            q.flat.data[...] *= 4
        values.append(agent.critics.target(s, a))
    assert values[0].min() < -4
    assert values[0].max() > 0
    np.testing.assert_array_equal(values[1], np.clip(values[0], -4, 0))


@pytest.mark.parametrize("name", ["SAC", "TD3"])
def test_solves_with_hindsight_what_it_does_not_without(name):
    assert learned(name, 3_500) >= 0.95
    assert learned(name, 3_500, hindsight_k=0) <= 0.2


@pytest.mark.parametrize("name", ALGORITHMS)
def test_everything_together(name):
    together = dict(priority_exponent=0.6, newest=1, n_step=3, normalize_observations=True)
    assert learned(name, 3_500, **together) >= 0.8


def test_resuming_equals_never_having_stopped(tmp_path):
    settings = dict(hidden=(16,), batch_size=32, warmup=100, memory=600, update_interval=16)
    config = rl.SACConfig(**settings, hindsight="episode", priority_exponent=0.6, newest=1)
    whole = rl.SAC(ResumableReach(4), config, seed=0).learn(3000)
    rl.SAC(ResumableReach(4), config, seed=0).learn(3000, lambda agent, metrics: False).save(tmp_path / "half.safetensors")
    resumed = rl.SAC.load(tmp_path / "half.safetensors", ResumableReach(4)).learn(3000)
    assert resumed.steps == whole.steps
    for name, array in states(whole).items():
        np.testing.assert_array_equal(array, states(resumed)[name], err_msg=name)
