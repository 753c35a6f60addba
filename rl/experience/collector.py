"""Stepping any vector environment with a policy, and remembering where it stands.

Shapes: N environments.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from gymnasium.vector import VectorEnv

from deepnp import NonFiniteError
from deepnp.checks import check_shape
from rl.experience.actions import each
from rl.experience.capture_layers import Resumable
from rl.experience.environments import same_step
from rl.experience.masks import check_some_allowed
from rl.experience.single import OneCopy
from rl.experience.spaces import LARGEST, ObservationLayout
from rl.experience.trees import Observations, parts, write
from rl.experience.trees import each as each_part


@dataclass
class EpisodeStatistics:
    """Episodes that ended in a stretch of training.

    Attributes
    ----------
    returns, lengths : list
        Undiscounted return and steps of each.
    infos : dict of str to list
        Numbers that the environment gave at each episode's end.
    """

    returns: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    infos: dict[str, list[float]] = field(default_factory=dict)

    def means(self) -> dict[str, float]:
        """Mean of everything, by name; empty when no episode ended."""
        if not self.returns:
            return {}
        named = {**self.infos, "return": self.returns, "length": self.lengths}
        return {f"episode_{name}": float(np.mean(values)) for name, values in named.items() if values}


class Step(NamedTuple):
    """One step of N environments.

    Attributes
    ----------
    rewards : array (N,)
    terminated, truncated : bool arrays (N,)
        At most one of the two.
    valid : bool array (N,)
        False for steps that never happened: after an episode's end, a NEXT_STEP environment ignores
        one action.
    final : dict of int to observation
        By copy, wherever a reset replaced an episode's last observation: that observation, as a
        batch of one.
    """

    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    valid: np.ndarray
    final: dict[int, Any]

    @property
    def ended(self) -> np.ndarray:
        """Whose episode this step closed (N,), however it ended."""
        return self.terminated | self.truncated


class StepListener(Protocol):
    """Hears of every step, and says whether to go on; see rl/runs/callbacks.py."""

    def on_step(self, agent: Any, step: Step) -> bool: ...


class NonFiniteStep(NonFiniteError):
    """What an environment returned is not finite: the agent is as it was before that step, and good."""


class Collector:
    """Steps an environment and remembers where it stands between calls.

    Parameters
    ----------
    env : VectorEnv
        In SAME_STEP or NEXT_STEP mode.
    layout : ObservationLayout
        Of its observations.
    dtype
        Of the vector part of `observations`.
    seed : int, list of int (N,), or None
        Of the environment's first reset; None resets nothing, as a `load_state_dict` follows.
    """

    def __init__(self, env: VectorEnv, layout: ObservationLayout, dtype: Any, seed: Any):
        self.env, self.layout, self.dtype = env, layout, dtype
        self.same_step = same_step(env)
        self.ended, self._all = np.zeros(env.num_envs, bool), np.ones(env.num_envs, bool)
        self.returns, self.lengths = np.zeros(env.num_envs), np.zeros(env.num_envs, int)
        self.observations: Observations = np.empty(0)
        if seed is not None:
            self.observations = self._split(env.reset(seed=seed)[0], "observation")
            self._check_mask()
            if isinstance(env, Resumable):
                env.state()  # one that cannot be saved says so here, and not at the first checkpoint

    def step(self, actions: Any, statistics: EpisodeStatistics) -> Step:
        """One step with the environment's actions; episodes that end are entered into `statistics`.

        Raises
        ------
        NonFiniteError
            If an action, an observation or a reward is NaN, infinite, or too large for float32.
        ValueError
            If a SAME_STEP environment does not hand out the last observation of an episode, or an action
            mask allows nothing where an action is asked for.
        """
        each(_check_action, actions)
        valid = self._all if self.same_step else ~self.ended
        following, rewards, terminated, truncated, infos = self._advance(actions)
        _check(rewards, "the environment returned reward {}")
        ended, final = terminated | truncated, {}
        self.returns += rewards if self.same_step else rewards * valid
        self.lengths += valid
        if np.count_nonzero(ended):
            self._close_episodes(ended, infos, statistics)
            if self.same_step:
                final = {int(n): self._final(infos, n) for n in np.flatnonzero(ended)}
        self.observations, self.ended = self._split(following, "observation"), ended
        self._check_mask()
        return Step(rewards, terminated, truncated > terminated, valid, final)

    def _advance(self, actions):
        """The environment's results, its arrays of numbers copied where it may hand them out again."""
        if isinstance(self.env, OneCopy):
            return self.env.step_without_infos(actions)
        following, rewards, terminated, *rest = self.env.step(actions)
        return following, np.array(rewards, np.float64), np.array(terminated), *rest

    def _split(self, observations, what):
        tree = self.layout.split(observations, self.dtype)
        for array in parts(tree):
            if array.dtype.kind == "f":
                _check(array, f"the environment returned {what} {{}}")
        return tree

    def _check_mask(self):
        if self.layout.mask:
            acting = self._all if self.same_step else ~self.ended
            check_some_allowed(self.observations[-1][acting], self.layout.mask.choices)

    def _final(self, infos, n):
        final = infos.get("final_obs")
        if final is None:
            raise ValueError(f'expected "final_obs" in the infos of a SAME_STEP environment, given {sorted(infos)}')
        return self._split(self.layout.row(_one(final, n)), "final observation")

    def _close_episodes(self, ended, infos, statistics):
        statistics.returns += self.returns[ended].tolist()
        statistics.lengths += self.lengths[ended].tolist()
        for name, values, given in episode_infos(infos, self.same_step, ended):
            statistics.infos.setdefault(name, []).extend(values[given].tolist())
        self.returns[ended], self.lengths[ended] = 0, 0

    def state_dict(self) -> dict[str, np.ndarray]:
        """Where the collector stands."""
        own = {"ended": self.ended, "returns": self.returns, "lengths": self.lengths}
        return own | {f"observations{i}": array for i, array in enumerate(parts(self.observations))}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a `state_dict()`; the environment must go on from its own.

        Raises
        ------
        ValueError
            If a shape does not fit; then nothing is changed.
        """
        empty = self.layout.empty(self.env.num_envs, self.dtype)
        own = {"ended": self.ended, "returns": self.returns, "lengths": self.lengths}
        own |= {f"observations{i}": array for i, array in enumerate(parts(empty))}
        for name, array in own.items():
            check_shape(name, state[name], array.shape)
        new = {name: np.array(state[name], array.dtype) for name, array in own.items()}
        self.ended, self.returns, self.lengths = (new.pop(name) for name in ("ended", "returns", "lengths"))
        self.observations = tuple(new.values()) if isinstance(empty, tuple) else new["observations0"]


def following_of(collector: Collector, step: Step) -> Observations:
    """s′ of every copy after a step: an episode's last observation where a reset replaced it."""
    following = each_part(np.copy, collector.observations) if step.final else collector.observations
    for n, observation in step.final.items():
        write(following, slice(n, n + 1), observation)
    return following


