"""Deep Deterministic Policy Gradient (Lillicrap et al. 2016; Algorithm 20 of the DeepUnity thesis).

    repeat
        a ← clip(μ(s) + noise, ±1), step, remember (s, a, r, s′)     Gaussian noise, or one that remembers itself
        for each minibatch
            y ← r + γ(1 − terminated) Q̄(s′, μ̄(s′))
            φ ← Adam descent on (Q(s, a) − y)²
            θ ← Adam descent on −Q(s, μ(s))
            μ̄ ← (1 − τ)μ̄ + τμ,   Q̄ ← (1 − τ)Q̄ + τQ

Shapes: B rows, O observation, A action dimensions.
"""

from dataclasses import dataclass

from deepnp.models.mlp import ACTIVATIONS
from rl.agent import Agent, spawn_rngs
from rl.config import setting
from rl.experience.noise import OrnsteinUhlenbeck, gaussian
from rl.experience.replay import Batch
from rl.loops.off_policy import OffPolicyConfig, gather_and_learn, make_critics, make_memory
from rl.networks.actors import DeterministicActor, improve
from rl.networks.halves import in_halves
from rl.state import join, part


@dataclass(frozen=True)
class DDPGConfig(OffPolicyConfig):
    """Settings of DDPG."""

    noise: str = setting("gaussian", "kind of noise while exploring", choices=("gaussian", "ornstein-uhlenbeck"))
    exploration: float = setting(0.1, "σ of that noise; actions live in [−1, 1]", 0)


class DDPG(Agent):
    """A DDPG agent for continuous, bounded actions: `DDPG(env, config, seed)`, see `Agent`.

    Examples
    --------
    >>> agent = DDPG("Pendulum-v1", DDPGConfig(warmup=1000), seed=0)
    >>> agent.learn(20_000)
    """

    Config = DDPGConfig
    critic_count = 1

    def _build(self):
        space, c = self.space, self.config
        space.require_bounded()
        self.rngs = spawn_rngs(self.seed, "weights", "explore", "replay", "noise", "environment")
        activation, rng = ACTIVATIONS[c.activation], self.rngs["weights"]
        self.actor = DeterministicActor((space.observations, *c.hidden, space.actions), activation, c.lr, rng)
        self.critics = make_critics(space, c, self.critic_count, rng)
        self.sides = (self.actor, self.critics.shadow()), (self.actor.shadow(), self.critics.shadow())  # for a thread each
        self.memory = make_memory(space, c)
        self.noise = OrnsteinUhlenbeck(c.exploration)

    def act(self, observations, rng):
        actions = self.actor.network.predict(observations)
        return actions if rng is None else gaussian(actions, self.config.exploration, rng)

    def explore(self, observations, rng):
        if self.config.noise == "gaussian":
            return self.act(observations, rng)
        self.noise.forget(self.collector.ended)
        return self.noise(self.actor.network.predict(observations), rng)

    def iterate(self, progress):
        return gather_and_learn(self, progress)

    def update(self, batch: Batch) -> dict[str, float]:
        """One gradient step of the critic and of the policy; the targets move."""
        s, s_next = self.observe(batch.observations), self.observe(batch.next_observations)

        def value(side, s_next):
            actor, critics = side
            return (critics.target(s_next, actor.target.predict(s_next)),)

        (next_values,) = in_halves(value, self.sides, s_next)
        y = batch.rewards + batch.discounts * next_values
        critic_loss, batch.errors = self.critics.descend(s, batch.actions, y, batch.weights, self.config.tau)
        policy_loss = improve(self.sides, s, self.config.tau)
        return {"critic_loss": critic_loss, "td_error": float(batch.errors.mean()), "policy_loss": policy_loss}

    def state_dict(self):
        return join({name: thing.state_dict() for name, thing in self._parts().items()})

    def load_state_dict(self, state):
        for name, thing in self._parts().items():
            thing.load_state_dict(part(state, name))

    def _parts(self):
        return {"actor": self.actor, "critics": self.critics, "memory": self.memory, "noise": self.noise}
