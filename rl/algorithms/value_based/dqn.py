"""Deep Q-network (Mnih et al. 2015), with the choices that others added to it.

    repeat
        a ← random with probability ε, else argmax_a Q(s, a), step, remember (s, a, r, s′)
        for each minibatch
            y ← r + γ(1 − terminated) max_a′ Q̄(s′, a′)
                double: Q̄(s′, argmax_a′ Q(s′, a′))                  van Hasselt et al. 2016
                soft:   (1/τ) ln Σ_a′ e^{τQ̄(s′, a′)}
            θ ← Adam descent on (Q(s, a) − y)², linear where |Q(s, a) − y| > κ
            Q̄ ← Q every C steps, or Q̄ ← (1 − τ)Q̄ + τQ

ε falls from 1 in a straight line. With `boltzmann` actions are drawn from softmax(τQ(s, ·)) in the
place of the best one. Paper: RMSProp, and one update in four steps; here Adam, and one in each.

Shapes: B rows, O observation, C choices.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from deepnp import Module
from deepnp.optim import Adam
from rl.agent import Agent
from rl.algorithms.replay_config import make_memory
from rl.algorithms.value_based.config import ValueConfig
from rl.config import setting
from rl.experience.environments import EnvLike
from rl.experience.replay import Batch
from rl.loops import off_policy
from rl.names import explained, explained_class
from rl.networks.own import given_networks
from rl.networks.q_networks import Mean, QNetwork, double_value, drawn, q_body, soft_maximum
from rl.networks.q_steps import choice_step
from rl.networks.targets import target_of
from rl.state import Part, spawn_rngs
from rl.takes import Takes


@explained_class
@dataclass(frozen=True)
class DQNConfig(ValueConfig):
    """Settings of DQN."""

    algorithm: ClassVar[str] = "DQN"

    soft_target: bool = setting(False, "the soft maximum of the next values, with the τ of boltzmann, in the place of the largest")
    error_limit: float = setting(1.0, "TD error beyond which the loss is linear (Huber), κ; large: the plain square", 1e-9)

    def __post_init__(self):
        super().__post_init__()
        if self.soft_target and (self.boltzmann is None or self.double):
            raise ValueError(f"expected soft_target with boltzmann and without double, given {self.boltzmann} and {self.double}")


class DQN(Agent):
    """A DQN agent for choices: `DQN(env, config, seed)`, see `Agent`.

    Parameters
    ----------
    policy : Module, optional
        A network of one's own for Q(s, ·): observations (B, …) -> (B, C). See rl/networks/own.py.

    Attributes
    ----------
    policy : QNetwork
        Q(s, ·); its largest value is the action.

    Examples
    --------
    >>> agent = DQN("CartPole-v1", DQNConfig(double=True), seed=0)
    >>> agent.learn(50_000)
    """

    Config: ClassVar[type] = DQNConfig
    takes = Takes(actions=("Discrete",), masks=True, goals=True, on_policy=False)
    iterate = off_policy.iterate
    own_networks = ("policy",)

    @explained
    def __init__(
        self,
        env: EnvLike,
        config: DQNConfig | None = None,
        seed: int = 0,
        *,
        env_settings: Mapping[str, Any] | None = None,
        policy: Module | None = None,
    ):
        super().__init__(env, config, seed, env_settings=env_settings, networks={"policy": policy})

    def build(self) -> None:
        space, c = self.space, self.now
        self.rngs = spawn_rngs(self.seed, "weights", "explore", "replay", "environment")
        own = given_networks(self.networks, space.observation, policy=space.actions * self.numbers(c))
        body = own.get("policy") or q_body(space, c, self.numbers(c), self.rngs["weights"])
        self.policy = QNetwork(space, body, self.mean(c))
        self.policy_optimizer = Adam(self.policy.flat, c.lr)
        self.target_policy, self.follow = target_of(self.policy, c.targets != "none")
        self.memory = make_memory(space, c)

    def numbers(self, c: Any) -> int:
        """How many outputs each choice has."""
        return 1

    def mean(self, c: Any) -> Mean | None:
        """What makes values of these; None where they are values."""
        return None

    def parts(self) -> dict[str, Part]:
        target: dict[str, Part] = {} if self.target_policy is self.policy else {"target_policy": self.target_policy}
        return {"policy": self.policy, "policy_optimizer": self.policy_optimizer, **target, "memory": self.memory}

    def act(self, observations, rng) -> np.ndarray:
        q, inverse_temperature = self.policy.predict(observations), self.now.boltzmann
        return q.argmax(axis=1) if rng is None or inverse_temperature is None else drawn(q, inverse_temperature, rng)

    explore = act

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step; the target moves when it is due.

        Returns metrics, and |Q − y| of each row (B,).
        """
        c, s, s_next = self.now, self.observe(batch.observations), self.observe(batch.next_observations)
        self.policy_optimizer.lr = c.lr
        y = batch.rewards + batch.discounts * self.next_value(c, s_next)
        loss, errors = choice_step(self.policy.body, self.policy_optimizer, s, batch.actions, y, batch.weights, c.error_limit)
        self.move_target(c)
        errors = np.abs(errors)
        return {"critic_loss": loss, "td_error": float(errors.mean()), "target": float(y.mean())}, errors

    def next_value(self, c: Any, s_next) -> np.ndarray:
        """What the next state is worth: (B,)."""
        if c.double:
            return double_value(self.policy, self.target_policy, s_next)
        q = self.target_policy.predict(s_next)
        return soft_maximum(q, c.boltzmann) if c.soft_target else q.max(axis=1)

    def move_target(self, c: Any) -> None:
        """After a gradient step: a periodic target is copied every C-th time, one that follows moves by the share τ."""
        if c.targets == "polyak":
            self.follow(c.tau)
        elif self.policy_optimizer.t % c.target_interval == 0:
            self.target_policy.load_state_dict(self.policy.state_dict())
