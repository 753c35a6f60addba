"""sb3-contrib's TRPO, timed: run by benchmarks.trpo in an interpreter that has it.

Prints one JSON line: seconds of one iteration, and of its update alone.
"""

import argparse
import json
import time

if __name__ == "__main__":  # before the imports: `--help` needs no peer
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", type=json.loads, help="as benchmarks.trpo gives them, in JSON")
    options = parser.parse_args()

import gymnasium
import torch
from sb3_contrib import TRPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize


def main(s: dict) -> None:
    torch.set_num_threads(s["threads"])
    agent = TRPO(
        "MlpPolicy",
        VecNormalize(DummyVecEnv([lambda: gymnasium.make(s["env"])] * s["num_envs"])),  # the same normalisation as ours
        n_steps=s["steps"],
        batch_size=s["batch_size"],
        n_critic_updates=s["epochs"],
        cg_max_steps=s["cg_steps"],
        gae_lambda=s["lam"],
        policy_kwargs=dict(net_arch=s["hidden"]),
        device="cpu",
        seed=0,
    )
    rollout, spent, train = s["num_envs"] * s["steps"], 0.0, agent.train

    def timed_train():
        nonlocal spent
        start = time.perf_counter()
        train()
        spent += time.perf_counter() - start

    agent.train = timed_train
    agent.learn(rollout)
    spent, start = 0.0, time.perf_counter()
    agent.learn(s["iterations"] * rollout, reset_num_timesteps=False)
    whole = time.perf_counter() - start
    print(json.dumps({"whole": whole / s["iterations"], "update": spent / s["iterations"]}))


if __name__ == "__main__":
    main(options.settings)
