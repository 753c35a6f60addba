"""Evaluation of a trained agent."""

import numpy as np

from rl.agent import Agent
from rl.parts.environments import EnvLike, make_vector


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
    if episodes < 1:
        raise ValueError(f"expected episodes >= 1, given {episodes}")
    vector = make_vector(env, episodes)
    if vector.num_envs == 1 and episodes > 1:
        single = [_play(agent, vector, seed + i, deterministic) for i in range(episodes)]
        return {name: np.concatenate([result[name] for result in single]) for name in single[0]}
    if vector.num_envs != episodes:
        raise ValueError(f"expected a vector environment with {episodes} copies, given {vector.num_envs}")
    results = _play(agent, vector, seed, deterministic)
    if isinstance(env, str):
        vector.close()
    return results


def _play(agent, vector, seed, deterministic):
    copies = vector.num_envs
    results = {"return": np.zeros(copies), "length": np.zeros(copies, int)}
    running = np.ones(copies, bool)
    observations, _ = vector.reset(seed=seed)
    while running.any():
        actions = agent.predict(observations, deterministic)
        observations, rewards, terminated, truncated, infos = vector.step(actions)
        results["return"] += rewards * running
        results["length"] += running
        ending = running & (terminated | truncated)
        told = infos.get("final_info", infos)
        for name, values in told.items() if ending.any() else ():
            if not name.startswith("_") and isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
                results.setdefault(name, np.zeros(copies, values.dtype))[ending] = values[ending]
        running &= ~ending
    return results
