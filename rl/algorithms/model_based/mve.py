"""Model-based value expansion, MVE (Feinberg et al. 2018), on DDPG.

    repeat
        a ← clip(μ(s) + noise, ±1), step, remember (s, a, r, s′)
        every `model_interval` steps: fit the model to all that is remembered
        for each minibatch
            ŝ_0 ← s′;  for t = 0 … H − 1:   ŝ_{t+1}, r̂_t, end ← the model at (ŝ_t, μ̄(ŝ_t))
            y ← r + γ [Σ_{t<H} γᵗ m_t r̂_t + γᴴ m_H Q̄(ŝ_H, μ̄(ŝ_H))]
                m_0 = 1 − terminated, and m_{t+1} = m_t (1 − end)
            the rest is DDPG's step on y

H = 0 is DDPG. Deviations: the first step is the data's own, where the notes imagine it too; m is not in print
(docs/errata.md, E50); the paper takes Q̄ of every imagined state as a target besides.

Shapes: B rows, O observation, A action dimensions.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from deepnp.backend import to_device
from rl.algorithms.actor_critic.ddpg import DDPG, DDPGConfig
from rl.algorithms.model_based.config import KINDS, ModelConfig, make_model
from rl.config import setting
from rl.experience.replay import Batch
from rl.names import explained_class
from rl.state import Part, add_rngs
from rl.takes import Takes


@explained_class
@dataclass(frozen=True)
class MVEConfig(ModelConfig, DDPGConfig):
    """Settings of MVE."""

    algorithm: ClassVar[str] = "MVE"

    model: str = setting("deterministic", "what members predict: a mean, or a mean and a variance", choices=KINDS)
    members: int = setting(1, "networks of the ensemble, E", 1, 1000)
    model_interval: int = setting(1_000, "environment steps between fits of the model", 1)
    expansion: int = setting(2, "imagined steps after the real one, H", 0, 1000)


class MVE(DDPG):
    """An MVE agent for continuous, bounded actions: `MVE(env, config, seed)`, see `DDPG`.

    Examples
    --------
    >>> agent = MVE("Pendulum-v1", MVEConfig(warmup=1000), seed=0)
    >>> agent.learn(10_000)
    """

    Config = MVEConfig
    takes = Takes(bounded=True, images=False, on_policy=False, model=True)

    def build(self) -> None:
        super().build()
        self.rngs = add_rngs(self.rngs, self.seed, "members", "model")
        self.model = make_model(self.space, self.config, self.rngs["members"])

    def parts(self) -> dict[str, Part]:
        return {**super().parts(), "model": self.model}

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """DDPG's step on targets that look H imagined steps further; first a fit of the model, where it is due.

        Returns metrics, and |Q − y| of each row.
        """
        metrics = self.model.fit_if_due(self.memory, self.steps, self.config.model_interval, self.rngs["model"])
        own, errors = super().update(self.expanded(batch))
        return {**own, **metrics}, errors

    def expanded(self, batch: Batch) -> Batch:
        """The same rows, with what the model imagines after them in rewards, next observations and discounts."""
        s, rewards, discounts = batch.next_observations, batch.rewards, batch.discounts
        for _ in range(self.config.expansion):
            a = to_device(self.target_policy.predict(self.observe(s)), "cpu")  # the model is on the CPU
            s, r, ended = self.model.mean_step(s, a)
            rewards = rewards + discounts * r
            discounts = np.where(ended, np.float32(0), discounts * np.float32(self.config.gamma))
        return replace(batch, next_observations=s, rewards=rewards, discounts=discounts)
