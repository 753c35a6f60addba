"""What an agent remembers of the episodes under way, for each environment: the states of its networks with memory.

The policy's state moves with every action. The value's is not needed to act: an on-policy agent reads it from the whole rollout
afterwards, and an off-policy agent reads everything that it learns from again, out of its replay memory.

Shapes: T steps, N environments, B rows, C pieces.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rl.experience.rollout import Rollout
from rl.experience.sequences import Pieces, RolloutSequences, Sequences, State
from rl.experience.trees import Observations
from rl.networks.memory import Remembering, forgotten

POLICY = "policy"
Act = Callable[[Any, np.random.Generator | None], np.ndarray]  # `Agent.act`


class EpisodeStates:
    """The states, a part of the agent: they are saved with it, so that episodes under way go on.

    Parameters
    ----------
    networks : mapping of str to Remembering
        "policy", and others whose state is carried along.

    Attributes
    ----------
    starts : bool array (N,)
        Which environments begin a new episode with their next observation.
    states : dict of str to a tuple of arrays (N, …)
    """

    def __init__(self, networks: Mapping[str, Any]):
        self.networks = dict(networks)
        self.begin(0)

    def begin(self, num_envs: int) -> None:
        """New episodes begin in so many environments."""
        self.starts = np.ones(num_envs, bool)
        self.states = {name: network.zeros(num_envs) for name, network in self.networks.items()}

    def zeros(self, copies: int) -> State:
        """What the policy remembers at the beginning of episodes in so many environments."""
        state: State = self.networks[POLICY].zeros(copies)
        return state

    def acted(
        self, act: Act, observations: Observations, state: State, rng: np.random.Generator | None
    ) -> tuple[np.ndarray, State]:
        """The actions that `act` takes for observations (B, …) after a state, and the state after them."""
        remembered, state = self.networks[POLICY].read(observations, state)
        return act(remembered, rng), state

    def checked(self, state: Any, episode_start: Any, rows: int) -> State:
        """A state that somebody hands in, for so many rows; see `checked_state`."""
        return checked_state(self.zeros(rows), state, episode_start)

    def state_dict(self) -> dict[str, np.ndarray]:
        states = {f"{name}{i}": part for name, state in self.states.items() for i, part in enumerate(state)}
        return {"starts": self.starts, **states}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict()`.

        Raises
        ------
        KeyError, ValueError
            If an array is missing, or does not fit the networks.
        """
        starts = np.array(state["starts"], bool)
        if starts.ndim != 1:
            raise ValueError(f"expected starts of shape (N,), given {starts.shape}")
        states = {name: self._checked(name, network.zeros(len(starts)), state) for name, network in self.networks.items()}
        self.starts, self.states = starts, states

    def _checked(self, name, zeros, state) -> State:
        given = tuple(np.asarray(state[f"{name}{i}"]) for i in range(len(zeros)))
        if any(new.shape != own.shape for own, new in zip(zeros, given, strict=True)):
            shapes = [own.shape for own in zeros], [new.shape for new in given]
            raise ValueError(f"expected the {name}'s memory in shapes {shapes[0]}, given {shapes[1]}")
        return tuple(new.astype(own.dtype) for own, new in zip(zeros, given, strict=True))


class Recall(EpisodeStates):
    """The states of an on-policy agent, and those that its rollouts are cut at.

    Parameters
    ----------
    networks : mapping of str to Remembering
        "policy", and others that learn from its rollouts.
    length, burn_in : int
        Of the pieces that rollouts are cut into; see `rl.experience.sequences.Pieces`.
    """

    def __init__(self, networks: Mapping[str, Remembering], length: int, burn_in: int):
        super().__init__(networks)
        self.length, self.burn_in = length, burn_in
        self._before: dict[str, State] = {}
        self._resets: list[np.ndarray] = []

    def open(self) -> None:
        """A rollout begins here."""
        self._before, self._resets = dict(self.states), []

    def act(self, observations: Observations, rng: np.random.Generator | None) -> np.ndarray:
        """The actions (N, …) that the policy draws, or the most probable ones without `rng`."""
        self._resets.append(self.starts)
        state = forgotten(self.states[POLICY], self.starts)
        distribution, self.states[POLICY] = self.networks[POLICY].step(observations, state)
        return distribution.mode() if rng is None else distribution.sample(rng)

    def close(self, rollout: Rollout) -> RolloutSequences:
        """The rollout that ends here as sequences, and the states in it that pieces begin with."""
        columns = rollout.observations, np.array(self._resets), rollout.valid, self._before
        whole = Sequences(*columns)
        steps = len(rollout.valid)
        firsts = [max(0, t - self.burn_in) for t in range(0, steps, self.length)]
        found = {}
        for name, network in self.networks.items():
            *states, last = network.states(whole, [*firsts, steps])
            found[name] = tuple(np.stack(of_pieces) for of_pieces in zip(*states, strict=True))
            if name != POLICY:
                self.states[name] = last
        return RolloutSequences(*columns, pieces=Pieces(self.length, self.burn_in, found))


def checked_state(zeros: State, state: Any, episode_start: Any) -> State:
    """A state that somebody hands in, shaped as `zeros` (B, …), with zeros where a new episode begins.

    Raises
    ------
    ValueError
        If there is none, or it does not fit.
    """
    rows, shapes = len(zeros[0]), f"a tuple of arrays {', '.join(str(part.shape) for part in zeros)}"
    if not isinstance(state, tuple | list) or len(state) != len(zeros):
        given = "none" if state is None else f"{state!r:.80}"
        raise ValueError(f"expected state as {shapes}, given {given}: this agent has memory, see initial_state")
    parts = tuple(np.asarray(part) for part in state)
    if any(part.shape != own.shape or part.dtype != own.dtype for part, own in zip(parts, zeros, strict=True)):
        raise ValueError(f"expected state as {shapes}, given {', '.join(f'{part.shape} of {part.dtype}' for part in parts)}")
    if not all(np.isfinite(part).all() for part in parts):
        raise ValueError("expected a finite state, given NaN or infinity")
    starts = np.asarray(False if episode_start is None else episode_start)
    if starts.dtype != bool or starts.shape not in ((), (rows,)):
        raise ValueError(f"expected episode_start as a bool or bools ({rows},), given {episode_start!r:.80}")
    return forgotten(parts, np.broadcast_to(starts, (rows,)))


def check_no_state(agent: str, state: Any, episode_start: Any) -> None:
    """Raise ValueError if a state, or the beginning of an episode, is given to an agent without memory."""
    if state is not None or episode_start is not None:
        given = "state" if state is not None else "episode_start"
        raise ValueError(f"expected no {given}, as this {agent} agent has no memory, given one")
