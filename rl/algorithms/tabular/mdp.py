"""A Markov decision process whose states can be listed and whose probabilities are known.

    P(s′|s, a)      where an action leads
    R(s, a)         the mean reward, E[r|s, a]
    γ < 1           the discount factor
    p_0(s)          where episodes begin

The end of an episode is no state of the table. It is worth 0 and pays nothing, so a transition that
terminates leaves nothing to come: its probability is missing in P(·|s, a), which then sums to less
than 1. The mass that an absorbing state needs is at reward 0, and not anywhere in [0, 1] as the
notes' integral says.

Shapes: S states, A actions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import gymnasium
import numpy as np

ROUNDING = 1e-9  # of a sum of probabilities


@dataclass(frozen=True, eq=False)
class MDP:
    """A finite decision process.

    Parameters
    ----------
    P : array (S, A, S)
        Probabilities of the next state; each P[s, a] sums to 1, or to less where episodes end.
    R : array (S, A)
        Mean rewards.
    gamma : float
        γ in [0, 1).
    start : array (S,), optional
        p_0; every state alike by default.

    Raises
    ------
    ValueError
        For shapes that do not fit, numbers that are not finite, or what are no probabilities.
    """

    P: np.ndarray
    R: np.ndarray
    gamma: float
    start: Any = None

    def __post_init__(self):
        transitions, rewards = _numbers("P", self.P), _numbers("R", self.R)
        shape = transitions.shape
        if transitions.ndim != 3 or shape[0] != shape[2] or not transitions.size or rewards.shape != shape[:2]:
            raise ValueError(f"expected P (S, A, S) and R (S, A), given {shape} and {rewards.shape}")
        _check_probabilities("P[s, a]", transitions, 0.0)
        start = np.full(len(rewards), 1 / len(rewards)) if self.start is None else _numbers("start", self.start)
        if start.shape != (len(rewards),):
            raise ValueError(f"expected start ({len(rewards)},), given {start.shape}")
        _check_probabilities("start", start, 1.0)
        gamma = _numbers("gamma", self.gamma)
        if gamma.shape != () or not 0 <= gamma < 1:
            raise ValueError(f"expected gamma in [0, 1), given {self.gamma!r:.80}")
        for name, value in (("P", transitions), ("R", rewards), ("gamma", float(gamma)), ("start", start)):
            object.__setattr__(self, name, value)  # the dataclass is frozen, and not yet anybody's

    @classmethod
    def of(cls, env: str | gymnasium.Env, gamma: float = 0.99) -> Self:
        """The process of an environment that tells it, as Gymnasium's FrozenLake, CliffWalking and Taxi do.

        Parameters
        ----------
        env
            An id, or an environment whose `unwrapped.P[s][a]` lists (probability, s′, reward,
            terminated), for states 0 to S − 1 and in each of them for actions 0 to A − 1.
            `initial_state_distrib` is p_0, where it has that.
        gamma : float
            γ.

        Raises
        ------
        TypeError
            If it tells no such thing.
        ValueError
            If the table lacks states or actions, leads to other states, or if the probabilities of
            P[s][a] do not sum to 1.
        """
        if isinstance(env, str):
            made = gymnasium.make(env)
            try:
                return cls.of(made, gamma)
            finally:
                made.close()
        inner = getattr(env, "unwrapped", env)
        table = getattr(inner, "P", None)
        if not isinstance(table, Mapping) or not table:
            raise TypeError(f"expected an environment with a table P[s][a] of transitions, given {inner!r:.80}")
        transitions, rewards = _arrays(table)
        return cls(transitions, rewards, gamma, getattr(inner, "initial_state_distrib", None))

    @property
    def states(self) -> int:
        """S."""
        return self.R.shape[0]

    @property
    def actions(self) -> int:
        """A."""
        return self.R.shape[1]


def check_policy(mdp: MDP, policy: Any) -> np.ndarray:
    """π (S, A) as an array; ValueError unless each row is a distribution over the actions."""
    pi = _numbers("policy", policy)
    if pi.shape != mdp.R.shape:
        raise ValueError(f"expected a policy {mdp.R.shape}, a distribution over actions for each state, given {pi.shape}")
    _check_probabilities("policy[s]", pi, 1.0)
    return pi


def _arrays(table: Mapping) -> tuple[np.ndarray, np.ndarray]:
    """P (S, A, S) and R (S, A) of Gymnasium's table."""
    _check_keys("P for states", table, len(table))
    actions = len(table[0]) if isinstance(table[0], Mapping) else 0
    transitions = np.zeros((len(table), actions, len(table)))
    rewards = np.zeros(transitions.shape[:2])
    for s in range(len(table)):
        _check_keys(f"P[{s}] for actions", table[s], actions)
        for a in range(actions):
            for probability, s_next, reward, terminated in _outcomes(f"P[{s}][{a}]", table[s][a], len(table)):
                rewards[s, a] += probability * reward
                transitions[s, a, s_next] += 0.0 if terminated else probability
    return transitions, rewards


def _check_keys(name: str, table: Any, count: int) -> None:
    """ValueError unless the keys are 0 to `count` − 1, and there is one; every state has the actions of the first."""
    if not isinstance(table, Mapping) or not table or set(table) != set(range(count)):
        given = f"keys {list(table)}" if isinstance(table, Mapping) else repr(table)
        raise ValueError(f"expected a table {name} 0 to {max(count, 1) - 1}, given {given:.80}")


def _outcomes(name: str, outcomes: Any, states: int) -> list[tuple]:
    """The list of P[s][a]; ValueError unless it is one of (probability, s′, reward, terminated)."""
    try:
        listed = [(float(p), s_next, float(reward), bool(end)) for p, s_next, reward, end in outcomes]
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected {name} as a list of (probability, s', reward, terminated), given {outcomes!r:.80}") from error
    for _, s_next, _, _ in listed:
        if isinstance(s_next, bool) or not isinstance(s_next, int | np.integer) or not 0 <= s_next < states:
            raise ValueError(f"expected next states from 0 to {states - 1} in {name}, given {s_next!r:.80}")
    _check_probabilities(name, np.array([p for p, *_ in listed] or [0.0]), 1.0)
    return listed


def _numbers(name: str, value: Any) -> np.ndarray:
    """A new float64 array; ValueError for anything else than finite numbers."""
    try:
        array = np.array(value, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"expected {name} as an array of numbers, given {type(value).__name__}") from error
    if not np.isfinite(array).all():
        raise ValueError(f"expected {name} of finite numbers, given NaN or infinity")
    return array


def _check_probabilities(name: str, array: np.ndarray, least: float) -> None:
    sums = array.sum(axis=-1)
    if array.min() < 0 or sums.max() > 1 + ROUNDING or sums.min() < least - ROUNDING:
        bounds = "1" if least == 1 else f"[{least:g}, 1]"
        given = f"a least one of {array.min():g} and sums in [{sums.min():g}, {sums.max():g}]"
        raise ValueError(f"expected {name} as probabilities that sum to {bounds}, given {given}")
