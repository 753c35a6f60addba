"""One worker's share of the environments, with a replica of the policy that acts in them.

Shapes: T steps, n copies in this shard, O observation.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import VectorEnv

from deepnp.backend import one_blas_thread
from rl.algorithms import ALGORITHMS
from rl.experience import trees
from rl.experience.collector import Collector, EpisodeStatistics, StepListener
from rl.experience.environments import Resumable, make_vector
from rl.experience.normalize import RewardScaler
from rl.experience.rollout import Rollout
from rl.experience.trees import Observations
from rl.loops.on_policy import collect
from rl.networks.recall import Recall
from rl.runs.callbacks import Callbacks
from rl.state import join, part


class Order(NamedTuple):
    """What a shard needs of the learner for one rollout.

    Attributes
    ----------
    algorithm : str
    config : dataclass
        Of the learner.
    seed : int
        Of this shard's actions, drawn once.
    parameters : array
        The policy's, flat.
    buffers : tuple of array
        Those of the policy.
    normalizer : dict or None
        The state of the normaliser, which the shard only reads.
    steps : int
        T.
    reached, total : int
        The learner's steps so far, of how many: what schedules go by.
    """

    algorithm: str
    config: Any
    seed: int
    parameters: np.ndarray
    buffers: tuple[np.ndarray, ...]
    normalizer: dict[str, np.ndarray] | None
    steps: int
    reached: int
    total: int


class Harvest(NamedTuple):
    """What a shard brings back.

    Attributes
    ----------
    rollout : Rollout
        (T, n); rewards as the environment gave them.
    raw : array (T, n, O) or None
        Observations before normalisation, for the learner's normaliser.
    statistics : EpisodeStatistics
    state : dict or None
        Where the shard stands now, if its environment can tell: another worker can go on from it.
    """

    rollout: Rollout
    raw: np.ndarray | None
    statistics: EpisodeStatistics
    state: dict[str, np.ndarray] | None


class Shard:
    """`copies` copies of an environment and the policy's replica.

    Parameters
    ----------
    env : EnvSpec
    copies : int
    settings : mapping
        Keyword arguments of the environment.
    """

    def __init__(self, env: EnvSpec, copies: int, settings: Mapping[str, Any]):
        self.vector: Any = make_vector(env, copies, settings)
        self.replica: Replica | None = None
        self._seed = 0  # of the next episodes' beginning
        self._waiting: dict | None = None  # a state that waits for the replica

    def reset(self, seed: int) -> Any:
        """Begin new episodes; the first observations (n, …) as the environment gives them."""
        if self.replica is not None:
            self.replica.collector = None
        self._seed, self._waiting = seed, None
        return self.vector.reset(seed=seed)[0]

    def collect(self, order: Order) -> Harvest:
        """T steps with the learner's policy, from where the last rollout ended."""
        if self.replica is None:
            self.replica = Replica(self.vector, order)
        self.replica.follow(order)
        if self._waiting is not None:
            self._restore(self.replica, self._waiting)
        elif self.replica.collector is None:
            self.replica.begin(self._seed)
        with one_blas_thread():
            rollout, statistics = collect(self.replica, order.steps)
        return Harvest(rollout, self.replica.raw_rows(), statistics, self.state() if isinstance(self.vector, Resumable) else None)

    def state(self) -> dict[str, np.ndarray]:
        """Where the shard stands: environment, episodes under way, generator of actions."""
        if self.replica is None or self.replica.collector is None:
            return self._waiting or {}
        generator = np.frombuffer(json.dumps(self.replica.rngs["actions"].bit_generator.state).encode(), np.uint8)
        groups = {"env": self.vector.state(), "collector": self.replica.collector.state_dict(), "actions": {"generator": generator}}
        return {name: np.array(array) for name, array in join(groups).items()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a `state()` at the next rollout."""
        self._waiting = dict(state) or None

    def _restore(self, replica, state):
        replica.begin(None)
        replica.collector.load_state_dict(part(state, "collector"))
        self.vector.set_state(part(state, "env"))
        replica.rngs["actions"].bit_generator.state = json.loads(part(state, "actions")["generator"].tobytes())
        self._waiting = None

    def close(self) -> None:
        """Close the environment."""
        self.vector.close()


class Replica:
    """Acts like the learner, and learns nothing: what `collect` needs of an agent."""

    def __init__(self, vector: VectorEnv, order: Order):
        config = replace(order.config, num_envs=vector.num_envs)
        if hasattr(config, "scale_rewards"):  # the learner scales: it sees all copies
            config = replace(config, scale_rewards=False)
        agent: Any = ALGORITHMS[order.algorithm].cls(vector, config, order.seed)
        self.agent, self.policy = agent, agent.policy
        self.space, self.rngs = self.agent.space, self.agent.rngs
        self.collector: Any = None
        self.scaler: RewardScaler | None = None
        self.recall: Recall | None = None
        self.callbacks: StepListener = Callbacks()
        self.steps = 0
        self.observe, self.act = self.agent.observe, self.agent.act
        self._raw: list[np.ndarray] = []

    def follow(self, order: Order) -> None:
        """Take over the learner's policy, its normaliser and its place in the training."""
        self.agent.steps, self.agent.total_steps = order.reached, order.total
        self.policy.flat.data[:] = order.parameters
        for (_, own), given in zip(self.policy.named_buffers(), order.buffers, strict=True):
            own.data[...] = given
        if order.normalizer is not None:
            self.agent.normalizer.load_state_dict(order.normalizer)

    def begin(self, seed: int | None) -> None:
        """Begin new episodes; with None, a state follows."""
        dtype = self.space.vector_dtype(self.agent.normalizer is not None)
        self.collector = Collector(self.agent.env, self.space.observation, dtype, seed)

    def learn_scale(self, observations: Observations) -> None:
        """Keep what the learner's normaliser is to take in."""
        if self.agent.normalizer is not None:
            self._raw.append(np.array(trees.vector(observations)))

    def raw_rows(self) -> np.ndarray | None:
        """What was kept since the last time (T, n, O), if anything."""
        rows, self._raw = self._raw, []
        return np.stack(rows) if rows else None
