"""sb3-contrib's RecurrentPPO, timed: run by benchmarks.memory in an interpreter that has it.

Prints one JSON line: seconds per environment step of whole training.
"""

import argparse
import json
import time

if __name__ == "__main__":  # before the imports: `--help` needs no peer
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", type=json.loads, help="as benchmarks.memory gives them, in JSON")
    options = parser.parse_args()

import gymnasium
import torch
from gymnasium import spaces
from gymnasium.wrappers import TransformObservation
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

POSITIONS = [0, 2]


def blind_cartpole() -> gymnasium.Env:
    """As examples/memory.py has it, which this interpreter need not be able to import."""
    env = gymnasium.make("CartPole-v1")
    low, high = env.observation_space.low[POSITIONS], env.observation_space.high[POSITIONS]
    return TransformObservation(env, lambda observation: observation[POSITIONS], spaces.Box(low, high))


def main(s: dict) -> None:
    torch.set_num_threads(s["threads"])
    agent = RecurrentPPO(
        "MlpLstmPolicy",
        VecNormalize(DummyVecEnv([blind_cartpole] * s["num_envs"])),  # the same normalisation as ours
        n_steps=s["steps"],
        batch_size=s["batch_size"],
        n_epochs=s["epochs"],
        policy_kwargs=dict(net_arch=s["hidden"], lstm_hidden_size=s["memory_size"], n_lstm_layers=1),
        device="cpu",
        seed=0,
    )
    rollout = s["num_envs"] * s["steps"]
    agent.learn(rollout)
    start = time.perf_counter()
    agent.learn(s["iterations"] * rollout, reset_num_timesteps=False)
    print(json.dumps({"whole": (time.perf_counter() - start) / (s["iterations"] * rollout)}))


if __name__ == "__main__":
    main(options.settings)
