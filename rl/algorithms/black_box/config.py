"""Settings that the searches over parameters share."""

from dataclasses import dataclass

from deepnp.models.mlp import ACTIVATIONS
from rl.config import check_config, setting
from rl.experience.normalizers import NORMALIZERS


@dataclass(frozen=True)
class SearchConfig:
    """Each field: its default, its meaning with its symbol, its valid range."""

    num_envs: int = setting(1, "environments stepped at once, N", 1, 1_000_000)
    episodes: int = setting(1, "episodes that judge a candidate, E", 1, 10_000)
    gamma: float = setting(1.0, "discount factor of a candidate's return, γ", 0, 1)
    horizon: int | None = setting(None, "steps of an evaluation, from the beginning of an episode on; None: one whole episode", 1)
    hidden: tuple[int, ...] = setting((16,), "widths of the policy's hidden layers")
    activation: str = setting("tanh", "between the layers", choices=tuple(ACTIVATIONS))
    initial_sigma: float = setting(0.5, "σ of the parameters at the start, σ_0", 1e-6, 1e3)
    normalize_observations: bool = setting(False, "running normalisation; it moves while candidates are judged")
    normalizer: str = setting("standard", "normalisation by mean and deviation, or by the range seen", choices=tuple(NORMALIZERS))
    observation_clip: float = setting(10.0, "bound of normalised observations", 1e-6)

    def __post_init__(self):
        check_config(self)
