"""Probabilistic ensembles with trajectory sampling, PETS (Chua, Calandra, McAllister & Levine 2018; Algorithm 10 of the notes).

    repeat
        m ← the rest of the last plan
        a_0 … a_{H−1} ← cross-entropy search from m for the largest mean over K particles of
            Σ_t γᵗ r̂_t,   ŝ_0 = s,   (ŝ_{t+1}, r̂_t) ~ a member of the ensemble;  nothing after an imagined end
        step a_0, remember (s, a_0, r, s′)                  model-predictive control: the rest is planned anew
        every so often: fit the ensemble to all that is remembered

    TS1: each particle draws its member anew in each step;  TS∞: it keeps it

Paper: the reward is known, and the ensemble is fitted after each episode. Here the reward is learned, and the
ensemble is fitted every `model_interval` steps. The notes draw the first action; here it is the search's mean.

Shapes: B rows, P candidates, K particles, H steps ahead, O observation, A action dimensions.
"""

import zlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rl.agent import Agent
from rl.algorithms.model_based.config import ModelConfig, make_model
from rl.config import check_config, setting, whole_number
from rl.experience.plans import Plans, rest_of
from rl.experience.replay import ReplayMemory
from rl.experience.sequences import State
from rl.loops import planning
from rl.names import explained_class
from rl.networks.recall import checked_state
from rl.solvers.cross_entropy import Search, cross_entropy_search
from rl.state import Part, spawn_rngs
from rl.takes import Takes

PROPAGATIONS = ("TS1", "TSinf")


@dataclass(frozen=True)
class PlannerConfig:
    """Settings of what plans. Each field: its default, its meaning with its symbol, its valid range."""

    num_envs: int = setting(1, "environments stepped at once, N", 1, 1_000_000)
    gamma: float = setting(0.99, "discount factor, γ", 0, 1)
    memory: int = setting(100_000, "transitions that are remembered", 1)
    warmup: int = setting(200, "steps with random actions, before any plan", 0)
    horizon: int = setting(15, "steps of a plan, H", 1, 10_000)
    candidates: int = setting(200, "plans of a round of the search, P", 2, 1_000_000)
    plan_elites: int = setting(20, "best ones that the next round is fitted to", 1, 1_000_000)
    rounds: int = setting(5, "rounds of a search", 1, 10_000)
    smoothing: float = setting(0.1, "what stays of the last round's distribution", 0, 0.999)
    initial_sigma: float = setting(0.5, "σ of a search at the start; actions live in [−1, 1]", 1e-6, 1)
    particles: int = setting(5, "imagined courses of each plan, K", 1, 10_000)
    propagation: str = setting("TSinf", "whether a particle keeps its member, or draws it in each step", choices=PROPAGATIONS)

    def __post_init__(self):
        check_config(self)
        if self.plan_elites > self.candidates:
            raise ValueError(f"expected plan_elites <= candidates, given {self.plan_elites} and {self.candidates}")


@explained_class
@dataclass(frozen=True)
class PETSConfig(ModelConfig, PlannerConfig):
    """Settings of PETS."""

    algorithm: ClassVar[str] = "PETS"

    model_interval: int = setting(200, "environment steps between fits of the model", 1)


class PETS(Agent):
    """A PETS agent for continuous, bounded actions: `PETS(env, config, seed)`, see `Agent`.

    Attributes
    ----------
    policy : Dynamics
        The model: to plan in it is how the agent acts.

    Examples
    --------
    >>> agent = PETS("Pendulum-v1", seed=0)
    >>> agent.learn(2_000)
    """

    Config = PETSConfig
    takes = Takes(bounded=True, images=False, on_policy=False, value=False, model=True)
    iterate = planning.iterate

    def build(self) -> None:
        space, c = self.space, self.config
        self.rngs = spawn_rngs(self.seed, "weights", "explore", "model", "environment")
        self.model = make_model(space, c, self.rngs["weights"])
        self.policy = self.model.network
        self.memory = ReplayMemory(c.memory, space)
        self.plans = Plans(c.horizon, space.actions)

    def parts(self) -> dict[str, Part]:
        model: dict[str, Part] = {"policy": self.policy, "policy_optimizer": self.model.optimizer, "fitted": self.model.fitted}
        return {**model, "memory": self.memory, "plans": self.plans}

    def act(self, observations, rng) -> np.ndarray:
        return self.act_after(observations, None, None, rng)[0]

    def initial_state(self, copies: int = 1) -> State:
        """The plans (B, H, A) that searches begin from at the beginning of episodes, in a tuple."""
        return (np.zeros((whole_number("copies", copies, 1), self.config.horizon, self.space.actions), np.float32),)

    def act_after(self, observations, state, episode_start, rng) -> tuple[np.ndarray, State | None]:
        """Without a state no plan goes on, and none is returned."""
        begin = self.initial_state(len(observations))
        (means,) = checked_state(begin, begin if state is None else state, episode_start)
        searches = zip(observations, means, strict=True)
        plans = np.stack([self.plan(s, mean, self.generator_of(s) if rng is None else rng) for s, mean in searches])
        return plans[:, 0], None if state is None else (rest_of(plans),)

    def generator_of(self, observation: np.ndarray) -> np.random.Generator:
        """Draws that an observation decides: the same ones in every state would pull all plans the same way."""
        return np.random.default_rng([self.seed, zlib.crc32(observation.astype(np.float32).tobytes())])

    def explore(self, observations, rng) -> np.ndarray:
        self.plans.forget(self.collector.ended)
        pairs = zip(observations, self.plans.means, strict=True)
        actions = np.stack([self.plans.take(n, self.plan(s, mean, rng)) for n, (s, mean) in enumerate(pairs)])
        if not self.collector.same_step:
            self.plans.forget(self.collector.ended)  # their next step is the reset, which follows no plan
        return actions

    def plan(self, observation: np.ndarray, mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The best actions (H, A) that a search from `mean` (H, A) finds for an observation (O,)."""
        c = self.config
        search, sigma = Search(c.candidates, c.plan_elites, c.rounds, c.smoothing), np.full(mean.size, c.initial_sigma)
        best, _ = cross_entropy_search(lambda x: self.worth(observation, x, rng), mean.ravel(), sigma, search, rng)
        return best.reshape(mean.shape)

    def worth(self, observation: np.ndarray, plans: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Imagined discounted return of plans (P, H·A) from an observation (O,), the mean over particles: (P,)."""
        c, elites = self.config, self.policy.elites
        actions = np.repeat(plans.reshape(len(plans), c.horizon, -1), c.particles, axis=0)  # (P·K, H, A)
        s = np.repeat(observation[None], len(actions), axis=0)
        members = np.tile(elites, -(-len(actions) // len(elites)))[: len(actions)]  # as many particles for each
        total, valid = np.zeros(len(s), np.float32), np.ones(len(s), np.float32)
        for t in range(c.horizon):
            members = rng.permutation(members) if c.propagation == "TS1" else members
            s, rewards, ended = self.model.step_of(s, actions[:, t], members, rng)
            total += np.float32(c.gamma**t) * valid * rewards
            valid = np.where(ended, np.float32(0), valid)
        return total.reshape(len(plans), c.particles).mean(axis=1)

    def is_due(self) -> bool:
        """Whether it is time to fit the model."""
        return self.model.is_due(self.steps, self.config.model_interval)

    def fit(self) -> dict[str, float]:
        """Fit the model to all that is remembered; returns metrics."""
        return self.model.fit(self.memory, self.steps, self.rngs["model"])
