"""An agent behind the methods that code written for Stable-Baselines3 calls."""

import os
from typing import Any, Self

import numpy as np
from gymnasium.vector import VectorEnv

from rl.agent import Agent
from rl.runs.callbacks import CallbackLike


class StableBaselinesModel:
    """What stands for a model of Stable-Baselines3: `stable_baselines3.common.evaluation.evaluate_policy` takes it, say.

    It has what such code calls most, and nothing else: `predict`, `learn`, `save`, `get_env` and
    `num_timesteps`. Callbacks, files and environments are ours.

    Parameters
    ----------
    agent : Agent
    seed : int, optional
        Of the actions that `predict` draws; fresh entropy by default.
    """

    def __init__(self, agent: Agent, seed: int | None = None):
        if not isinstance(agent, Agent):
            raise TypeError(f"expected an agent, given {agent!r:.80}")
        self.agent = agent
        self._rng = np.random.default_rng(seed)

    @property
    def num_timesteps(self) -> int:
        """Environment steps so far."""
        return self.agent.steps

    def predict(
        self,
        observation: Any,
        state: tuple[np.ndarray, ...] | None = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, tuple[np.ndarray, ...] | None]:
        """The action, or the actions for a batch, and the state of what remembers something; of any other, what was given.

        Draws by default, as theirs does; `Agent.predict` does not. Without a state, episodes begin.
        """
        agent = self.agent
        begin = agent.initial_state()
        if begin is None:
            return agent.predict(observation, deterministic, self._rng), state
        if state is None:
            rows = len(agent.space.observation.leaves[0].find(agent.batched(observation)[0]))
            state = tuple(np.repeat(part, rows, axis=0) for part in begin)
        return agent.predict(observation, deterministic, self._rng, state=state, episode_start=episode_start)

    def learn(self, total_timesteps: int, callback: CallbackLike = None, *, progress_bar: bool = False) -> Self:
        """Train for so many steps more. `Agent.learn` counts over the agent's whole life instead."""
        self.agent.learn(self.agent.steps + total_timesteps, callback, progress=progress_bar)
        return self

    def save(self, path: str | os.PathLike) -> None:
        """Write our file, not their zip; `rl.load` reads it."""
        self.agent.save(path)

    def get_env(self) -> VectorEnv | None:
        """Gymnasium's vector environment that it learns in, not their VecEnv; None without."""
        return self.agent.env
