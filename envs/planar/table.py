"""Worlds that a table describes: from each state, an action leads to one of a few outcomes.

    P[s][a] = [(probability, s′, reward, terminated), …]           as Gymnasium's FrozenLake, CliffWalking and Taxi have it

Observation (Discrete S)   the state's number
Action (Discrete A)        the action's number
End                        an outcome that terminates

N copies are one kernel, so that a hundred of them take hardly longer than one. `copies_of("FrozenLake-v1", 64)` plays
Gymnasium's own table, with its time limit; the numbers that decide are other ones, with the same probabilities.

Shapes: N copies, S states, A actions, K outcomes at most.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from envs.checks import Bounds, check_whole
from envs.kernels import kernel, uniform
from envs.pair import environments
from envs.planar import canvas
from envs.planar.canvas import Canvas
from envs.planar.game import Game
from envs.single import SingleEnv
from envs.vector import CoreVectorEnv

SECONDS = 0.25
ROUNDING = 1e-6  # of a sum of probabilities
Outcomes = Mapping[int, Mapping[int, list[tuple[float, int, float, bool]]]]


class World(NamedTuple):
    rng_state: np.ndarray  # (N,) uint64
    position: np.ndarray  # (N,) int64: the state's number


class Outcome(NamedTuple):
    """The table as arrays (S, A, K); the last outcome of a pair is repeated."""

    cumulative: np.ndarray  # probability of this outcome or one before it
    following: np.ndarray  # s′
    rewards: np.ndarray
    terminated: np.ndarray


class Table(Game):
    """N copies of a world that a table describes.

    Parameters
    ----------
    num_envs : int
        N.
    outcomes : mapping
        P[s][a], of states and actions numbered from 0.
    start : array (S,), optional
        Probabilities of the first state; the state 0 by default.
    shape : (int, int), optional
        Rows and columns of a grid whose cells, row by row, are the states; for pictures.

    Raises
    ------
    ValueError
        For a table with gaps, or what are no probabilities.
    """

    def __init__(self, num_envs: int = 1, *, outcomes: Outcomes, start: Any = None, shape: tuple[int, int] | None = None):
        n = check_whole("num_envs", num_envs, 1)
        self.outcomes, self.outcome = outcomes, _arrays(outcomes)
        states, actions = self.outcome.cumulative.shape[:2]
        first = np.eye(1, states)[0] if start is None else np.asarray(start, np.float64)
        self.shape = (1, states) if shape is None else shape
        if first.shape != (states,) or (first < 0).any() or abs(first.sum() - 1) > ROUNDING:
            raise ValueError(f"expected start as probabilities of {states} states, given {start!r:.80}")
        if self.shape[0] * self.shape[1] < states:
            raise ValueError(f"expected a shape of at least {states} cells, given {shape}")
        self.start, self.first = first, np.cumsum(first)
        world = World(np.zeros(n, np.uint64), np.zeros(n, np.int64))
        super().__init__(world, spaces.Discrete(states), spaces.Discrete(actions), SECONDS, show_sensors=False)

    def state_bounds(self) -> Bounds:
        return {"position": (0, len(self.first) - 1)}

    def begin(self, ids) -> None:
        _begin(self.world, self.first, ids)

    def advance(self, actions, rewards, terminated) -> None:
        _advance(self.world, self.outcome, actions, rewards, terminated)

    def look(self, ids, out) -> None:
        out[ids] = self.world.position[ids]

    def info(self) -> dict[str, np.ndarray]:
        """Nothing."""
        return {}

    def draw(self, copy: int) -> Canvas:
        rows, columns = self.shape
        view = Canvas((columns / 2, rows / 2), max(rows, columns) + 1)
        for cell in range(rows * columns):
            y, x = divmod(cell, columns)
            view.box(x, rows - y - 1, x + 1, rows - y, self.colour(cell), canvas.FAINT, 0.03)
        y, x = divmod(int(self.world.position[copy]), columns)
        view.disc(x + 0.5, rows - y - 0.5, 0.3, canvas.AGENT)
        return view

    def colour(self, cell: int) -> str:
        """Of a cell of the grid."""
        return canvas.GROUND


def copies_of(name: str, num_envs: int = 1, **settings: Any) -> CoreVectorEnv:
    """N copies of a registered environment that tells its table, in SAME_STEP mode, with its time limit.

    Parameters
    ----------
    name : str
        As `gymnasium.make` takes it.
    num_envs : int
        N.
    **settings
        Of the environment: `map_name="8x8"`.

    Raises
    ------
    TypeError
        If it tells no table.
    """
    env = gymnasium.make(name, **settings)
    try:
        inner, limit = env.unwrapped, None if env.spec is None else env.spec.max_episode_steps
        table = getattr(inner, "P", None)
        if not isinstance(table, Mapping):
            raise TypeError(f"expected an environment with a table P[s][a] of transitions, given {name}")
        start = getattr(inner, "initial_state_distrib", None)
        made = CoreVectorEnv(Table(num_envs, outcomes=table, start=start), limit, AutoresetMode.SAME_STEP)
        made.spec = env.spec
        return made
    finally:
        env.close()


def _arrays(outcomes: Outcomes) -> Outcome:
    """The table as arrays; ValueError where it has gaps or probabilities that are none."""
    if sorted(outcomes) != list(range(len(outcomes))) or not outcomes or not outcomes[0]:
        raise ValueError(f"expected a table of states 0, 1, …, given {list(outcomes)!s:.80}")
    pairs = {(s, a): found for s, choices in outcomes.items() for a, found in choices.items()}
    shape = len(outcomes), len(outcomes[0]), max(map(len, pairs.values()))
    columns = [np.zeros(shape, kind) for kind in (np.float64, np.int64, np.float64, bool)]
    for (s, a), found in pairs.items():
        if len(outcomes[s]) != shape[1] or not 0 <= a < shape[1] or not found:
            raise ValueError(f"expected outcomes for actions 0 … {shape[1] - 1} of each state, given {s}: {list(outcomes[s])}")
        for column, values in zip(columns, zip(*found, strict=True), strict=True):
            column[s, a] = [*values, *([values[-1]] * (shape[2] - len(values)))]
        probabilities = columns[0][s, a, : len(found)]
        if (probabilities < 0).any() or abs(probabilities.sum() - 1) > ROUNDING:
            raise ValueError(f"expected probabilities that sum to 1 in P[{s}][{a}], given {probabilities.tolist()}")
        columns[0][s, a] = np.cumsum(columns[0][s, a])
    if columns[1].min() < 0 or columns[1].max() >= shape[0]:
        raise ValueError(f"expected next states in [0, {shape[0] - 1}], given {columns[1].min()} … {columns[1].max()}")
    return Outcome(*columns)


@kernel
def _begin(w, first, ids):
    for i in ids:
        u, s = uniform(w.rng_state, i), 0
        while s < len(first) - 1 and u >= first[s]:
            s += 1
        w.position[i] = s


@kernel
def _advance(w, outcome, actions, rewards, terminated):
    last = outcome.cumulative.shape[2] - 1
    for i in range(len(w.position)):
        s, a, u, k = w.position[i], actions[i], uniform(w.rng_state, i), 0
        while k < last and u >= outcome.cumulative[s, a, k]:
            k += 1
        w.position[i] = outcome.following[s, a, k]
        rewards[i], terminated[i] = outcome.rewards[s, a, k], outcome.terminated[s, a, k]


def table_environments(core: type[Table]) -> tuple[type[SingleEnv], type[CoreVectorEnv]]:
    """As `environments`; the single one tells its table as Gymnasium's do, by `P` and `initial_state_distrib`."""
    single, vector = environments(core)
    own = {
        "P": property(lambda env: env.core.outcomes, doc="P[s][a], the outcomes of each pair."),
        "initial_state_distrib": property(lambda env: env.core.start, doc="Probabilities of the first state (S,)."),
    }
    return type(single.__name__, (single,), {"__module__": core.__module__, "__doc__": single.__doc__, **own}), vector


TableEnv, TableVectorEnv = table_environments(Table)