Info = tuple[str, np.ndarray, np.ndarray]


def episode_infos(infos: Mapping[str, Any], same_step: bool, ended: np.ndarray) -> Iterator[Info]:
    """(name, values (N,), mask (N,)) of the numbers that a vector environment gives for the episodes that `ended` (N,).

    With SAME_STEP they are in "final_info": what else is there belongs to the next episode.
    """
    if same_step and isinstance(infos, Mapping):
        infos = infos.get("final_info", {})
    if not isinstance(infos, Mapping):
        given = type(infos).__name__
        raise TypeError(f"expected infos as a dict of arrays, as a VectorEnv gives them, given {given}")
    for name, values in infos.items():
        if not name.startswith("_") and isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "fiub":
            yield name, values, ended & infos.get(f"_{name}", True)


def _one(final, n):
    """Copy n of a batch of last observations: a Dict or Tuple of arrays, or an array with an observation in each place."""
    if isinstance(final, Mapping):
        return {key: _one(value, n) for key, value in final.items()}
    if isinstance(final, tuple):
        return tuple(_one(value, n) for value in final)
    return final[n]


def _check_action(action):
    if action.dtype.kind == "f":
        _check(action, "the policy's action is {}", NonFiniteError)


def _check(array: np.ndarray, message: str, error: type[NonFiniteError] = NonFiniteStep) -> None:
    """Raise the error if a value is NaN, infinite, or beyond float32."""
    within = np.isfinite(array) if array.dtype.itemsize <= 4 else np.abs(array) <= LARGEST
    if np.count_nonzero(within) < array.size:
        where = tuple(int(i) for i in np.argwhere(~within)[0])
        raise error(message.format(f"{array[where]} at index {where}"))
