"""Advantage actor-critic, synchronous (Mnih et al. 2016, Algorithm S3, without its threads; Algorithm 5 of the notes).

    repeat
        collect T steps in N environments with π                 few steps: T = 5
        A ← MC, TD(0), TD(n) or GAE(λ) with V                    cut at every episode's end, bootstrapped where it was truncated
        ω ← one step of descent on  c_v (V(s) − R)²              R = A + V, a plain number
        θ ← one step of ascent on   A ln π(a|s) + β H(π(·|s))

Each row is used once, by the policy that drew it, so nothing has to be corrected or held back.

Deviations: the paper's workers send their gradients one after the other, at parameters that have moved on; here all N
environments make one batch. The value's step does not change A, which was computed before it.

Shapes: T steps, N environments, B = T·N rows (fewer where steps never happened), A action dimensions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from deepnp import Module
from rl.agent import Agent
from rl.algorithms.policy_gradient.descent import OPTIMIZERS, optimizer_of, policy_step, value_step
from rl.algorithms.policy_gradient.gradient_config import GradientConfig, refuse
from rl.algorithms.policy_gradient.networks import policy_and_value, recall_of
from rl.config import rate, setting, with_rates
from rl.experience.environments import EnvLike
from rl.experience.normalize import RewardScaler
from rl.experience.rollout import Rollout
from rl.experience.samples import samples_from
from rl.loops import on_policy
from rl.losses.returns import ESTIMATORS, advantages_of
from rl.losses.surrogate import standardize
from rl.names import explained, explained_class
from rl.schedules import Rate
from rl.state import Part, spawn_rngs
from rl.takes import STOCHASTIC_POLICY


@explained_class
@dataclass(frozen=True)
class A2CConfig(GradientConfig):
    """Settings of A2C: each field's default, its meaning with its symbol, its range."""

    algorithm: ClassVar[str] = "A2C"

    num_envs: int = setting(16, "environments stepped at once, N", 1, 1_000_000)
    steps: int = setting(5, "steps of each environment in one iteration, T", 1, 10_000_000)
    estimator: str = setting("gae", "estimator of the advantage, A", choices=ESTIMATORS)
    lam: float = setting(0.95, "trace decay of GAE, λ", 0, 1)
    n_step: int = setting(5, "steps of TD(n) before it bootstraps, n", 1, 10_000)
    entropy_coef: Rate = rate(0.01, "weight of the entropy bonus, β", 0)
    value_coef: Rate = rate(0.5, "weight of the value loss, c_v", 1e-6)
    optimizer: str = setting("rmsprop", "what takes the steps", choices=OPTIMIZERS)
    lr: Rate = rate(7e-4, "learning rate, α", 0, 10)
    optimizer_eps: float = setting(1e-5, "the optimizer's ε", 0, 1)
    normalize_advantages: bool = setting(False, "zero mean, unit variance in each batch")

    def __post_init__(self):
        super().__post_init__()
        refuse(self, ("burn_in",), "A2C reads each rollout as a whole")


class A2C(Agent):
    """An A2C agent: `A2C(env, config, seed)`, see `Agent`.

    Parameters
    ----------
    policy : Module, optional
        A network of one's own for μ(s), or for the logits of choices: observations (B, …) -> (B, A).
    value : Module, optional
        One for V(s): (B, …) -> (B, 1). See rl/networks/own.py.

    Examples
    --------
    >>> A2C("CartPole-v1", seed=0).learn(100_000)
    """

    Config = A2CConfig
    takes = STOCHASTIC_POLICY
    iterate, act, learn_scale = on_policy.iterate, on_policy.act, on_policy.learn_scale
    own_networks = ("policy", "value")

    @explained
    def __init__(
        self,
        env: EnvLike,
        config: A2CConfig | None = None,
        seed: int = 0,
        *,
        env_settings: Mapping[str, Any] | None = None,
        policy: Module | None = None,
        value: Module | None = None,
    ):
        super().__init__(env, config, seed, env_settings=env_settings, networks={"policy": policy, "value": value})

    def build(self) -> None:
        c = self.now
        self.rngs = spawn_rngs(self.seed, "weights", "actions", "environment")
        self.policy, self.value = policy_and_value(self.space, c, self.networks, self.rngs["weights"])
        self.recall = recall_of(c, self.policy, self.value)
        self.policy_optimizer = optimizer_of(c.optimizer, self.policy.flat, c.lr, c.optimizer_eps)
        self.value_optimizer = optimizer_of(c.optimizer, self.value.flat, c.value_rate, c.optimizer_eps)
        self.scaler = RewardScaler(c.gamma) if c.scale_rewards else None

    def parts(self) -> dict[str, Part]:
        optimizers = {"policy_optimizer": self.policy_optimizer, "value_optimizer": self.value_optimizer}
        optional = {"recall": self.recall, "scaler": self.scaler}
        return {"policy": self.policy, "value": self.value, **optimizers, **{n: p for n, p in optional.items() if p is not None}}

    def update(self, rollout: Rollout, progress: float) -> dict[str, float]:
        """One step of the value and one of the policy; returns metrics."""
        c = with_rates(self.at(progress), self.config.annealed(progress))
        self.policy_optimizer.lr, self.value_optimizer.lr = c.lr, c.value_rate
        values, next_values = rollout.values(lambda s: self.value.predict(s)[:, 0])
        trajectories = rollout.rewards, values, next_values, rollout.ended
        samples = samples_from(rollout, values, advantages_of(c.estimator, *trajectories, c.gamma, c.lam, c.n_step))
        advantages = samples.advantages
        if c.normalize_advantages and len(advantages) > 1:
            advantages = standardize(advantages)
        attempt, observations = self.guard.attempt, samples.observations
        loss = attempt(value_step, self.value, self.value_optimizer, observations, samples.targets, c.max_grad_norm, c.value_coef)
        metrics = attempt(policy_step, self.policy, self.policy_optimizer, observations, samples.actions, advantages, c)
        value_loss = {} if loss is None else {"value_loss": loss}
        return {**(metrics or {}), **value_loss, "explained_variance": samples.explained_variance(), "lr": c.lr}
