"""TD2: DDPG with twin critics, so named in the thesis on maximum entropy and training dynamics (ch. 3): the smallest cure.

    y ← r + γ(1 − terminated) min_i Q̄_i(s′, μ̄(s′))                   DDPG's target, but the smaller of two critics

The policy ascends Q_1, the noise is Gaussian with σ = 0.2, the weights begin orthogonal. Everything
else is ddpg.py.
"""

from dataclasses import dataclass
from typing import ClassVar

from rl.algorithms.actor_critic.ddpg import DDPG, DDPGConfig
from rl.config import rate
from rl.names import explained_class
from rl.schedules import Rate


@explained_class
@dataclass(frozen=True)
class TD2Config(DDPGConfig):
    """Settings of TD2."""

    algorithm: ClassVar[str] = "TD2"

    exploration: Rate = rate(0.2, "σ of the noise while exploring; actions live in [−1, 1]", 0)


class TD2(DDPG):
    """A TD2 agent for continuous, bounded actions: `TD2(env, config, seed)`, see `Agent`."""

    Config = TD2Config
    critic_count = 2
