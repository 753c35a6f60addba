"""The candidates of one generation: which environment copy evaluates which, and what they returned so far.

A copy plays a candidate's episode to its end, and then takes the next one that waits. So long
episodes count as much as short ones, and every candidate is judged by as many. Every candidate
begins at the beginning of an episode: to begin where another one stopped would be to be judged by
what that one did. So a copy whose candidate reaches its horizon in the midst of an episode takes
no other before a new episode begins there.

Shapes: P candidates of D parameters, E episodes of each, N environment copies.
"""

import numpy as np

from deepnp.checks import check_shape
from rl.experience.collector import Step

NOBODY = -1  # the task of a copy for which no candidate is left


class Generation:
    """A part of an agent: an evaluation that was interrupted goes on where it was.

    Task e·P + p is episode e of candidate p.

    Parameters
    ----------
    population, size, episodes : int
        P, D and E.
    gamma : float
        Discount factor of a return, γ.
    horizon : int or None
        Steps of a task, over as many episodes as they take unless one terminates. None: one episode.

    Attributes
    ----------
    candidates : array (P, D)
        float32.
    returns : array (E, P)
    done : bool array (E, P)
        Which episodes are over. All are, before the first generation.
    tasks : int array (N,)
        What each copy evaluates; `NOBODY` where nothing is left, or nothing can begin.
    """

    def __init__(self, population: int, size: int, episodes: int, gamma: float, horizon: int | None):
        self.gamma, self.horizon = gamma, horizon
        self.candidates = np.zeros((population, size), np.float32)
        self.returns, self.done = np.zeros((episodes, population)), np.ones((episodes, population), bool)
        self._forget(0)

    @property
    def complete(self) -> bool:
        """Whether nothing is left to evaluate."""
        return bool(self.done.all())

    @property
    def waiting(self) -> bool:
        """Whether candidates are left, and no copy evaluates any: all need new episodes."""
        return not self.complete and bool((self.tasks == NOBODY).all())

    @property
    def scores(self) -> np.ndarray:
        """Mean return of each candidate: (P,)."""
        return self.returns.mean(axis=0)

    def start(self, candidates: np.ndarray) -> None:
        """The next generation: candidates (P, D), none of them evaluated."""
        self.candidates[...] = candidates
        self.returns[...], self.done[...] = 0, False

    def begin(self, num_envs: int) -> None:
        """New episodes begin in all copies: evaluations that were under way begin anew."""
        self._forget(num_envs)
        self._assign(np.arange(num_envs))

    def parameters(self, copies: np.ndarray, rest: np.ndarray) -> np.ndarray:
        """What copies of these numbers (n,) play with: their candidates, or `rest` (D,) where none is left. (n, D)."""
        tasks = self.tasks[copies]
        return np.where((tasks == NOBODY)[:, None], rest, self.candidates[tasks % len(self.candidates)])

    def record(self, step: Step) -> np.ndarray:
        """Take in a step of all copies; returns the numbers of those that play with something else from now on."""
        busy = (self.tasks != NOBODY) & step.valid
        self._gained += np.where(busy, self._discounts * step.rewards, 0)
        self._lengths += busy
        if self.gamma != 1:
            self._discounts[busy] *= self.gamma
        ended = step.ended if self.horizon is None else step.terminated | (self._lengths >= self.horizon)
        finished = np.flatnonzero(ended & busy)
        if len(finished):
            self.returns.flat[self.tasks[finished]] = self._gained[finished]
            self.done.flat[self.tasks[finished]] = True
            self.tasks[finished] = NOBODY
        if self.horizon is None:
            return self._assign(finished)
        fresh = np.flatnonzero((self.tasks == NOBODY) & step.ended & step.valid)
        return np.union1d(finished, self._assign(fresh))

    def _forget(self, num_envs):
        self.tasks, self._lengths = np.full(num_envs, NOBODY), np.zeros(num_envs, int)
        self._gained, self._discounts = np.zeros(num_envs), np.ones(num_envs)

    def _assign(self, copies):
        """The tasks that come next to these copies, in order; returns the copies."""
        if not len(copies):
            return copies
        self.tasks[copies] = NOBODY
        waiting = np.setdiff1d(np.flatnonzero(~self.done.ravel()), self.tasks)[: len(copies)]
        self.tasks[copies[: len(waiting)]] = waiting
        self._gained[copies], self._discounts[copies], self._lengths[copies] = 0, 1, 0
        return copies

    def state_dict(self) -> dict[str, np.ndarray]:
        """Where the evaluation stands."""
        counts = {"gained": self._gained, "discounts": self._discounts, "lengths": self._lengths}
        return {"candidates": self.candidates, "returns": self.returns, "done": self.done, "tasks": self.tasks, **counts}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a `state_dict()`.

        Raises
        ------
        ValueError
            If a shape does not fit, or a task is none; then nothing is changed.
        """
        own, copies = self.state_dict(), np.shape(state["tasks"])[:1]
        for name, array in own.items():
            check_shape(name, state[name], array.shape if array.ndim == 2 else copies)
        new = {name: np.array(state[name], array.dtype) for name, array in own.items()}
        tasks = new["tasks"]
        known = tasks[tasks != NOBODY]
        if ((tasks < NOBODY) | (tasks >= self.done.size)).any() or len(np.unique(known)) < len(known):
            raise ValueError(f"expected different tasks below {self.done.size}, given {tasks}")
        self.candidates[...], self.returns[...], self.done[...] = new["candidates"], new["returns"], new["done"]
        self.tasks, self._gained, self._discounts, self._lengths = tasks, new["gained"], new["discounts"], new["lengths"]
