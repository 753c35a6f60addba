"""Are masked and mixed actions learned?        python -m benchmarks.action_spaces --seeds 0 1 2

taxi      Taxi-v4 with its own mask of moves that do something, and without the mask: 500 states as one-hot vectors
moving    drive a car onto a disc: choose among accelerating, turning and braking, and how much (a Dict of a Discrete and a Box)

PPO, the mean return of 100 deterministic episodes of the final policy (evaluation seed 1), one line a seed. Taxi pays 20 for the
right drop, and takes 1 a step; about 7.9 is the most. Moving pays the way to the disc that an action gains, less 0.01, and 1 for
braking on it.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from rl import PPO, PPOConfig, evaluate
from rl.experience.action_mask import ActionMask

EPISODES = 100
ACCELERATE, TURN, BRAKE = range(3)


class Moving(gymnasium.Env):
    """A car on a plane, |x| ≤ 1, and a disc of radius 0.1 to stop on. An action is what to do, and how much of it.

    Observes place, speed, cosine and sine of the heading, the disc's place and distance, and whether the car is on it.
    """

    def __init__(self) -> None:
        self.observation_space = spaces.Box(-np.inf, np.inf, (9,), np.float32)
        self.action_space = spaces.Dict(what=spaces.Discrete(3), amount=spaces.Box(-1, 1, (2,), np.float32))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)
        self.place, self.disc = self.np_random.uniform(-1, 1, (2, 2))
        self.heading, self.speed, self.left = float(self.np_random.uniform(-np.pi, np.pi)), 0.0, 100
        return self._observe(), {}

    def step(self, action: Mapping[str, Any]) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        what, before = int(action["what"]), self._distance()
        power, angle = action["amount"]
        if what == ACCELERATE:
            self.speed = min(self.speed + 0.1 * max(float(power), 0.0), 0.2)
        elif what == TURN:
            self.heading += 0.5 * np.pi * float(angle)
        else:
            self.speed = 0.0
        self.place = self.place + self.speed * np.array([np.cos(self.heading), np.sin(self.heading)])
        self.left -= 1
        stopped, away = what == BRAKE and self._distance() < 0.1, bool(np.abs(self.place).max() > 1)
        reward = before - self._distance() - 0.01 + stopped - away
        return self._observe(), float(reward), stopped or away, self.left == 0, {}

    def _distance(self) -> float:
        return float(np.linalg.norm(self.disc - self.place))

    def _observe(self) -> np.ndarray:
        way = np.cos(self.heading), np.sin(self.heading)
        return np.array([*self.place, self.speed, *way, *self.disc, self._distance(), self._distance() < 0.1], np.float32)


def taxi() -> gymnasium.Env:
    """Taxi whose observation tells the mask."""
    return ActionMask(gymnasium.make("Taxi-v4"))


@dataclass(frozen=True)
class Task:
    """An environment, steps and settings."""

    env: str | Callable[[], gymnasium.Env]
    steps: int
    settings: Mapping[str, Any] = field(default_factory=dict)


MANY = dict(num_envs=8, steps=256, batch_size=256, epochs=10, entropy_coef=0.01, lr=1e-3)
TASKS = {
    "taxi": Task(taxi, 300_000, MANY | dict(gamma=0.98)),
    "taxi-without-mask": Task("Taxi-v4", 300_000, MANY | dict(gamma=0.98)),
    "moving": Task(Moving, 300_000, MANY),
}


def solve(name: str, seed: int, steps: int | None) -> np.ndarray:
    """Returns of the final policy."""
    task = TASKS[name]
    with PPO(task.env, PPOConfig(**task.settings), seed=seed) as agent:
        agent.learn(steps or task.steps)
        return evaluate(agent, task.env, EPISODES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, help="instead of the task's own")
    options = parser.parse_args()
    for name in options.tasks:
        for seed in options.seeds:
            start = time.perf_counter()
            returns = solve(name, seed, options.steps)
            seconds = time.perf_counter() - start
            print(f"{name:20} seed {seed}  mean {returns.mean():7.2f}  worst {returns.min():8.2f}  {seconds:5.1f} s", flush=True)


if __name__ == "__main__":
    main()
