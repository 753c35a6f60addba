"""Evaluation of a trained agent."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv

from rl.agent import Agent
from rl.config import whole_number
from rl.experience.collector import episode_infos
from rl.experience.environments import EnvLike, is_made_here, make_vector, members, same_step, space_of
from rl.names import explained
from rl.state import spawn_rngs
from rl.training.playing import Clock, Player


@explained
def evaluate(
    agent: Agent,
    env: EnvLike,
    episodes: int = 20,
    seed: int = 1,
    deterministic: bool = True,
    *,
    env_settings: Mapping[str, Any] | None = None,
) -> np.ndarray:
    """Returns of independent episodes, undiscounted.

    Each episode runs in a copy of its own with seeds `seed`, `seed + 1`, …, so that short episodes
    do not crowd out long ones. The agent's normaliser is frozen. An episode that has not ended
    after 20,000 steps is cut, with a warning, unless its environment has a longer time limit.

    Parameters
    ----------
    agent : Agent
    env : str, EnvSpec, gymnasium.Env, VectorEnv, a factory or a list
        An id, a spec or a factory is made into one copy per episode, which are closed at the end;
        an Env plays them one after the other; a VectorEnv, or a list, must have that many copies.
    episodes, seed : int
    deterministic : bool
        The most probable actions instead of draws.
    env_settings : mapping, optional
        Keyword arguments of an id's environment.

    Returns
    -------
    array (episodes,)

    Raises
    ------
    ValueError
        If the environment's spaces are not the agent's.
    """
    return play(agent, env, episodes, seed, deterministic, env_settings=env_settings)["return"]


@explained
def play(
    agent: Agent,
    env: EnvLike,
    episodes: int = 20,
    seed: int = 1,
    deterministic: bool = True,
    *,
    env_settings: Mapping[str, Any] | None = None,
) -> dict[str, np.ndarray]:
    """Like `evaluate`, with everything known of each episode.

    Returns
    -------
    dict of str to array (episodes,)
        "return", "length", and the numbers in the environment's infos as they were at each
        episode's end; NaN where an episode did not tell. "success", where the environment tells it
        under that name or as "is_success".
    """
    if not isinstance(agent, Agent):
        raise TypeError(f"expected an agent, and then its environment, given {agent!r:.60}")
    episodes, seed = whole_number("episodes", episodes, 1), whole_number("seed", seed, 0)
    vector = make_vector(env, episodes if is_made_here(env) else 1, env_settings)
    try:
        agent.space.check(space_of(vector))
        if agent.env is not None and members(vector) & members(agent.env):
            agent.forget_episodes()
        result = _episodes(agent, vector, episodes, seed, deterministic)
        return {"success": result["is_success"], **result} if "is_success" in result else result
    finally:
        if is_made_here(env):
            vector.close()


def _episodes(agent: Agent, vector: VectorEnv, episodes: int, seed: int, deterministic: bool) -> dict[str, np.ndarray]:
    if vector.num_envs == 1 and episodes > 1:
        single = [_play(agent, vector, seed + i, deterministic) for i in range(episodes)]
        names, unknown = {name for result in single for name in result}, np.full(1, np.nan)
        return {name: np.concatenate([result.get(name, unknown) for result in single]) for name in sorted(names)}
    if vector.num_envs != episodes:
        raise ValueError(f"expected a vector environment with {episodes} copies, given {vector.num_envs}")
    return _play(agent, vector, seed, deterministic)


def _play(agent, vector, seed, deterministic):
    copies = vector.num_envs
    results = {"return": np.zeros(copies), "length": np.zeros(copies, int)}
    running, rng = np.ones(copies, bool), spawn_rngs(seed, "actions")["actions"]  # the environment draws from `seed` itself
    observations, _ = vector.reset(seed=seed)
    player, clock = Player(agent, copies, deterministic, rng), Clock(vector)
    while clock.goes_on(running):
        observations, rewards, terminated, truncated, infos = vector.step(player.act(observations))
        results["return"] += np.where(running, rewards, 0)  # of an ended episode's copy even NaN is nobody's
        results["length"] += running
        ending = running & (terminated | truncated)
        for name, values, given in episode_infos(infos, same_step(vector), ending) if ending.any() else ():
            if name not in ("return", "length"):
                results.setdefault(name, np.full(copies, np.nan))[given] = values[given]
        running &= ~ending
    return results
