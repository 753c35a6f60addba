"""What the pages share: an agent that is given a data set.

The data set lies in the replay memory, so it is saved with the agent, a resumed run needs no other
file, and steps in the environment are added to it.
"""

from typing import Any, Self

import numpy as np

from rl.agent import Agent
from rl.experience import trees
from rl.experience.datasets import DataSet
from rl.experience.normalizers import normalizer_of
from rl.experience.replay import Batch, ReplayMemory
from rl.loops import offline
from rl.state import Counter, Part


class FromData(Agent):
    """Base of the agents that learn from a data set.

    Attributes
    ----------
    memory : ReplayMemory
        The data set, and what was added to it.
    given : Counter
        Rows of the data set that was given; 0 without one.
    """

    iterate = offline.iterate
    memory: ReplayMemory
    given: Counter

    @classmethod
    def of_data(cls, data: DataSet, config: Any = None, seed: int = 0) -> Self:
        """An agent for a data set's spaces, that was given it: `learn(updates)` needs no environment.

        Raises
        ------
        ValueError
            If the algorithm does not take these spaces, or the data set is larger than the setting
            `memory`.
        """
        if not isinstance(data, DataSet):
            raise TypeError(f"expected a DataSet (rl.load_data reads one from a file), given {type(data).__name__}")
        agent = cls.__new__(cls)
        agent._begin(data.space, cls._checked(config), seed)
        agent.env_name = data.env
        return agent.learn_from(data)

    def learn_from(self, data: DataSet) -> Self:
        """Take in a data set, in the place of what the memory holds; `learn` learns from it.

        A normaliser of observations learns the data set's moments.

        Raises
        ------
        ValueError
            If its spaces are not the agent's, or it is larger than the setting `memory`.
        """
        if not isinstance(data, DataSet):
            raise TypeError(f"expected a DataSet (rl.load_data reads one from a file), given {type(data).__name__}")
        self.space.check(data.space)
        if not self.config.batch_size <= len(data) <= self.config.memory:
            given = f"{len(data):,} rows for batch_size {self.config.batch_size:,} and memory {self.config.memory:,}"
            raise ValueError(f"expected a data set of batch_size to memory rows, given {given}")
        self.memory.prepare(self.config.num_envs)
        place = np.array([len(data)])
        self.memory.load_state_dict({**data.columns(self.memory.dtype), "heads": place, "sizes": place})
        learned = normalizer_of(self.config, self.space.observations)
        if self.normalizer is not None and learned is not None:
            learned.update(trees.vector(data.observations))
            self.normalizer.load_state_dict(learned.state_dict())
        self.given.count = len(data)
        self.forget_episodes()
        return self

    def make_memory(self) -> None:
        """Make an empty data set, as the settings ask for it."""
        space, c = self.space, self.now
        self.memory = ReplayMemory(c.memory, space, space.vector_dtype(c.normalize_observations))
        self.given = Counter()

    def data_parts(self) -> dict[str, Part]:
        """The data set, among what training changes."""
        return {"memory": self.memory, "given": self.given}

    @property
    def offline(self) -> bool:
        """Whether its next steps are updates on a data set, and the environment waits."""
        limit = self.config.offline_steps
        return self.given.count > 0 and (limit is None or self.steps < limit)

    @property
    def untouched(self) -> bool:
        """Whether no step was taken in an environment yet."""
        limit = self.config.offline_steps
        return self.steps == 0 or (self.given.count > 0 and (limit is None or self.steps <= limit))

    @property
    def warming_up(self) -> bool:
        """Whether actions are random, and nothing is learned."""
        return not self.given.count and self.steps < self.config.warmup

    def updates_until(self, total_steps: int) -> int:
        """The step at which updates on the data set end.

        Raises
        ------
        RuntimeError
            If the data set is not here: the agent's file was written without it. If steps in an
            environment are to follow, and there is none.
        """
        if len(self.memory) < self.config.batch_size:
            raise RuntimeError("this agent's file was saved without its data set: call learn_from(data) before learn")
        limit = self.config.offline_steps
        if limit is not None and limit < total_steps and self.env is None:
            steps = f"{limit:,} of {total_steps:,} steps are updates on the data set"
            raise RuntimeError(f"{steps}, and there is no environment for the others: call set_env(env)")
        return total_steps if limit is None else min(limit, total_steps)

    def batch(self, rows: np.ndarray) -> Batch:
        """Single steps in some rows (B,) of the memory."""
        return self.memory.batch(rows, self.config.gamma)
