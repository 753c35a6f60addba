"""A network that remembers: what it gives depends on the whole episode up to now, and not on one observation alone.

    m_t, state_t = memory(o_t, state_{t−1})           of recurrent.py or attention.py
    y_t = head(m_t)                                   a policy, or a layer for V(s)

The memory makes features of observations, and the head takes them for observations. So any policy can be the head.

    forward(x), backward(dy), predict(x)              x: Sequences (rl/experience/sequences.py); rows of the steps that happened
    step(observations, state) -> y, state             one step in each environment, for acting
    read(observations, state) -> features, state      its first half: who acts hands them to `predict`
    states(x, steps)                                  what is remembered before some steps of x

Shapes: T steps, S sequences, N environments, B rows, M features.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from deepnp import Module
from deepnp.parameters import Tangents
from rl.experience.sequences import Sequences, State
from rl.experience.spaces import Leaf, ObservationLayout
from rl.experience.trees import Observations

MEMORIES = ("rnn", "lstm", "gru", "attention")


class Memory(Protocol):
    """What makes features of observations and of a state."""

    def zeros(self, copies: int) -> State:
        """The state that remembers nothing."""
        ...

    def forward(self, x: Sequences) -> np.ndarray: ...

    def backward(self, dy: np.ndarray, params: bool = True, inputs: bool = True) -> None: ...

    def predict(self, x: Sequences) -> np.ndarray: ...

    def tangent(self, v: Tangents, vx: None) -> np.ndarray: ...

    def step(self, observations: Observations, state: State) -> tuple[np.ndarray, State]: ...

    def states(self, x: Sequences, steps: Sequence[int]) -> list[State]: ...


@dataclass(frozen=True)
class Remembered:
    """What the head is to read for one step in each environment: the memory has read the observations already.

    Attributes
    ----------
    features : array (N, M), or a tuple of it and of a mask
    """

    features: Any


class Remembering(Module):
    """A memory, and a head that reads what it gives.

    Parameters
    ----------
    memory : Module
        A `Memory`; its `name` says which of a `Sequences`' states are its own.
    head : Module
        It reads features (B, M), and the mask behind them where there is one.
    masked : bool
        Whether observations end in an action mask, which goes past the memory to the head.
    """

    def __init__(self, memory: Any, head: Module, masked: bool = False):
        self.memory, self.head, self.masked = memory, head, masked

    def forward(self, x: Sequences) -> Any:
        """Rows of the steps that happened."""
        return self.head.forward(self._read(self.memory.forward(x), x))

    def backward(self, dy: Any, params: bool = True, inputs: bool = False) -> None:
        """dy as the head takes it. No gradient goes back to observations."""
        self.memory.backward(self.head.backward(dy, params), params)

    def predict(self, x: Sequences | Remembered) -> Any:
        """Like `forward`, remembering nothing of it; rows of `x.ends` follow."""
        return self.head.predict(x.features if isinstance(x, Remembered) else self._read(self.memory.predict(x), x))

    def _tangent(self, v: Tangents, vx):
        return self.head.tangent(v, self.memory.tangent(v, None))

    def step(self, observations: Observations, state: State) -> tuple[Any, State]:
        """What the head gives for observations (N, …) after a state, and the state after them."""
        remembered, state = self.read(observations, state)
        return self.predict(remembered), state

    def read(self, observations: Observations, state: State) -> tuple[Remembered, State]:
        """What `predict` takes for observations (N, …) after a state, and the state after them."""
        features, state = self.memory.step(observations, state)
        return Remembered((features, observations[-1]) if self.masked else features), state

    def states(self, x: Sequences, steps: Sequence[int]) -> list[State]:
        """The states before some steps, T for the one after the last: those that the steps before left."""
        return self.memory.states(x, steps)

    def zeros(self, copies: int) -> State:
        """The state of so many environments at the beginning of episodes."""
        return self.memory.zeros(copies)

    def _read(self, features, x):
        return (features, x.rows(x.observations[-1])) if self.masked else features


def features_layout(layout: ObservationLayout, features: int) -> ObservationLayout:
    """What the head reads in the place of observations: a vector of features, and the mask."""
    vector = Leaf((), "vector", (features,), "float32")
    return replace(layout, leaves=(vector, layout.mask) if layout.mask else (vector,))


def initial_state(x: Sequences, memory: Any) -> State:
    """The memory's state before the first step of x: the stored one, or none, read on through the burn-in where there is one."""
    state: State = x.states[memory.name] if memory.name in x.states else memory.zeros(x.valid.shape[1])
    if x.burn_in is None:
        return state
    (later,) = memory.states(x.burn_in, [len(x.burn_in.valid)])
    state = tuple(part.copy() for part in state)
    for part, new in zip(state, later, strict=True):
        part[x.led] = new
    return state


def forgotten(state: State, starts: np.ndarray) -> State:
    """The state with zeros for the environments (N,) that begin a new episode."""
    if not starts.any():
        return state
    return tuple(np.where(starts.reshape(-1, *[1] * (part.ndim - 1)), part.dtype.type(0), part) for part in state)
