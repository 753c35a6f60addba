"""REINFORCE, the plain policy gradient (Williams 1992; "vanilla policy gradient").

    repeat
        collect T steps in N environments with π
        ψ_t ← Σ_{k≥t} γ^{k−t} r_k           the reward-to-go;  or Σ_{k≥0} γ^k r_k, the episode's whole return
        ψ_t ← ψ_t − b                       b: nothing, mean ψ, mean ψ of all steps t, V(s_t), or b* of least variance
        θ ← one step of ascent on  ψ ln π(a|s) + β H(π(·|s))
        ω ← some epochs of descent on  (V(s) − Σ_{k≥t} γ^{k−t} r_k)²

The gradient of J = E Σ γ^t r_t is (1/(1 − γ)) E_{s ~ d_γ}[∇ ln π(a|s) Q(s, a)]; the notes leave out 1/(1 − γ). The discounted
distribution d_γ weighs step t of an episode by γ^t. Almost nobody does, as then late steps are hardly learned from: without
`discount_steps` the states count as they come, which is no gradient of any J, but learns better (Nota & Thomas 2020). The whole
return has its γ^t inside: what comes after t is discounted from the episode's beginning.

Deviations from Williams: V is learned whatever the baseline, for it completes the returns of episodes that are cut by a
truncation, and of those that are cut by the rollout's end (`fragments="bootstrap"`). To drop the latter is without V's error
there, but drops more of the long episodes than of the short ones. The step is Adam's, and ψ is standardised unless told otherwise.

Shapes: T steps, N environments, B = T·N rows (fewer where steps never happened or are dropped), A action dimensions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from deepnp import Module
from deepnp.optim import Adam
from rl.agent import Agent
from rl.algorithms.policy_gradient.descent import policy_step, value_epochs
from rl.algorithms.policy_gradient.gradient_config import MEMORY, GradientConfig, refuse
from rl.algorithms.policy_gradient.networks import policy_and_value, recall_of
from rl.config import setting, with_rates
from rl.experience.clock import EpisodeClock
from rl.experience.environments import EnvLike
from rl.experience.normalize import RewardScaler
from rl.experience.rollout import Rollout
from rl.experience.samples import Samples, samples_from
from rl.loops import on_policy
from rl.losses.baselines import minimum_variance, time_means
from rl.losses.returns import monte_carlo_returns
from rl.losses.surrogate import standardize
from rl.names import explained, explained_class
from rl.networks.scores import squared_score_norms
from rl.state import Part, spawn_rngs
from rl.takes import STOCHASTIC_POLICY

RETURNS = ("to-go", "total")
BASELINES = ("value", "time", "mean", "minimum-variance", "none")
FRAGMENTS = ("bootstrap", "drop")


@explained_class
@dataclass(frozen=True)
class REINFORCEConfig(GradientConfig):
    """Settings of REINFORCE: each field's default, its meaning with its symbol, its range."""

    algorithm: ClassVar[str] = "REINFORCE"

    num_envs: int = setting(8, "environments stepped at once, N", 1, 1_000_000)
    steps: int = setting(64, "steps of each environment in one iteration, T", 1, 10_000_000)
    returns: str = setting("to-go", "what an action is judged by, ψ", choices=RETURNS)
    baseline: str = setting("value", "what is subtracted from it, b", choices=BASELINES)
    fragments: str = setting("bootstrap", "what becomes of episodes that a rollout cuts", choices=FRAGMENTS)
    discount_steps: bool = setting(False, "weigh step t of an episode by γ^t")
    epochs: int = setting(4, "passes of the value over the collected data", 1, 10_000)
    batch_size: int = setting(64, "rows of the value's minibatches", 1)

    def __post_init__(self):
        super().__post_init__()
        if self.returns == "total":
            refuse(self, ("discount_steps",), "a total return is discounted from its episode's beginning, whatever the step")
        if self.baseline == "minimum-variance":
            refuse(self, MEMORY, "minimum-variance looks at each row by itself")


