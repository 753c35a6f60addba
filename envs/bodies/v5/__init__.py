"""Gymnasium's MuJoCo tasks, version 5, in native batches: `deepnp/HalfCheetah-v5` is `HalfCheetah-v5`, many at once.

Same models, observations, rewards, ends, starts and time limits as `gymnasium.make("HalfCheetah-v5")`.
"""

from envs.bodies.v5.free import Ant, Humanoid
from envs.bodies.v5.runners import HalfCheetah, Hopper, Swimmer, Walker2d
from envs.bodies.v5.small import InvertedPendulum, Reacher
from envs.single import SingleEnv
from envs.vector import CoreVectorEnv

TASKS = {task.__name__: task for task in (HalfCheetah, Walker2d, Hopper, Ant, Swimmer, Humanoid, InvertedPendulum, Reacher)}


class V5Env(SingleEnv):
    """One copy of one of `TASKS`."""

    def __init__(self, task: str, render_mode: str | None = None):
        super().__init__(TASKS[task](1, 1), render_mode)


class V5VectorEnv(CoreVectorEnv):
    """Many copies of one of `TASKS`; the other arguments are `CoreVectorEnv`'s and `Task`'s."""

    def __init__(
        self,
        task: str,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        autoreset_mode="NextStep",
        render_mode: str | None = None,
        num_threads: int = 0,
    ):
        super().__init__(TASKS[task](num_envs, num_threads), max_episode_steps, autoreset_mode, render_mode)
