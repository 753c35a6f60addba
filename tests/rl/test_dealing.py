"""Replay memories that go on in another number of rings, or in longer or shorter ones."""

import numpy as np
import pytest

from rl.experience.dealing import deal
from rl.experience.episodes import Episodes
from rl.experience.prioritized import Priorities
from rl.experience.replay import ReplayMemory
from tests.rl.test_replay import history
from tests.rl.toys import space


def memory_of(capacity, copies):
    memory = ReplayMemory(capacity, space(2, 1), priorities=Priorities(0.5, 0.1), episodes=Episodes())
    memory.prepare(copies)
    return memory


def live(memory, rng, steps, copies, ends=0.15, valid=1.0):
    """Rows whose observation says (copy, time), whose priority is the time, and the episode (copy, number) of each.

    `valid` is the share of steps that happen.
    """
    episodes, number = {}, np.zeros(copies, int)
    for t in range(steps):
        s = np.stack([np.arange(copies), np.full(copies, t)], axis=1).astype(np.float32)
        terminated, there = rng.random(copies) < ends, rng.random(copies) < valid
        truncated = ~terminated & (rng.random(copies) < ends)
        rows = memory.add(s, s[:, :1] / 10, s[:, 1], s + 0.5, terminated, truncated, there)
        memory.priorities.tree[rows] = np.full(len(rows), t + 1.0)
        for n in np.flatnonzero(there):
            episodes[n, t] = number[n], bool(terminated[n])
            number[n] += terminated[n] | truncated[n]
    return episodes


def rings_of(memory):
    """For each ring its rows, the oldest first."""
    for n, (head, size) in enumerate(zip(memory.heads, memory.sizes, strict=True)):
        yield n * memory.slots + (head + np.arange(size)) % max(size, 1)


CASES = [(1, 4), (4, 1), (3, 5), (5, 3), (2, 2)]


