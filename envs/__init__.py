"""Environments of deepnp. Importing this package registers them with Gymnasium, and nothing more.

>>> import envs, gymnasium
>>> env = gymnasium.make("deepnp/Walker-v0")                        # one
>>> batch = gymnasium.make_vec("deepnp/Walker-v0", num_envs=64)     # many at once, in native threads
"""

from gymnasium.envs.registration import register, registry

BODIES = {  # name -> the core's module and class, and after how many decisions an episode is truncated
    "Walker-v0": ("bodies.walker:Walker", 500),
    "Crawler-v0": ("bodies.crawler:Crawler", 500),
    "ArmReach-v0": ("bodies.arm:ArmReach", 50),
    "ArmPush-v0": ("bodies.arm:ArmPush", 100),
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
}

for _name, (_core, _limit) in {**BODIES, **GAMES}.items():
    if f"deepnp/{_name}" not in registry:
        register(f"deepnp/{_name}", f"envs.{_core}Env", max_episode_steps=_limit, vector_entry_point=f"envs.{_core}VectorEnv")
