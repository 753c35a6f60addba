"""A peer's training until it reaches a mark: run by benchmarks.time_to_return in an interpreter that has the peer.

    python peer_time_to_return.py LIBRARY TASK SEED MARK MINUTES CURVE        LIBRARY: sb3 or sbx

The peer trains with its own default settings. Prints one JSON line: whether it reached the mark, after how many steps and minutes
of training, and its best evaluation. Every evaluation is written to CURVE as it comes.

What ours and the peers share stands here too, the tasks and the stopwatch: a peer's interpreter need only have Gymnasium besides.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gymnasium
import numpy as np

EPISODES = 10
CHUNK = 200  # steps of a peer between two looks at the stopwatch
SEEDS, SEEDS_AGAIN = 1, 61  # of the first of ten episodes, and of ten others: as hard as the average start of a pendulum

Act = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Task:
    """Which return to reach.

    Attributes
    ----------
    env, algorithm : str
        The environment's id and the algorithm's name, the same in all libraries.
    mark : float
        The mean return of 10 deterministic episodes.
    every : int
        Steps between evaluations: at least these, where an iteration has more.
    steps : int
        After which training ends in any case.
    """

    env: str
    algorithm: str
    mark: float
    every: int
    steps: int


TASKS = {  # the names are those of benchmarks.learning
    "sac-pendulum": Task("Pendulum-v1", "SAC", -160, 1_000, 50_000),
    "ppo-cartpole": Task("CartPole-v1", "PPO", 475, 2_000, 100_000),
    "sac-halfcheetah": Task("HalfCheetah-v5", "SAC", 5_000, 5_000, 1_000_000),
}


class Stopwatch:
    """The time of a training, which begins now; stopped while the policy is evaluated."""

    def __init__(self, task: Task, mark: float, minutes: float, curve: Path):
        self.task, self.mark, self.limit, self.curve = task, mark, 60 * minutes, curve
        self.env = gymnasium.make(task.env)
        self.reached, self.seconds, self.steps, self.best = False, 0.0, 0, -np.inf
        curve.parent.mkdir(parents=True, exist_ok=True)
        curve.write_text("steps,seconds,return,again\n")
        self.since = time.perf_counter()

    def is_over(self, steps: int, act: Act) -> bool:
        """Whether training has come to its end after so many steps; evaluates the policy if that is due.

        A policy that reaches the mark is evaluated twice.
        """
        seconds = self.seconds + time.perf_counter() - self.since
        if seconds < self.limit and steps < min(self.steps + self.task.every, self.task.steps):
            return False
        self.seconds = seconds
        first = self.evaluate(act, SEEDS)
        again = self.evaluate(act, SEEDS_AGAIN) if first >= self.mark else np.nan
        self.steps, self.best, self.reached = steps, max(self.best, first), bool(again >= self.mark)
        with self.curve.open("a") as file:
            file.write(f"{steps},{self.seconds:.2f},{first:.2f},{again:.2f}\n")
        self.since = time.perf_counter()
        return self.reached or self.seconds >= self.limit or steps >= self.task.steps

    def evaluate(self, act: Act, seed: int) -> float:
        """The mean return of 10 episodes, played one after the other."""
        total = 0.0
        for episode in range(EPISODES):
            (observation, _), ended = self.env.reset(seed=seed + episode), False
            while not ended:
                observation, reward, terminated, truncated, _ = self.env.step(act(observation))
                total, ended = total + float(reward), terminated or truncated
        return total / EPISODES

    def result(self) -> dict[str, float]:
        """What is known in the end."""
        return {"reached": self.reached, "minutes": self.seconds / 60, "steps": self.steps, "best": self.best}


def train(library: str, watch: Stopwatch, seed: int) -> None:
    """Train to the end that the stopwatch finds; both libraries have one interface."""
    if library == "sb3":
        import stable_baselines3 as peer

        device = {"device": "cpu"}
    else:
        import sbx as peer

        device = {}
    task, watch.since = watch.task, time.perf_counter()
    agent = getattr(peer, task.algorithm)("MlpPolicy", gymnasium.make(task.env), seed=seed, **device)
    over = False
    while not over:
        agent.learn(CHUNK, reset_num_timesteps=False)
        over = watch.is_over(agent.num_timesteps, lambda observation: agent.predict(observation, deterministic=True)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", choices=("sb3", "sbx"))
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("seed", type=int)
    parser.add_argument("mark", type=float)
    parser.add_argument("minutes", type=float, help="of training, at most")
    parser.add_argument("curve", type=Path, help="where the evaluations go")
    given = parser.parse_args()
    watch = Stopwatch(TASKS[given.task], given.mark, given.minutes, given.curve)
    train(given.library, watch, given.seed)
    print(json.dumps(watch.result()))


if __name__ == "__main__":
    main()
