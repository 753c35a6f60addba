"""Q-learning of continuous actions without an actor: the greedy action by gradient ascent (the thesis on maximum entropy, §1.3.3).

    a*(Q, s):   a ← 0;   20 times   a ← clip(a + η ∂Q(s, a)/∂a, ±1)

    repeat
        a ← clip(a*(Q, s) + N(0, 0.1²), ±1), step, remember (s, a, r, s′)
        for each minibatch
            y ← r + γ(1 − terminated) Q̄(s′, a*(Q̄, s′))
            φ ← Adam descent on (Q(s, a) − y)²
            Q̄ ← (1 − τ)Q̄ + τQ

It is what DDPG's actor is an approximation of: the actor amortises the ascent over all updates. The
thesis names the steps, about 20. Where they begin, η and the clipping are ours.

Shapes: B rows, O observation, A action dimensions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from deepnp import Module
from deepnp.backend import to_device
from rl.agent import Agent
from rl.algorithms.actor_critic.config import CriticConfig, make_critics
from rl.algorithms.replay_config import make_memory
from rl.config import rate, setting
from rl.experience.environments import EnvLike
from rl.experience.exploration import gaussian
from rl.experience.replay import Batch
from rl.loops import off_policy
from rl.names import explained, explained_class
from rl.networks.ascent import AscentPolicy
from rl.networks.parallel import Halves
from rl.schedules import Rate
from rl.state import Part, spawn_rngs
from rl.takes import Takes


@explained_class
@dataclass(frozen=True)
class QAscentConfig(CriticConfig):
    """Settings of QAscent."""

    algorithm: ClassVar[str] = "QAscent"

    ascent_steps: int = setting(20, "steps of gradient ascent to the greedy action", 1, 10_000)
    ascent_rate: float = setting(0.1, "length of such a step, as a factor of the gradient, η", 1e-9, 1e6)
    exploration: Rate = rate(0.1, "σ of the noise on actions while exploring; actions live in [−1, 1]", 0)


class QAscent(Agent):
    """A QAscent agent for continuous, bounded actions: `QAscent(env, config, seed)`, see `Agent`.

    Parameters
    ----------
    critic : callable, optional
        A function of a random generator that makes one for Q(s, a): [observations, actions] side by
        side (B, O + A) -> (B, 1). See rl/networks/own.py.

    Attributes
    ----------
    policy : AscentPolicy
        The ascent on Q; its parameters are those of Q.

    Examples
    --------
    >>> agent = QAscent("Pendulum-v1", QAscentConfig(warmup=1000, hidden=(64, 64)), seed=0)
    >>> agent.learn(20_000)
    """

    Config = QAscentConfig
    takes = Takes(bounded=True, images=False, goals=True, on_policy=False)
    iterate = off_policy.iterate
    own_networks = ("critic",)

    @explained
    def __init__(
        self,
        env: EnvLike,
        config: QAscentConfig | None = None,
        seed: int = 0,
        *,
        env_settings: Mapping[str, Any] | None = None,
        critic: Callable[[np.random.Generator], Module] | None = None,
    ):
        super().__init__(env, config, seed, env_settings=env_settings, networks={"critic": critic})

    def build(self) -> None:
        space, c = self.space, self.now
        self.rngs = spawn_rngs(self.seed, "weights", "explore", "replay", "environment")
        self.critics = make_critics(space, c, 1, self.rngs["weights"], None, self.networks.get("critic"))
        (critic,), (target,), ascent = self.critics.networks, self.critics.targets, (space.actions, c.ascent_steps, c.ascent_rate)
        self.policy, self.target_policy = AscentPolicy(critic, *ascent), AscentPolicy(target, *ascent)
        self.halves = Halves(self.policy, target_policy=self.target_policy, critics=self.critics)
        self.memory = make_memory(space, c)

    def parts(self) -> dict[str, Part]:
        target: dict[str, Part] = {"target_policy": self.target_policy} if self.config.targets else {}
        return {"policy": self.policy, "policy_optimizer": self.critics.optimizers[0], **target, "memory": self.memory}

    def act(self, observations, rng) -> np.ndarray:
        actions = to_device(self.policy.predict(observations), "cpu")
        return actions if rng is None else gaussian(actions, self.now.exploration, rng)

    explore = act

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step of the critic; the target moves. Returns metrics, and |Q − y| of each row (B,)."""
        c, s, s_next = self.now, self.observe(batch.observations), self.observe(batch.next_observations)
        self.critics.set_lr(c.critic_rate)
        y = batch.rewards + batch.discounts * self.halves.map(next_value, s_next)
        critic_loss, errors = self.critics.fit(s, batch.actions, targets=y, weights=batch.weights)
        self.critics.follow(c.tau)
        return {"critic_loss": critic_loss, "td_error": float(errors.mean()), "target": float(y.mean())}, errors


def next_value(networks, s_next) -> np.ndarray:
    """Q̄(s′, a*(Q̄, s′)): (B,)."""
    return networks.critics.target(s_next, networks.target_policy.predict(s_next))
