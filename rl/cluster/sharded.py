"""Environments parted into shards, each with a replica of the policy, which collect rollouts side by side.

    for each iteration
        θ, μ, σ → every shard                       the policy's flat parameters, the normaliser
        each shard: T steps of its copies with π_θ, observations normalised by the same μ and σ
        the learner joins the shards' columns, takes their observations into μ and σ, scales the rewards, and learns

Here μ and σ stand still during a rollout; the local loop (rl/loops/on_policy.py) moves them at every step. So training gives
other bits than without shards, but the same bits wherever the shards are: in this process, or on a cluster.

Shapes: T steps, N copies in all, n in a shard.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rl.cluster.shard import Harvest, Order, Shard
from rl.config import whole_number
from rl.experience import trees
from rl.experience.collector import EpisodeStatistics
from rl.experience.environments import make_vector
from rl.experience.rollout import Rollout
from rl.experience.symmetry import Mirrored
from rl.state import join, part


class Workers(Protocol):
    """Where the shards live."""

    def open(self, makers: Sequence[Callable[[], Shard]]) -> None:
        """Make every shard."""
        ...

    def call(self, method: str, arguments: Sequence[tuple], revive: Callable[[int], list[tuple]]) -> list:
        """Call a method of every shard, with arguments of its own.

        A shard that is lost is made anew: first it gets the calls (method, *arguments) of
        `revive(k)`, then the lost one again.
        """
        ...

    def close(self) -> None:
        """Let the shards go."""
        ...


class Here:
    """All shards in this process, one after the other."""

    def __init__(self):
        self.shards: list[Shard] = []

    def open(self, makers: Sequence[Callable[[], Shard]]) -> None:
        self.shards = [make() for make in makers]

    def call(self, method: str, arguments: Sequence[tuple], revive: Callable[[int], list[tuple]]) -> list:
        return [getattr(shard, method)(*given) for shard, given in zip(self.shards, arguments, strict=True)]

    def close(self) -> None:
        self.shards = []


class ShardedVector(VectorEnv):
    """N copies of an environment in shards, for on-policy learning.

    `PPO(ShardedVector("HalfCheetah-v5", 64, shards=4), config)` collects in this process;
    `workers=RayWorkers()` puts the shards on a cluster. It gives whole rollouts and does not know
    `step`, so evaluate in another environment of the same id.

    Parameters
    ----------
    env : str
        An id.
    copies : int
        N.
    shards : int
        How many; the copies are dealt evenly.
    workers : Workers, optional
        Where they live.
    env_settings : mapping, optional
        Keyword arguments of the environment.

    Raises
    ------
    ValueError
        If there are more shards than copies, or for an unknown id.
    """

    def __init__(
        self,
        env: str,
        copies: int,
        shards: int,
        workers: Workers | None = None,
        *,
        env_settings: Mapping[str, Any] | None = None,
    ):
        if not isinstance(env, str):
            raise TypeError(f"expected an environment's id, which workers can make, given {env!r:.60}")
        copies, shards = whole_number("copies", copies, 1), whole_number("shards", shards, 1)
        if shards > copies:
            raise ValueError(f"expected at most as many shards as copies, given {shards} shards of {copies} copies")
        settings = dict(env_settings or {})
        model = make_vector(env, 1, settings)  # spaces, mirror images and the name, as every shard has them
        self.model, self.spec = model, model.spec
        self.single_observation_space, self.single_action_space = model.single_observation_space, model.single_action_space
        self.observation_space = batch_space(self.single_observation_space, copies)
        self.action_space = batch_space(self.single_action_space, copies)
        self.num_envs, self.metadata = copies, {**model.metadata, "autoreset_mode": AutoresetMode.SAME_STEP}
        self.sizes = [copies // shards + (k < copies % shards) for k in range(shards)]
        self.starts = [sum(self.sizes[:k]) for k in range(shards)]
        if isinstance(model, Mirrored):
            self.mirror = model.mirror
        self.workers = Here() if workers is None else workers
        self._states: list[dict] = [{} for _ in self.sizes]  # where each shard stands, if it can tell
        self._seed = 0
        spec = gymnasium.spec(env)  # a worker knows no ids but those that its own imports registered
        self.workers.open([partial(Shard, spec, size, settings) for size in self.sizes])

    def _each(self, method: str, *columns: Sequence) -> list:
        """Call a method of every shard, with its entry of each column."""
        arguments = list(zip(*columns, strict=True)) if columns else [()] * len(self.sizes)
        return self.workers.call(method, arguments, self._revive)

    def _revive(self, k: int) -> list[tuple]:
        """What a shard that was lost is told first: where it stood, or new episodes."""
        if self._states[k]:
            return [("set_state", self._states[k])]
        self._seed += self.num_envs  # other episodes than at the beginning
        return [("reset", self._seed + self.starts[k])]

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[Any, dict]:
        """Begin new episodes; copy i gets the seed `seed` + i."""
        self._seed = int(np.random.default_rng().integers(2**31)) if seed is None else seed
        self._states = [{} for _ in self.sizes]
        observations = self._each("reset", [self._seed + start for start in self.starts])
        return concatenate_trees(observations), {}

    def step(self, actions: Any) -> Any:
        """Refused: the policy's replicas act where the environments are."""
        raise NotImplementedError("a sharded environment collects rollouts for an on-policy algorithm; it does not step by itself")

    def collect(self, agent: Any, steps: int) -> tuple[Rollout, EpisodeStatistics]:
        """T = `steps` steps of every copy with the agent's present policy; also called by rl/loops/on_policy.py."""
        if agent.networks:
            raise ValueError(f"expected networks that shards can make from the settings, given own ones: {sorted(agent.networks)}")
        if agent.recall is not None:
            raise ValueError(f"expected a policy without memory in shards, given memory={agent.config.memory!r}")
        normalizer = agent.normalizer.state_dict() if agent.normalizer else None
        seeds = [int(np.random.SeedSequence([agent.seed, k]).generate_state(1)[0]) for k in range(len(self.sizes))]
        policy, buffers = agent.policy.flat.data, tuple(buffer.data for _, buffer in agent.policy.named_buffers())
        place = steps, agent.steps, agent.total_steps
        order = Order(agent.config.algorithm, agent.config, 0, policy, buffers, normalizer, *place)
        harvests: list[Harvest] = self._each("collect", [order._replace(seed=seed) for seed in seeds])
        self._states = [harvest.state or {} for harvest in harvests]
        rollout = side_by_side([harvest.rollout for harvest in harvests])
        if agent.normalizer:
            raw = np.concatenate([harvest.raw for harvest in harvests if harvest.raw is not None], axis=1)
            agent.learn_scale(raw.reshape(-1, raw.shape[-1]))
        if agent.scaler:
            for t, rewards in enumerate(rollout.rewards):
                ended = rollout.terminated[t] | rollout.truncated[t]
                rollout.rewards[t] = agent.scaler(rewards.astype(float), ended, rollout.valid[t])
        agent.steps += int(np.count_nonzero(rollout.valid))
        return rollout, in_one([harvest.statistics for harvest in harvests])

    def state(self) -> dict[str, np.ndarray]:
        """Where all shards stand; empty where one cannot tell: then a loaded agent begins new episodes."""
        states = self._each("state")
        return join({f"shard{k}": state for k, state in enumerate(states)}) if all(states) else {}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a `state()` with the same shards.

        Raises
        ------
        ValueError
            For another number of shards.
        """
        parts = [part(state, f"shard{k}") for k in range(len(self.sizes))]
        if not all(parts) or sum(map(len, parts)) < len(state):
            given = len({name.partition(".")[0] for name in state})
            raise ValueError(f"expected the state of {len(self.sizes)} shards, given that of {given}")
        self._each("set_state", parts)
        self._states = parts

    def close_extras(self, **kwargs: Any) -> None:
        self._each("close")
        self.workers.close()
        self.model.close()


def side_by_side(rollouts: Sequence[Rollout]) -> Rollout:
    """Rollouts (T, n) of the same steps as one (T, N)."""
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(rollout, name) for rollout in rollouts], axis=1)
        for name in ("actions", "rewards", "terminated", "truncated", "valid")
    }
    observations = trees.each(lambda *arrays: np.concatenate(arrays, axis=1), *(rollout.observations for rollout in rollouts))
    starts = np.cumsum([0, *(len(rollout.rewards[0]) for rollout in rollouts)])
    final = {(t, n + int(s)): x for s, rollout in zip(starts, rollouts) for (t, n), x in rollout.final.items()}
    return Rollout(observations, **columns, last=trees.concatenate([rollout.last for rollout in rollouts]), final=final)


def in_one(statistics: Sequence[EpisodeStatistics]) -> EpisodeStatistics:
    """The episodes of several."""
    joined = EpisodeStatistics()
    for one in statistics:
        joined.returns += one.returns
        joined.lengths += one.lengths
        for name, values in one.infos.items():
            joined.infos.setdefault(name, []).extend(values)
    return joined


def concatenate_trees(observations: Sequence[Any]) -> Any:
    """Observations (n, …) of several vector environments as those (N, …) of one: an array, or Dict and Tuple of these."""
    first = observations[0]
    if isinstance(first, Mapping):
        return {name: concatenate_trees([tree[name] for tree in observations]) for name in first}
    if isinstance(first, tuple):
        return tuple(concatenate_trees(column) for column in zip(*observations, strict=True))
    return np.concatenate(observations)
