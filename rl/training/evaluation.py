"""Evaluation of a trained agent."""

import numpy as np
from gymnasium.vector import SyncVectorEnv, VectorEnv

from rl.agent import Agent, whole_number
from rl.experience.environments import EnvLike, make_vector
from rl.experience.rollout import is_number_per_copy


def evaluate(agent: Agent, env: EnvLike, episodes: int = 20, seed: int = 1, deterministic: bool = True) -> np.ndarray:
    """Returns of independent episodes, undiscounted.

    Each episode runs in a copy of its own with seeds `seed`, `seed + 1`, …, so that short episodes do not crowd out long
    ones. The agent's normaliser is frozen.

    Parameters
    ----------
    agent : Agent
    env : str, gymnasium.Env or VectorEnv
        An id is made into one copy per episode; an Env plays them one after the other; a VectorEnv must have that many copies.
    episodes, seed : int
    deterministic : bool
        The most probable actions instead of draws.

    Returns
    -------
    array (episodes,)
    """
    return play(agent, env, episodes, seed, deterministic)["return"]


def play(agent: Agent, env: EnvLike, episodes: int = 20, seed: int = 1, deterministic: bool = True) -> dict[str, np.ndarray]:
    """Like `evaluate`, with everything known of each episode: "return", "length" and what the environment's infos tell."""
    whole_number("episodes", episodes, 1)
    whole_number("seed", seed, 0)
    vector = make_vector(env, episodes)
    if agent.env is not None and _members(vector) & _members(agent.env):
        agent.collector = None  # the training's own episodes are lost to this: it will begin new ones
    if vector.num_envs == 1 and episodes > 1:
        single = [_play(agent, vector, seed + i, deterministic) for i in range(episodes)]
        names, unknown = {name for result in single for name in result}, np.full(1, np.nan)
        return {name: np.concatenate([result.get(name, unknown) for result in single]) for name in sorted(names)}
    if vector.num_envs != episodes:
        raise ValueError(f"expected a vector environment with {episodes} copies, given {vector.num_envs}")
    results = _play(agent, vector, seed, deterministic)
    if isinstance(env, str):
        vector.close()
    return results


def _members(vector: VectorEnv) -> set[int]:
    """Identities of the environments that a vector environment steps, itself included."""
    copies = vector.unwrapped.envs if isinstance(vector.unwrapped, SyncVectorEnv) else ()
    return {id(vector.unwrapped), *(id(env.unwrapped) for env in copies)}


def _play(agent, vector, seed, deterministic):
    copies = vector.num_envs
    results = {"return": np.zeros(copies), "length": np.zeros(copies, int)}
    running, rng = np.ones(copies, bool), np.random.default_rng(seed)
    observations, _ = vector.reset(seed=seed)
    while running.any():
        actions = agent.predict(observations, deterministic, rng)
        observations, rewards, terminated, truncated, infos = vector.step(actions)
        results["return"] += rewards * running
        results["length"] += running
        ending = running & (terminated | truncated)
        told = infos.get("final_info", infos)
        for name, values in told.items() if ending.any() else ():
            if is_number_per_copy(name, values) and name not in ("return", "length"):
                told_by = ending & told.get(f"_{name}", True)
                results.setdefault(name, np.full(copies, np.nan))[told_by] = values[told_by]
        running &= ~ending
    return results
