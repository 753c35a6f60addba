"""Choices by partition: a continuous action in (−1, 1) for each branch, so that SAC, TD3 and DDPG act in Discrete spaces.

    a = start + ⌊(u + 1)·n/2⌋            u in [−1, 1] is cut into n equal parts; u = 1 belongs to the last

The thesis, §3.4 (docs/references.md).

    SAC(lambda: Partitioned(gymnasium.make("CartPole-v1")))
    SAC(VectorPartitioned(vector))

Neighbouring parts are neighbouring actions to the critic, so an order of the choices that means something is of use. Exploring
noise that is small beside a part's width 2/n does not explore.

Shapes: N environments, K branches.
"""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import VectorActionWrapper, VectorEnv
from gymnasium.vector.utils import batch_space

from rl.experience.actions import ActionLayout
from rl.experience.masks import KEY


class Partitioned(gymnasium.ActionWrapper):
    """An environment of choices that takes a Box: (1,) for a Discrete, (K,) for a MultiDiscrete, one number for each switch.

    Parameters
    ----------
    env : gymnasium.Env
        With Discrete, MultiDiscrete or MultiBinary actions.

    Raises
    ------
    ValueError
        For other actions, or masked ones; in `step`, for an action of another shape, or one that is no number.
    """

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        check_no_mask(env.observation_space)
        self.action_space = box_of(env.action_space)  # nothing else is kept: it can be resumed

    def action(self, action: Any) -> Any:
        """u (K,) -> the environment's action."""
        chosen = parts(np.asarray(action)[None], self.env.action_space)
        return chosen[0]


class VectorPartitioned(VectorActionWrapper):
    """As `Partitioned`, of several copies at once.

    Parameters
    ----------
    env : gymnasium.vector.VectorEnv
    """

    def __init__(self, env: VectorEnv):
        super().__init__(env)
        check_no_mask(env.single_observation_space)
        self.single_action_space = box_of(env.single_action_space)
        self.action_space = batch_space(self.single_action_space, env.num_envs)

    def actions(self, actions: Any) -> np.ndarray:
        """u (N, K) -> the environments' actions."""
        return parts(np.asarray(actions), self.env.single_action_space)


def check_no_mask(observation: spaces.Space) -> None:
    """Raise ValueError for observations with an action mask: a number in [−1, 1] may fall on what it excludes."""
    if isinstance(observation, spaces.Dict) and KEY in observation.spaces:
        given = f"a Dict of {list(observation.spaces)}"
        raise ValueError(f'expected observations without "{KEY}", which a continuous action does not heed, given {given}')


def box_of(space: spaces.Space) -> spaces.Box:
    """One number in [−1, 1] for each branch."""
    choices = ActionLayout.of(space).choices
    if not choices:
        raise ValueError(f"expected actions that are choices, to be parts of [−1, 1], given {space}")
    return spaces.Box(-1, 1, (len(choices),), np.float32)


def parts(u: np.ndarray, space: spaces.Space) -> np.ndarray:
    """⌊(u + 1)·n/2⌋ of each branch, as the space's actions: u (N, K) -> (N, …)."""
    layout = ActionLayout.of(space)
    if u.shape[1:] != (len(layout.choices),) or u.dtype.kind not in "fiu" or not np.isfinite(u).all():
        raise ValueError(f"expected finite numbers in [−1, 1], one for each of {len(layout.choices)} branches, given {u}")
    sizes = np.array(layout.choices)
    chosen = np.clip(np.floor((u + 1) * (sizes / 2)), 0, sizes - 1).astype(np.int64)
    return layout.to_environment(chosen.reshape(len(u), *layout.stored[0]))
