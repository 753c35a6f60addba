"""SACLite: SAC without the entropy in the critics' target (Yu, Zhang & Xu 2022; Algorithm 2 of the thesis on maximum entropy).

    y ← r + γ(1 − terminated) min_i Q̄_i(s′, ã′)                     no −α ln π(ã′|s′): the critics estimate the return itself

The policy still descends on α ln π(ã|s) − min_i Q_i(s, ã). Everything else is sac.py.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rl.algorithms.actor_critic.sac import SAC, SACConfig
from rl.names import explained_class


@explained_class
@dataclass(frozen=True)
class SACLiteConfig(SACConfig):
    """Settings of SACLite: those of SAC."""

    algorithm: ClassVar[str] = "SACLite"
    soft_values: ClassVar[bool] = False


class SACLite(SAC):
    """A SACLite agent for continuous, bounded actions: `SACLite(env, config, seed)`, see `Agent`."""

    Config = SACLiteConfig

    def next_value(self, networks, s_next, noise) -> np.ndarray:
        """min_i Q̄_i(s′, ã′) of drawn actions: (B,)."""
        return networks.critics.target(s_next, networks.policy.predict(s_next, noise)[0])
