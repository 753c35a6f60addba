"""Off-policy networks with memory: what a memory makes of the past takes the observation's place.

    m_t, state_t = memory([o_t, a_{t−1}], state_{t−1})       of recurrent.py or attention.py
    π(m_t)        Q([m_t, a_t])        V(m_t)                 the networks that the settings ask for without memory

Each network has a memory of its own: one that actor and critics shared learned worse in the trials of Ni et al. 2022.

The batch holds `Sequences` in the place of s and `Following` in the place of s′ (rl/experience/stretches.py). Who acts
has one step in each environment, `Remembered`.

Shapes: N environments, B rows, H features, A action dimensions.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from deepnp import Module
from deepnp.models.mlp import ACTIVATIONS
from rl.experience import trees
from rl.experience.sequences import Following, Sequences, State
from rl.experience.spaces import SpaceInfo
from rl.experience.trees import Observations
from rl.networks.critic_networks import critic_network
from rl.networks.memories import memory_of
from rl.networks.memory import Remembered, features_layout

Read = Sequences | Following | Remembered


class RecallingActor(Module):
    """A policy whose state is that of its memory, and the last action.

    Parameters
    ----------
    memory : Module
        A `Memory`.
    head : Module
        A policy that reads features (B, H).
    actions : int
        A.
    """

    def __init__(self, memory: Any, head: Any, actions: int):
        self.memory, self.head, self.actions = memory, head, actions

    @property
    def noise_size(self) -> int:
        """Numbers of a draw."""
        return int(self.head.noise_size)

    def forward(self, x: Sequences, *noise: np.ndarray) -> Any:
        """What the head gives: rows of the steps that are learned from."""
        return self.head.forward(self.memory.forward(x), *noise)

    def backward(self, dy: Any, params: bool = True, inputs: bool = False) -> None:
        """dy as the head takes it. No gradient goes back to observations."""
        self.memory.backward(self.head.backward(dy, params), params)

    def predict(self, x: Read, *noise: np.ndarray) -> Any:
        """Like `forward`, remembering nothing of it."""
        return self.head.predict(features_of(self.memory, x), *noise)

    def draw(self, x: Read, rng: np.random.Generator) -> Any:
        """What the head draws."""
        return self.head.draw(features_of(self.memory, x), rng)

    def zeros(self, copies: int) -> State:
        """The state of so many environments at the beginning of episodes: the memory's, and the last action (N, A)."""
        return (*self.memory.zeros(copies), np.zeros((copies, self.actions), np.float32))

    def read(self, observations: Observations, state: State) -> tuple[Remembered, State]:
        """What `predict` and `draw` take for observations (N, …) after a state, and the memory's state after them."""
        *own, action = state
        features, after = self.memory.step(trees.with_actions(observations, action), tuple(own))
        return Remembered(features), after


class RecallingCritic(Module):
    """Q of observations and actions, or V of observations alone.

    Parameters
    ----------
    memory : Module
        A `Memory`.
    head : Module
        It reads features, with actions beside them: (B, H + A) -> (B, 1).
    """

    def __init__(self, memory: Any, head: Module):
        self.memory, self.head = memory, head

    def forward(self, x: Any) -> np.ndarray:
        """x: `Sequences`, or a tuple of them and of actions (B, A) -> (B, 1)."""
        observations, actions = _parts(x)
        return self.head.forward(_beside(self.memory.forward(observations), actions))

    def backward(self, dy: np.ndarray, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        """dy (B, 1) -> dactions (B, A). No gradient goes back to observations."""
        d = self.head.backward(dy, params)
        if params:
            self.memory.backward(d[:, : self.memory.size])
        return d[:, self.memory.size :] if inputs else None

    def predict(self, x: Any) -> np.ndarray:
        """Like `forward`, remembering nothing of it; what is read may be `Following`, too."""
        observations, actions = _parts(x)
        return self.head.predict(_beside(features_of(self.memory, observations), actions))


def features_of(memory: Any, x: Read) -> np.ndarray:
    """What a memory makes of what is read: (B, H)."""
    if isinstance(x, Remembered):
        features: np.ndarray = x.features
    elif isinstance(x, Following):
        features = memory.predict(x.sequences).take(x.rows, axis=0)
    else:
        features = memory.predict(x)
    return features


def actor_of(make: Callable[..., Module], space: SpaceInfo, c: Any, rng: np.random.Generator, own: Module | None) -> Any:
    """The policy that `make` makes, one of `actor_kinds`; behind a memory where the settings ask for one.

    `c` is an OffPolicyConfig with numbers in the place of schedules, `own` a network of one's own.

    Raises
    ------
    ValueError
        For a network of one's own beside a memory.
    """
    activation = ACTIVATIONS[c.activation]
    if c.recall is None:
        return make(space, c, activation, rng, own)
    check_none_of_ones_own("policy", own, c.recall)
    memory = _memory("policy", space, c, rng)
    return RecallingActor(memory, make(_remembered(space, c), c, activation, rng, None), space.actions)


def check_none_of_ones_own(name: str, own: Any, recall: str) -> None:
    """Raise ValueError for a network of one's own beside a memory."""
    if own is not None:
        raise ValueError(f"expected no networks of one's own beside recall={recall!r}, given {name}")


def critic_of(space: SpaceInfo, c: Any, actions: int, rng: np.random.Generator, policy: Module | None) -> Any:
    """The critic that the settings ask for, of A = `actions` (0: of observations alone); behind a memory where the policy is."""
    if not isinstance(policy, RecallingActor):
        return critic_network(space, c, actions, rng)
    memory = _memory("critic", space, c, rng)
    return RecallingCritic(memory, critic_network(_remembered(space, c), c, actions, rng))


def _memory(name, space, c, rng):
    activation = ACTIVATIONS[c.activation]
    return memory_of(name, c.recall, space.observation, (), c.recall_size, c.recall_span, activation, rng, beside=space.actions)


def _remembered(space, c):
    return replace(space, observation=features_layout(space.observation, c.recall_size))


def _parts(x):
    return x if isinstance(x, tuple) else (x, None)


def _beside(features, actions):
    return features if actions is None else np.concatenate([features, actions], axis=1)
