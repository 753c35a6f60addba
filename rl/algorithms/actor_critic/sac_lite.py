"""SACLite: SAC without the entropy in the critics' target (Yu, Zhang & Xu 2022; Algorithm 2 of the thesis on maximum entropy).

    y ← r + γ(1 − terminated) min_i Q̄_i(s′, ã′)                     no −α ln π(ã′|s′): the critics estimate the return itself

The policy still descends on α ln π(ã|s) − min_i Q_i(s, ã). Everything else is sac.py.
"""

from dataclasses import dataclass

from rl.algorithms.actor_critic.sac import SAC, SACConfig
from rl.loops.off_policy import OffPolicyConfig


@dataclass(frozen=True)
class SACLiteConfig(SACConfig):
    """Settings of SACLite: those of SAC."""

    def __post_init__(self):
        OffPolicyConfig.__post_init__(self)  # there is no entropy in its values


class SACLite(SAC):
    """A SACLite agent for continuous, bounded actions: `SACLite(env, config, seed)`, see `Agent`."""

    Config = SACLiteConfig

    def next_value(self, side, observations, noise, alpha):
        """min_i Q̄_i(s′, ã′) of drawn actions: (B,)."""
        policy, critics = side
        return critics.target(observations, policy.predict(observations, noise)[0])
