"""Does it learn?        python -m benchmarks.learning ppo-cartpole sac-pendulum --seeds 0 1 2

Trains each named task by its recipe (rl/recipes) and prints the returns of 20 deterministic episodes of the final policy
(evaluation seed 1), one line a seed, and for several seeds the interquartile mean of their scores with its 95 % bootstrap
interval. Curves go to runs/learning/<task>-<seed>/, and with `--every N` the same 20 episodes after every N steps, in
evaluations.csv. `--steps` cuts a task short. `--draw picture` trains nothing: it draws the evaluations of these tasks and seeds
into picture.svg and picture.png.
"""

import argparse
import time
from pathlib import Path

import deepnp
from rl import ALGORITHMS, evaluate
from rl.runs.run import Run
from rl.training.curves import plot_run
from rl.training.evaluations import Evaluations
from rl.training.plots import plot_runs
from rl.training.recipes import recipe_of
from rl.training.statistics import bootstrap_interval, iqm

EPISODES = 20
TASKS = {
    f"{algorithm}-{name}": recipe_of(algorithm, env)
    for algorithm, name, env in (
        ("ppo", "cartpole", "CartPole-v1"),
        ("ppo", "pendulum", "Pendulum-v1"),
        ("ppo", "halfcheetah", "HalfCheetah-v5"),
        ("ppo", "walker2d", "Walker2d-v5"),
        ("trpo", "halfcheetah", "HalfCheetah-v5"),
        ("trpo", "walker2d", "Walker2d-v5"),
        ("sac", "pendulum", "Pendulum-v1"),
        ("td3", "pendulum", "Pendulum-v1"),
        ("ddpg", "pendulum", "Pendulum-v1"),
        ("sac", "halfcheetah", "HalfCheetah-v5"),
        ("td3", "halfcheetah", "HalfCheetah-v5"),
        ("sac", "bipedal", "BipedalWalker-v3"),
    )
}


def folder_of(name: str, seed: int) -> Path:
    """Where a task's run with a seed is written down."""
    return Path("runs") / "learning" / f"{name}-{seed}"


def train(name: str, seed: int, steps: int | None, every: int | None) -> float:
    """Train one task with one seed, print its line, and return its score: the mean return of the final policy."""
    task, folder = TASKS[name], folder_of(name, seed)
    steps = steps or task.steps
    agent = ALGORITHMS[task.algorithm].cls(task.env, task.config, seed=seed)
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
        plot_runs(options.draw, [folder_of(name, seed) for name in options.task for seed in options.seeds])
        return
    print(f"{deepnp.get_num_threads()} threads")
    for name in options.task:
        scores = [train(name, seed, options.steps, options.every) for seed in options.seeds]
        if len(scores) > 1:
            low, high = bootstrap_interval(scores)
            print(f"{name:16} {len(scores)} seeds: interquartile mean {iqm(scores):.1f} [{low:.1f}, {high:.1f}]", flush=True)


if __name__ == "__main__":
    main()
