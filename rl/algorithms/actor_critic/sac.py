"""Soft Actor-Critic (Haarnoja et al. 2018, "Algorithms and Applications"; Algorithm 13 of the thesis, corrected).

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

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from deepnp import Module
from deepnp.backend import array_module, to_device
from deepnp.optim import Adam
from rl.agent import Agent
from rl.algorithms.actor_critic.config import OffPolicyConfig, make_critics
from rl.algorithms.replay_config import make_memory
from rl.config import rate, setting
from rl.experience.environments import EnvLike
from rl.experience.replay import Batch
from rl.loops import off_policy
from rl.names import explained, explained_class
from rl.networks.actor_kinds import ACTORS
from rl.networks.own import given_networks
from rl.networks.recalling import actor_of
from rl.networks.replay_recall import carried, recall_of
from rl.networks.temperature import Temperature
from rl.networks.undivided import passes_of
from rl.schedules import Rate
from rl.state import Part, spawn_rngs
from rl.takes import Takes


@explained_class
@dataclass(frozen=True)
class SACConfig(OffPolicyConfig):
    """Settings of SAC."""

    algorithm: ClassVar[str] = "SAC"
    soft_values: ClassVar[bool] = True  # whether values contain entropy

    temperature: Rate | None = rate(None, "fixed weight of the entropy, α (the thesis's β); None: tuned", 0)
    initial_temperature: float = setting(1.0, "α at the start, where it is tuned", 1e-6)
    target_entropy: Rate | None = rate(None, "H̄ that a tuned α aims at; None: −A", -1e6, 1e6)
    twin: bool = setting(True, "two critics, of which the smaller counts; False: one")
    shared: bool = setting(True, "one network for μ and ln σ of a Gaussian instead of two")
    actor: str = setting("gaussian", "kind of policy", choices=tuple(ACTORS))
    flow_layers: int = setting(4, "coupling layers of a flow", 1, 64)
    latent: int = setting(8, "latent variables of a variational policy", 1, 4096)

    @classmethod
    def deepunity(cls, **settings: Any) -> Self:
        """Table 3.1 of the thesis on DeepUnity, with some settings replaced: `SACConfig.deepunity(lr=1e-3)`."""
        table = dict(hidden=(64, 64), activation="tanh", lr=3e-4, gamma=0.99, tau=5e-3, temperature=0.2, memory=1_000_000)
        table |= dict(batch_size=128, update_interval=64, updates=1, warmup=1024)
        return cls(**{**table, **settings})

    def __post_init__(self):
        super().__post_init__()
        if self.clip_targets and self.soft_values:
            raise ValueError("expected clip_targets False: the soft values of SAC contain entropy, which no bound on rewards holds")
        if self.actor == "flow" and self.device != "cpu":
            raise ValueError(f'expected device "cpu" with actor "flow", whose couplings are on no GPU yet, given {self.device!r}')


class SAC(Agent):
    """A SAC agent for continuous, bounded actions: `SAC(env, config, seed)`, see `Agent`.

    Parameters
    ----------
    policy : Module, optional
        A network of one's own for μ(s) and ln σ(s) side by side: observations (B, …) -> (B, 2A).
    critic : callable, optional
        A function of a random generator that makes one for Q(s, a): [observations, actions] side by
        side (B, O + A) -> (B, 1). See rl/networks/own.py.

    Examples
    --------
    >>> agent = SAC("Pendulum-v1", SACConfig(warmup=1000), seed=0)
    >>> agent.learn(20_000)
    """

    Config: ClassVar[type] = SACConfig
    takes = Takes(bounded=True, goals=True, on_policy=False)
    iterate = off_policy.iterate
    own_networks = ("policy", "critic")

    @explained
    def __init__(
        self,
        env: EnvLike,
        config: SACConfig | None = None,
        seed: int = 0,
        *,
        env_settings: Mapping[str, Any] | None = None,
        policy: Module | None = None,
        critic: Callable[[np.random.Generator], Module] | None = None,
    ):
        super().__init__(env, config, seed, env_settings=env_settings, networks={"policy": policy, "critic": critic})

    def build(self) -> None:
        space, c = self.space, self.now
        self.rngs = spawn_rngs(self.seed, "weights", "explore", "replay", "noise", "environment")
        rng = self.rngs["weights"]
        own = given_networks(self.networks, space.observation, policy=2 * space.actions)
        self.policy = actor_of(ACTORS[c.actor], space, c, rng, own.get("policy")).to(c.device)
        self.critics = make_critics(space, c, 2 if c.twin else 1, rng, self.policy, self.networks.get("critic"))
        self.recall = recall_of(c, self.policy)
        self.halves = passes_of(c, self.policy, critics=self.critics)
        self.policy_optimizer = Adam(self.policy.flat, c.lr)
        self.temperature = Temperature(c.temperature, c.initial_temperature, self.target_entropy(c), c.lr)
        self.memory = make_memory(space, c)

    def parts(self) -> dict[str, Part]:
        policy: dict[str, Part] = {
            "policy": self.policy,
            "policy_optimizer": self.policy_optimizer,
            "temperature": self.temperature,
        }
        return {**policy, "critics": self.critics, "memory": self.memory, **carried(self.recall)}

    def act(self, observations, rng) -> np.ndarray:
        actions, _ = self.policy.predict(observations) if rng is None else self.policy.draw(observations, rng)
        return to_device(actions, "cpu")

    explore = act

    def target_entropy(self, settings) -> float:
        """H̄."""
        return -float(self.space.actions) if settings.target_entropy is None else settings.target_entropy

    def set_rates(self) -> Any:
        """Let everything that steps take its rates of this moment; returns the settings as they are now."""
        c, temperature = self.now, self.temperature
        self.policy_optimizer.lr = temperature.optimizer.lr = c.lr
        self.critics.set_lr(c.critic_rate)
        temperature.fixed, temperature.target_entropy = c.temperature, self.target_entropy(c)
        return c

    def update(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step of everything, after which the targets move: Algorithm 13, lines 19–38.

        Returns metrics, and |Q − y| of each row (B,).
        """
        c, s, s_next = self.set_rates(), self.observe(batch.observations), self.observe(batch.next_observations)
        results = self.step(replace(batch, observations=s, next_observations=s_next))
        self.critics.follow(c.tau)
        return results

    def step(self, batch: Batch) -> tuple[dict[str, float], np.ndarray]:
        """One gradient step of critics, policy and temperature, on observations as the networks read them; see `update`."""
        s, s_next, shape = batch.observations, batch.next_observations, (len(batch.actions), self.policy.noise_size)
        alpha = self.temperature.alpha
        noise_next, noise = (self.rngs["noise"].standard_normal(shape, np.float32) for _ in range(2))
        y = batch.rewards + batch.discounts * self.halves.map(self.next_value, s_next, noise_next)
        critic_loss, errors = self.critics.fit(s, batch.actions, targets=y, weights=batch.weights)
        q, log_prob = self.halves.step(self.policy_loss_gradient, self.policy_optimizer, s, noise)
        self.temperature.step(log_prob)
        return {"critic_loss": critic_loss, "td_error": float(errors.mean()), **means(q, log_prob, alpha)}, errors

    def next_value(self, networks, s_next, noise) -> np.ndarray:
        """The soft value min_i Q̄_i(s′, ã′) − α ln π(ã′|s′) of drawn actions: (B,)."""
        actions, log_prob = networks.policy.predict(s_next, noise)
        return networks.critics.target(s_next, actions) - self.temperature.alpha * log_prob

    def policy_loss_gradient(self, networks, size, s, noise) -> tuple[np.ndarray, np.ndarray]:
        """Of α ln π(ã|s) − min_i Q_i(s, ã), averaged over `size` rows.

        Returns Q and ln π of these rows: (B,) each.
        """
        actions, log_prob = networks.policy.forward(s, noise)
        q, dactions = networks.critics.action_gradient(s, actions, dvalue=-1 / size)
        dlog_prob = array_module(log_prob).full_like(log_prob, self.temperature.alpha / size)
        networks.policy.backward((dactions, dlog_prob), inputs=False)
        return q, log_prob


def means(q: np.ndarray, log_prob: np.ndarray, alpha: float) -> dict[str, float]:
    """Metrics of values and log-probabilities (B,)."""
    mean_q, entropy = float(q.mean()), -float(log_prob.mean())
    return {"policy_loss": -alpha * entropy - mean_q, "q": mean_q, "entropy": entropy, "alpha": alpha}
