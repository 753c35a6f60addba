"""Settings of TRPO."""

import math
from dataclasses import dataclass
from typing import ClassVar

from rl.algorithms.policy_gradient.config import OnPolicyConfig
from rl.config import rate, setting
from rl.names import explained_class
from rl.schedules import Rate


@explained_class
@dataclass(frozen=True)
class TRPOConfig(OnPolicyConfig):
    """Settings of TRPO, and of the natural policy gradients: each field's default, its meaning, its range."""

    algorithm: ClassVar[str] = "TRPO"
    max_grad_norm: ClassVar[float] = math.inf  # of the value, as value_step and value_epoch read them
    value_coef: ClassVar[float] = 1.0
    value_clip: ClassVar[float | None] = None

    method: str = setting("trpo", "how the policy is moved, see the page", choices=("trpo", "tnpg", "npg", "dual"))
    lam: float = setting(0.97, "trace decay of GAE, λ", 0, 1)
    max_kl: Rate = rate(0.01, "bound of the mean KL(π_old‖π), δ", 1e-12, 1e3)
    step_size: Rate | None = rate(None, "α of npg and tnpg; None: √(2δ/xᵀFx)", 0, 1e6)
    cg_steps: int = setting(10, "steps of conjugate gradients, but for npg", 1, 100_000)
    cg_tolerance: float = setting(1e-10, "‖g − Fx‖²/‖g‖² that ends them", 0, 1)
    damping: float = setting(0.1, "c in (F + cI)x = g", 0, 1e6)
    sub_sampling: int = setting(1, "F is taken over one of so many parts of the rows", 1, 1_000_000)
    shrink: float = setting(0.8, "factor of the line search, for trpo and dual", 0.01, 0.99)
    backtracks: int = setting(10, "tries of the line search, for trpo and dual", 1, 1_000)
    normalize_advantages: bool = setting(True, "zero mean, unit variance over the collected data")
    epochs: int = setting(5, "passes of the value over the collected data", 1, 10_000)
    batch_size: int = setting(64, "rows of a minibatch of the value", 1)
    lr: Rate = rate(1e-3, "Adam's learning rate of the value", 0, 10)
    scale_rewards: bool = setting(True, "divide by the running σ of the discounted return")
    policy_steps: int = setting(10, "steps of the policy in one iteration, for dual", 1, 10_000)
    policy_lr: Rate = rate(1e-3, "Adam's learning rate of the policy, for dual", 0, 10)
    multiplier: float = setting(1.0, "λ_KL at the start, for dual", 0, 1e9)
    multiplier_lr: Rate = rate(10.0, "rate of λ_KL, for dual", 0, 1e9)

    def __post_init__(self):
        super().__post_init__()
        if self.step_size is not None and self.method not in ("npg", "tnpg"):
            given = f"method={self.method!r}: there the bound max_kl says how far a step goes"
            raise ValueError(f'expected step_size with method="npg" or "tnpg", given {given}')
