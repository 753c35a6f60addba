"""Do larger critics learn more?        python -m benchmarks.residual_critics [--blocks 0 1 2] [--seeds 2] [--minutes 5]

Table 2.1 of the thesis on maximum entropy: a deterministic policy, and critics of residual blocks
1024 -> 2048 -> 1024 with layer normalisation before each, against perceptrons of 256-256 (0 blocks).
All runs at once, a process each, on the GPU, until the time is over or all steps are taken. A line
per report: blocks, seed, steps, return of the episodes while exploring. At the end each agent plays
5 deterministic episodes. Perceptrons are on the CPU: there they are faster.
"""

import argparse
import multiprocessing
import time

import numpy as np

import envs  # noqa: F401  registers our environments
from rl import TD3, TD3Config, evaluate

REPORT = 5_000  # steps


def settings(blocks: int, device: str) -> TD3Config:
    """TD3 at its defaults, but for the critics."""
    critic = dict(critic_blocks=(2048,) * blocks, critic_normalization="layer") if blocks else {}
    return TD3Config(warmup=5_000, device=device if blocks else "cpu", **critic)


def train(env: str, blocks: int, seed: int, steps: int, device: str, end: float) -> None:
    """One run."""
    agent, started, reported = TD3(env, settings(blocks, device), seed=seed), time.time(), 0

    def report(agent: TD3, metrics: dict) -> bool:
        nonlocal reported
        if agent.steps >= reported + REPORT:
            reported = agent.steps
            rate = agent.steps / (time.time() - started)
            found = metrics.get("episode_return", float("nan"))
            print(f"{blocks} {seed} {agent.steps:>9,} {found:>9,.0f}   {rate:,.0f} steps a second", flush=True)
        return time.time() < end

    agent.learn(steps, report)
    returns = evaluate(agent, env, episodes=5, seed=1000)
    spread = f"{returns.mean():,.0f} +- {returns.std():,.0f}"
    print(f"{blocks} {seed} {agent.steps:>9,} {spread:>20} over 5 episodes", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="HalfCheetah-v5")
    parser.add_argument("--blocks", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    options = parser.parse_args()
    end, context = time.time() + 60 * options.minutes, multiprocessing.get_context("spawn")
    runs = [(options.env, blocks, seed) for blocks in options.blocks for seed in range(options.seeds)]
    processes = [context.Process(target=train, args=(*run, options.steps, options.device, end)) for run in runs]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    np.testing.assert_array_equal([process.exitcode for process in processes], 0)


if __name__ == "__main__":
    main()
