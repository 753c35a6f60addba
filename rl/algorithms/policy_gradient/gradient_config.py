"""Settings of the on-policy algorithms that follow the plain gradient: REINFORCE, A2C, and OffPolicyPG."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from rl.algorithms.policy_gradient.config import OnPolicyConfig
from rl.config import rate, setting
from rl.schedules import Rate, annealed

MEMORY = ("memory", "memory_size", "memory_span", "burn_in")


@dataclass(frozen=True)
class GradientConfig(OnPolicyConfig):
    """Each field: its default, its meaning with its symbol, its valid range."""

    entropy_coef: Rate = rate(0.0, "weight of the entropy bonus, β", 0)
    max_grad_norm: Rate = rate(0.5, "bound of each network's gradient norm (L2)", 1e-6)
    lr: Rate = rate(5e-3, "learning rate, α", 0, 10)
    value_lr: Rate | None = rate(None, "that of the value; None: lr", 0, 10)
    anneal_lr: bool = setting(True, "decay α linearly to 0")
    normalize_advantages: bool = setting(True, "zero mean, unit variance in each batch")
    scale_rewards: bool = setting(True, "divide by the running σ of the discounted return")

    @property
    def value_rate(self) -> Rate:
        """The value's learning rate."""
        return self.lr if self.value_lr is None else self.value_lr

    def annealed(self, progress: float) -> dict[str, float]:
        """The learning rates on their way to 0, where they are annealed."""
        names = ("lr",) if self.value_lr is None else ("lr", "value_lr")
        return {name: annealed(getattr(self, name), 0.0, progress) for name in names if self.anneal_lr}


def refuse(config: Any, names: Iterable[str], why: str) -> None:
    """Raise ValueError if one of these settings is not at its default."""
    for f in fields(config):
        given = getattr(config, f.name)
        if f.name in names and given != f.default:
            raise ValueError(f"expected {f.name}={f.default!r}, as {why}, given {given!r}")
