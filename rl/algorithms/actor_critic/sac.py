"""Soft Actor-Critic (Haarnoja et al. 2018, "Algorithms and Applications"; Algorithm 13 of the DeepUnity thesis, corrected).

    repeat
        a ~ π(·|s), step, remember (s, a, r, s′)                    a is squashed: the critics never see anything else
        for each minibatch
            ã′ ~ π(·|s′)
            y ← r + γ(1 − terminated)(min_i Q̄_i(s′, ã′) − α ln π(ã′|s′))
            φ_i ← Adam descent on  (Q_i(s, a) − y)²                  i = 1, 2
            ã = tanh(μ(s) + σ(s)ξ)
            θ ← Adam descent on  α ln π(ã|s) − min_i Q_i(s, ã)
            α ← Adam descent on  −ln α·(ln π(ã|s) + H̄)              H̄ = −A: one nat less than uniform in each dimension
            Q̄_i ← (1 − τ)Q̄_i + τQ_i

Shapes: B rows, O observation, A action dimensions.
"""

import math
from dataclasses import dataclass

import numpy as np

from deepnp import NonFiniteError, Parameter, ParameterVector
from deepnp.models.mlp import ACTIVATIONS
from deepnp.optim import Adam
from rl.agent import Agent, spawn_rngs
from rl.config import setting
from rl.experience.replay import Batch
from rl.loops.off_policy import OffPolicyConfig, gather_and_learn, make_critics, make_memory
from rl.networks.actors import SquashedGaussianPolicy
from rl.networks.critics import Critics
from rl.networks.halves import in_halves
from rl.state import join, part

Side = tuple[SquashedGaussianPolicy, Critics]


@dataclass(frozen=True)
class SACConfig(OffPolicyConfig):
    """Settings of SAC."""

    temperature: float | None = setting(None, "fixed weight of the entropy, α (the thesis's β); None: tuned", 0)
    initial_temperature: float = setting(1.0, "α at the start, where it is tuned", 1e-6)
    target_entropy: float | None = setting(None, "H̄; None: −A", -1e6, 1e6)
    shared: bool = setting(True, "one network for μ and ln σ instead of two")

    def __post_init__(self):
        super().__post_init__()
        if self.clip_targets:
            raise ValueError("expected clip_targets False: the soft values of SAC contain entropy, which no bound on rewards holds")


