"""Settings of PPO."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from rl.algorithms.policy_gradient.config import OnPolicyConfig
from rl.config import rate, setting
from rl.names import explained_class
from rl.schedules import Rate, annealed

PENALTIES = "clip", "kl-fixed", "kl-adaptive", "none"


@explained_class
@dataclass(frozen=True)
class PPOConfig(OnPolicyConfig):
    """Settings of PPO: each field's default, its meaning with its symbol in Algorithm 12, its range."""

    algorithm: ClassVar[str] = "PPO"

    epochs: int = setting(10, "passes over the collected data", 1, 10_000)
    batch_size: int = setting(64, "rows of a minibatch, m", 1)
    lam: float = setting(0.95, "trace decay of GAE, λ", 0, 1)
    gae_horizon: int | None = setting(None, "TD errors in one advantage, h; None: no limit", 1)
    penalty: str = setting("clip", "what holds π near π_old: clipped ratios, or the penalty β·KL(π_old‖π)", choices=PENALTIES)
    clip: Rate = rate(0.2, "clip range of the probability ratio, ε", 0)
    kl_coef: Rate = rate(1.0, "weight of the KL penalty, β; where it adapts, that at the start", 0)
    kl_target: Rate = rate(0.01, "KL of one iteration that the adaptive β aims at, d_targ", 1e-9)
    value_clip: Rate | None = rate(None, "clip range of the value's change; None: off", 0)
    entropy_coef: Rate = rate(0.0, "weight of the entropy bonus, β", 0)
    value_coef: Rate = rate(0.5, "weight of the value loss, v_coef", 1e-6)
    max_grad_norm: Rate = rate(0.5, "bound of each network's gradient norm (L2)", 1e-6)
    lr: Rate = rate(3e-4, "Adam's learning rate, α", 0, 10)
    value_lr: Rate | None = rate(None, "that of the value; None: lr", 0, 10)
    adam_eps: float = setting(1e-5, "Adam's ε", 0, 1)
    anneal_lr: bool = setting(True, "decay α linearly to 0")
    anneal_clip: bool = setting(False, "decay the clip's ε linearly to 0")
    anneal_entropy: bool = setting(False, "decay the entropy's β linearly to 0")
    target_kl: Rate | None = rate(None, "KL that ends the policy's epochs, d_target; None: off", 1e-9)
    rollback: bool = setting(False, "undo the epoch that exceeded target_kl")
    normalize_advantages: bool = setting(True, "zero mean, unit variance in each minibatch")
    scale_rewards: bool = setting(True, "divide by the running σ of the discounted return")
    shared: bool = setting(False, "one trunk for policy and value, with linear heads; both are trained by one loss")
    mirror: bool = setting(False, "learn from mirror images too, where the environment knows its reflection")

    def __post_init__(self):
        super().__post_init__()
        if self.shared and not self.hidden:
            raise ValueError("expected hidden layers for policy and value to share, given hidden ()")
        for name in ("value_hidden", "value_lr", "memory"):
            if self.shared and getattr(self, name) is not None:
                raise ValueError(f"expected {name} None where policy and value share a trunk, given {getattr(self, name)!r}")
        if self.rollback and self.target_kl is None:
            raise ValueError("expected target_kl with rollback, which undoes the epoch that exceeded it, given target_kl None")
        if self.mirror and self.memory:
            raise ValueError(f"expected memory None where mirror images are learned from, given {self.memory!r}")

    @classmethod
    def deepunity(cls, **settings: Any) -> Self:
        """Table 3.1 of the thesis on DeepUnity, with some settings replaced: `PPOConfig.deepunity(num_envs=8)`.

        The buffer of 10,240 steps is that of all copies. The thesis clips normalised observations at ±5,
        does not scale rewards, and bounds the gradient's largest element (l∞); ours is the L2 norm.
        """
        table = dict(hidden=(64, 64), activation="tanh", lr=3e-4, anneal_lr=False, gamma=0.99, batch_size=512, epochs=8)
        table |= dict(gae_horizon=256, lam=0.96, clip=0.2, entropy_coef=5e-3, value_coef=0.5, max_grad_norm=0.5, target_kl=0.015)
        table |= dict(normalize_advantages=True, observation_clip=5.0, scale_rewards=False)
        copies = cls(num_envs=settings.get("num_envs", 1)).num_envs  # a wrong number is named there
        return cls(**{"steps": max(1, 10_240 // copies), **table, **settings})

    @property
    def clip_range(self) -> Rate:
        """ε, infinite where nothing is clipped."""
        return self.clip if self.penalty == "clip" else math.inf

    @property
    def kl_weight(self) -> Rate:
        """β of the KL penalty, 0 where there is none."""
        return self.kl_coef if self.penalty.startswith("kl") else 0.0

    @property
    def value_rate(self) -> Rate:
        """The value's learning rate."""
        return self.lr if self.value_lr is None else self.value_lr

    def annealed(self, progress: float) -> dict[str, float]:
        """The rates that decay to 0, at `progress` in [0, 1] of the training."""
        rates = ("lr",) if self.value_lr is None else ("lr", "value_lr")
        wanted = {"clip": self.anneal_clip, "entropy_coef": self.anneal_entropy} | dict.fromkeys(rates, self.anneal_lr)
        return {name: annealed(getattr(self, name), 0.0, progress) for name, on in wanted.items() if on}
