"""What the learners with a table share: the ε-greedy policy, and one step of a value towards a target.

    a ← a random action with probability ε, else the best one; of equal ones, any        while learning
    a ← the best one; of equal ones, the first                                            afterwards
    Q(s, a) ← Q(s, a) + (α/n^ω)(target − Q(s, a))                                         n visits of (s, a) so far

Loops over rows are kernels: a table's step is a few numbers, and NumPy takes longer to begin with than to end. With
`deepnp.use_kernels(False)` the same functions run as plain Python, and give the same bits.

Shapes: N environments, S states, A actions.
"""

from typing import Any, Protocol

import numpy as np

from deepnp.backend import exact_kernel, kernels_enabled
from rl.experience.spaces import SpaceInfo
from rl.experience.trees import Observations
from rl.networks.table import Table


class Chooses(Protocol):
    """What chooses actions by a table."""

    policy: Table

    @property
    def now(self) -> Any: ...


def run(kernel: Any, *arguments: Any) -> Any:
    """The kernel's result; of its function in plain Python, where kernels are off."""
    return kernel(*arguments) if kernels_enabled() else kernel.function(*arguments)


def table_of(space: SpaceInfo, c: Any) -> tuple[Table, np.ndarray]:
    """Q as the settings (a TableConfig) ask for it, and how often each pair was learned from (S, A), which is never."""
    table = Table(space.observation, space.actions, c.initial_value)
    return table, np.zeros(table.values.shape, np.int64)


def act(agent: Chooses, observations: Observations, rng: np.random.Generator | None) -> np.ndarray:
    """The actions (N,) for observations (N, O): exploring with `rng`, the best ones without."""
    if rng is None:
        return agent.policy.predict(observations).argmax(axis=1)
    return explore(agent, agent.policy.states(observations), rng)


def explore(agent: Chooses, states: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The ε-greedy policy's actions (N,) int64 in states (N,)."""
    return drawn(agent.policy.values.data, states, agent.now.exploration, rng)[0]


def drawn(q: np.ndarray, states: np.ndarray, epsilon: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Actions (N,) int64 of the ε-greedy policy of q (S, A), and the probabilities (N,) with which they were drawn."""
    actions, chances = np.empty(len(states), np.int64), np.empty(len(states))
    run(_draw, q, states, rng.random((len(states), 2)), epsilon, actions, chances)
    return actions, chances


@exact_kernel
def _draw(q, states, numbers, epsilon, actions, chances):
    count = q.shape[1]
    for n in range(len(states)):
        row, best, equals = q[states[n]], -np.inf, 0
        for a in range(count):
            if row[a] > best:
                best, equals = row[a], 1
            elif row[a] == best:
                equals += 1
        actions[n] = 0  # where no value is a number; learning from it says so
        if numbers[n, 0] < epsilon:
            actions[n] = min(int(count * numbers[n, 1]), count - 1)
        else:
            left = min(int(equals * numbers[n, 1]), equals - 1)
            for a in range(count):
                if row[a] == best:
                    if left == 0:
                        actions[n] = a
                    left -= 1
        chances[n] = epsilon / count + ((1 - epsilon) / equals if equals > 0 and row[actions[n]] == best else 0.0)


@exact_kernel
def step_towards(q, visits, s, a, target, lr, decay) -> float:
    """One step of Q(s, a), in place; returns its error before."""
    visits[s, a] += 1
    error = target - q[s, a]
    q[s, a] += lr / visits[s, a] ** decay * error
    return error


@exact_kernel
def best_action(q, s) -> int:
    """argmax_a Q(s, a), the first of equal ones."""
    best = 0
    for a in range(1, q.shape[1]):
        if q[s, a] > q[s, best]:
            best = a
    return best
