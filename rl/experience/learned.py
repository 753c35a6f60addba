"""A learned model as a vector environment: whatever steps an environment can step what was learned of it.

    reset     s ← one of the states that `starts` draws
    step      s′, r, terminated ← the model;  truncated after `length` steps

Actions are the agent's, in [−1, 1] or choices; observations are vectors. Autoreset is SAME_STEP.

Shapes: N copies, O observation.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from rl.experience.spaces import SpaceInfo


class Model(Protocol):
    """What can imagine a step of each row."""

    def step(
        self, observations: np.ndarray, actions: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]: ...


class LearnedVector(VectorEnv):
    """N imagined environments.

    Parameters
    ----------
    model : Model
    space : SpaceInfo
        Of the environment that the model was learned from.
    starts : callable
        count -> observations (count, O) in which episodes begin.
    length : int
        Steps until an episode is truncated.
    copies : int
        N.
    rng : numpy.random.Generator
        Of the model's draws.

    Examples
    --------
    >>> env = LearnedVector(agent.model, agent.space, starts, length=200, copies=16, rng=np.random.default_rng(0))
    >>> SAC(env, seed=0).learn(10_000)
    """

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}

    def __init__(
        self,
        model: Model,
        space: SpaceInfo,
        starts: Callable[[int], np.ndarray],
        length: int,
        copies: int,
        rng: np.random.Generator,
    ):
        if length < 1 or copies < 1:
            raise ValueError(f"expected episodes of one step or more in one copy or more, given {length} and {copies}")
        self.model, self.starts, self.length, self.num_envs, self.rng = model, starts, length, copies, rng
        action = space.action
        self.single_observation_space = spaces.Box(-np.inf, np.inf, (space.observations,), np.float32)
        self.single_action_space = spaces.Discrete(action.outputs) if action.choices else spaces.Box(-1, 1, (action.outputs,))
        self.observation_space = batch_space(self.single_observation_space, copies)
        self.action_space = batch_space(self.single_action_space, copies)
        self.observations, self.lengths = np.zeros((copies, space.observations), np.float32), np.zeros(copies, int)

    def reset(self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Begin in drawn states; the seed changes nothing, as the generator is the caller's."""
        self.observations, self.lengths = self.starts(self.num_envs).astype(np.float32), np.zeros(self.num_envs, int)
        return self.observations.copy(), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict]:
        """One imagined step of every copy."""
        following, rewards, terminated = self.model.step(self.observations, actions, self.rng)
        self.lengths += 1
        ended = terminated | (self.lengths >= self.length)
        infos = {"final_obs": following.copy(), "_final_obs": ended} if ended.any() else {}
        if ended.any():
            following = following.copy()
            following[ended] = self.starts(int(ended.sum()))
            self.lengths[ended] = 0
        self.observations = following
        return following.copy(), rewards.astype(np.float64), terminated, ended & ~terminated, infos
