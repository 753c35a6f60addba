"""Sequences out of the replay memory against a list of everything that happened, read step by step.

Shapes: L steps of a sequence, b of burn-in.
"""

from typing import NamedTuple

import numpy as np
import pytest

from rl import SACConfig
from rl.experience.replay import ReplayMemory
from rl.experience.stretches import sequence_batch
from rl.networks.actor_kinds import deterministic
from rl.networks.memory import MEMORIES
from rl.networks.recalling import actor_of, critic_of
from tests.rl.toys import space

SPACE, SLOTS, L = space(3, 2), 20, 6


class Step(NamedTuple):
    """One transition of one copy."""

    s: np.ndarray
    a: np.ndarray
    r: float
    s_next: np.ndarray
    terminated: bool
    truncated: bool

    @property
    def ended(self) -> bool:
        return self.terminated or self.truncated


def lived(rng, steps: int, copies: int = 2) -> tuple[ReplayMemory, list[list[Step]]]:
    """A memory of what happened, and the same as lists, of each copy what its ring still holds; some steps of some copies fail."""
    memory, told = ReplayMemory(SLOTS * copies, SPACE), [[] for _ in range(copies)]
    memory.prepare(copies)
    s = rng.normal(size=(copies, 3)).astype("f")
    for _ in range(steps):
        a, r, s_next = rng.normal(size=(copies, 2)).astype("f"), rng.normal(size=copies), rng.normal(size=(copies, 3)).astype("f")
        terminated = rng.random(copies) < 0.12
        truncated, valid = ~terminated & (rng.random(copies) < 0.12), rng.random(copies) < 0.8
        memory.add(s, a, r, s_next, terminated, truncated, valid)
        fresh = rng.normal(size=(copies, 3)).astype("f")
        for n in np.flatnonzero(valid):
            told[n].append(Step(s[n].copy(), a[n], np.float32(r[n]), s_next[n], bool(terminated[n]), bool(truncated[n])))
            s[n] = fresh[n] if terminated[n] or truncated[n] else s_next[n]
    return memory, [steps[-SLOTS:] for steps in told]


def places(memory, told) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """All rows, and for each its copy, and how many steps of that copy are older."""
    rows, where = [], []
    for n, steps in enumerate(told):
        oldest = int(memory.heads[n]) if len(steps) == SLOTS else 0
        rows += [n * SLOTS + (oldest + i) % SLOTS for i in range(len(steps))]
        where += [(n, i) for i in range(len(steps))]
    return np.array(rows), where


def drawn(memory, told, burn_in):
    """A batch of the sequences from every row, and (sequence, t, steps of the copy, index) of each of its rows, in their order."""
    rows, where = places(memory, told)
    batch = sequence_batch(memory, rows, L, burn_in, 0.9, lambda s: s)
    order = [(k, t, told[n], i + t) for t in range(L) for k, (n, i) in enumerate(where) if i + t < len(told[n])]
    return batch, order, [(told[n], i) for n, i in where]


@pytest.mark.parametrize("steps", [3, 15, 70])
@pytest.mark.parametrize("burn_in", [0, 4])
def test_rows_are_the_steps_that_follow_each_other(rng, steps, burn_in):
    """The ring is not full, or was written over; no sequence crosses the place where it is written next."""
    memory, told = lived(rng, steps)
    batch, order, _ = drawn(memory, told, burn_in)
    x = batch.observations
    assert len(order) == len(batch.actions) == len(batch.rows) == len(x)
    seen = x.rows(x.observations)
    for row, (_, _, lived_steps, j) in enumerate(order):
        step = lived_steps[j]
        np.testing.assert_array_equal(batch.actions[row], step.a)
        assert batch.rewards[row] == step.r
        assert batch.discounts[row] == (0 if step.terminated else np.float32(0.9))
        goes_on = j > 0 and not lived_steps[j - 1].ended
        np.testing.assert_array_equal(seen[row], [*step.s, *(lived_steps[j - 1].a if goes_on else (0, 0))])
    np.testing.assert_array_equal(memory.rewards[batch.rows], batch.rewards)
    assert (batch.weights == 1).all()