class SAC(Agent):
    """A SAC agent for continuous, bounded actions: `SAC(env, config, seed)`, see `Agent`.

    Examples
    --------
    >>> agent = SAC("Pendulum-v1", SACConfig(warmup=1000), seed=0)
    >>> agent.learn(20_000)
    """

    Config = SACConfig

    def _build(self):
        space, config = self.space, self.config
        space.require_bounded()
        self.rngs = spawn_rngs(self.seed, "weights", "explore", "replay", "noise", "environment")
        activation, rng, sizes = ACTIVATIONS[config.activation], self.rngs["weights"], (space.observations, *config.hidden)
        self.policy = SquashedGaussianPolicy((*sizes, space.actions), activation, config.shared, rng)
        self.critics = make_critics(space, config, 2, rng)
        self.sides = (self.policy, self.critics.shadow()), (self.policy.shadow(), self.critics.shadow())  # for a thread each
        self.vectors = tuple(policy.flat for policy, _ in self.sides)
        self.policy_optimizer = Adam(self.policy.flat, config.lr)
        fixed = config.temperature is not None
        start = config.temperature if fixed else config.initial_temperature
        self.log_alpha = Parameter(np.full(1, math.log(start) if start else -np.inf, np.float32))
        self.alpha_optimizer = None if fixed else Adam(ParameterVector({"log_alpha": self.log_alpha}), config.lr)
        self.target_entropy = -float(space.actions) if config.target_entropy is None else config.target_entropy
        self.memory = make_memory(space, config)

    def act(self, observations, rng):
        return self.policy.predict(observations)[0] if rng is None else self.policy.draw(observations, rng)[0]

    explore = act

    def iterate(self, progress):
        return gather_and_learn(self, progress)

    def update(self, batch: Batch) -> dict[str, float]:
        """One gradient step of everything: Algorithm 13, lines 19–38."""
        s, s_next = self.observe(batch.observations), self.observe(batch.next_observations)
        alpha, shape = math.exp(float(self.log_alpha.data[0])), batch.actions.shape
        noise_next, noise = (self.rngs["noise"].standard_normal(shape, np.float32) for _ in range(2))
        # The critics, and their targets after them.
        (values,) = in_halves(lambda side, *rows: (self.next_value(side, *rows, alpha),), self.sides, s_next, noise_next)
        y = batch.rewards + batch.discounts * values
        critic_loss, batch.errors = self.critics.descend(s, batch.actions, y, batch.weights, self.config.tau)
        # The policy; then the temperature, against the same log-probabilities.
        q, log_prob = self.improve(s, noise, alpha)
        self.temper(log_prob)
        return {"critic_loss": critic_loss, "td_error": float(batch.errors.mean()), **means(q, log_prob, alpha)}

    def next_value(self, side: Side, observations: np.ndarray, noise: np.ndarray, alpha: float) -> np.ndarray:
        """The soft value min_i Q̄_i(s′, ã′) − α ln π(ã′|s′) of drawn actions: (B,)."""
        policy, critics = side
        actions, log_prob = policy.predict(observations, noise)
        return critics.target(observations, actions) - np.float32(alpha) * log_prob

    def improve(self, observations: np.ndarray, noise: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
        """One step of the policy on α ln π(ã|s) − min_i Q_i(s, ã); returns the values and the log-probabilities: (B,) each."""
        size = len(observations)

        def climb(side, s, noise):
            policy, critics = side
            actions, log_prob = policy.forward(s, noise)
            q, dq_da = critics.climb(s, actions, dvalue=-1 / size)  # of −(1/B) Σ min Q
            policy.backward((dq_da, np.full(len(s), alpha / size, np.float32)), inputs=False)
            return q, log_prob

        own, other = self.vectors
        own.zero_grad()
        other.zero_grad()
        q, log_prob = in_halves(climb, self.sides, observations, noise)
        if not math.isfinite(float(q.sum() + log_prob.sum())):
            raise NonFiniteError(f"the policy loss is {float((alpha * log_prob - q).mean())}")
        own.grad += other.grad
        self.policy_optimizer.step()
        return q, log_prob

    def temper(self, log_prob: np.ndarray) -> None:
        """One step of the temperature, where it is tuned: lower ln α when the policy is more random than H̄."""
        if self.alpha_optimizer is not None:
            self.log_alpha.grad[0] = -(float(log_prob.mean()) + self.target_entropy)
            self.alpha_optimizer.step()

    def state_dict(self):
        return join({name: thing.state_dict() for name, thing in self._parts().items()}) | {"log_alpha": self.log_alpha.data}

    def load_state_dict(self, state):
        for name, thing in self._parts().items():
            thing.load_state_dict(part(state, name))
        self.log_alpha.data[...] = state["log_alpha"]

    def _parts(self):
        tuned = {"alpha_optimizer": self.alpha_optimizer} if self.alpha_optimizer else {}
        optimizers = {"policy_optimizer": self.policy_optimizer, **tuned}
        return {"policy": self.policy, "critics": self.critics, "memory": self.memory, **optimizers}


def means(q: np.ndarray, log_prob: np.ndarray, alpha: float) -> dict[str, float]:
    """What to tell of values and log-probabilities (B,)."""
    mean_q, entropy = float(q.mean()), -float(log_prob.mean())
    return {"policy_loss": -alpha * entropy - mean_q, "q": mean_q, "entropy": entropy, "alpha": alpha}
