"""Fitted Q-iteration (Ernst, Geurts & Wehenkel 2005) with a neural network (Riedmiller 2005).

    D ← transitions (s, a, r, s′) of random actions
    K times
        φ ← θ
        n times, with a batch of D
            y ← r + γ(1 − terminated) max_a′ Q_φ(s′, a′)
            θ ← Adam descent on (Q_θ(s, a) − y)²

A round is a regression on what the last round's values say; no action depends on what was learned.
The papers fit trees, or a network by Rprop on all of D at once. θ goes on from round to round.

Shapes: B rows, O observation, C choices.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from deepnp.models.mlp import ACTIVATIONS
from rl.algorithms.offline.choices import ChoicesFromData
from rl.config import check_config, setting
from rl.experience.datasets import DataSet
from rl.experience.normalizers import NORMALIZERS
from rl.experience.replay import Batch
from rl.loops import fitted
from rl.names import explained_class
from rl.networks.q_steps import choice_step
from rl.state import Counter, Part


@explained_class
@dataclass(frozen=True)
class FQIConfig:
    """Settings of FQI. Each field: its default, its meaning with its symbol, its valid range."""

    algorithm: ClassVar[str] = "FQI"

    num_envs: int = setting(1, "environments stepped at once, N", 1, 1_000_000)
    gamma: float = setting(0.99, "discount factor, γ", 0, 1)
    batch_size: int = setting(128, "transitions of a gradient step", 1, 1_000_000)
    memory: int = setting(50_000, "transitions that the data set holds, D", 1)
    rounds: int = setting(50, "regressions, K", 1, 100_000)
    round_steps: int = setting(500, "gradient steps of each, n", 1, 10_000_000)
    lr: float = setting(1e-3, "Adam's learning rate, α", 0, 10)
    hidden: tuple[int, ...] = setting((128, 128), "widths of the network's hidden layers")
    activation: str = setting("relu", "between the layers", choices=tuple(ACTIVATIONS))
    error_limit: float | None = setting(None, "error beyond which the loss is linear (Huber), κ; None: never", 1e-9)
    normalize_observations: bool = setting(
        False, "running normalisation of what the networks read; the data set keeps the raw ones"
    )
    normalizer: str = setting("standard", "normalisation by mean and deviation, or by the range seen", choices=tuple(NORMALIZERS))
    observation_clip: float = setting(10.0, "bound of normalised observations", 1e-6)

    def __post_init__(self):
        check_config(self)
        if self.batch_size > self.memory:
            raise ValueError(f"expected batch_size <= memory, given {self.batch_size} and {self.memory}")


class FQI(ChoicesFromData):
    """An FQI agent for choices: `FQI(env, config, seed)`, see `Agent`; or `FQI.of_data(data)`, see `FromData`.

    `learn(50_000)` takes 50,000 random steps, and then fits: nothing is learned before the last of
    them. The rows of a data set that was given count as steps: `learn(len(data))` fits it, and takes
    none.

    Examples
    --------
    >>> agent = FQI("CartPole-v1", FQIConfig(rounds=20), seed=0)
    >>> agent.learn(50_000)
    """

    Config = FQIConfig
    iterate = fitted.iterate

    def build(self) -> None:
        super().build()
        self.rounds_left = Counter()

    def parts(self) -> dict[str, Part]:
        return {**super().parts(), "rounds_left": self.rounds_left}

    def learn_from(self, data: DataSet) -> Self:
        """Take in a data set, in the place of what the memory holds; all rounds over it are due."""
        super().learn_from(data)
        self.steps, self.rounds_left.count = len(data), self.config.rounds
        return self

    @property
    def offline(self) -> bool:
        """Whether rounds are left, and there is no environment to take more steps in."""
        return self.owes and self.env is None

    @property
    def untouched(self) -> bool:
        """Whether no step was taken in an environment yet."""
        return self.steps == self.given.count

    @property
    def owes(self) -> bool:
        """Whether rounds over the present data set were interrupted."""
        return self.rounds_left.count > 0 and len(self.memory) > 0  # a file may be without it

    def act(self, observations, rng) -> np.ndarray:
        return self.policy.predict(observations).argmax(axis=1)

    explore = act

    def freeze(self) -> None:
        """Let targets be made from the network as it is now."""
        self.target_policy.flat.data[...] = self.policy.flat.data

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step of a regression; returns metrics, and |Q − y| of each row (B,)."""
        c, s, s_next = self.now, self.observe(batch.observations), self.observe(batch.next_observations)
        y = batch.rewards + batch.discounts * self.target_policy.predict(s_next).max(axis=1)
        limit = np.inf if c.error_limit is None else c.error_limit
        loss, errors = choice_step(self.policy.body, self.policy_optimizer, s, batch.actions, y, batch.weights, limit)
        errors = np.abs(errors)
        return {"critic_loss": loss, "td_error": float(errors.mean()), "target": float(y.mean())}, errors
