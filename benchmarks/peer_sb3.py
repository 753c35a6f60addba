"""Stable-Baselines3's PPO, timed: run by benchmarks.ppo in an interpreter that has it.

Prints one JSON line: seconds per environment step of whole training, and of the learner (all but env.step and env.reset).
"""

import argparse
import json
import sys
import time
from pathlib import Path

if __name__ == "__main__":  # before the imports: `--help` needs no peer
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", type=json.loads, help="as benchmarks.ppo gives them, in JSON")
    options = parser.parse_args()

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecNormalize

import envs  # noqa: F401  (registers deepnp/…)


class NativeVecEnv(VecEnv):
    """Our native batch behind Stable-Baselines3's interface."""

    def __init__(self, env: str, copies: int):
        self.batch = gymnasium.make_vec(env, copies, "vector_entry_point", autoreset_mode=AutoresetMode.SAME_STEP)
        super().__init__(copies, self.batch.single_observation_space, self.batch.single_action_space)

    def reset(self):
        return self.batch.reset(seed=0)[0]

    def step_async(self, actions):
        self.actions = actions

    def step_wait(self):
        observations, rewards, terminated, truncated, infos = self.batch.step(self.actions)
        out = [{} for _ in range(self.num_envs)]
        for i in np.flatnonzero(terminated | truncated):
            out[i] = {"terminal_observation": infos["final_obs"][i], "TimeLimit.truncated": bool(truncated[i])}
        return observations, rewards, terminated | truncated, out

    def close(self):
        self.batch.close()

    def get_attr(self, name, indices=None):
        return [None] * self.num_envs

    def set_attr(self, name, value, indices=None):
        raise NotImplementedError

    def env_method(self, name, *arguments, indices=None, **settings):
        raise NotImplementedError

    def env_is_wrapped(self, wrapper, indices=None):
        return [False] * self.num_envs


def main(s: dict) -> None:
    torch.set_num_threads(s["threads"])
    env = NativeVecEnv(s["env"], s["num_envs"]) if s["native"] else DummyVecEnv([lambda: gymnasium.make(s["env"])] * s["num_envs"])
    spent, step = 0.0, env.step_wait

    def timed_step():
        nonlocal spent
        start = time.perf_counter()
        result = step()
        spent += time.perf_counter() - start
        return result

    env.step_wait = timed_step
    architecture = dict(net_arch=s["hidden"])
    agent = PPO(
        "MlpPolicy",
        VecNormalize(env),  # the same normalisation as ours
        n_steps=s["steps"],
        batch_size=s["batch_size"],
        n_epochs=s["epochs"],
        policy_kwargs=architecture,
        device="cpu",
        seed=0,
    )
    size = s["num_envs"] * s["steps"]
    agent.learn(size)
    spent, start = 0.0, time.perf_counter()
    agent.learn(s["iterations"] * size, reset_num_timesteps=False)
    whole, count = time.perf_counter() - start, s["iterations"] * size
    print(json.dumps({"whole": whole / count, "learner": (whole - spent) / count}))


if __name__ == "__main__":
    main(options.settings)
