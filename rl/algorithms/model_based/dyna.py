"""Dyna with networks (Sutton 1990), on DQN.

    repeat
        a ← ε-greedy in Q; step; remember (s, a, r, s′)
        every `model_interval` steps: fit the model to all that is remembered
        for each minibatch
            θ ← DQN's step on it
            M times
                s, a ← rows of the memory;  r̂, ŝ′, end ← the model
                θ ← DQN's step on (s, a, r̂, ŝ′)

dyna_q.py is the same with tables, and with a model that remembers. M = 0 is DQN.

Deviation: Sutton plans after every step; here after every update, in minibatches. The target network counts
every step, whichever rows it is on.

Shapes: B rows, O observation, C choices.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rl.algorithms.model_based.config import ModelConfig, make_model
from rl.algorithms.value_based.dqn import DQN, DQNConfig
from rl.config import setting
from rl.experience.replay import Batch
from rl.names import explained_class
from rl.state import Part, add_rngs
from rl.takes import Takes


@explained_class
@dataclass(frozen=True)
class DynaConfig(ModelConfig, DQNConfig):
    """Settings of Dyna."""

    algorithm: ClassVar[str] = "Dyna"

    planning: int = setting(5, "imagined minibatches after each real one, M", 0, 10_000)
    model_interval: int = setting(500, "environment steps between fits of the model", 1)


class Dyna(DQN):
    """A Dyna agent for choices: `Dyna(env, config, seed)`, see `DQN`.

    Examples
    --------
    >>> agent = Dyna("CartPole-v1", DynaConfig(planning=5), seed=0)
    >>> agent.learn(20_000)
    """

    Config = DynaConfig
    takes = Takes(actions=("Discrete",), images=False, on_policy=False, model=True)

    def build(self) -> None:
        super().build()
        self.rngs = add_rngs(self.rngs, self.seed, "members", "model", "planning")
        self.model = make_model(self.space, self.config, self.rngs["members"])

    def parts(self) -> dict[str, Part]:
        return {**super().parts(), "model": self.model}

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step on real rows, and M on imagined ones; first a fit of the model, where it is due.

        Returns metrics, and |Q − y| of each real row.
        """
        c = self.now
        metrics = self.model.fit_if_due(self.memory, self.steps, c.model_interval, self.rngs["model"])
        own, errors = super().update(batch)
        for _ in range(c.planning):
            rows = self.memory.draw(len(batch.rows), self.rngs["planning"])
            super().update(self.model.imagined(self.memory.batch(rows, c.gamma), c.gamma, self.rngs["model"]))
        return {**own, **metrics}, errors
