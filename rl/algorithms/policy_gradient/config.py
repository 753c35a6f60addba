"""Settings of every on-policy algorithm."""

from dataclasses import dataclass, replace

from deepnp.models.mlp import ACTIVATIONS
from rl.config import check_config, setting
from rl.experience.normalizers import NORMALIZERS
from rl.experience.spaces import SpaceInfo
from rl.networks.heads import HEADS
from rl.networks.memory import MEMORIES


@dataclass(frozen=True)
class OnPolicyConfig:
    """Each field: its default, its meaning with its symbol, its valid range."""

    num_envs: int = setting(1, "environments stepped at once, N", 1, 1_000_000)
    steps: int = setting(2048, "steps of each environment in one iteration, T", 1, 10_000_000)
    gamma: float = setting(0.99, "discount factor, γ", 0, 1)
    hidden: tuple[int, ...] = setting((64, 64), "widths of both networks' hidden layers")
    value_hidden: tuple[int, ...] | None = setting(None, "widths of the value's hidden layers; None: hidden")
    activation: str = setting("tanh", "between the layers", choices=tuple(ACTIVATIONS))
    head: str = setting("gaussian", "distribution over a Box, see rl/networks/heads.py", choices=HEADS)
    squash: str = setting("clip", "how a Gaussian's actions come into [−1, 1]", choices=("clip", "tanh"))
    sigma: str = setting("vector", "kind of σ, see GaussianPolicy", choices=("vector", "fixed", "network"))
    initial_sigma: float = setting(1.0, "σ at the start; actions live in [−1, 1]", 1e-6, 1e3)
    anneal_sigma: float | None = setting(None, "where a fixed σ goes, linearly; None: it stays", 1e-6, 1e3)
    sigma_hidden: tuple[int, ...] | None = setting(None, "widths of σ's network; None: hidden")
    sigma_beta: float = setting(1.0, "sharpness of the softplus that ends σ's network, β", 1e-3, 1e3)
    sigma_scale: float = setting(1.0, "scale of the softplus that ends σ's network, ψ", 1e-3, 1e3)
    sde_interval: int | None = setting(None, "steps of one noise matrix of state-dependent exploration; None: plain noise", 1)
    choose: int | None = setting(None, "switches of a MultiBinary action that are on, k; None: any number", 1)
    normalize_observations: bool = setting(True, "running normalisation")
    normalizer: str = setting("standard", "normalisation by mean and deviation, or by the range seen", choices=tuple(NORMALIZERS))
    observation_clip: float = setting(10.0, "bound of normalised observations", 1e-6)
    memory: str | None = setting(None, "what carries the past; None: nothing, each observation tells the state", choices=MEMORIES)
    memory_size: int = setting(64, "values of the memory, H", 1, 100_000)
    memory_span: int = setting(32, "steps of a sequence that memory learns from; with attention also the window, k", 1, 100_000)
    burn_in: int = setting(0, "steps that are read again before each sequence, without learning; at most memory_span", 0)

    def __post_init__(self):
        check_config(self)
        if self.head != "gaussian" and self.squash != "clip":
            raise ValueError(f'expected squash="clip" with head="{self.head}", whose actions lie in [−1, 1], given "{self.squash}"')
        if self.anneal_sigma is not None and self.sigma != "fixed":
            raise ValueError(f'expected anneal_sigma with sigma="fixed", given sigma="{self.sigma}"')
        if self.sigma_hidden is not None and self.sigma != "network":
            raise ValueError(f'expected sigma_hidden with sigma="network", given sigma="{self.sigma}"')
        if self.memory and self.sde_interval is not None:
            raise ValueError(f"expected sde_interval None with memory={self.memory!r}, given {self.sde_interval}")
        if self.burn_in and not self.memory:
            raise ValueError(f"expected burn_in=0 without memory: there is no state to read steps again for, given {self.burn_in}")
        if self.burn_in > self.memory_span:
            raise ValueError(f"expected burn_in of at most memory_span = {self.memory_span}, given {self.burn_in}")
        if self.memory == "attention" and (self.memory_size % 8 or self.memory_span < 2):
            given = f"{self.memory_size} and {self.memory_span}"
            raise ValueError(f"expected memory_size as a multiple of 8 and memory_span of 2 or more for attention, given {given}")

    @property
    def value_widths(self) -> tuple[int, ...]:
        """Widths of the value's hidden layers."""
        return self.hidden if self.value_hidden is None else self.value_hidden

    def acting_in(self, space: SpaceInfo) -> SpaceInfo:
        """The spaces, with what these settings say of how actions are drawn.

        Raises
        ------
        ValueError
            If the actions are none that can be drawn so.
        """
        squash = "tanh" if self.head == "squashed" else self.squash
        bounded = squash == "tanh" or self.head == "beta"
        return replace(space, action=space.action.drawn(squash, self.choose, bounded, space.observation.mask is not None))