@pytest.mark.parametrize("ends", [0.0, 0.02, 0.15, 1.0])
@pytest.mark.parametrize("steps", [1, 9, 30, 75])
@pytest.mark.parametrize(("before", "after"), CASES[:-1])
def test_rows_keep_their_order_their_episodes_and_all_that_belongs_to_them(rng, before, after, steps, ends):
    memory = memory_of(60, before)
    episodes = live(memory, rng, steps, before, ends, valid=0.9)
    kept = {tuple(memory.observations[row].astype(int)) for rows in rings_of(memory) for row in rows}
    memory.prepare(after)
    assert (memory.copies, memory.slots) == (after, -(-60 // after))
    found = []
    for rows in rings_of(memory):
        known = [tuple(memory.observations[row].astype(int)) for row in rows]
        found += known
        for i, (row, (n, t)) in enumerate(zip(rows, known, strict=True)):
            number, terminated = episodes[n, t]
            np.testing.assert_array_equal(memory.next_observations[row], [n + 0.5, t + 0.5])
            assert (memory.actions[row, 0], memory.rewards[row]) == (np.float32(n) / np.float32(10), t)
            assert memory.priorities.tree[np.array([row])] == t + 1
            assert memory.terminated[row] == terminated
            assert not (memory.terminated[row] and memory.truncated[row])
            if not (memory.terminated[row] or memory.truncated[row]):  # then the next row is its successor
                following = known[i + 1]
                assert following[0] == n
                assert episodes[following][0] == number
                assert all((n, between) not in episodes for between in range(t + 1, following[1]))
            first = i - memory.episodes.position[row]
            last = i + memory.episodes.remaining[row]
            assert {(m, episodes[m, u][0]) for m, u in known[first : last + 1]} == {(n, number)}
            assert memory.terminated[rows[last]] or memory.truncated[rows[last]]
    assert len(found) == len(set(found)) == len(kept)
    assert set(found) == kept
    assert memory.sizes.max() - memory.sizes.min() <= max(after, before)
    assert memory.priorities.tree.total == pytest.approx(sum(t + 1 for _, t in found))


@pytest.mark.parametrize("ends", [0.0, 0.3])
def test_the_oldest_are_forgotten_first(rng, ends):
    """Among rings and when it goes on: every row that is left is newer than those that were lost."""
    memory = memory_of(60, 1)
    live(memory, rng, 60, 1, ends)
    memory.prepare(3)
    for _ in range(10):
        s = np.full((3, 2), 1000, np.float32)
        memory.add(s, s[:, :1], s[:, 0], s, np.zeros(3, bool), np.zeros(3, bool), np.ones(3, bool))
    times = memory.observations[:, 1][memory.observations[:, 1] < 1000]
    assert len(times) == 30
    if ends:
        assert times.min() >= 30 - 12  # to within an episode


@pytest.mark.parametrize("capacity", [10, 24, 60, 200])
@pytest.mark.parametrize(("before", "after"), CASES)
def test_another_capacity_keeps_the_newest(rng, before, after, capacity):
    old, new = memory_of(60, before), memory_of(capacity, after)
    live(old, rng, 40, before)
    new.load_state_dict(old.state_dict())
    assert (new.copies, new.slots) == (after, -(-capacity // after))
    total = min(len(old), after * new.slots)
    assert len(new) == total
    times = np.sort(np.concatenate([old.observations[rows, 1] for rows in rings_of(old)]))
    found = np.sort(np.concatenate([new.observations[rows, 1] for rows in rings_of(new)]))
    assert found.sum() >= times[-total:].sum() - 12 * total  # to within an episode
    if total == len(old):
        np.testing.assert_array_equal(found, times)


def test_of_an_episode_that_is_too_long_the_end_is_kept(rng):
    old, new = memory_of(60, 1), memory_of(25, 1)
    live(old, rng, 40, 1, ends=0.0)
    new.load_state_dict(old.state_dict())
    np.testing.assert_array_equal(np.concatenate([new.observations[rows, 1] for rows in rings_of(new)]), np.arange(15, 40))


def test_the_same_rings_are_the_same_bits(rng):
    old, new = memory_of(60, 3), memory_of(60, 3)
    live(old, rng, 33, 3)
    new.load_state_dict(old.state_dict())
    for name, array in old.state_dict().items():
        np.testing.assert_array_equal(array, new.state_dict()[name])
    np.testing.assert_array_equal(old.priorities.tree.nodes, new.priorities.tree.nodes)


@pytest.mark.parametrize(("before", "after"), CASES)
def test_training_goes_on_in_the_new_rings(rng, before, after):
    memory = ReplayMemory(60, space(3, 2), priorities=Priorities(0.5, 0.1), episodes=Episodes())
    memory.prepare(before)
    history(rng, memory, 33, before)
    memory.begin(after)
    told = history(rng, memory, 70, after)
    for n, rows in enumerate(rings_of(memory)):
        np.testing.assert_array_equal(memory.observations[rows], [step[0] for step in told[n][-len(rows) :]])


def test_many_short_episodes():
    dealt = deal(np.zeros(2, np.int64), np.array([50_000, 50_000]), np.ones(100_000, bool), 8, 12_500)
    assert dealt.sizes.tolist() == [12_500] * 8
    assert len(np.unique(np.concatenate(dealt.rows))) == 100_000


def test_episodes_are_cut_where_a_ring_has_its_share():
    """One of 7 rows, one of 2: the shares are 5 and 4."""
    dealt = deal(np.array([9]), np.array([9]), np.arange(9) == 6, 2, 10)
    assert [rows.tolist() for rows in dealt.rows] == [[0, 1, 2, 3, 4], [5, 6, 7, 8]]
    assert [pieces.tolist() for pieces in dealt.pieces] == [[5], [2, 2]]
    before, after = dealt.positions(1)
    assert (before.tolist(), after.tolist()) == ([0, 1, 0, 1], [1, 0, 1, 0])
