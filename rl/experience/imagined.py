"""Transitions that a learned model imagined: branched rollouts from states that were seen, and a memory of them.

    s ← states of the real memory, one for each of N branches
    `length` times:  a ← the policy;  s′, r, terminated ← the model;  store;  a branch that ended begins in another state

Shapes: N branches, B rows, O observation.
"""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np

from rl.experience import trees
from rl.experience.collector import Collector, EpisodeStatistics, following_of
from rl.experience.learned import LearnedVector, Model
from rl.experience.replay import Batch, ReplayMemory
from rl.experience.spaces import ObservationLayout, SpaceInfo


class Imagined:
    """A memory of imagined transitions: a part of an agent, apart from what its environment fills.

    Parameters
    ----------
    capacity : int
        Transitions.
    space : SpaceInfo
        Of the environment.
    branches : int
        N.
    """

    def __init__(self, capacity: int, space: SpaceInfo, branches: int):
        self.space, self.memory = space, ReplayMemory(capacity, space)
        self.memory.prepare(branches)

    def __len__(self) -> int:
        return len(self.memory)

    def imagine(
        self,
        model: Model,
        act: Callable[[np.ndarray], np.ndarray],
        starts: Callable[[int], np.ndarray],
        length: int,
        rng: np.random.Generator,
    ) -> None:
        """Roll every branch `length` steps ahead.

        Parameters
        ----------
        model : Model
        act : callable
            Observations (N, O), not normalised -> actions (N, …).
        starts : callable
            count -> observations (count, O) to begin in.
        length : int
        rng : numpy.random.Generator
            Of the model's draws.
        """
        env = LearnedVector(model, self.space, starts, length, self.memory.copies, rng)
        layout = ObservationLayout.of(env.single_observation_space)  # of vectors, whatever the environment's own is
        collector, statistics = Collector(env, layout, np.float32, seed=0), EpisodeStatistics()
        for _ in range(length):
            before = trees.vector(collector.observations)
            actions = act(before)
            step = collector.step(actions, statistics)
            following = following_of(collector, step)
            self.memory.add(before, actions, step.rewards, following, step.terminated, step.truncated, step.valid)

    def draw(self, size: int, gamma: float, rng: np.random.Generator) -> Batch:
        """A batch of them, each with the same probability."""
        return self.memory.batch(self.memory.draw(size, rng), gamma)

    def state_dict(self) -> dict[str, np.ndarray]:
        return self.memory.state_dict()

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        self.memory.load_state_dict(state)


def joined(first: Batch, second: Batch) -> Batch:
    """The rows of both, one batch."""
    columns = {f.name: trees.concatenate([getattr(first, f.name), getattr(second, f.name)]) for f in fields(Batch)}
    return replace(first, **columns)  # type: ignore[arg-type]
