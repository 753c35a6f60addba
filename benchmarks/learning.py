"""Does it learn?        python -m benchmarks.learning ppo-cartpole sac-pendulum --seeds 0 1 2

Trains each named task with the settings below and prints the returns of 20 deterministic episodes of the final policy
(evaluation seed 1), one line a seed. Curves go to runs/learning/<task>-<seed>/. `--steps` cuts a task short.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deepnp
import rl
from rl import DDPGConfig, PPOConfig, SACConfig, TD3Config, evaluate
from rl.training.curves import plot_run
from rl.training.run import Run


@dataclass(frozen=True)
class Task:
    """An environment, its budget, and an algorithm's settings for it; the config's type tells which algorithm."""

    env: str
    steps: int
    config: Any

    @property
    def algorithm(self) -> type[rl.Agent]:
        return getattr(rl, type(self.config).__name__.removesuffix("Config"))


MUJOCO = dict(num_envs=8, steps=256, batch_size=64, epochs=10, lr=3e-4)
PENDULUM = dict(warmup=1000, lr=1e-3)
CHEETAH = dict(warmup=10_000)
# σ₀ = 1 suits Walker2d (878 with 0.6 after 1M steps), 0.6 was measured on HalfCheetah.
TASKS = {
    "ppo-cartpole": Task("CartPole-v1", 100_000, PPOConfig(num_envs=8, steps=128, batch_size=256, lr=1e-3)),
    "ppo-pendulum": Task("Pendulum-v1", 200_000, PPOConfig(num_envs=8, steps=256, batch_size=64, gamma=0.9, lr=1e-3)),
    "ppo-halfcheetah": Task("HalfCheetah-v5", 1_000_000, PPOConfig(**MUJOCO, initial_sigma=0.6)),
    "ppo-walker2d": Task("Walker2d-v5", 1_000_000, PPOConfig(**MUJOCO)),
    "sac-pendulum": Task("Pendulum-v1", 20_000, SACConfig(**PENDULUM)),
    "td3-pendulum": Task("Pendulum-v1", 20_000, TD3Config(**PENDULUM)),
    "ddpg-pendulum": Task("Pendulum-v1", 20_000, DDPGConfig(**PENDULUM)),
    "sac-halfcheetah": Task("HalfCheetah-v5", 1_000_000, SACConfig(**CHEETAH)),
    "td3-halfcheetah": Task("HalfCheetah-v5", 1_000_000, TD3Config(**CHEETAH)),
}


def train(name: str, seed: int, steps: int | None) -> str:
    """Train one task with one seed; returns the line to print."""
    task = TASKS[name]
    steps = steps or task.steps
    agent = task.algorithm(task.env, task.config, seed=seed)
    folder = Path("runs") / "learning" / f"{name}-{seed}"
    run = Run(folder, agent, task.env, steps)
    start = time.perf_counter()
    agent.learn(steps, run)
    seconds = time.perf_counter() - start
    run.save(agent)
    plot_run(folder, {"episode_return": "return while learning"}, f"{task.env}, seed {seed}")
    returns = evaluate(agent, task.env, 20)
    spread = f"{returns.mean():8.1f} ± {returns.std():6.1f} (worst {returns.min():.1f})"
    return f"{name:16} seed {seed}  {agent.steps:9,} steps  {seconds:5.0f} s  return {spread}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", nargs="+", choices=TASKS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, help="instead of the task's own")
    options = parser.parse_args()
    print(f"{deepnp.get_num_threads()} threads")
    for name in options.task:
        for seed in options.seeds:
            print(train(name, seed, options.steps), flush=True)


if __name__ == "__main__":
    main()
