"""Twin Delayed DDPG (Fujimoto et al. 2018; Algorithm 21 of the DeepUnity thesis, corrected).

    repeat
        a ← clip(μ(s) + N(0, 0.1²), ±1), step, remember (s, a, r, s′)
        for each minibatch
            ã′ ← clip(μ̄(s′) + clip(N(0, 0.2²), ±0.5), ±1)            smoothed, so that a narrow peak of Q is no target
            y ← r + γ(1 − terminated) min_i Q̄_i(s′, ã′)
            φ_i ← Adam descent on (Q_i(s, a) − y)²                    i = 1, 2
            every second time
                θ ← Adam descent on −Q_1(s, μ(s))
                μ̄ ← (1 − τ)μ̄ + τμ,   Q̄_i ← (1 − τ)Q̄_i + τQ_i      inside the delay: the thesis moves them every time

Shapes: B rows, O observation, A action dimensions.
"""

from dataclasses import dataclass

import numpy as np

from deepnp.models.mlp import ACTIVATIONS
from rl.agent import Agent, spawn_rngs
from rl.config import setting
from rl.experience.noise import gaussian
from rl.experience.replay import Batch
from rl.loops.off_policy import OffPolicyConfig, gather_and_learn, make_critics, make_memory
from rl.networks.actors import DeterministicActor, improve
from rl.networks.halves import in_halves
from rl.state import join, part


@dataclass(frozen=True)
class TD3Config(OffPolicyConfig):
    """Settings of TD3."""

    exploration: float = setting(0.1, "σ of the noise on actions while exploring; actions live in [−1, 1]", 0)
    smoothing: float = setting(0.2, "σ of the noise on the target policy's actions", 0)
    smoothing_clip: float = setting(0.5, "bound of that noise", 0)
    delay: int = setting(2, "critic updates for one of the policy and the targets, d", 1)


class TD3(Agent):
    """A TD3 agent for continuous, bounded actions: `TD3(env, config, seed)`, see `Agent`.

    Examples
    --------
    >>> agent = TD3("Pendulum-v1", TD3Config(warmup=1000), seed=0)
    >>> agent.learn(20_000)
    """

    Config = TD3Config

    def _build(self):
        space, c = self.space, self.config
        space.require_bounded()
        self.rngs = spawn_rngs(self.seed, "weights", "explore", "replay", "noise", "environment")
        activation, rng = ACTIVATIONS[c.activation], self.rngs["weights"]
        self.actor = DeterministicActor((space.observations, *c.hidden, space.actions), activation, c.lr, rng)
        self.critics = make_critics(space, c, 2, rng)
        self.sides = (self.actor, self.critics.shadow()), (self.actor.shadow(), self.critics.shadow())  # for a thread each
        self.memory = make_memory(space, c)
        self.critic_updates = 0

    def act(self, observations, rng):
        actions = self.actor.network.predict(observations)
        return actions if rng is None else gaussian(actions, self.config.exploration, rng)

    explore = act

    def iterate(self, progress):
        return gather_and_learn(self, progress)

    def update(self, batch: Batch) -> dict[str, float]:
        """One gradient step of the critics; every `delay`-th time of the policy too, and the targets move."""
        c, rng = self.config, self.rngs["noise"]
        s, s_next = self.observe(batch.observations), self.observe(batch.next_observations)
        noise = np.clip(c.smoothing * rng.standard_normal(batch.actions.shape, np.float32), -c.smoothing_clip, c.smoothing_clip)

        def value(side, s_next, noise):
            actor, critics = side
            a_next = np.clip(actor.target.predict(s_next) + noise, np.float32(-1), np.float32(1))
            return (critics.target(s_next, a_next),)

        (next_values,) = in_halves(value, self.sides, s_next, noise.astype(np.float32))
        y = batch.rewards + batch.discounts * next_values
        self.critic_updates += 1
        due = self.critic_updates % c.delay == 0
        critic_loss, batch.errors = self.critics.descend(s, batch.actions, y, batch.weights, c.tau if due else 0)
        metrics = {"critic_loss": critic_loss, "td_error": float(batch.errors.mean())}
        if due:
            metrics |= {"policy_loss": improve(self.sides, s, c.tau)}
        return metrics

    def state_dict(self):
        parts = {"actor": self.actor, "critics": self.critics, "memory": self.memory}
        counters = {"counters.critic_updates": np.array(self.critic_updates)}
        return join({name: thing.state_dict() for name, thing in parts.items()}) | counters

    def load_state_dict(self, state):
        for name, thing in {"actor": self.actor, "critics": self.critics, "memory": self.memory}.items():
            thing.load_state_dict(part(state, name))
        self.critic_updates = int(state["counters.critic_updates"])
