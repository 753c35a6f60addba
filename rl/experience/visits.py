"""How often each pair of state and action was learned from, and what has happened in episodes that still go on.

Shapes: N environments, S states, A actions, L steps of the longest episode under way.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from deepnp.checks import check_shape


class Transitions(NamedTuple):
    """One step of N environments, states by their numbers; a kernel reads it as it is.

    `valid` is False for steps that never happened.
    """

    states: np.ndarray  # (N,) int64
    actions: np.ndarray  # (N,) int64
    rewards: np.ndarray  # (N,) float64
    next_states: np.ndarray  # (N,) int64
    terminated: np.ndarray  # (N,) bool
    truncated: np.ndarray  # (N,) bool
    valid: np.ndarray  # (N,) bool


class Arrays:
    """Arrays of fixed shapes that training writes to, by name: a part of an agent.

    Parameters
    ----------
    bounds : mapping, optional
        The smallest and the largest value that an array may hold, by name: kernels use some as addresses.
    **arrays : array
        As they are at the start.
    """

    def __init__(self, bounds: Mapping[str, tuple[float, float]] | None = None, **arrays: np.ndarray):
        self.bounds, self.arrays = dict(bounds or {}), arrays

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    def state_dict(self) -> dict[str, np.ndarray]:
        return dict(self.arrays)

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Restore a `state_dict()`; ValueError for other names, shapes or kinds of numbers, and then nothing is written."""
        if state.keys() != self.arrays.keys():
            raise ValueError(f"expected the arrays {sorted(self.arrays)}, given {sorted(state)}")
        for name, own in self.arrays.items():
            check_shape(name, state[name], own.shape)
            if state[name].dtype.kind != own.dtype.kind:
                raise ValueError(f"expected {name} as {own.dtype}, given {state[name].dtype}")
            check_within(name, state[name], *self.bounds.get(name, (-np.inf, np.inf)))
        for name, own in self.arrays.items():
            own[...] = state[name]


def check_within(name: str, array: np.ndarray, low: float, high: float) -> None:
    """Raise ValueError, naming the array, if a value of it lies outside [low, high]."""
    if array.size and not (low <= array.min() and array.max() <= high):
        raise ValueError(f"expected {name} in [{low:g}, {high:g}], given {array.min()} … {array.max()}")


class Planned:
    """The actions that were drawn for the next step already, of each environment; −1 where none was.

    Parameters
    ----------
    choices : int
        A.
    """

    def __init__(self, choices: int):
        self.choices = choices
        self.actions = np.zeros(0, np.int64)

    def begin(self, num_envs: int) -> None:
        """New episodes begin in all environments."""
        self.actions = np.full(num_envs, -1)

    def state_dict(self) -> dict[str, np.ndarray]:
        return {"actions": self.actions}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        actions = np.asarray(state["actions"])
        if actions.ndim != 1 or actions.dtype.kind != "i":
            raise ValueError(f"expected planned actions (N,) as integers, given {actions.dtype} {actions.shape}")
        check_within("planned actions", actions, -1, self.choices - 1)
        self.actions = actions.astype(np.int64)


class Trace(NamedTuple):
    """What has happened in the episodes under way, a row for each environment; a kernel reads it as it is."""

    states: np.ndarray  # (N, L) int64
    actions: np.ndarray  # (N, L) int64
    rewards: np.ndarray  # (N, L) float64
    chances: np.ndarray  # (N, L) float64: the probability with which the action was drawn
    lengths: np.ndarray  # (N,) int64


class EpisodesUnderWay:
    """A `Trace` that grows with its longest episode.

    Parameters
    ----------
    shape : tuple of int
        (S, A).
    """

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape
        self.begin(0)

    def begin(self, num_envs: int) -> None:
        """New episodes begin in all environments."""
        numbers, reals = (np.zeros((num_envs, 0), kind) for kind in (np.int64, np.float64))
        self.trace = Trace(numbers, numbers.copy(), reals, reals.copy(), np.zeros(num_envs, np.int64))

    def add(self, t: Transitions, chances: np.ndarray) -> Trace:
        """Write one step, and the probabilities (N,) of its actions, behind what there is."""
        trace = self.trace
        if trace.lengths.max(initial=0) >= trace.states.shape[1]:
            more = ((0, 0), (0, max(trace.states.shape[1], 64)))
            states, actions, rewards, chances_so_far = (np.pad(rows, more) for rows in trace[:4])
            trace = self.trace = Trace(states, actions, rewards, chances_so_far, trace.lengths)
        (n,) = np.nonzero(t.valid)
        at = n, trace.lengths[n]
        trace.states[at], trace.actions[at], trace.rewards[at], trace.chances[at] = (
            x[n] for x in (t.states, t.actions, t.rewards, chances)
        )
        trace.lengths[n] += 1
        return trace

    def state_dict(self) -> dict[str, np.ndarray]:
        return self.trace._asdict()

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Restore a `state_dict()`; ValueError if it is none."""
        lengths = np.asarray(state["lengths"])
        if lengths.ndim != 1 or state["states"].ndim != 2:
            raise ValueError(f"expected lengths (N,) and rows (N, L), given {lengths.shape} and {state['states'].shape}")
        longest = state["states"].shape[1]
        for name in Trace._fields[:4]:
            check_shape(name, state[name], (len(lengths), longest))
        check_within("lengths", lengths, 0, longest)
        for name, count in zip(("states", "actions"), self.shape, strict=True):
            check_within(name, state[name], 0, count - 1)
        kinds = np.int64, np.int64, np.float64, np.float64, np.int64
        self.trace = Trace(*(np.array(state[name], kind) for name, kind in zip(Trace._fields, kinds, strict=True)))
