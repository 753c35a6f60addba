"""One update of DPG (Silver et al. 2014, equations 16 to 24), with a network or the compatible critic for Q.

Shapes: T steps, N environments, B rows, O observation, A action dimensions, P parameters of the policy.
"""

from dataclasses import dataclass, field

import numpy as np

from tests.rl.references.networks import Adam, Plain, gradient, mlp
from tests.rl.references.ppo import Trajectories


@dataclass
class Settings:
    gamma: float = 0.99
    lr: float = 1e-4
    critic_lr: float = 1e-3
    optimizer: str = "adam"
    next_action: str = "policy"
    compatible: bool = True
    activation: str = "tanh"


@dataclass
class Critic:
    """Named arrays: a network's layers, or "w" with those of V as "value.…"; it is its own target."""

    network: dict
    adam: object
    running: dict = field(default_factory=dict)
    target_running: dict = field(default_factory=dict)

    @property
    def target(self):
        return self.network


class DPG:
    def __init__(self, settings: Settings, policy: dict, critic: dict):
        self.settings, self.policy = settings, policy
        make = Adam if settings.optimizer == "adam" else Plain
        self.policy_adam = make(policy, settings.lr)
        self.critics = [Critic(critic, make(critic, settings.critic_lr))]

    def act(self, s, policy=None):
        return np.tanh(mlp(policy or self.policy, s, self.settings.activation))

    def update(self, data: Trajectories, drawn) -> None:
        """`drawn` (T·N, A) is the noise of next actions that are not known, before it is added."""
        c, (steps, copies) = self.settings, data.rewards.shape
        ended, rows = data.terminated | data.truncated | ~data.valid, []
        for t, n in np.ndindex(steps, copies):
            following = data.following(t, n)
            a_next = self.act(following[None])[0]
            if c.next_action == "taken":
                known = t + 1 < steps and not ended[t, n]
                a_next = data.actions[t + 1, n] if known else np.clip(a_next + drawn[t * copies + n], -1, 1)
            q = 0.0 if data.terminated[t, n] else self.value(following[None], a_next[None])[0]
            if data.valid[t, n]:
                rows.append((data.observations[t, n], data.actions[t, n], data.rewards[t, n] + c.gamma * q))
        s, a, y = map(np.array, zip(*rows, strict=True))
        self.critic_step(s, a, y)
        self.policy_step(s)

    def value(self, s, a, critic=None):
        """Q(s, a): (…, B)."""
        critic = critic or self.critics[0].network
        if not self.settings.compatible:
            x = np.concatenate([np.broadcast_to(s, (*a.shape[:-1], s.shape[-1])), a], axis=-1)
            return mlp(critic, x, self.settings.activation)[..., 0]
        linear = (self.features(s, a) * critic["w"][..., None, :]).sum(axis=-1)
        v = {name.removeprefix("value."): p for name, p in critic.items() if name != "w"}
        return linear + mlp(v, s, self.settings.activation)[..., 0]

    def features(self, s, a):
        """Jᵀ(a − μ): (B, P)."""
        return np.einsum("baj,ba->bj", self.jacobian(s), a - self.act(s))

    def jacobian(self, s):
        """J = ∂μ/∂θ: (B, A, P)."""
        size = self.act(s[:1]).shape[1]

        def row(i, j):
            named = gradient(lambda policy: self.act(s[i : i + 1], policy)[..., 0, j], self.policy)
            return np.concatenate([g.ravel() for g in named.values()])

        return np.array([[row(i, j) for j in range(size)] for i in range(len(s))])

    def critic_step(self, s, a, y):
        """θ stands still: the features do not move with w."""
        (critic,) = self.critics

        def loss(named):
            return ((self.value(s, a, named) - y) ** 2).sum(axis=-1) / (2 * len(s))

        critic.adam.step(gradient(loss, critic.network))

    def policy_step(self, s):
        """−(1/B) Σ Q(s, μ(s)), in which Q's own μ and J stand still."""
        if not self.settings.compatible:
            self.policy_adam.step(gradient(lambda policy: -self.value(s, self.act(s, policy)).sum(axis=-1) / len(s), self.policy))
            return
        slopes = self.jacobian(s) @ self.critics[0].network["w"]  # ∂Q/∂a: (B, A)
        self.policy_adam.step(gradient(lambda policy: -(slopes * self.act(s, policy)).sum(axis=(-1, -2)) / len(s), self.policy))
