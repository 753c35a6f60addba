"""Do they all balance the pole?        python -m benchmarks.cartpole REINFORCE A2C --seeds 0 1 2

Trains algorithms on CartPole-v1, each with its default settings or those of TASKS, and prints the mean return of 20 deterministic
episodes of the final policy (evaluation seed 1), one line a seed. 500 is the most that there is; 475 is what Gymnasium calls
solved. Without names, all algorithms.
"""

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np

import deepnp
from rl import ALGORITHMS, evaluate
from rl.experience.environments import EnvLike
from rl.experience.partition import Partitioned
from rl.schedules import Linear

ENV, EPISODES, BAR = "CartPole-v1", 20, 475.0
START = np.array([2.3, 2.0, 0.2, 2.0])  # place and speed of the cart, angle and speed of the pole


@dataclass(frozen=True)
class Task:
    """What an algorithm is given: environment steps, and settings beside its defaults."""

    steps: int = 100_000
    settings: Mapping[str, Any] = field(default_factory=dict)
    algorithm: str = ""  # where the task is called otherwise
    env: EnvLike = ENV
    judged: EnvLike | None = None  # what the final policy plays in, where it learned in another


class Anywhere(gymnasium.Wrapper):
    """The pole, with episodes that begin anywhere on the track, and fast: random actions alone never get to its ends."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        _, infos = self.env.reset(seed=seed, options=options)
        pole: Any = self.unwrapped
        pole.state = pole.np_random.uniform(-START, START)
        return np.array(pole.state, np.float32), infos


def anywhere() -> gymnasium.Env:
    """The pole from anywhere."""
    return Anywhere(gymnasium.make(ENV))


def partitioned() -> gymnasium.Env:
    """The pole for algorithms that act in a Box."""
    return Partitioned(gymnasium.make(ENV))


SHORT = dict(num_envs=8, steps=128)  # rollouts: 1,024 steps of all copies

FAR = dict(n_step=3, lr=Linear(1e-3, 0.0))  # values travel three steps in an update

TASKS: dict[str, Task] = {
    "REINFORCE": Task(),
    "REINFORCE-mean": Task(settings=dict(baseline="mean"), algorithm="REINFORCE"),
    "REINFORCE-time": Task(settings=dict(baseline="time"), algorithm="REINFORCE"),
    "REINFORCE-none": Task(settings=dict(baseline="none"), algorithm="REINFORCE"),
    "REINFORCE-least-variance": Task(settings=dict(baseline="minimum-variance"), algorithm="REINFORCE"),
    "A2C": Task(),
    "A2C-adam": Task(settings=dict(optimizer="adam", lr=1e-3), algorithm="A2C"),
    "OffPolicyPG": Task(),
    "OffPolicyPG-no-reuse": Task(settings=dict(reuse=0), algorithm="OffPolicyPG"),
    "OffPolicyPG-decision": Task(settings=dict(weights="decision"), algorithm="OffPolicyPG"),
    "OffPolicyPG-trajectory": Task(settings=dict(weights="trajectory", self_normalize=True), algorithm="OffPolicyPG"),
    "PPO-KL": Task(settings=SHORT | dict(penalty="kl-adaptive"), algorithm="PPO"),
    "TRPO": Task(settings=SHORT),
    "TNPG": Task(settings=SHORT | dict(method="tnpg"), algorithm="TRPO"),
    "NPG": Task(settings=SHORT | dict(method="npg"), algorithm="TRPO"),
    "TRPO-dual": Task(settings=SHORT | dict(method="dual"), algorithm="TRPO"),
    "FQI": Task(50_000),
    "FQI-anywhere": Task(50_000, algorithm="FQI", env=anywhere, judged=ENV),
    "FQI-anywhere-200": Task(50_000, dict(rounds=200, round_steps=125), "FQI", anywhere, ENV),
    "DQN": Task(50_000, FAR),
    "DQN-polyak": Task(50_000, FAR | dict(targets="polyak", tau=0.002), "DQN"),
    "DQN-double": Task(50_000, FAR | dict(double=True, target_interval=100), "DQN"),
    "DQN-boltzmann": Task(50_000, FAR | dict(boltzmann=1.0, soft_target=True, random_share=0.0), "DQN"),
    "C51": Task(50_000, FAR | dict(lowest=0.0)),
    "QRDQN": Task(50_000, FAR | dict(target_interval=250)),
    "DiscreteSAC": Task(50_000, dict(hidden=(64, 64), warmup=1_000, lr=1e-3, batch_size=128, memory=50_000)),
    "RWR": Task(200_000, SHORT),
    "CEM": Task(200_000, dict(num_envs=8)),
    "CEM-linear": Task(settings=dict(num_envs=8, hidden=()), algorithm="CEM"),
    "CMAES": Task(200_000, dict(num_envs=4)),
    "CMAES-linear": Task(settings=dict(num_envs=4, hidden=()), algorithm="CMAES"),
    "SAC-partitioned": Task(50_000, dict(hidden=(64, 64), warmup=1_000, lr=1e-3, batch_size=128), algorithm="SAC", env=partitioned),
}


def train(name: str, seed: int, steps: int | None = None) -> float:
    """Train one task with one seed, print its line, and return the mean return."""
    task = TASKS[name]
    algorithm = ALGORITHMS[task.algorithm or name]
    with algorithm.cls(task.env, algorithm.config(**task.settings), seed=seed) as agent:
        start = time.perf_counter()
        agent.learn(steps or task.steps)
        seconds = time.perf_counter() - start
        returns = evaluate(agent, task.judged or task.env, EPISODES, seed=1)
    print(f"{name:26} seed {seed}  {agent.steps:8,} steps {seconds:5.1f} s  return {returns.mean():6.1f}", flush=True)
    return float(returns.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", nargs="*", help=", ".join(TASKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, help="instead of the task's own")
    options = parser.parse_args()
    unknown = [name for name in options.task if name not in TASKS]
    if unknown:
        parser.error(f"expected tasks among {', '.join(TASKS)}, given {', '.join(unknown)}")
    print(f"{ENV}, {deepnp.get_num_threads()} threads")
    for name in options.task or TASKS:
        scores = [train(name, seed, options.steps) for seed in options.seeds]
        print(f"{name:26} {sum(score >= BAR for score in scores)} of {len(scores)} at {BAR:.0f} or more", flush=True)


if __name__ == "__main__":
    main()
