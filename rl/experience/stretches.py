"""Sequences of steps out of the replay memory, for networks with memory.

A sequence is L steps that follow each other in one ring, from a row that was drawn; the b steps before it are read first, and
nothing is learned from them:

    ring    … ○ ○ ○ [○ ○ ○ ○] [● ● ● ● ● ● ● ●] ○ ○ …                  b = 4 of burn-in, L = 8
                              s   s′              s′ of a step is the step after it; beyond the last one, and where an
                                                  episode ended, the observation that was stored beside the step

Before the first of these steps nothing is remembered: after the burn-in the state is about what it was. R2D2 keeps the states of
all steps instead, of every network, and found that with burn-in best (Kapturowski et al. 2019); here the memory takes what it
takes without. Where an episode begins with a step, the state is forgotten; so it is at the oldest step of a ring. A sequence
never crosses the place where the ring is written next: there it ends early.

A step is read together with the action before it, zeros where an episode begins, as observations alone do not say what a
policy, an older one at that, has done (Heess et al. 2015; Ni et al. 2022).

Shapes: T = b + L steps, S sequences, B rows of steps that are learned from, A action dimensions, M ends.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rl.experience import trees
from rl.experience.replay import Batch, ReplayMemory
from rl.experience.sequences import Ends, Following, Sequences
from rl.experience.trees import Observations


def sequence_batch(
    memory: ReplayMemory,
    rows: np.ndarray,
    length: int,
    burn_in: int,
    gamma: float,
    observe: Callable[[Observations], Observations],
) -> Batch:
    """The sequences that begin with some rows (S,), as a batch whose observations are `Sequences` and `Following`.

    Parameters
    ----------
    memory : ReplayMemory
    rows : int array (S,)
    length, burn_in : int
        L and b.
    gamma : float
        Discount.
    observe : callable
        `Agent.observe`.
    """
    at, before, position, size = _window(memory, rows, length, burn_in)
    resets = (position <= 0) | _ended(memory, before)
    seen = trees.each(lambda part: part.take(at, axis=0), memory.observations)
    past = np.where(resets[..., None], np.float32(0), memory.actions.take(before, axis=0))
    resets[0] = False  # nothing is remembered there anyway
    x = Sequences(_beside(observe(seen), past), resets, (position < size) & (position >= 0), {})
    x, at = _behind(x, burn_in), at[burn_in:]
    ends, following = _following(x.valid, _ended(memory, at))
    last = at[ends]
    left = _beside(observe(trees.take(memory.next_observations, last)), memory.actions.take(last, axis=0))
    at = x.rows(at)
    discounts = np.where(memory.terminated.take(at), np.float32(0), np.float32(gamma))
    return Batch(
        x,
        memory.actions.take(at, axis=0),
        memory.rewards.take(at),
        Following(replace(x, ends=Ends(left, *ends)), following),
        discounts,
        np.ones(len(at), np.float32),
        at,
    )


def _window(memory, rows, length, burn_in):
    """For every step (T, S): its row, the row before it, and how many steps of the ring are older; and how many there are (S,).

    Where there is no such step, its row is the nearest one's.
    """
    ring, slot = np.divmod(rows, memory.slots)
    size = memory.sizes[ring]
    oldest = np.where(size == memory.slots, memory.heads[ring], 0)
    position = (slot - oldest) % memory.slots + np.arange(-burn_in, length)[:, None]

    def row(position):
        return ring * memory.slots + (oldest + np.clip(position, 0, size - 1)) % memory.slots

    return row(position), row(position - 1), position, size


def _ended(memory, rows):
    """Whether an episode ended with each row."""
    return memory.terminated.take(rows) | memory.truncated.take(rows)


def _beside(observations, actions):
    vector = np.concatenate([trees.vector(observations), actions], axis=-1)
    return trees.with_vector(observations, vector)


def _behind(x: Sequences, burn_in: int) -> Sequences:
    """The steps behind the first `burn_in`, which are read before them."""
    if not burn_in:
        return x
    parts = slice(burn_in), slice(burn_in, None)
    early, late = (Sequences(trees.at(x.observations, part), x.resets[part], x.valid[part], {}) for part in parts)
    return replace(late, burn_in=early, led=np.ones(x.valid.shape[1], bool))


def _following(valid, ended):
    """After which step of which sequence an end follows, and what each step leads to: its row, ends behind all steps (B,)."""
    goes_on = np.zeros_like(valid)
    goes_on[:-1] = valid[1:] & ~ended[:-1]
    ends = np.nonzero(valid & ~goes_on)
    number = np.cumsum(valid).reshape(valid.shape) - 1
    following = np.roll(number, -1, axis=0)
    following[ends] = np.count_nonzero(valid) + np.arange(len(ends[0]))
    return ends, following[valid]
