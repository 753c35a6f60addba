"""The action that was taken next: from the next row of the same episode, and of no other."""

import numpy as np
import pytest

from rl.experience.next_actions import with_next_actions
from rl.experience.replay import ReplayMemory
from tests.rl.toys import space


def filled(copies: int, steps: int, capacity: int) -> ReplayMemory:
    """Row t of copy n does t + 100·n. Step 2 terminates, step 5 is truncated."""
    memory = ReplayMemory(capacity, space(1, 1))
    memory.prepare(copies)
    for t in range(steps):
        s, a = np.full((copies, 1), t, np.float32), t + 100 * np.arange(copies, dtype=np.float32)[:, None]
        ends = np.full(copies, t == 2), np.full(copies, t == 5)
        memory.add(s, a, np.ones(copies, np.float32), s + 1, *ends, np.ones(copies, bool))
    return memory


def test_the_next_row_tells_unless_the_episode_ended():
    batch = with_next_actions(filled(1, 8, 10), np.arange(8), 0.9)
    np.testing.assert_array_equal(batch.weights, [1, 1, 1, 1, 1, 0, 1, 0])  # truncated, and the last
    np.testing.assert_array_equal(batch.discounts, np.float32([0.9, 0.9, 0, 0.9, 0.9, 0.9, 0.9, 0.9]))
    known = [0, 1, 3, 4, 6]
    np.testing.assert_array_equal(batch.next_actions[known, 0], np.array(known) + 1)


@pytest.mark.parametrize("capacity", [12, 18])
def test_rings_that_are_full_and_several_copies(capacity):
    """Whichever slot a step lies in: its successor is the step after it, of its own copy."""
    memory = filled(2, 11, capacity)
    rows = memory.filled()
    batch = with_next_actions(memory, rows, 0.9)
    step = batch.observations[:, 0]
    np.testing.assert_array_equal(batch.weights, ~np.isin(step, [5, 10]))
    known = (batch.weights == 1) & (step != 2)
    np.testing.assert_array_equal(batch.next_actions[known], batch.actions[known] + 1)


def test_without_discount_the_weights_are_the_same():
    np.testing.assert_array_equal(with_next_actions(filled(1, 8, 10), np.arange(8), 0.0).weights, [1, 1, 1, 1, 1, 0, 1, 0])
