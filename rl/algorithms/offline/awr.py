"""Advantage-weighted regression (Peng et al. 2019): the data's actions, the better ones more.

    repeat, with a batch of the data set
        G ← Σ_{k≥t} γ^{k−t} r_k                    to the episode's end; completed with V where it was truncated
            λ < 1: over h steps, h ~ (1 − λ)λ^{h−1}, completed with V
        ω ← Adam descent on  (V(s) − G)²
        A ← G − V(s)                               less its mean over the batch, divided by its deviation
        θ ← Adam descent on  −min(e^{A/β}, w_max) ln π(a|s)

V is what the data's own policy b earns, and π ∝ b e^{A/β}: one step of improvement on b, and no value
of an action that is not in the data ("one-step V"). In an environment the steps are added to the data set, b is the
mixture of all policies so far, and the improvement goes on.

Deviations: λ = 1 is the default; the paper has TD(λ) with λ = 0.95, and mixes returns of all lengths, where
here each row draws one: the same in the mean. Its β = 0.05 is for raw advantages; here they are
standardised. Its steps alternate, some hundred of each; here every batch serves both.

Shapes: B rows, A action dimensions.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepnp.models.mlp import ACTIVATIONS
from rl.algorithms.offline.config import DataConfig
from rl.algorithms.offline.from_data import FromData
from rl.algorithms.offline.regression import ACTIONS, RegressionConfig, act, regress, regressed_policy
from rl.config import rate, setting
from rl.experience.replay import Batch
from rl.experience.whole_returns import WholeReturns
from rl.losses.advantage_weights import standardized
from rl.names import explained_class
from rl.networks.critics import Values
from rl.networks.encoders import network
from rl.schedules import Rate
from rl.state import Part, spawn_rngs
from rl.takes import Takes


@explained_class
@dataclass(frozen=True)
class AWRConfig(RegressionConfig, DataConfig):
    """Settings of advantage-weighted regression."""

    algorithm: ClassVar[str] = "AWR"

    gamma: float = setting(0.99, "discount factor, γ", 0, 1)
    lam: float = setting(1.0, "how far returns reach before V completes them, λ of TD(λ); 1: to the episode's end", 0, 1)
    beta: Rate = rate(1.0, "how near to the data's policy to stay, β, in deviations of the advantage", 1e-6)
    largest_weight: Rate = rate(20.0, "bound of the weights, w_max", 1e-6)


class AWR(FromData):
    """An AWR agent: `AWR.of_data(data, config, seed)`, see `FromData`.

    Examples
    --------
    >>> agent = AWR.of_data(rl.load_data("cartpole-medium.safetensors"), seed=0)
    >>> agent.learn(20_000)
    """

    Config = AWRConfig
    takes = Takes(actions=ACTIONS, masks=True, on_policy=False, dataset=True)
    act = explore = act

    def build(self) -> None:
        space, c = self.space, self.now
        self.rngs = spawn_rngs(self.seed, "weights", "explore", "replay", "environment")
        rng, activation = self.rngs["weights"], ACTIVATIONS[c.activation]
        self.policy, self.policy_optimizer = regressed_policy(space, c, rng)
        self.value = Values([network(space.observation, c.hidden, 1, activation, rng)], c.lr, targets=False)
        self.make_memory()
        self.returns = WholeReturns(self.memory, c.gamma)

    def parts(self) -> dict[str, Part]:
        return {"policy": self.policy, "policy_optimizer": self.policy_optimizer, "value": self.value, **self.data_parts()}

    def batch(self, rows: np.ndarray) -> Batch:
        """Some rows (B,) of the memory, with returns to the ends of their episodes, or over drawn lengths."""
        return self.returns.batch(rows, self.config.lam, self.rngs["replay"])

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step of the value, and one of the policy; returns metrics, and |V − G| of each row (B,)."""
        s, s_last = self.observe(batch.observations), self.observe(batch.next_observations)
        returns = batch.rewards + batch.discounts * self.value.target(s_last)
        self.value.set_lr(self.now.lr)
        value_loss, errors = self.value.fit(s, targets=returns, weights=batch.weights)
        advantages = standardized(returns - self.value.target(s))
        return {"value_loss": value_loss, **regress(self, s, batch.actions, advantages)}, errors
