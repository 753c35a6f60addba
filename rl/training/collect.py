"""Gathering data sets: the steps of random actions, of an agent, or of a whole training.

    random            collect("random", env, steps)
    medium, expert    collect(agent, env, steps), with an agent of a third of what it comes to, or of all of it
    medium-replay     DataSet.of_memory(agent.memory): what such an agent has seen until then
    medium-expert     joined([medium, expert])

The names are those of D4RL (Fu et al. 2020).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rl.agent import Agent
from rl.config import whole_number
from rl.experience import trees
from rl.experience.collector import Collector, EpisodeStatistics, following_of
from rl.experience.data_checks import about_of
from rl.experience.datasets import DataSet, check_storable
from rl.experience.environments import EnvLike, is_made_here, make_vector, name_of, space_of
from rl.experience.memory_limit import check_memory
from rl.experience.replay import ReplayMemory
from rl.names import explained
from rl.state import spawn_rngs

RANDOM = "random"


@explained
def collect(
    agent: Agent | str,
    env: EnvLike,
    steps: int,
    seed: int = 0,
    *,
    num_envs: int = 1,
    deterministic: bool = False,
    env_settings: Mapping[str, Any] | None = None,
    about: Mapping[str, Any] | None = None,
) -> DataSet:
    """The steps of an agent, or of random actions.

    Parameters
    ----------
    agent : Agent or "random"
        Nothing of it changes. One whose networks have memory is refused.
    env
        As `Agent` takes it.
    steps, seed : int
    num_envs : int
        Copies of an id's environment. Each one's steps follow those of the one before; its last episode
        is cut. Copies of a NEXT_STEP environment take unequal shares of the steps: the step that begins
        an episode is none.
    deterministic : bool
        The most probable actions instead of draws.
    env_settings : mapping, optional
        Keyword arguments of an id's environment.
    about : mapping, optional
        What the data set is to say of itself, besides who acted.

    Returns
    -------
    DataSet
        Of `steps` rows.

    Raises
    ------
    ValueError
        For an environment with other spaces than the agent's, or such as no data set holds; for `about`
        with what JSON does not hold.
    MemoryError
        If more is needed than is free.
    """
    if not (isinstance(agent, Agent) or agent == RANDOM):
        raise TypeError(f'expected an agent or "random", and then its environment, given {agent!r:.60}')
    if isinstance(agent, Agent) and agent.recall is not None:
        raise ValueError(f"expected an agent whose networks have no memory, given {type(agent).__name__} with memory")
    about = about_of({} if about is None else about)
    steps, seed = whole_number("steps", steps, 1), whole_number("seed", seed, 0)
    vector = make_vector(env, min(whole_number("num_envs", num_envs, 1), steps), env_settings)
    try:
        space = space_of(vector)
        check_storable(space)
        if isinstance(agent, Agent):
            agent.space.check(space)
            agent.forget_episodes()  # the environment may be its own
        rows = _gathered(None if agent == RANDOM else agent, vector, space, steps, seed, deterministic)
        own = {"agent": RANDOM, "seed": seed}
        if isinstance(agent, Agent):
            own |= {"agent": agent.config.algorithm, "agent_steps": agent.steps, "deterministic": deterministic}
        return rows.data_set(name_of(vector), {**own, **about})
    finally:
        if is_made_here(env):
            vector.close()


def _gathered(agent, vector, space, steps, seed, deterministic):
    rng, copies = spawn_rngs(seed, "actions")["actions"], vector.num_envs  # the environment draws from `seed` itself
    rows = _Rows(steps, space)
    collector, statistics = Collector(vector, space.observation, rows.dtype, seed), EpisodeStatistics()
    while rows.count < steps:
        before = collector.observations
        if agent is None:
            actions = space.action.random(copies, rng, space.observation.mask_of(before))
            taken = space.action.to_environment(actions)
        else:
            actions = agent.act(agent.observe(before), None if deterministic else rng)
            taken = agent.space.action.to_environment(actions)  # the agent's own layout says how numbers are squashed
        step = collector.step(taken, statistics)
        valid = np.flatnonzero(step.valid)[: steps - rows.count]
        kept = space.action.from_environment(np.asarray(taken))
        rows.add(valid, before, kept, step.rewards, following_of(collector, step), step.terminated, step.truncated)
    return rows


class _Rows:
    """Steps of several copies, in the order in which they were made: how many each copy will take is not known before."""

    def __init__(self, steps, space):
        self.space, self.dtype, self.count = space, space.vector_dtype(True), 0
        check_memory(2 * steps * ReplayMemory(steps, space, self.dtype).bytes_per_row, f"a data set of {steps:,} steps")
        self.observations, self.next_observations = (space.observation.empty(steps, self.dtype) for _ in range(2))
        shape, dtype = space.action.stored
        self.actions, self.rewards = np.zeros((steps, *shape), dtype), np.zeros(steps, np.float32)
        self.terminated, self.truncated = np.zeros(steps, bool), np.zeros(steps, bool)
        self.copies = np.zeros(steps, np.int64)

    def add(self, copies, observations, actions, rewards, next_observations, terminated, truncated):
        """A step of some copies, by number (n,), out of the arrays of all."""
        rows = slice(self.count, self.count + len(copies))
        trees.write(self.observations, rows, trees.at(observations, copies))
        trees.write(self.next_observations, rows, trees.at(next_observations, copies))
        self.actions[rows], self.rewards[rows] = actions[copies], rewards[copies]
        self.terminated[rows], self.truncated[rows] = terminated[copies], truncated[copies]
        self.copies[rows], self.count = copies, rows.stop

    def data_set(self, env, about):
        """The rows copy after copy; the last episode of each is cut."""
        order = np.argsort(self.copies, kind="stable")
        cut = np.append(np.diff(self.copies[order]) > 0, True)
        seen, following = (trees.take(tree, order) for tree in (self.observations, self.next_observations))
        actions = self.actions[order]
        actions = actions.clip(-1, 1) if self.space.action.kind == "Box" else actions
        ends = self.terminated[order], self.truncated[order] | cut
        return DataSet(self.space, seen, actions, self.rewards[order], following, *ends, env, about)
