"""Does it learn?        python -m benchmarks.learning ppo-cartpole sac-pendulum --seeds 0 1 2

Trains each named task with the settings below and prints the returns of 20 deterministic episodes of the final policy
(evaluation seed 1), one line a seed, and for several seeds the interquartile mean of their scores with its 95 % bootstrap
interval. Curves go to runs/learning/<task>-<seed>/, and with `--every N` the same 20 episodes after every N steps, in
evaluations.csv. `--steps` cuts a task short. `--draw picture` trains nothing: it draws the evaluations of these tasks and seeds
into picture.svg and picture.png.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deepnp
import rl
from rl import DDPGConfig, PPOConfig, SACConfig, TD3Config, evaluate
from rl.runs.run import Run
from rl.training.curves import plot_evaluations, plot_run
from rl.training.evaluations import Evaluations
from rl.training.statistics import bootstrap_interval, iqm


@dataclass(frozen=True)
class Task:
    """An environment, its budget, and an algorithm's settings for it; the config's type tells which algorithm."""

    env: str
    steps: int
    config: Any

    @property
    def algorithm(self) -> type[rl.Agent]:
        return getattr(rl, type(self.config).__name__.removesuffix("Config"))


EPISODES = 20
MUJOCO = dict(num_envs=8, steps=256, batch_size=64, epochs=10, lr=3e-4)
PENDULUM = dict(warmup=1000, lr=1e-3, hidden=(64, 64), batch_size=128)
# 1e-3 for batches this small: twice the steps a second of 256 rows with 3e-4, and what Fujimoto et al. and Spinning Up took.
CHEETAH = dict(warmup=10_000, batch_size=128, lr=1e-3)
# σ₀ = 1 suits Walker2d (878 with 0.6 after 1M steps), 0.6 was measured on HalfCheetah.
BIPEDAL = dict(warmup=10_000, batch_size=128, lr=7e-4, gamma=0.98, tau=0.02, memory=300_000)
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
    "sac-bipedal": Task("BipedalWalker-v3", 500_000, SACConfig(**BIPEDAL)),
}


def folder_of(name: str, seed: int) -> Path:
    """Where a task's run with a seed is written down."""
    return Path("runs") / "learning" / f"{name}-{seed}"


def train(name: str, seed: int, steps: int | None, every: int | None) -> float:
    """Train one task with one seed, print its line, and return its score: the mean return of the final policy."""
    task, folder = TASKS[name], folder_of(name, seed)
    steps = steps or task.steps
    agent = task.algorithm(task.env, task.config, seed=seed)
    run = Run(folder, agent, task.env, steps)
    evaluations = Evaluations(folder, task.env, every or steps + 1, EPISODES)
    start = time.perf_counter()
    agent.learn(steps, evaluations, log=run)
    seconds = time.perf_counter() - start - evaluations.seconds
    plot_run(folder, {"episode_return": "return while learning"}, f"{task.env}, seed {seed}")
    returns = evaluate(agent, task.env, EPISODES)
    spread = f"{returns.mean():8.1f} ± {returns.std():6.1f} (worst {returns.min():.1f})"
    print(f"{name:16} seed {seed}  {agent.steps:9,} steps  {seconds:5.0f} s  return {spread}", flush=True)
    return float(returns.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", nargs="+", choices=TASKS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, help="instead of the task's own")
    parser.add_argument("--every", type=int, metavar="N", help="evaluate every N steps, too")
    parser.add_argument("--draw", type=Path, metavar="PATH", help="train nothing: draw what --every wrote down")
    options = parser.parse_args()
    if options.draw:
        runs = {name: [folder_of(name, seed) for seed in options.seeds] for name in options.task}
        plot_evaluations(options.draw, runs, f"{EPISODES} deterministic episodes")
        return
    print(f"{deepnp.get_num_threads()} threads")
    for name in options.task:
        scores = [train(name, seed, options.steps, options.every) for seed in options.seeds]
        if len(scores) > 1:
            low, high = bootstrap_interval(scores)
            print(f"{name:16} {len(scores)} seeds: interquartile mean {iqm(scores):.1f} [{low:.1f}, {high:.1f}]", flush=True)


if __name__ == "__main__":
    main()
