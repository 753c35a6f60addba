"""Behavioural cloning (Pomerleau 1989): the policy that most probably did what the data set holds.

    repeat, with a batch of the data set
        θ ← Adam descent on  −(1/B) Σ ln π(a|s)

With a fixed σ this is the least squares of μ(s) − a. Rewards play no part, so the policy is as good
as the one that gathered the data, at best: what every other offline method is compared with. Where
it errs it meets states that are not in the data.

Shapes: B rows, A action dimensions.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rl.algorithms.black_box.likelihood import likelihood_step
from rl.algorithms.offline.config import DataConfig
from rl.algorithms.offline.from_data import FromData
from rl.algorithms.offline.regression import ACTIONS, RegressionConfig, act, regressed_policy
from rl.experience.replay import Batch
from rl.names import explained_class
from rl.state import Part, spawn_rngs
from rl.takes import Takes


@explained_class
@dataclass(frozen=True)
class BCConfig(RegressionConfig, DataConfig):
    """Settings of behavioural cloning."""

    algorithm: ClassVar[str] = "BC"
    gamma: ClassVar[float] = 1.0  # of rewards, which nobody reads


class BC(FromData):
    """A cloned policy: `BC.of_data(data, config, seed)`, see `FromData`.

    In an environment, without a data set, it imitates its own actions: random ones at first.

    Examples
    --------
    >>> agent = BC.of_data(rl.load_data("pendulum-expert.safetensors"), seed=0)
    >>> agent.learn(10_000)
    """

    Config = BCConfig
    takes = Takes(actions=ACTIONS, masks=True, on_policy=False, value=False, dataset=True)
    act = explore = act

    def build(self) -> None:
        c = self.now
        self.rngs = spawn_rngs(self.seed, "weights", "explore", "replay", "environment")
        self.policy, self.policy_optimizer = regressed_policy(self.space, c, self.rngs["weights"])
        self.make_memory()

    def parts(self) -> dict[str, Part]:
        return {"policy": self.policy, "policy_optimizer": self.policy_optimizer, **self.data_parts()}

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step; returns metrics, and the weight of each row, 1 (B,)."""
        c = self.now
        self.policy_optimizer.lr = c.lr
        rows = self.observe(batch.observations), batch.actions, batch.weights
        loss = likelihood_step(self.policy, self.policy_optimizer, *rows, c.max_grad_norm)
        return {"policy_loss": loss}, batch.weights
