"""The replay memory against a brute-force list of everything that happened."""

import numpy as np
import pytest

from rl.experience.replay import ReplayMemory
from tests.rl.toys import space


def history(rng, memory, steps, copies, dead=0.0):
    """Random transitions, taken in by the memory and written down per copy: (s, a, r, s′, terminated, truncated)."""
    told = [[] for _ in range(copies)]
    for t in range(steps):
        s, s_next = rng.normal(size=(2, copies, 3)).astype("f")
        a, r = rng.normal(size=(copies, 2)).astype("f"), rng.normal(size=copies)
        terminated = rng.random(copies) < 0.15
        truncated = ~terminated & (rng.random(copies) < 0.15)
        alive = rng.random(copies) >= dead
        rows = memory.add(s, a, r, s_next, terminated, truncated, alive)
        assert len(rows) == alive.sum()
        for n in np.flatnonzero(alive):
            told[n].append((s[n], a[n], r[n], s_next[n], terminated[n], truncated[n], t))
    return told


def n_step_by_hand(trajectory, start, n, gamma):
    """Return, discount and last next observation of the steps from `start` on."""
    total, factor = 0.0, 1.0
    for s, a, r, s_next, terminated, truncated, _ in trajectory[start : start + n]:  # noqa: B007
        total, factor = total + factor * r, factor * gamma
        if terminated or truncated:
            break
    return total, 0.0 if terminated else factor, s_next


@pytest.mark.parametrize(("steps", "dead"), [(7, 0.0), (23, 0.0), (60, 0.3)])
@pytest.mark.parametrize("n_step", [1, 3, 5])
@pytest.mark.parametrize("copies", [1, 2])
def test_batches_equal_brute_force(rng, steps, dead, n_step, copies):
    memory = ReplayMemory(20 * copies, space(3, 2))
    memory.prepare(copies)
    told = history(rng, memory, steps, copies, dead)
    assert len(memory) == sum(min(len(t), 20) for t in told)
    rows = memory.draw(500, rng)
    batch = memory.batch(rows, 0.9, n_step)
    kept = [t[-20:] for t in told]
    seen = set()
    for i, row in enumerate(rows):
        n, slot = divmod(int(row), 20)
        oldest = 0 if len(told[n]) <= 20 else int(memory.heads[n])
        start = (slot - oldest) % 20
        seen.add((n, start))
        s, a, *_ = kept[n][start]
        total, discount, s_next = n_step_by_hand(kept[n], start, n_step, 0.9)
        np.testing.assert_array_equal(batch.observations[i], s)
        np.testing.assert_array_equal(batch.actions[i], a)
        np.testing.assert_allclose(batch.rewards[i], total, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(batch.discounts[i], discount, rtol=1e-6)
        np.testing.assert_array_equal(batch.next_observations[i], s_next)
    assert len(seen) == len(memory)  # every transition can be drawn


def test_newest_are_the_newest(rng):
    memory = ReplayMemory(20, space(3, 2))
    memory.prepare(2)
    told = history(rng, memory, 3, 2)
    assert len(memory.newest(5)) == 6
    told = history(rng, memory, 30, 2)
    rows = memory.newest(2)
    expected = np.concatenate([[t[-1][0], t[-2][0]] for t in told])
    np.testing.assert_array_equal(memory.observations[rows], expected)


def test_state_goes_on_where_it_stood(rng):
    first, second = ReplayMemory(40, space(3, 2)), ReplayMemory(40, space(3, 2))
    first.prepare(2)
    history(rng, first, 13, 2)
    second.load_state_dict(first.state_dict())
    assert (second.copies, second.slots) == (2, 20)  # as the state says, taken at once
    second.prepare(2)
    for memory, generator in ((first, np.random.default_rng(5)), (second, np.random.default_rng(5))):
        history(generator, memory, 30, 2)
    for name, array in first.state_dict().items():
        np.testing.assert_array_equal(array, second.state_dict()[name])


def test_takes_no_more_than_its_arithmetic_size():
    memory = ReplayMemory(1000, space(17, 6))
    assert memory.bytes_per_row == 4 * (2 * 17 + 6 + 1) + 2
    memory.prepare(1)
    names = "observations", "next_observations", "actions", "rewards", "terminated", "truncated"
    assert sum(getattr(memory, name).nbytes for name in names) == 1000 * memory.bytes_per_row


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("heads", np.array([21, 3]), "with heads within what is filled, given heads"),
        ("heads", np.array([-1, 3]), "with heads within what is filled"),
        ("heads", np.array([1.0, 3.0]), "with heads within what is filled"),
        ("sizes", np.array([20, 2**62]), "with heads within what is filled"),
        ("sizes", np.array([20, 19]), r"of shape \(39,\) and float32, given \(40,\) and float32"),
        ("rewards", np.zeros(40), r"rewards of shape \(40,\) and float32, given \(40,\) and float64"),
        ("rewards", None, r"given one that lacks \['rewards'\] and has \[\] besides"),
        ("priorities.largest", np.array(1.0), r"lacks \[\] and has \['priorities.largest'\] besides"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_before_anything_is_taken(rng, name, wrong, message):
    first, second = ReplayMemory(40, space(3, 2)), ReplayMemory(40, space(3, 2))
    first.prepare(2)
    history(rng, first, 23, 2)
    state = first.state_dict()
    changed = state | {name: wrong} if wrong is not None else {k: v for k, v in state.items() if k != name}
    with pytest.raises(ValueError, match=message):
        second.load_state_dict(changed)
    assert second.copies == 0
