"""Environments of deepnp. Importing this package registers them with Gymnasium, and nothing more.

>>> import envs, gymnasium
>>> env = gymnasium.make("deepnp/Walker-v0")                        # one
>>> batch = gymnasium.make_vec("deepnp/Walker-v0", num_envs=64)     # many at once, in native threads
"""

import os

if not os.environ.get("DISPLAY"):
    os.environ.setdefault("MUJOCO_GL", "egl")  # read by MuJoCo when it is imported: without a display, draw off screen

from gymnasium.envs.registration import register, registry

V5_LIMITS = {"HalfCheetah": 1000, "Walker2d": 1000, "Hopper": 1000, "Ant": 1000, "Swimmer": 1000, "Humanoid": 1000}
V5_LIMITS |= {"InvertedPendulum": 1000, "Reacher": 50}
PLANAR_LIMITS = {"Driver": 1500, "Sorter": 2000, "Dodger": 3000, "Survivor": 3000, "Navigation": 1000}


def _register(name: str, place: str, limit: int, **settings) -> None:
    """deepnp/<name>: the classes <place>Env and <place>VectorEnv, episodes of at most `limit` decisions."""
    if f"deepnp/{name}" not in registry:
        places = {"entry_point": f"envs.{place}Env", "vector_entry_point": f"envs.{place}VectorEnv"}
        register(f"deepnp/{name}", **places, max_episode_steps=limit, kwargs=settings)


_register("Walker-v0", "bodies.walker:Walker", 500)
_register("Crawler-v0", "bodies.crawler:Crawler", 500)
_register("ArmReach-v0", "bodies.arm:ArmReach", 50)
_register("ArmPush-v0", "bodies.arm:ArmPush", 100)
for _name, _limit in V5_LIMITS.items():
    _register(f"{_name}-v5", "bodies.v5:V5", _limit, task=_name)
for _name, _limit in PLANAR_LIMITS.items():
    _register(f"{_name}-v0", f"planar.{_name.lower()}:{_name}", _limit)
