"""Environments of deepnp. Importing this package registers them with Gymnasium, and nothing more.

>>> import envs, gymnasium
>>> env = gymnasium.make("deepnp/Walker-v0")                        # one
>>> batch = gymnasium.make_vec("deepnp/Walker-v0", num_envs=64)     # many at once, in native threads
"""

import os

if not os.environ.get("DISPLAY"):
    os.environ.setdefault("MUJOCO_GL", "egl")  # read by MuJoCo when it is imported: without a display, draw off screen

from gymnasium.envs.registration import register, registry

if "deepnp/Walker-v0" not in registry:
    register(
        id="deepnp/Walker-v0",
        entry_point="envs.bodies.walker:WalkerEnv",
        vector_entry_point="envs.bodies.walker:WalkerVectorEnv",
        max_episode_steps=500,
    )

if "deepnp/Crawler-v0" not in registry:
    register(
        id="deepnp/Crawler-v0",
        entry_point="envs.bodies.crawler:CrawlerEnv",
        vector_entry_point="envs.bodies.crawler:CrawlerVectorEnv",
        max_episode_steps=500,
    )

for task, limit in {"ArmReach": 50, "ArmPush": 100}.items():
    if f"deepnp/{task}-v0" not in registry:
        register(
            id=f"deepnp/{task}-v0",
            entry_point=f"envs.bodies.arm:{task}Env",
            vector_entry_point=f"envs.bodies.arm:{task}VectorEnv",
            max_episode_steps=limit,
        )

V5_LIMITS = {"HalfCheetah": 1000, "Walker2d": 1000, "Hopper": 1000, "Ant": 1000, "Swimmer": 1000, "Humanoid": 1000}
V5_LIMITS |= {"InvertedPendulum": 1000, "Reacher": 50}
for task, limit in V5_LIMITS.items():
    if f"deepnp/{task}-v5" not in registry:
        register(
            id=f"deepnp/{task}-v5",
            entry_point="envs.bodies.v5:V5Env",
            vector_entry_point="envs.bodies.v5:V5VectorEnv",
            max_episode_steps=limit,
            kwargs={"task": task},
        )

PLANAR_LIMITS = {"Driver": 1500, "Sorter": 2000, "Dodger": 3000, "Survivor": 3000, "Navigation": 1000}
for task, limit in PLANAR_LIMITS.items():
    if f"deepnp/{task}-v0" not in registry:
        register(
            id=f"deepnp/{task}-v0",
            entry_point=f"envs.planar.{task.lower()}:{task}Env",
            vector_entry_point=f"envs.planar.{task.lower()}:{task}VectorEnv",
            max_episode_steps=limit,
        )
