"""Reward-weighted regression (Peters & Schaal 2007), for whole episodes (Kober & Peters 2009; ERWR of Duan et al. 2016).

    repeat
        collect T steps in N environments with π
        R_t ← Σ_{k≥t} γ^{k−t} r_k                    the reward-to-go, completed with V where an episode is cut
        ρ ← R − V(s)  or  R,  less its minimum      so no weight is negative
        θ ← K steps of ascent on  (1/B) Σ ρ ln π(a|s)
        ω ← some epochs of descent on  (V(s) − R)²

This is expectation maximisation with returns in the place of probabilities: the policy is fitted to its own actions, each as
often as it was worth. It needs no step size and never gets worse in theory, but σ shrinks with every fit, whether or not there
is more to find, and one very bad return makes all weights alike.

Deviations: V is learned in all cases, for it completes the returns of fragments. ρ has mean 1, which the minimum does not
notice, so that a bound of the gradient means the same everywhere. The steps are Adam's, on all rows.

Shapes: T steps, N environments, B = T·N rows (fewer where steps never happened).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from deepnp.optim import Adam
from rl.agent import Agent
from rl.algorithms.black_box.likelihood import fit_by_likelihood
from rl.algorithms.policy_gradient.config import OnPolicyConfig
from rl.algorithms.policy_gradient.descent import value_epochs
from rl.algorithms.policy_gradient.networks import policy_and_value, recall_of
from rl.config import rate, setting
from rl.experience.normalize import RewardScaler
from rl.experience.rollout import Rollout
from rl.experience.samples import samples_of
from rl.loops import on_policy
from rl.names import explained_class
from rl.schedules import Rate
from rl.state import Part, spawn_rngs
from rl.takes import STOCHASTIC_POLICY

BASELINES = ("value", "none")


@explained_class
@dataclass(frozen=True)
class RWRConfig(OnPolicyConfig):
    """Settings of reward-weighted regression: each field's default, its meaning with its symbol, its range."""

    algorithm: ClassVar[str] = "RWR"

    baseline: str = setting("value", "what is subtracted from R: V(s), or nothing", choices=BASELINES)
    updates: int = setting(50, "steps of the policy in an iteration, K", 1, 100_000)
    lr: Rate = rate(1e-2, "Adam's learning rate of the policy", 0, 10)
    max_grad_norm: Rate = rate(1.0, "bound of each network's gradient norm (L2)", 1e-6)
    epochs: int = setting(5, "passes of the value over the collected data", 1, 10_000)
    batch_size: int = setting(64, "rows of the value's minibatches", 1)
    value_lr: Rate | None = rate(None, "that of the value; None: lr", 0, 10)
    scale_rewards: bool = setting(True, "divide by the running σ of the discounted return")

    @property
    def value_rate(self) -> Rate:
        """The value's learning rate."""
        return self.lr if self.value_lr is None else self.value_lr


class RWR(Agent):
    """An RWR agent: `RWR(env, config, seed)`, see `Agent`.

    It takes `networks={"policy": module, "value": module}`, networks of one's own; see rl/networks/own.py.

    Examples
    --------
    >>> RWR("CartPole-v1", seed=0).learn(200_000)
    """

    Config = RWRConfig
    takes = STOCHASTIC_POLICY
    iterate, act, learn_scale = on_policy.iterate, on_policy.act, on_policy.learn_scale
    own_networks = ("policy", "value")

    def build(self) -> None:
        c = self.now
        self.rngs = spawn_rngs(self.seed, "weights", "actions", "value", "environment")
        self.policy, self.value = policy_and_value(self.space, c, self.networks, self.rngs["weights"])
        self.recall = recall_of(self.config, self.policy, self.value)
        self.policy_optimizer, self.value_optimizer = Adam(self.policy.flat, c.lr), Adam(self.value.flat, c.value_rate)
        self.scaler = RewardScaler(c.gamma) if c.scale_rewards else None

    def parts(self) -> dict[str, Part]:
        optimizers = {"policy_optimizer": self.policy_optimizer, "value_optimizer": self.value_optimizer}
        optional = {"recall": self.recall, "scaler": self.scaler}
        return {"policy": self.policy, "value": self.value, **optimizers, **{n: p for n, p in optional.items() if p is not None}}

    def update(self, rollout: Rollout, progress: float) -> dict[str, float]:
        """Fit policy and value to one rollout, with the settings of `progress` in [0, 1] of the training; returns metrics."""
        c = self.at(progress)
        self.policy_optimizer.lr, self.value_optimizer.lr = c.lr, c.value_rate
        samples = samples_of(rollout, lambda s: self.value.predict(s)[:, 0], c.gamma, 1.0, None)
        weights = reward_weights(samples.advantages if c.baseline == "value" else samples.targets)
        rows = samples.observations, samples.actions, weights
        metrics = fit_by_likelihood(self.policy, self.policy_optimizer, self.guard, *rows, c)
        return {**metrics, **value_epochs(self, samples, c), "explained_variance": samples.explained_variance()}


def reward_weights(returns: np.ndarray) -> np.ndarray:
    """ρ(R) = (R − min R)/mean(R − min R), of returns (B,); all 1 where they are equal."""
    above = returns - returns.min()
    mean = float(above.mean(dtype=np.float64))
    return above / mean if mean > 0 else np.ones_like(above)
