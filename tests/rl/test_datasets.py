"""Data sets: gathered, checked at the door, cut and joined, as files, and in an agent."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import rl
from deepnp.storage import load_tensors, save_tensors
from rl.experience.data_files import load_data, save_data
from rl.experience.datasets import DataSet, joined, score
from rl.experience.replay import ReplayMemory
from rl.experience.whole_returns import WholeReturns
from rl.losses.returns import gae
from rl.training.collect import collect
from tests.rl.toys import Counter, Target, space


def of_counter(steps=10, **settings):
    """Episodes of three steps: observations 0, 1, 2 and 3, rewards 1, 2 and 3."""
    return collect("random", Counter(3, **settings), steps, seed=0)


def assert_same(a, b):
    for name, x in a.columns().items():
        np.testing.assert_array_equal(b.columns()[name], x, err_msg=name)
    assert (a.space, a.env, a.about) == (b.space, b.env, b.about)


class TestCollect:
    def test_rows_are_the_steps_that_were_made(self):
        data = of_counter()
        np.testing.assert_array_equal(data.observations[:, 0], [0, 1, 2] * 3 + [0])
        np.testing.assert_array_equal(data.next_observations[:, 0], [1, 2, 3] * 3 + [1])
        np.testing.assert_array_equal(data.rewards, [1, 2, 3] * 3 + [1])
        np.testing.assert_array_equal(np.flatnonzero(data.terminated), [2, 5, 8])
        np.testing.assert_array_equal(np.flatnonzero(data.truncated), [9])  # the edge cuts
        np.testing.assert_array_equal(np.flatnonzero(data.starts), [0, 3, 6, 9])
        np.testing.assert_array_equal(data.returns(), [6, 6, 6, 1])

    def test_time_limits_are_no_ends(self):
        data = of_counter(9, truncates=True)
        assert not data.terminated.any()
        np.testing.assert_array_equal(np.flatnonzero(data.truncated), [2, 5, 8])
        np.testing.assert_array_equal(data.next_observations[[2, 5, 8], 0], 3)

    def test_copies_follow_one_another(self):
        data = collect("random", [lambda: Counter(3), lambda: Counter(3)], 9, seed=1)
        assert len(data) == 9
        np.testing.assert_array_equal(data.observations[:, 0], [0, 1, 2, 0, 1, 0, 1, 2, 0])
        np.testing.assert_array_equal(np.flatnonzero(data.ended), [2, 4, 7, 8])

    def test_copies_that_take_unequal_shares(self):
        """In NEXT_STEP mode the step that begins an episode is none: long episodes make more of them."""
        v = gymnasium.vector.SyncVectorEnv([lambda: Counter(1), lambda: Counter(10**6)])
        assert v.metadata["autoreset_mode"] is gymnasium.vector.AutoresetMode.NEXT_STEP
        data = collect("random", v, 300)
        assert len(data) == 300
        np.testing.assert_array_equal(data.observations[:100, 0], 0)
        np.testing.assert_array_equal(data.observations[100:, 0], np.arange(200))
        np.testing.assert_array_equal(np.flatnonzero(data.ended), [*range(100), 299])
        assert data.truncated[299]
        assert len(collect("random", gymnasium.make_vec("CartPole-v1", 16, "sync"), 2_000)) == 2_000

    def test_the_same_seed_gathers_the_same(self):
        first, second, other = (collect("random", "Pendulum-v1", 300, seed) for seed in (3, 3, 4))
        assert_same(first, second)
        assert first.about == {"agent": "random", "seed": 3}
        assert (first.actions != other.actions).any()

    def test_random_actions_know_nothing_of_what_the_environment_draws(self):
        """`Target` draws where to begin from the seed that the data set has: half of the actions are right."""
        right = collect("random", Target(discrete=True), 400, seed=0).rewards.mean()
        assert 0.4 < right < 0.6

    def test_an_agent_s_own_actions(self):
        agent = rl.TD3(Target(), rl.TD3Config(hidden=(8,), exploration=0.5), seed=0)
        before = agent.policy.flat.data.copy()
        data = collect(agent, Target(), 50, deterministic=True)
        np.testing.assert_allclose(data.actions, agent.act(data.observations, None), atol=1e-6)
        drawn = collect(agent, Target(), 50)
        assert np.abs(drawn.actions - agent.act(drawn.observations, None)).mean() > 0.2
        np.testing.assert_array_equal(agent.policy.flat.data, before)
        np.testing.assert_array_equal(data.rewards, -((2 * data.actions - data.observations)[:, 0] ** 2).astype(np.float32))

    @pytest.mark.parametrize("env", ["CartPole-v1", "FrozenLake-v1", "Pendulum-v1"])
    def test_what_is_kept_is_what_was_taken(self, env):
        data = collect("random", env, 60, seed=2)
        taken = data.space.action.to_environment(data.actions)
        np.testing.assert_allclose(data.space.action.from_environment(taken), data.actions, atol=1e-6)

    def test_what_cannot_be_gathered(self):
        with pytest.raises(TypeError, match='expected an agent or "random"'):
            collect("sac", Target(), 10)
        with pytest.raises(ValueError, match="expected steps as an integer >= 1"):
            collect("random", Target(), 0)
        with pytest.raises(ValueError, match="environment does not fit the agent"):
            collect(rl.TD3(Target(), rl.TD3Config(hidden=(8,))), "Pendulum-v1", 10)
        with pytest.raises(ValueError, match="networks have no memory, given PPO with memory"):
            collect(rl.PPO(Target(), rl.PPOConfig(memory="gru", hidden=(8,))), Target(), 10)


class TestMemory:
    def test_the_oldest_first(self):
        memory = ReplayMemory(4, space(1, 1))
        memory.prepare(1)
        for i in range(6):
            row = np.full((1, 1), i, np.float32)
            memory.add(row, row / 10, np.array([i]), row + 1, np.array([i == 3]), np.array([False]), np.array([True]))
        data = DataSet.of_memory(memory, "X-v0", {"kind": "medium-replay"})
        np.testing.assert_array_equal(data.rewards, [2, 3, 4, 5])
        np.testing.assert_array_equal(data.ended, [False, True, False, True])
        assert (data.env, data.about) == ("X-v0", {"kind": "medium-replay"})

    def test_an_empty_one_is_refused(self):
        with pytest.raises(ValueError, match="memory with transitions"):
            DataSet.of_memory(ReplayMemory(4, space(1, 1)))


class TestRows:
    def test_some_rows_end_where_the_next_is_missing(self):
        data = of_counter(9).take([0, 1, 3, 4, 5, 8])
        np.testing.assert_array_equal(data.rewards, [1, 2, 1, 2, 3, 3])
        np.testing.assert_array_equal(np.flatnonzero(data.truncated), [1])
        np.testing.assert_array_equal(np.flatnonzero(data.terminated), [4, 5])

    def test_by_a_mask(self):
        data = of_counter(9)
        np.testing.assert_array_equal(data.take(data.rewards > 1).rewards, [2, 3] * 3)
        for rows in ([], [3, 1], np.zeros(9, bool)):
            with pytest.raises(ValueError, match="at least one row, in rising order"):
                data.take(rows)

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            (np.ones(8, bool), r"expected a mask of 9 rows, given one of shape \(8,\)"),
            ([0.0, 1.0], "expected rows as integers, or as a mask .9,. of bools, given float64"),
            ([2, 9], "expected rows from 0 to 8, given 9"),
            ([-10, 2], "expected rows from 0 to 8, given -10"),
            (3, "at least one row, in rising order"),
        ],
    )
    def test_what_are_no_rows(self, rows, message):
        with pytest.raises(ValueError, match=message):
            of_counter(9).take(rows)

    def test_what_is_no_list_of_data_sets(self):
        for wrong in (of_counter(4), 3):
            with pytest.raises(TypeError, match=r"expected a list of data sets, such as .* given"):
                joined(wrong)
        with pytest.raises(TypeError, match="expected a list of data sets, given str in it"):
            joined([of_counter(4), "medium"])
        assert len(joined(of_counter(n) for n in (2, 3))) == 5

    def test_joined(self):
        both = joined([of_counter(4), of_counter(3)], {"kind": "medium-expert"})
        np.testing.assert_array_equal(both.rewards, [1, 2, 3, 1, 1, 2, 3])
        np.testing.assert_array_equal(np.flatnonzero(both.ended), [2, 3, 6])
        assert (both.env, both.about) == ("Counter", {"kind": "medium-expert"})
        with pytest.raises(ValueError, match="does not fit"):
            joined([of_counter(4), collect("random", Target(), 3)])
        with pytest.raises(ValueError, match="given none"):
            joined([])

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("rewards", np.zeros(0, np.float32), "at least one row"),
            ("rewards", np.zeros(3, np.float32), "expected actions of shape"),
            ("actions", np.zeros((10, 1), np.int64), "expected actions of shape .* and float32, given .* and int64"),
            ("actions", np.full((10, 1), 1.5, np.float32), r"expected actions in \[−1, 1\], given \[1.5\] in row 0"),
            ("terminated", np.zeros(10), "expected terminated of shape"),
            ("env", Target, "expected env as an environment's id"),
            ("observations", np.full((10, 2), np.inf, np.float32), "expected finite observations0"),
        ],
    )
    def test_wrong_ones_are_refused(self, name, value, message):
        with pytest.raises(ValueError, match=message):
            replace(of_counter(), **{name: value})

    def test_choices_out_of_their_range(self):
        data = collect("random", "CartPole-v1", 20)
        with pytest.raises(ValueError, match=r"expected actions in 0 to \[1\], given [23] in row 0"):
            replace(data, actions=data.actions + 2)

    def test_scores(self):
        np.testing.assert_array_equal(score([-10, 0, 10, 20], random=-10, expert=10), [0, 50, 100, 150])
        with pytest.raises(ValueError, match="two different finite returns"):
            score(1, 2, 2)


class TestFiles:
    @pytest.fixture
    def path(self, tmp_path):
        save_data(collect("random", "Pendulum-v1", 30, seed=1, about={"kind": "random"}), tmp_path / "data.safetensors")
        return tmp_path / "data.safetensors"

    def test_there_and_back(self, path):
        assert_same(load_data(path), collect("random", "Pendulum-v1", 30, seed=1, about={"kind": "random"}))

    def test_numbers_of_numpy_are_kept_as_python_s(self, tmp_path):
        about = {"a": np.int64(3), "b": [np.float32(0.5), {"c": np.bool_(True)}], "d": (1, None)}
        data = collect("random", Target(), 3, about=about)
        assert data.about == {"agent": "random", "seed": 0, "a": 3, "b": [0.5, {"c": True}], "d": [1, None]}
        save_data(data, tmp_path / "x")
        assert_same(data, load_data(tmp_path / "x"))
        with pytest.raises(ValueError, match="expected about as a mapping"):
            collect("random", Target(), 3, about="text")

    def test_pictures_and_choices(self, tmp_path):
        class Picture(Target):
            def __init__(self):
                super().__init__(discrete=True)
                parts = {"picture": spaces.Box(0, 255, (1, 8, 8), np.uint8), "number": spaces.Discrete(3)}
                self.observation_space = spaces.Dict(parts)

            def reset(self, *, seed=None, options=None):
                super().reset(seed=seed)
                return self._see(), {}

            def step(self, action):
                _, *others = super().step(action)
                return self._see(), *others

            def _see(self):
                return {"picture": self.np_random.integers(256, size=(1, 8, 8), dtype=np.uint8), "number": 1}

        data = collect("random", Picture(), 12)
        save_data(data, tmp_path / "x")
        assert_same(data, load_data(tmp_path / "x"))

    def test_a_truncated_file(self, path):
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(ValueError, match=str(path)):
            load_data(path)

    def test_a_flipped_bit(self, path):
        content = bytearray(path.read_bytes())
        content[-5] ^= 1
        path.write_bytes(content)
        with pytest.raises(ValueError, match=str(path)):
            load_data(path)

    @pytest.mark.parametrize("change", [dict(space=None), dict(space={}), dict(env=3), dict(about=[]), dict(format="x")])
    def test_other_metadata(self, path, change):
        tensors, metadata = load_tensors(path)
        save_tensors(path, tensors, {**metadata, **change})
        with pytest.raises(ValueError, match=r"(whole|no) data set"):
            load_data(path)

    @pytest.mark.parametrize("name", ["actions", "observations0", "rewards", "truncated"])
    def test_a_lacking_or_shorter_array(self, path, name):
        tensors, metadata = load_tensors(path)
        for changed in ({k: x for k, x in tensors.items() if k != name}, {**tensors, name: tensors[name][:-1]}):
            save_tensors(path, changed, metadata)
            with pytest.raises(ValueError, match="is not a whole data set"):
                load_data(path)

    def test_an_agent_s_file_and_none(self, tmp_path):
        rl.TD3(Target(), rl.TD3Config(hidden=(8,))).save(tmp_path / "agent")
        with pytest.raises(ValueError, match="is no data set"):
            load_data(tmp_path / "agent")
        with pytest.raises(FileNotFoundError):
            load_data(tmp_path / "none")


class TestWholeReturns:
    @pytest.mark.parametrize("copies", [1, 3])
    def test_they_are_sums_to_the_end(self, rng, copies):
        """Against a loop over the steps that follow; rings that have gone round, and are asked again when they grew."""
        memory, gamma = ReplayMemory(20 * copies, space(1, 1)), 0.9
        memory.prepare(copies)
        log, returns = [[] for _ in range(copies)], WholeReturns(memory, gamma)
        for t in range(33):
            rewards, follow = rng.normal(size=copies), rng.normal(size=(copies, 1)).astype(np.float32)
            ended = rng.random(copies) < 0.2
            terminated = ended & (rng.random(copies) < 0.5)
            action = np.zeros((copies, 1), np.float32)
            memory.add(follow, action, rewards, follow, terminated, ended & ~terminated, np.ones(copies, bool))
            for n in range(copies):
                log[n].append((t % 20, np.float32(rewards[n]), follow[n, 0], terminated[n], ended[n]))
            if t % 8:
                continue
            for n in range(copies):
                held = log[n][-20:]
                for i, (slot, *_) in enumerate(held):
                    length = next((k for k, step in enumerate(held[i:], 1) if step[-1]), len(held) - i)
                    expected = sum(gamma**k * reward for k, (_, reward, *_) in enumerate(held[i : i + length]))
                    _, _, last, finished, _ = held[i + length - 1]
                    batch = returns.batch(np.array([n * memory.slots + slot]), 1.0, rng)
                    assert batch.rewards[0] == pytest.approx(expected, rel=1e-5, abs=1e-6)
                    assert batch.discounts[0] == pytest.approx(0 if finished else gamma**length, rel=1e-5)
                    assert batch.next_observations[0, 0] == last

    @pytest.mark.parametrize("lam", [0.0, 0.8])
    def test_the_mean_of_drawn_lengths_is_td_lambda(self, rng, lam):
        """Against generalised advantages: a ring that has gone round, episodes that terminate, are truncated, and go on."""
        memory, gamma, count = ReplayMemory(9, space(1, 1)), 0.9, 20_000
        memory.prepare(1)
        rewards, values = rng.normal(size=12).astype(np.float32), rng.normal(size=13).astype(np.float32)
        terminated, truncated = np.isin(np.arange(12), 4), np.isin(np.arange(12), 8)
        for t in range(12):
            s, following = np.float32([[t]]), np.float32([[t + 1]])
            memory.add(s, s, rewards[t : t + 1], following, terminated[t : t + 1], truncated[t : t + 1], np.ones(1, bool))
        columns = rewards[3:], values[3:-1], np.where(terminated, 0, values[1:])[3:], (terminated | truncated)[3:]
        expected = values[3:-1] + gae(*(x[:, None] for x in columns), gamma, lam)[:, 0]
        for t in range(3, 12):
            batch = WholeReturns(memory, gamma).batch(np.full(count, t % 9), lam, rng)
            returns = batch.rewards + batch.discounts * values[batch.next_observations[:, 0].astype(int)]
            assert batch.rewards.dtype == batch.discounts.dtype == np.float32
            assert returns.mean() == pytest.approx(expected[t - 3], abs=1e-5 + 5 * float(returns.std()) / count**0.5)


def test_a_data_set_of_two_environments_is_one_of_none():
    other = replace(of_counter(3), env="Other-v0")
    assert joined([of_counter(3), other]).env is None
