"""Environments with goals, after Gymnasium-Robotics: Dict observations, and a reward that can be asked for any goal.

    observation, achieved_goal, desired_goal            three vectors, the goals of one size G
    compute_reward(achieved, desired, info)             for rows of goals (B, G) -> (B,)
    compute_terminated(achieved, desired, info)         optional, for one pair of goals (G,) -> bool

Learners take them flat: [observation, desired goal, achieved goal], so nothing else has to know of
Dicts.

Shapes: N environments, B rows, G goal.
"""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from gymnasium import Wrapper, spaces
from gymnasium.vector import SyncVectorEnv, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

KEYS = "observation", "desired_goal", "achieved_goal"  # as they are laid side by side


@runtime_checkable
class Rewarding(Protocol):
    """What hindsight needs of an environment."""

    def compute_reward(self, achieved_goal, desired_goal, info) -> Any: ...


@runtime_checkable
class Terminating(Protocol):
    """An environment whose episodes may end at the goal."""

    def compute_terminated(self, achieved_goal, desired_goal, info) -> Any: ...


def has_goals(space: spaces.Space) -> bool:
    """Whether a single environment's observations are those of a goal environment."""
    return isinstance(space, spaces.Dict) and set(space.spaces) == set(KEYS)


def flat(observation: Mapping[str, np.ndarray]) -> np.ndarray:
    """A Dict observation, or a batch of them, as one float32 array (…, O)."""
    if set(observation) != set(KEYS):
        raise ValueError(f"expected an observation with {sorted(KEYS)}, given {sorted(observation)}")
    with np.errstate(over="ignore"):  # infinity is refused where it is read
        return np.concatenate([np.asarray(observation[key], np.float32) for key in KEYS], axis=-1)


def flat_space(space: spaces.Space) -> tuple[spaces.Box, int]:
    """The space of `flat` observations, and the size G of a goal.

    Raises
    ------
    ValueError
        If the parts are not vectors, or the goals differ in size.
    """
    parts = [space[key] for key in KEYS]
    if not all(isinstance(part, spaces.Box) and len(part.shape) == 1 for part in parts):
        raise ValueError(f"expected a goal environment's parts to be vectors, given {space}")
    if parts[1].shape != parts[2].shape:
        raise ValueError(f"expected goals of one size, given desired {parts[1].shape} and achieved {parts[2].shape}")
    bounds = [np.concatenate([getattr(part, bound) for part in parts]) for bound in ("low", "high")]
    with np.errstate(over="ignore"):  # what float32 does not hold is unbounded
        low, high = (bound.astype(np.float32) for bound in bounds)
    return spaces.Box(low, high, dtype=np.float32), parts[1].shape[0]


class GoalVector(VectorWrapper):
    """A goal environment with flat observations.

    Parameters
    ----------
    env : VectorEnv
        With goals.

    Raises
    ------
    ValueError
        If the parts are not vectors, the goals differ in size, or there is no `compute_reward` in
        reach.
    """

    def __init__(self, env: VectorEnv):
        super().__init__(env)
        self.single_observation_space, self.goal = flat_space(env.single_observation_space)
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)
        self._rewarding = _outermost(env, Rewarding)
        self._terminating = _outermost(env, Terminating)
        if self._rewarding is None:
            what = "compute_reward(achieved_goal, desired_goal, info)"
            raise ValueError(f"expected {what} of a goal environment, but {env} has none")

    def reset(self, *, seed=None, options=None) -> tuple[np.ndarray, dict]:
        observations, infos = self.env.reset(seed=seed, options=options)
        return flat(observations), infos

    def step(self, actions) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict]:
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        final = infos.get("final_obs")
        if isinstance(final, dict):
            infos = {**infos, "final_obs": flat(final)}
        elif final is not None:
            rows = np.full(self.num_envs, None, object)
            for n, observation in enumerate(final):
                rows[n] = None if observation is None else flat(observation)
            infos = {**infos, "final_obs": rows}
        return flat(observations), rewards, terminated, truncated, infos

    def rewards(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """The environment's rewards (B,) for goals (B, G). Its `info` is empty."""
        if not len(achieved):
            return np.zeros(0)
        rewards = np.asarray(self._rewarding.compute_reward(achieved, desired, {}))
        if rewards.shape != (len(achieved),):
            raise ValueError(f"expected compute_reward to return shape ({len(achieved)},) for as many goals, given {rewards.shape}")
        return rewards

    @property
    def goals_terminate(self) -> bool:
        """Whether termination depends on the goal; otherwise what happened counts for every goal."""
        return self._terminating is not None

    def terminated(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """Whether these goals (B, G) end an episode: (B,).

        Asked pair by pair, for the convention knows no rows here.
        """
        if self._terminating is None:
            raise ValueError("expected compute_terminated(achieved_goal, desired_goal, info) of this environment, but it has none")
        ends = (self._terminating.compute_terminated(*pair, {}) for pair in zip(achieved, desired, strict=True))
        return np.fromiter(ends, bool, len(achieved))


def _outermost(env: VectorEnv, protocol: type):
    """The first, from the outside, of an environment's wrappers and itself that offers a protocol; None where none does.

    A wrapper may change what is rewarded: then its own answer counts.
    """
    layers: list = [env]
    while isinstance(layers[-1], VectorWrapper | Wrapper | SyncVectorEnv):
        layers.append(layers[-1].envs[0] if isinstance(layers[-1], SyncVectorEnv) else layers[-1].env)
    return next((layer for layer in layers if isinstance(layer, protocol)), None)


class ResumableGoalVector(GoalVector):
    """A goal environment whose situation can be saved."""

    def state(self) -> dict:
        return self.env.state()

    def set_state(self, state: dict) -> None:
        self.env.set_state(state)
