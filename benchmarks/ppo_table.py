"""Clip, penalty, or neither: the table of Schulman et al. 2017 in small.        python -m benchmarks.ppo_table

Trains PPO with each of four losses on four MuJoCo tasks for 300,000 steps, two seeds each. The score of a training is the mean
return of its last 100 episodes, as the stochastic policy played them. Per task 0 is the score of uniformly random actions, and
1 that of the best loss (mean over seeds); the table shows each loss's average over the tasks.

- The paper has seven tasks, 1,000,000 steps and three seeds, and Gymnasium's MuJoCo tasks of that time.
- As there: 2,048 steps an iteration, 10 epochs, minibatches of 64, Adam with 3e-4 throughout, gamma 0.99, lambda 0.95, networks
  of 64-64 tanh, no entropy bonus. Ours: observations are normalised, rewards scaled, gradients held at norm 0.5; eight copies
  of 256 steps where the task has a native batch.

Each finished training is a row of runs/ppo_table.csv. One that is there is not run again, so the benchmark goes on where it was
interrupted. `--show` trains nothing. At the end it says whether two findings of the paper hold: neither clip nor penalty scores
below everything else, and clip is within 0.1 of the best.
"""

import argparse
import csv
import time
from collections import deque
from itertools import product
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import envs  # noqa: F401  (registers deepnp/…)
from rl import PPO, Callback, PPOConfig
from rl.experience.collector import Step

FILE = Path("runs") / "ppo_table.csv"
COLUMNS = ("loss", "task", "seed", "steps", "episodes", "score", "seconds")
EPISODES = 100
LOSSES: dict[str, dict[str, Any]] = {
    "neither clip nor penalty": dict(penalty="none"),
    "clip, ε = 0.2": dict(penalty="clip", clip=0.2),
    "adaptive KL, d_targ = 0.01": dict(penalty="kl-adaptive", kl_target=0.01),
    "fixed KL, β = 1": dict(penalty="kl-fixed", kl_coef=1.0),
}
NEITHER, CLIP, *_ = LOSSES
RANDOM = "random actions"
TASKS = {  # environment, copies
    "HalfCheetah": ("deepnp/HalfCheetah-v5", 8),
    "Hopper": ("deepnp/Hopper-v5", 8),
    "InvertedDoublePendulum": ("InvertedDoublePendulum-v5", 1),
    "Swimmer": ("deepnp/Swimmer-v5", 8),
}


class Returns(Callback):
    """The returns of the last episodes that ended."""

    def __init__(self, copies: int):
        self.running, self.ended = np.zeros(copies), deque[float](maxlen=EPISODES)

    def on_step(self, agent: PPO, step: Step) -> None:
        self.running += step.rewards
        for n in np.flatnonzero(step.ended):
            self.ended.append(float(self.running[n]))
            self.running[n] = 0


def train(loss: str, task: str, seed: int, steps: int) -> list[float]:
    """Returns of the last episodes of one training."""
    env, copies = TASKS[task]
    config = PPOConfig(num_envs=copies, steps=2048 // copies, anneal_lr=False, **LOSSES[loss])
    returns = Returns(copies)
    with PPO(env, config, seed=seed) as agent:
        agent.learn(steps, returns)
    return list(returns.ended)


def play_randomly(task: str, seed: int) -> list[float]:
    """Returns of episodes with uniformly random actions."""
    env, returns = gymnasium.make(TASKS[task][0]), []
    env.action_space.seed(seed)
    for episode in range(EPISODES):
        env.reset(seed=1000 * seed + episode)
        total, over = 0.0, False
        while not over:
            _, reward, terminated, truncated, _ = env.step(env.action_space.sample())
            total, over = total + float(reward), terminated or truncated
        returns.append(total)
    env.close()
    return returns


def run(steps: int, seeds: list[int]) -> None:
    """Train what is not in the file yet: seed after seed, so that an early end leaves whole seeds."""
    done = {(row["loss"], row["task"], int(row["seed"]), int(row["steps"])) for row in rows()}
    for seed, loss, task in product(seeds, (RANDOM, *LOSSES), TASKS):
        length = 0 if loss == RANDOM else steps
        if (loss, task, seed, length) in done:
            continue
        start = time.perf_counter()
        returns = play_randomly(task, seed) if loss == RANDOM else train(loss, task, seed, steps)
        score, seconds = float(np.mean(returns)), time.perf_counter() - start
        append(loss, task, seed, length, len(returns), round(score, 2), round(seconds))
        print(f"{loss:27} {task:23} seed {seed}  {score:9.1f}  {seconds:5.0f} s", flush=True)


def append(*values: Any) -> None:
    """One row more in the file."""
    FILE.parent.mkdir(exist_ok=True)
    new = not FILE.exists()
    with FILE.open("a", newline="") as file:
        csv.writer(file).writerows([COLUMNS, values] if new else [values])


def rows() -> list[dict[str, str]]:
    """What the file holds."""
    if not FILE.exists():
        return []
    with FILE.open(newline="") as file:
        return list(csv.DictReader(file))


def scores(steps: int) -> dict[str, dict[str, float]]:
    """Means by loss and task, over those seeds that all losses have finished; of those tasks that have one."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows():
        if int(row["steps"]) in (0, steps):
            found.setdefault((row["loss"], row["task"]), {})[int(row["seed"])] = float(row["score"])
    table: dict[str, dict[str, float]] = {loss: {} for loss in (RANDOM, *LOSSES)}
    for task in TASKS:
        seeds = set.intersection(*(set(found.get((loss, task), {})) for loss in table))
        if seeds:
            for loss in table:
                table[loss][task] = float(np.mean([found[loss, task][seed] for seed in sorted(seeds)]))
    return table


def normalized(table: dict[str, dict[str, float]]) -> dict[str, float]:
    """The average over the tasks of each loss, where 0 is random and 1 the best loss of a task."""
    averages = {}
    for loss in LOSSES:
        shares = []
        for task, score in table[loss].items():
            worst, best = table[RANDOM][task], max(table[other][task] for other in LOSSES)
            shares.append((score - worst) / (best - worst))
        averages[loss] = float(np.mean(shares))
    return averages


def show(steps: int) -> None:
    """Print the table, and whether the paper's findings hold."""
    table = scores(steps)
    tasks = list(table[RANDOM])
    if not tasks:
        print(f"no task is whole yet; see {FILE}")
        return
    averages = normalized(table)
    print("\n| loss | " + " | ".join(tasks) + " | normalised |\n|---|" + "---|" * (len(tasks) + 1))
    for loss, values in table.items():
        average = f"{averages[loss]:.2f}" if loss in averages else "0"
        print(f"| {loss} | " + " | ".join(f"{values[task]:,.0f}" for task in tasks) + f" | {average} |")
    others = [average for loss, average in averages.items() if loss != NEITHER]
    print(f"\n{NEITHER} below all others: {averages[NEITHER] < min(others)}")
    print(f"{CLIP} within 0.1 of the best: {averages[CLIP] >= max(others) - 0.1}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--show", action="store_true", help="train nothing: print the table of what is finished")
    options = parser.parse_args()
    if not options.show:
        run(options.steps, options.seeds)
    show(options.steps)


if __name__ == "__main__":
    main()
