"""Action masks that an environment tells in its infos, as a part of what it observes: see masks.py.

    PPO(lambda: ActionMask(gymnasium.make("Taxi-v4")))           info["action_mask"] of every reset and step
    PPO(VectorActionMask(vector))                                infos["action_mask"], a row for each copy

Shapes: N environments, C choices.
"""

import math
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

from rl.experience.actions import ActionLayout
from rl.experience.environments import same_step
from rl.experience.masks import KEY


class ActionMask(gymnasium.Wrapper):
    """`info["action_mask"]` as the part "action_mask" of a Dict observation.

    What was observed before is the part "observation"; a Dict keeps its parts.

    Parameters
    ----------
    env : gymnasium.Env
        With Discrete, MultiDiscrete or MultiBinary actions.

    Raises
    ------
    ValueError
        If the actions are no choices, or the observation has such a part already; in `reset` and
        `step`, if the info has no mask, or one of another shape or type. An episode's last info need
        not have one.
    """

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        self.observation_space = with_mask(env.observation_space, env.action_space)  # nothing else is kept: it can be resumed

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        observation, info = self.env.reset(seed=seed, options=options)
        return self._joined(observation, info, False), info

    def step(self, action: Any) -> tuple[dict, Any, bool, bool, dict]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._joined(observation, info, terminated or truncated), reward, terminated, truncated, info

    def _joined(self, observation, info, ended):
        size = size_of(self.observation_space)
        mask = np.ones(size, np.int8) if ended and KEY not in info else checked(info.get(KEY), (size,))
        return joined(self.env.observation_space, observation, mask)


class VectorActionMask(VectorWrapper):
    """As `ActionMask`, of several copies at once.

    Parameters
    ----------
    env : gymnasium.vector.VectorEnv
        With rows of masks (N, C) in `infos["action_mask"]`, and in `infos["final_info"]` where an
        episode ends in SAME_STEP mode.
    """

    def __init__(self, env: VectorEnv):
        super().__init__(env)
        self.single_observation_space = with_mask(env.single_observation_space, env.single_action_space)
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)
        self.size, self.same_step = size_of(self.single_observation_space), same_step(env)

    def reset(self, *, seed: Any = None, options: dict | None = None) -> tuple[dict, dict]:
        observations, infos = self.env.reset(seed=seed, options=options)
        return self._joined(observations, infos, np.zeros(self.num_envs, bool)), infos

    def step(self, actions: Any) -> tuple[dict, np.ndarray, np.ndarray, np.ndarray, dict]:
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        ended = terminated | truncated
        if "final_obs" in infos:
            infos = {**infos, "final_obs": self._final(infos["final_obs"], infos.get("final_info", {}), ended)}
        no_mask = np.zeros_like(ended) if self.same_step else ended  # NEXT_STEP: the last observation of an episode
        return self._joined(observations, infos, no_mask), rewards, terminated, truncated, infos

    def _joined(self, observations, infos, optional):
        return joined(self.env.single_observation_space, observations, self._rows(infos, optional))

    def _rows(self, infos, optional):
        """The masks (N, C); ones where an `optional` (N,) one is missing."""
        given = np.broadcast_to(infos.get(f"_{KEY}", KEY in infos), self.num_envs)
        if not (given | optional).all():
            raise ValueError(f'expected "{KEY}" in the infos of each copy, given none of copy {int(np.argmin(given | optional))}')
        masks = np.ones((self.num_envs, self.size), np.int8)
        if given.any():
            masks[given] = checked(infos[KEY], masks.shape)[given]
        return masks

    def _final(self, final, infos, ended):
        """Episodes' last observations with their masks: in an array of objects, or in a Dict of arrays."""
        masks = self._rows(infos, np.ones(self.num_envs, bool))
        if isinstance(final, Mapping) or not (isinstance(final, np.ndarray) and final.dtype == object):
            return joined(self.env.single_observation_space, final, masks)
        rows = np.full(self.num_envs, None, object)
        for n in np.flatnonzero(ended):
            rows[n] = joined(self.env.single_observation_space, final[n], masks[n])
        return rows


def with_mask(observation: spaces.Space, action: spaces.Space) -> spaces.Dict:
    """The observation space with a mask of the actions' choices beside it."""
    choices = ActionLayout.of(action).choices
    if not choices:
        raise ValueError(f"expected actions that are choices, given {action}")
    parts = dict(observation.spaces) if isinstance(observation, spaces.Dict) else {"observation": observation}
    if KEY in parts:
        raise ValueError(f'expected observations without "{KEY}", given {list(parts)}')
    return spaces.Dict({**parts, KEY: spaces.MultiBinary(sum(choices))})


def size_of(observation: Any) -> int:
    """Of the mask in an observation space."""
    return math.prod(observation[KEY].shape)


def joined(space: spaces.Space, observation: Any, mask: np.ndarray) -> dict:
    """An observation, or a batch of them, with the mask beside it."""
    return {**(observation if isinstance(space, spaces.Dict) else {"observation": observation}), KEY: mask}


def checked(mask: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The mask as int8; ValueError unless it is one of this shape."""
    if not isinstance(mask, np.ndarray) or mask.dtype.kind not in "biu" or mask.shape != shape:
        given = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else f"{mask!r:.60}"
        raise ValueError(f'expected info["{KEY}"] as an array {shape} of bools or integers, given {given}')
    return mask.astype(np.int8)