@pytest.mark.parametrize("kind", MEMORIES)
@pytest.mark.parametrize(("burn_in", "steps"), [(0, 15), (4, 15), (4, 70), (9, 70)])
def test_features_are_those_of_reading_step_by_step(rng, kind, burn_in, steps):
    """The state is forgotten at each beginning, the burn-in is read before, s′ after the action that led to it."""
    memory, told = lived(rng, steps)
    c = SACConfig(recall=kind, recall_size=8, recall_span=4, hidden=(5,), actor_gain=1.0)
    policy = actor_of(deterministic, SPACE, c, rng, None)
    batch, order, starts = drawn(memory, told, burn_in)
    expected, following = {}, {}
    for k, (lived_steps, i) in enumerate(starts):
        state = policy.zeros(1)
        for j in range(max(0, i - burn_in), min(i + L, len(lived_steps))):
            step = lived_steps[j]
            if j == 0 or lived_steps[j - 1].ended:
                state = policy.zeros(1)
            else:
                state = (*state[:-1], lived_steps[j - 1].a[None])
            remembered, after = policy.read(step.s[None], state)
            expected[k, j - i] = policy.predict(remembered)[0]
            following[k, j - i] = policy.predict(policy.read(step.s_next[None], (*after, step.a[None]))[0])[0]
            state = (*after, step.a[None])
    expected, following = (np.array([given[k, t] for k, t, *_ in order]) for given in (expected, following))
    x = batch.observations
    np.testing.assert_allclose(policy.predict(x), expected, atol=2e-6)
    np.testing.assert_allclose(policy.forward(x), expected, atol=2e-6)
    np.testing.assert_allclose(policy.predict(batch.next_observations), following, atol=2e-6)


@pytest.mark.parametrize("kind", MEMORIES)
def test_a_critic_reads_actions_beside_what_it_remembers(rng, kind):
    memory, told = lived(rng, 70)
    c = SACConfig(recall=kind, recall_size=8, recall_span=4, hidden=(5,), activation="tanh")
    policy = actor_of(deterministic, SPACE, c, rng, None)
    critic, value = (critic_of(SPACE, c, actions, rng, policy) for actions in (2, 0))
    batch, _, _ = drawn(memory, told, 4)
    x, a = batch.observations, batch.actions
    features = critic.memory.predict(x)
    np.testing.assert_allclose(critic.forward((x, a)), critic.head.predict(np.concatenate([features, a], axis=1)), atol=1e-6)
    np.testing.assert_allclose(critic.predict((x, a)), critic.forward((x, a)), atol=1e-6)
    direction, dy, eps = rng.normal(size=a.shape).astype("f"), rng.normal(size=(len(a), 1)).astype("f"), np.float32(1e-2)
    critic.forward((x, a))
    slope = ((critic.predict((x, a + eps * direction)) - critic.predict((x, a - eps * direction))) * dy).sum() / (2 * eps)
    assert (critic.backward(dy, params=False) * direction).sum() == pytest.approx(slope, rel=1e-2, abs=1e-2)
    assert not critic.flat.grad.any()
    np.testing.assert_allclose(value.forward(x), value.head.predict(value.memory.predict(x)), atol=1e-6)


def test_every_row_is_read_as_often_but_for_the_oldest(rng):
    """From every row a sequence: each step is read by the L sequences that begin with it or before, the oldest by fewer."""
    memory, told = lived(rng, 70)
    batch, *_ = drawn(memory, told, 0)
    rows, where = places(memory, told)
    counts = np.bincount(batch.rows, minlength=rows.max() + 1)
    for row, (_, i) in zip(rows, where, strict=True):
        assert counts[row] == min(i + 1, L)
