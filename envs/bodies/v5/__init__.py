"""Gymnasium's MuJoCo tasks, version 5, in native batches: `deepnp/HalfCheetah-v5` is `HalfCheetah-v5`, many at once.

Same models, observations, rewards, ends, starts and time limits as `gymnasium.make("HalfCheetah-v5")`.
"""

from envs.bodies.v5.free import Ant, Humanoid
from envs.bodies.v5.runners import HalfCheetah, Hopper, Swimmer, Walker2d
from envs.bodies.v5.small import InvertedPendulum, Reacher

TASKS = {task.__name__: task for task in (HalfCheetah, Walker2d, Hopper, Ant, Swimmer, Humanoid, InvertedPendulum, Reacher)}
