"""Does it learn?        python -m benchmarks.learning ppo-cartpole sac-pendulum --seeds 0 1 2

Trains each named task with the settings below and prints the returns of 20 deterministic episodes of the final policy
(evaluation seed 1), one line a seed. Curves go to runs/learning/<task>-<seed>/, and with `--every N` the same 20 episodes after
every N steps, in returns.csv. `--steps` cuts a task short. `--draw picture.png` draws the returns.csv of these tasks instead.
"""

import argparse
import csv
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

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


class Exams:
    """A callback that writes down every `every` steps how well the agent does: steps, mean, standard deviation, worst."""

    def __init__(self, path: Path, env: str, every: int):
        self.path, self.env, self.every, self.due, self.seconds = path, env, every, every, 0.0

    def __call__(self, agent, metrics):
        if agent.steps < self.due:
            return
        start = time.perf_counter()
        returns = evaluate(agent, self.env, EPISODES)
        with self.path.open("a", newline="") as file:
            csv.writer(file).writerow([agent.steps, *(f"{x:.1f}" for x in (returns.mean(), returns.std(), returns.min()))])
        self.due += self.every
        self.seconds += time.perf_counter() - start


def train(name: str, seed: int, steps: int | None, every: int | None) -> str:
    """Train one task with one seed; returns the line to print."""
    task = TASKS[name]
    steps = steps or task.steps
    agent = task.algorithm(task.env, task.config, seed=seed)
    folder = Path("runs") / "learning" / f"{name}-{seed}"
    run = Run(folder, agent, task.env, steps)
    exams = Exams(folder / "returns.csv", task.env, every or steps + 1)

    def after_each(agent, metrics):
        run(agent, metrics)
        exams(agent, metrics)

    start = time.perf_counter()
    agent.learn(steps, after_each)
    seconds = time.perf_counter() - start - exams.seconds
    run.save(agent)
    plot_run(folder, {"episode_return": "return while learning"}, f"{task.env}, seed {seed}")
    returns = evaluate(agent, task.env, EPISODES)
    spread = f"{returns.mean():8.1f} ± {returns.std():6.1f} (worst {returns.min():.1f})"
    return f"{name:16} seed {seed}  {agent.steps:9,} steps  {seconds:5.0f} s  return {spread}"


def draw(names: list[str], seeds: list[int], path: Path) -> None:
    """Returns against steps of the tasks' exams, one line a run."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for name in names:
        for seed in seeds:
            file = Path("runs") / "learning" / f"{name}-{seed}" / "returns.csv"
            steps, mean, deviation, _ = np.loadtxt(file, delimiter=",", unpack=True, ndmin=2)
            axis.plot(steps, mean, marker=".", label=f"{name}, seed {seed}")
            axis.fill_between(steps, mean - deviation, mean + deviation, alpha=0.2)
    axis.set_xlabel("environment steps")
    axis.set_ylabel(f"return, {EPISODES} deterministic episodes")
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", nargs="+", choices=TASKS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, help="instead of the task's own")
    parser.add_argument("--every", type=int, metavar="N", help="evaluate every N steps, too")
    parser.add_argument("--draw", type=Path, metavar="PNG", help="train nothing: draw what --every wrote down")
    options = parser.parse_args()
    if options.draw:
        draw(options.task, options.seeds, options.draw)
        return
    print(f"{deepnp.get_num_threads()} threads")
    for name in options.task:
        for seed in options.seeds:
            print(train(name, seed, options.steps, options.every), flush=True)


if __name__ == "__main__":
    main()
