"""Learners with a table, where the right answers are known: `python -m benchmarks.tables`.

FrozenLake    what the greedy policy is worth after 200,000 steps, computed exactly; V* = 0.5420
cliff         the greedy policy's return, and the mean return of an episode while learning
maze          episodes until one takes 16 steps or fewer, by imagined steps after each real one
speed         environment steps per second of processor time

Environments are copies of Gymnasium's own tables (envs/planar/table.py), and the maze of Sutton.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

import envs  # noqa: F401  (registers deepnp/...)
import rl
from envs.planar.table import copies_of
from rl.algorithms.tabular.mdp import MDP
from rl.algorithms.tabular.occupancy import expected_return
from rl.algorithms.tabular.operators import greedy
from rl.schedules import Linear

LAKE_STEPS, CLIFF_STEPS, GAMMA = 200_000, 60_000, 0.99
EVERYTHING_FIRST = {"exploration": Linear(1.0, 0.0), "lr": Linear(0.1, 0.0)}  # random at first, and smaller and smaller steps
LAKE: Mapping[str, dict[str, Any]] = MappingProxyType(
    {
        "MonteCarlo": {"exploration": Linear(1.0, 0.0), "lr": Linear(0.05, 0.0), "decay": 0.0},
        "OffPolicyMonteCarlo": {"exploration": Linear(1.0, 1e-3, 0.7), "lr": Linear(0.1, 0.0), "weight_limit": 5.0},
        "SARSA": EVERYTHING_FIRST,
        "QLearning": EVERYTHING_FIRST,
        "DoubleQLearning": EVERYTHING_FIRST,
        "DynaQ": EVERYTHING_FIRST,
    }
)
PLANNING = (0, 5, 50)
ENOUGH = 16  # steps of an episode in the maze


def learner(name: str, env: Any, seed: int, **settings: Any) -> rl.Agent:
    """An agent of this algorithm."""
    algorithm = rl.ALGORITHMS[name]
    return algorithm.cls(env, algorithm.config(**{"gamma": GAMMA, **settings}), seed=seed)


def lake_value(name: str, seed: int, copies: int = 64, steps: int = LAKE_STEPS) -> float:
    """What the greedy policy is worth from the start of FrozenLake."""
    agent = learner(name, copies_of("FrozenLake-v1", copies), seed, **LAKE[name]).learn(steps)
    return expected_return(MDP.of("FrozenLake-v1", GAMMA), greedy(agent.policy.values.data))


def cliff_walk(name: str, seed: int, steps: int = CLIFF_STEPS) -> tuple[float, float, int]:
    """Of the cliff: the greedy policy's return, the mean return of late episodes while learning, and its nearest row to the edge.

    Rows are numbered from the upper one; the cliff is in row 3. The return is that of 200 steps at most.
    """
    returns: list[float] = []

    def late(agent, metrics):
        if agent.steps > steps / 2 and "episode_return" in metrics:
            returns.append(metrics["episode_return"])

    agent = learner(name, copies_of("CliffWalking-v1", 16), seed, exploration=0.1, lr=0.1).learn(steps, late)
    walk = list(greedy_walk(agent.policy.values.data, "CliffWalking-v1", 36, 200))
    rows = [s // 12 for s, _ in walk[1:] if s % 12 not in (0, 11)]
    return sum(r for _, r in walk), float(np.mean(returns)), max(rows, default=0)


def greedy_walk(q: np.ndarray, name: str, state: int, most: int) -> Iterator[tuple[int, float]]:
    """States and rewards of the greedy policy in a world without chance."""
    import gymnasium

    with gymnasium.make(name) as env:
        table = env.unwrapped.P
    for _ in range(most):
        ((_, following, reward, terminated),) = table[state][int(q[state].argmax())]
        yield state, reward
        if terminated:
            return
        state = following


class UntilShort(rl.Callback):
    """Counts episodes until one has ENOUGH steps or fewer; for one copy."""

    def __init__(self):
        self.episodes, self.length = 0, 0

    def on_step(self, agent, step) -> bool:
        self.length += 1
        if not step.ended[0]:
            return True
        short, self.length, self.episodes = self.length <= ENOUGH, 0, self.episodes + 1
        return not short


def maze_episodes(planning: int, seed: int) -> int:
    """Episodes of Dyna-Q until one is nearly the shortest."""
    counted = UntilShort()
    settings = {"gamma": 0.95, "lr": 0.1, "exploration": 0.1, "planning": planning}
    learner("DynaQ", "deepnp/DynaMaze-v0", seed, **settings).learn(200_000, counted)
    return counted.episodes


def speed(name: str, copies: int, steps: int) -> float:
    """Environment steps per second of processor time."""
    agent = learner(name, copies_of("FrozenLake-v1", copies), 0).learn(20 * copies)
    begun, first = time.process_time(), agent.steps
    agent.learn(first + steps)
    return (agent.steps - first) / (time.process_time() - begun)


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description="Learners with a table, where the right answers are known.")
    parser.add_argument("--seeds", type=int, default=3, help="seeds of each")
    seeds = range(parser.parse_args().seeds)
    print("| algorithm | FrozenLake | steps/s, 1 copy | 64 copies |\n|---|---|---|---|")
    for name in LAKE:
        worth = " / ".join(f"{lake_value(name, seed):.3f}" for seed in seeds)
        print(f"| {name} | {worth} | {speed(name, 1, 20_000):,.0f} | {speed(name, 64, 400_000):,.0f} |", flush=True)
    print("\n| cliff | greedy | while learning | row |\n|---|---|---|---|")
    for name in ("QLearning", "SARSA"):
        greedy_return, learning, row = np.mean([cliff_walk(name, seed) for seed in seeds], axis=0)
        print(f"| {name} | {greedy_return:.1f} | {learning:.1f} | {row:.1f} |", flush=True)
    print("\n| maze, M | episodes |\n|---|---|")
    for planning in PLANNING:
        print(f"| {planning} | {' / '.join(str(maze_episodes(planning, seed)) for seed in seeds)} |", flush=True)


if __name__ == "__main__":
    main()
