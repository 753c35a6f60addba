"""FrozenLake: the best policy by dynamic programming, and what learners with a table find without knowing the lake.

    python examples/tabular_frozen_lake.py

The ice is slippery: a move goes where it should in one case of three, and to either side in the others. So the best way keeps
away from holes even where that means to walk into the edge. Colours and numbers are V(s), arrows the greedy policy; the number
in a title is what that policy is worth from the start. Writes picture.png to runs/tabular_frozen_lake/.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

import gymnasium
import numpy as np

import rl
from envs.planar.table import copies_of
from examples.common import parse, run, save
from rl.algorithms.tabular.dynamic_programming import value_iteration_v
from rl.algorithms.tabular.mdp import MDP
from rl.algorithms.tabular.occupancy import expected_return
from rl.algorithms.tabular.operators import best_values, greedy
from rl.schedules import Linear
from rl.training.curves import subplots

GAMMA, COPIES = 0.99, 64
LEARNERS = ("QLearning", "SARSA")
MOVES = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)])  # left, down, right, up; y points down, as rows do


def main() -> None:
    options = parse(__doc__, steps=200_000)
    lake = gymnasium.make("FrozenLake-v1")
    cells, mdp = np.array(lake.unwrapped.desc, dtype=str), MDP.of(lake, GAMMA)
    found = {"value iteration": value_iteration_v(mdp).action_values}
    for name in LEARNERS:
        found[name] = learned(name, options.steps, options.seed)
    figure, axes = subplots(len(found), width=3.4, height=3.9)
    for axis, (name, q) in zip(axes, found.items(), strict=True):
        worth = expected_return(mdp, greedy(q))
        print(f"{name}: the greedy policy is worth {worth:.4f}", flush=True)
        draw(axis, cells, q, f"{name}, {worth:.3f}")
    save(options.out, figure)


def learned(name: str, steps: int, seed: int) -> np.ndarray:
    """Q (S, A) of a learner that walks at random first, and less and less."""
    algorithm = rl.ALGORITHMS[name]
    config = algorithm.config(gamma=GAMMA, exploration=Linear(1.0, 0.0), lr=Linear(0.1, 0.0))
    return algorithm.cls(copies_of("FrozenLake-v1", COPIES), config, seed=seed).learn(steps).policy.values.data


def draw(axis, cells: np.ndarray, q: np.ndarray, title: str) -> None:
    """V as colours and numbers, the greedy action as an arrow, on the cells (4, 4) of the lake."""
    values = best_values(q).reshape(cells.shape)
    axis.imshow(values, cmap="Blues", vmin=0, vmax=1)
    for place, cell in np.ndenumerate(cells):
        y, x = place
        if cell in "HG":
            axis.text(x, y, {"H": "hole", "G": "goal"}[cell], ha="center", va="center", color="0.35")
            continue
        dx, dy = 0.3 * MOVES[q[np.ravel_multi_index(place, cells.shape)].argmax()]
        light = values[place] > 0.55
        axis.text(x, y - 0.33, f"{values[place]:.2f}", ha="center", va="center", fontsize=8, color="w" if light else "k")
        axis.arrow(x - dx / 2, y + 0.1 - dy / 2, dx, dy, head_width=0.12, length_includes_head=True, color="w" if light else "k")
    axis.grid(False)
    axis.set(xticks=[], yticks=[], title=title)


if __name__ == "__main__":
    run(main)
