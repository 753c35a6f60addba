"""Stable-Baselines3's DQN, timed: run by benchmarks.dqn in an interpreter that has it.

    python peer_dqn.py ENV

The settings are those of benchmarks.dqn. Prints one JSON line: environment steps per second, the median of three windows.
"""

import argparse
import json
import statistics
import time

import gymnasium

WARMUP, WINDOWS, STEPS = 1_000, 3, 500


def measure(env: str) -> float:
    import torch
    from stable_baselines3 import DQN

    torch.set_num_threads(1)
    settings = dict(learning_rate=1e-3, batch_size=128, buffer_size=50_000, learning_starts=100, train_freq=1, gradient_steps=1)
    settings |= dict(target_update_interval=500, policy_kwargs=dict(net_arch=[128, 128]), seed=0, device="cpu")
    agent = DQN("MlpPolicy", gymnasium.make(env), **settings)
    agent.learn(WARMUP)
    rates = []
    for _ in range(WINDOWS):
        start = time.perf_counter()
        agent.learn(STEPS, reset_num_timesteps=False)
        rates.append(STEPS / (time.perf_counter() - start))
    return statistics.median(rates)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("env", help="id of a Gymnasium environment")
    print(json.dumps({"steps_per_second": measure(parser.parse_args().env)}))


if __name__ == "__main__":
    main()