class REINFORCE(Agent):
    """A REINFORCE agent: `REINFORCE(env, config, seed)`, see `Agent`.

    Parameters
    ----------
    policy : Module, optional
        A network of one's own for μ(s), or for the logits of choices: observations (B, …) -> (B, A).
    value : Module, optional
        One for V(s): (B, …) -> (B, 1). See rl/networks/own.py.

    Examples
    --------
    >>> REINFORCE("CartPole-v1", REINFORCEConfig(baseline="mean"), seed=0).learn(100_000)
    """

    Config = REINFORCEConfig
    takes = STOCHASTIC_POLICY
    iterate, act, learn_scale = on_policy.iterate, on_policy.act, on_policy.learn_scale
    own_networks = ("policy", "value")

    @explained
    def __init__(
        self,
        env: EnvLike,
        config: REINFORCEConfig | None = None,
        seed: int = 0,
        *,
        env_settings: Mapping[str, Any] | None = None,
        policy: Module | None = None,
        value: Module | None = None,
    ):
        super().__init__(env, config, seed, env_settings=env_settings, networks={"policy": policy, "value": value})

    def build(self) -> None:
        c = self.now
        self.rngs = spawn_rngs(self.seed, "weights", "actions", "value", "environment")
        self.policy, self.value = policy_and_value(self.space, c, self.networks, self.rngs["weights"])
        self.recall = recall_of(c, self.policy, self.value)
        self.policy_optimizer = Adam(self.policy.flat, c.lr)
        self.value_optimizer = Adam(self.value.flat, c.value_rate)
        self.scaler = RewardScaler(c.gamma) if c.scale_rewards else None
        self.clock = EpisodeClock()

    def parts(self) -> dict[str, Part]:
        names = "policy", "value", "policy_optimizer", "value_optimizer", "recall", "scaler", "clock"
        return {name: part for name in names if (part := getattr(self, name)) is not None}

    def update(self, rollout: Rollout, progress: float) -> dict[str, float]:
        """One step of the policy, some epochs of the value, on one rollout; returns metrics."""
        c, ended = with_rates(self.at(progress), self.config.annealed(progress)), rollout.ended
        self.policy_optimizer.lr, self.value_optimizer.lr = c.lr, c.value_rate
        values, next_values = rollout.values(lambda s: self.value.predict(s)[:, 0])
        ages, paid = self.clock.read(rollout, c.gamma)
        to_go = monte_carlo_returns(rollout.rewards, next_values, ended, c.gamma)
        psi = to_go if c.returns == "to-go" else paid + c.gamma**ages * to_go
        if c.fragments == "drop":  # what comes after the rollout's last end of an episode is unfinished
            rollout = replace(rollout, valid=rollout.valid & np.logical_or.accumulate(ended[::-1])[::-1])
        if not rollout.valid.any():
            return {}
        samples = samples_from(rollout, values, to_go - values)
        ages, psi = (np.asarray(rollout.rows(column)) for column in (ages, psi))
        psi = psi - self.baseline(samples, psi, ages)
        if c.discount_steps:
            psi = psi * c.gamma**ages
        if c.normalize_advantages and len(psi) > 1:
            psi = standardize(psi)
        rows = samples.observations, samples.actions, psi.astype(samples.values.dtype)
        metrics = self.guard.attempt(policy_step, self.policy, self.policy_optimizer, *rows, c)
        return {**(metrics or {}), **value_epochs(self, samples, c), "explained_variance": samples.explained_variance(), "lr": c.lr}

    def baseline(self, samples: Samples, psi: np.ndarray, ages: np.ndarray) -> np.ndarray | float:
        """b of each row (B,), or of all."""
        kind = self.config.baseline
        if kind == "minimum-variance":
            return minimum_variance(psi, squared_score_norms(self.policy, samples.observations, samples.actions))
        if kind == "time":
            return time_means(psi, ages)
        if kind == "value":
            return samples.values if self.config.returns == "to-go" else self.config.gamma**ages * samples.values
        return psi.mean() if kind == "mean" else 0.0
