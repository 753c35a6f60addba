"""Settings of every algorithm that learns Q(s, ·) of choices from a replay memory."""

from dataclasses import dataclass

from deepnp.models.mlp import ACTIVATIONS
from rl.algorithms.replay_config import ReplayConfig
from rl.config import rate, setting
from rl.schedules import Rate

TARGETS = ("none", "periodic", "polyak")


@dataclass(frozen=True)
class ValueConfig(ReplayConfig):
    """Each field: its default, its meaning with its symbol, its valid range."""

    batch_size: int = setting(128, "transitions of an update", 1, 1_000_000)
    memory: int = setting(50_000, "transitions that the replay memory holds", 1)
    warmup: int = setting(1_000, "steps with random actions, before any update", 0)
    random_share: Rate = rate(0.05, "share of actions that are random in the end, ε", 0, 1)
    random_steps: int = setting(10_000, "steps in which that share falls to ε, from 1, in a straight line", 0)
    boltzmann: Rate | None = rate(None, "actions drawn from softmax(τQ) while exploring, τ; None: the best ones", 1e-6, 1e6)
    lr: Rate = rate(1e-3, "Adam's learning rate, α", 0, 10)
    hidden: tuple[int, ...] = setting((128, 128), "widths of the network's hidden layers")
    activation: str = setting("relu", "between the layers", choices=tuple(ACTIVATIONS))
    dueling: bool = setting(False, "one head for the state's value and one for the choices' advantages")
    double: bool = setting(False, "the network chooses the next action, its target says what that is worth")
    targets: str = setting("periodic", "target network: none, a copy now and then, or one that follows", choices=TARGETS)
    target_interval: int = setting(500, "gradient steps from copy to copy of a periodic target, C", 1)
    tau: Rate = rate(0.005, "the network's share in each move of a target that follows, τ", 0, 1)

    def __post_init__(self):
        super().__post_init__()
        if self.dueling and len(self.hidden) < 2:
            raise ValueError(f"expected two hidden layers or more with dueling heads, given hidden {self.hidden}")

    def share_at_random(self, steps: int, share: float) -> float:
        """1 while warming up; then on a straight line from 1 at the first step to `share`, ε, at `random_steps`."""
        if steps < self.warmup:
            return 1.0
        return share + (1 - share) * (1 - steps / self.random_steps) if steps < self.random_steps else share
