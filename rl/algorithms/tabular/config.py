"""Settings that the learners with a table share."""

from dataclasses import dataclass

from rl.config import check_config, rate, setting
from rl.schedules import Rate


@dataclass(frozen=True)
class TableConfig:
    """Each field: its default, its meaning with its symbol, its valid range."""

    num_envs: int = setting(1, "environments stepped at once, N", 1, 1_000_000)
    gamma: float = setting(0.99, "discount factor, γ", 0, 1)
    lr: Rate = rate(0.1, "step size, α", 0, 1)
    decay: float = setting(0.0, "the step at a pair's n-th visit is α/n^ω: ω; with α = 1 and ω = 1, Q is the mean", 0, 1)
    exploration: Rate = rate(0.1, "share of actions that are random, ε", 0, 1)
    initial_value: float = setting(0.0, "every Q at the start; a large one makes it try everything", -1e9, 1e9)

    def __post_init__(self):
        check_config(self)
