"""Model-based policy optimisation, MBPO (Janner, Fu, Zhang & Levine 2019): SAC on short imagined rollouts.

    repeat
        a ← π, step, remember (s, a, r, s′) in D_env
        every `model_interval` steps
            fit the ensemble to D_env
            from each of N states of D_env, roll k steps ahead with π and the ensemble; remember in D_model
        for each gradient step
            θ, φ ← SAC's step on a few rows of D_env and many of D_model

Short rollouts from states that were seen keep the model's error small: it grows with every step ahead. An elite is drawn
for each row of each step.

Paper: N = 400 for each environment step, in D_env's order of 250 steps; here all N at once after each fit, and fewer.

Shapes: B rows, O observation, A action dimensions.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rl.algorithms.actor_critic.sac import SAC, SACConfig
from rl.algorithms.model_based.config import ModelConfig, make_model
from rl.config import rate, setting
from rl.experience import trees
from rl.experience.imagined import Imagined, joined
from rl.experience.replay import Batch
from rl.names import explained_class
from rl.schedules import Rate
from rl.state import Part, add_rngs
from rl.takes import Takes


@explained_class
@dataclass(frozen=True)
class MBPOConfig(ModelConfig, SACConfig):
    """Settings of MBPO."""

    algorithm: ClassVar[str] = "MBPO"

    batch_size: int = setting(16, "real transitions of an update", 1, 1_000_000)
    imagined_batch: int = setting(240, "imagined transitions of an update", 1, 1_000_000)
    warmup: int = setting(1_000, "steps with random actions, before any update", 0)
    updates: int = setting(20, "gradient steps of an update", 1, 10_000)
    members: int = setting(7, "networks of the ensemble, E", 1, 1000)
    elites: int | None = setting(5, "members that count, the best on held-out rows; None: all", 1, 1000)
    rollouts: int = setting(10_000, "branches that are imagined after each fit, N", 1, 10_000_000)
    rollout_length: Rate = rate(1.0, "steps of each, k, rounded", 1, 1000)
    imagined_memory: int = setting(100_000, "transitions that the memory of imagined ones holds, N·k or more", 1)

    def __post_init__(self):
        super().__post_init__()
        k = self.rollout_length
        longest = round(max(map(k, np.linspace(0, 1, 11).tolist())) if callable(k) else k)
        if self.imagined_memory < self.rollouts * longest:  # it would forget the first steps of each
            given = f"{self.imagined_memory}, and {self.rollouts} rollouts of up to {longest} steps"
            raise ValueError(f"expected imagined_memory >= rollouts · rollout_length, given {given}")


class MBPO(SAC):
    """An MBPO agent for continuous, bounded actions: `MBPO(env, config, seed)`, see `SAC`.

    Examples
    --------
    >>> agent = MBPO("InvertedPendulum-v5", MBPOConfig(updates=10), seed=0)
    >>> agent.learn(5_000)
    """

    Config = MBPOConfig
    takes = Takes(bounded=True, images=False, on_policy=False, model=True)

    def build(self) -> None:
        super().build()
        c = self.config
        self.rngs = add_rngs(self.rngs, self.seed, "members", "model", "imagined")
        self.model = make_model(self.space, c, self.rngs["members"])
        self.imagined = Imagined(c.imagined_memory, self.space, c.rollouts)

    def parts(self) -> dict[str, Part]:
        return {**super().parts(), "model": self.model, "imagined": self.imagined}

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step of everything, on real and imagined rows; first a fit and new rollouts, where these are due.

        Returns metrics, and |Q − y| of each real row.
        """
        c = self.now
        metrics = self.model.fit_if_due(self.memory, self.steps, c.model_interval, self.rngs["model"])
        if metrics:
            self.imagine(round(c.rollout_length))
        imagined = self.imagined.draw(c.imagined_batch, c.gamma, self.rngs["imagined"])
        own, errors = super().update(joined(batch, imagined))
        return {**own, **metrics}, errors[: len(batch.rewards)]

    def imagine(self, length: int) -> None:
        """Roll branches ahead from states that were seen, with actions of the present policy."""
        rng = self.rngs["imagined"]

        def act(observations):
            return self.act(self.observe(observations), rng)

        def starts(count):
            return trees.vector(self.memory.observations)[self.memory.draw(count, rng)]

        self.imagined.imagine(self.model, act, starts, length, self.rngs["model"])
