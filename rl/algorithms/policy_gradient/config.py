"""Settings of every on-policy algorithm."""

from dataclasses import dataclass

from deepnp.models.mlp import ACTIVATIONS
from rl.config import check_config, setting


@dataclass(frozen=True)
class OnPolicyConfig:
    """Each field: its default, its meaning with its symbol, its valid range."""

    num_envs: int = setting(1, "environments stepped at once, N", 1, 1_000_000)
    steps: int = setting(2048, "steps of each environment in one iteration, T", 1, 10_000_000)
    gamma: float = setting(0.99, "discount factor, γ", 0, 1)
    hidden: tuple[int, ...] = setting((64, 64), "widths of both networks' hidden layers")
    value_hidden: tuple[int, ...] | None = setting(None, "widths of the value's hidden layers; None: hidden")
    activation: str = setting("tanh", "between the layers", choices=tuple(ACTIVATIONS))
    sigma: str = setting("vector", "kind of σ, see GaussianPolicy", choices=("vector", "fixed", "network"))
    initial_sigma: float = setting(1.0, "σ at the start; actions live in [−1, 1]", 1e-6, 1e3)
    normalize_observations: bool = setting(True, "running normalisation, clipped at ±10")

    def __post_init__(self):
        check_config(self)

    @property
    def value_widths(self) -> tuple[int, ...]:
        """Widths of the value's hidden layers."""
        return self.hidden if self.value_hidden is None else self.value_hidden
