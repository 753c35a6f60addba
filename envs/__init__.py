"""Environments of deepnp. Importing this package registers them with Gymnasium, and nothing more.

>>> import envs, gymnasium
>>> env = gymnasium.make("deepnp/Walker-v0")                        # one
>>> batch = gymnasium.make_vec("deepnp/Walker-v0", num_envs=64)     # many at once, in native threads
"""

from typing import Any

from gymnasium.envs.registration import register, registry

BODIES = {  # name -> the core's module and class, and after how many decisions an episode is truncated
    "Walker-v0": ("bodies.walker:Walker", 500),
    "Crawler-v0": ("bodies.crawler:Crawler", 500),
    "ArmReach-v0": ("bodies.arm:ArmReach", 50),
    "ArmPush-v0": ("bodies.arm:ArmPush", 100),
    "ArmSeek-v0": ("bodies.seek:ArmSeek", 100),
    "HalfCheetah-v5": ("bodies.v5.runners:HalfCheetah", 1000),
    "Walker2d-v5": ("bodies.v5.runners:Walker2d", 1000),
    "Hopper-v5": ("bodies.v5.runners:Hopper", 1000),
    "Swimmer-v5": ("bodies.v5.runners:Swimmer", 1000),
    "Ant-v5": ("bodies.v5.free:Ant", 1000),
    "Humanoid-v5": ("bodies.v5.free:Humanoid", 1000),
    "InvertedPendulum-v5": ("bodies.v5.small:InvertedPendulum", 1000),
    "Reacher-v5": ("bodies.v5.small:Reacher", 50),
}
GAMES = {
    "Driver-v0": ("planar.driver:Driver", 1500),
    "Sorter-v0": ("planar.sorter:Sorter", 2000),
    "Dodger-v0": ("planar.dodger:Dodger", 3000),
    "Survivor-v0": ("planar.survivor:Survivor", 3000),
    "Navigation-v0": ("planar.navigation:Navigation", 1000),
    "Catch-v0": ("planar.catch:Catch", 15),
    "DynaMaze-v0": ("planar.dyna_maze:DynaMaze", 2000),
    "CartPoleBalance-v0": ("planar.classic.cart_pole:CartPoleBalance", 500),
    "CartPoleSwingUp-v0": ("planar.classic.cart_pole:CartPoleSwingUp", 500),
    "MountainCar-v0": ("planar.classic.mountain_car:MountainCar", 500),
    "Acrobot-v0": ("planar.classic.acrobot:Acrobot", 500),
    "DoublePendulum-v0": ("planar.classic.double_pendulum:DoublePendulum", 500),
}
CLASSIC = ("CartPoleBalance", "CartPoleSwingUp", "MountainCar", "Acrobot", "DoublePendulum")
HARDER: dict[str, dict[str, Any]] = {"LS": {"positions_only": True}, "NO": {"noise": 0.1, "delay": 3}, "SI": {"random_body": True}}
HARDER_TASKS = {f"{task}-{variant}-v0": (f"{task}-v0", settings) for task in CLASSIC for variant, settings in HARDER.items()}
VARIANTS = {"Driver-Traffic-v0": ("Driver-v0", {"traffic": 3}), **HARDER_TASKS}  # name -> the environment, and its settings


def _register(name: str, core: str, limit: int, settings: dict[str, Any]) -> None:
    if f"deepnp/{name}" not in registry:
        vector = f"envs.{core}VectorEnv"
        register(f"deepnp/{name}", f"envs.{core}Env", max_episode_steps=limit, kwargs=dict(settings), vector_entry_point=vector)


for _name, (_core, _limit) in {**BODIES, **GAMES}.items():
    _register(_name, _core, _limit, {})
for _name, (_base, _settings) in VARIANTS.items():
    _register(_name, *{**BODIES, **GAMES}[_base], _settings)
