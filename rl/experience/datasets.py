"""Data sets: transitions that somebody else gathered, to learn from without an environment.

    s, a, r, s′, terminated, truncated        row after row, episode after episode

An episode ends where `terminated` or `truncated` says so, and the next row begins another. Where the
data stop in the middle of one, their last row is truncated. Actions are kept as agents keep them:
numbers in [−1, 1], or choices that count from 0. So a data set does not depend on who acted.

A file is safetensors (rl/experience/data_files.py). Minari's data sets: rl/training/minari_data.py.

Shapes: R rows, E episodes, O observation, A action dimensions.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rl.experience import data_checks, trees
from rl.experience.actions import ActionLayout
from rl.experience.environments import EnvLike, is_made_here, make_vector, name_of, space_of
from rl.experience.replay import ReplayMemory
from rl.experience.spaces import SpaceInfo
from rl.experience.trees import Observations


@dataclass(frozen=True, eq=False)
class DataSet:
    """Transitions of a policy, or of several.

    Parameters
    ----------
    space : SpaceInfo
        What observations and actions look like.
    observations, next_observations : (R, …)
        As learners hold them; see trees.py.
    actions : array (R, A), (R,) or (R, K)
        In [−1, 1], or choices.
    rewards : array (R,)
    terminated, truncated : bool arrays (R,)
        At most one of the two.
    env : str, optional
        The environment's id.
    about : mapping
        Whatever else is known, as JSON holds it: kind, seed, agent. NumPy's numbers become Python's.

    Raises
    ------
    ValueError
        For no rows, other shapes or types, numbers that are not finite, actions out of their space or
        excluded by their row's action mask, or `about` with what JSON does not hold.
    """

    space: SpaceInfo
    observations: Observations
    actions: np.ndarray
    rewards: np.ndarray
    next_observations: Observations
    terminated: np.ndarray
    truncated: np.ndarray
    env: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        check_rows(self)
        if not isinstance(self.env, str | None):
            raise ValueError(f"expected env as an environment's id, given {self.env!r:.80}")
        object.__setattr__(self, "about", data_checks.about_of(self.about))
        truncated = self.truncated & ~self.terminated
        truncated[-1] = not self.terminated[-1]
        object.__setattr__(self, "truncated", truncated)  # the dataclass is frozen, and not yet anybody's

    @classmethod
    def of_arrays(
        cls,
        env: EnvLike,
        observations: Any,
        actions: Any,
        rewards: Any,
        terminated: Any,
        truncated: Any,
        next_observations: Any = None,
        about: Mapping[str, Any] | None = None,
        env_settings: Mapping[str, Any] | None = None,
    ) -> "DataSet":
        """A data set of arrays as an environment gives and takes them, in the order in which they were recorded.

        Parameters
        ----------
        env
            Whose spaces these are, as `Agent` takes it. It takes no step.
        observations : (R, …)
            Arrays, or a Dict or Tuple of them.
        actions : array (R, …)
            As the environment takes them. What lies beyond a bound by rounding only is clipped.
        rewards : array (R,)
        terminated, truncated : bool arrays (R,)
            Or 0 and 1. `truncated` may be None: no episode was. Episodes that a time limit ended need
            it, or `next_observations`: the next row is the first of another episode.
        next_observations : (R, …), optional
            By default the next row's. Then the last row of a *truncated* episode, whose next observation
            nobody knows, is left out, and the row before it is truncated. So is the data's last row,
            where its episode goes on: with or without `truncated`, the edge of the data truncates.
        about : mapping, optional
        env_settings : mapping, optional
            Keyword arguments of an id's environment.

        Raises
        ------
        ValueError
            As the class; for what is no environment, flags that are neither 0 nor 1, rewards that are no
            numbers, actions out of their bounds; or if the spaces are such as no data set holds.
        """
        space, name = _described(env, env_settings)
        dtype = space.vector_dtype(True)
        seen = space.observation.split(space.observation.batched(observations)[0], dtype)
        acted, earned = data_checks.actions_of(space.action, actions), data_checks.rewards_of(rewards)
        ended = data_checks.flags_of("terminated", terminated)
        cut = np.zeros_like(ended) if truncated is None else data_checks.flags_of("truncated", truncated)
        given = [trees.length(seen), len(acted), len(earned), len(ended), len(cut)]
        following = None
        if next_observations is not None:
            following = space.observation.split(space.observation.batched(next_observations)[0], dtype)
            given.append(trees.length(following))
        if len(set(given)) > 1:
            raise ValueError(f"expected as many rows of everything, given {given}")
        about = {} if about is None else about
        if following is None:
            return cls._of_following_rows(space, (seen, acted, earned), ended, cut, name, about)
        return cls(space, seen, acted, earned, following, ended, cut, name, about)

    @classmethod
    def _of_following_rows(cls, space, columns, terminated, truncated, name, about):
        seen, acted, rewards = columns
        last = truncated & ~terminated
        last[-1:] |= ~terminated[-1:]
        truncated = truncated | np.append(last[1:], False)
        kept = np.flatnonzero(~last)
        if len(last) and not len(kept):
            left_out = "without next_observations, the last row of an episode that did not terminate is left out"
            raise ValueError(f"expected at least one row whose next observation is known, given none in {len(last)}: {left_out}")
        following = trees.take(seen, np.minimum(kept + 1, len(last) - 1))
        rows = trees.take(seen, kept), acted[kept], rewards[kept], following
        return cls(space, *rows, terminated[kept], truncated[kept], name, about)

    @classmethod
    def of_memory(cls, memory: ReplayMemory, env: str | None = None, about: Mapping[str, Any] | None = None) -> "DataSet":
        """What a replay memory holds, the oldest first; "medium-replay" is that of a half-trained agent."""
        if not len(memory):
            raise ValueError("expected a memory with transitions, given an empty one")
        check_storable(memory.space)
        sets = []
        for ring, (head, size) in enumerate(zip(memory.heads, memory.sizes, strict=True)):
            rows = ring * memory.slots + (head - size + np.arange(size)) % memory.slots
            if not size:
                continue
            both = (trees.take(tree, rows) for tree in (memory.observations, memory.next_observations))
            seen, following = both
            actions = memory.actions[rows]
            actions = actions.clip(-1, 1) if memory.space.action.kind == "Box" else actions
            ends = memory.terminated[rows], memory.truncated[rows]
            sets.append(cls(memory.space, seen, actions, memory.rewards[rows], following, *ends, env))
        return joined(sets, about)

    def __len__(self) -> int:
        return len(self.rewards)

    @property
    def ended(self) -> np.ndarray:
        """Whether a row is the last of its episode (R,)."""
        return self.terminated | self.truncated

    @property
    def starts(self) -> np.ndarray:
        """Whether a row is the first of its episode (R,)."""
        return np.append(True, self.ended[:-1])

    def returns(self) -> np.ndarray:
        """The undiscounted return of each episode (E,), those that the data's edges cut among them."""
        return np.add.reduceat(self.rewards.astype(np.float64), np.flatnonzero(self.starts))

    def take(self, rows: Any) -> "DataSet":
        """Some rows, by number (K,), rising, or by a mask (R,).

        What is left of an episode ends where its next row is missing.

        Raises
        ------
        ValueError
            For no rows, another order, numbers that are no rows, or a mask of another length.
        """
        rows = data_checks.rows_of(rows, len(self))
        if rows.ndim != 1 or not len(rows) or (np.diff(rows) <= 0).any():
            raise ValueError(f"expected at least one row, in rising order, given {rows!r:.80}")
        cut = np.append(np.diff(rows) > 1, True)
        both = (trees.take(tree, rows) for tree in (self.observations, self.next_observations))
        seen, following = both
        ends = self.terminated[rows], self.truncated[rows] | cut
        columns = dict(observations=seen, actions=self.actions[rows], rewards=self.rewards[rows], next_observations=following)
        return replace(self, **columns, terminated=ends[0], truncated=ends[1])

    def columns(self, dtype: Any = None) -> dict[str, np.ndarray]:
        """All arrays, by the names that a replay memory has for them; vectors of observations in `dtype`, if one is given."""
        columns = {}
        for name in ("observations", "next_observations"):
            tree = getattr(self, name)
            tree = tree if dtype is None else trees.with_vector(tree, trees.vector(tree).astype(dtype))
            columns |= {f"{name}{i}": part for i, part in enumerate(trees.parts(tree))}
        return columns | {name: getattr(self, name) for name in ReplayMemory.FIELDS}


def joined(sets: Iterable[DataSet], about: Mapping[str, Any] | None = None) -> DataSet:
    """Several data sets, one after the other: medium-expert is joined([medium, expert]).

    Raises
    ------
    TypeError
        For anything but a list of data sets.
    ValueError
        For none, or for other spaces.
    """
    if isinstance(sets, DataSet) or not isinstance(sets, Iterable):
        raise TypeError(f"expected a list of data sets, such as [medium, expert], given {type(sets).__name__}")
    sets = list(sets)
    wrong = next((x for x in sets if not isinstance(x, DataSet)), None)
    if wrong is not None:
        raise TypeError(f"expected a list of data sets, given {type(wrong).__name__} in it")
    if not sets:
        raise ValueError("expected at least one data set, given none")
    first = sets[0]
    for other in sets[1:]:
        first.space.check(other.space)
    seen, following = (trees.concatenate([getattr(x, name) for x in sets]) for name in ("observations", "next_observations"))
    actions, rewards, terminated, truncated = (np.concatenate([getattr(x, name) for x in sets]) for name in ReplayMemory.FIELDS)
    env = first.env if {x.env for x in sets} == {first.env} else None
    about = first.about if about is None else about
    return DataSet(first.space, seen, actions, rewards, following, terminated, truncated, env, about)


def score(returns: Any, random: float, expert: float) -> np.ndarray:
    """100 (R − R_random)/(R_expert − R_random): 0 is as good as random actions, 100 as good as an expert (Fu et al. 2020)."""
    if not np.isfinite([random, expert]).all() or expert == random:
        raise ValueError(f"expected two different finite returns of a random agent and an expert, given {random} and {expert}")
    return 100 * (np.asarray(returns, np.float64) - random) / (expert - random)


def _described(env: EnvLike, settings: Mapping[str, Any] | None) -> tuple[SpaceInfo, str]:
    """The spaces and the id of an environment; one that is made for that is closed again."""
    vector = make_vector(env, settings=settings)
    try:
        space = space_of(vector)
        check_storable(space)
        return space, name_of(vector)
    finally:
        if is_made_here(env):
            vector.close()


def check_storable(space: SpaceInfo) -> None:
    """Raise ValueError for spaces that a data set does not hold: goals, and actions in several parts."""
    if space.goal:
        raise ValueError("expected an environment without goals: a data set holds none")
    if space.action.parts or space.action.choose is not None:
        raise ValueError(f"expected actions in one space, given {space.action.kind}")


def check_rows(data: DataSet) -> None:
    """Raise ValueError, naming the array, unless these are the rows of a data set."""
    check_storable(data.space)
    rows = len(data.rewards) if isinstance(data.rewards, np.ndarray) and data.rewards.ndim else 0
    if not rows:
        raise ValueError(f"expected a data set of at least one row, with rewards (R,), given rewards {np.shape(data.rewards)}")
    empty = data.space.observation.empty(0, data.space.vector_dtype(True))
    shape, dtype = data.space.action.stored
    columns = data.columns()
    expected: dict[str, tuple[tuple[int, ...], np.dtype]]
    expected = {"actions": (shape, np.dtype(dtype)), "rewards": ((), np.dtype(np.float32))}
    expected |= {name: ((), np.dtype(bool)) for name in ("terminated", "truncated")}
    for name in ("observations", "next_observations"):
        expected |= {f"{name}{i}": (part.shape[1:], part.dtype) for i, part in enumerate(trees.parts(empty))}
    if columns.keys() != expected.keys():
        raise ValueError(f"expected the arrays {sorted(expected)}, given {sorted(columns)}")
    for name, (shape, kind) in expected.items():
        x = columns[name]
        if x.shape != (rows, *shape) or (x.dtype.kind, x.dtype.itemsize > 4) not in _like(kind):
            raise ValueError(f"expected {name} of shape {(rows, *shape)} and {kind}, given {x.shape} and {x.dtype}")
        if x.dtype.kind == "f" and not np.isfinite(x).all():
            raise ValueError(f"expected finite {name}, given {x[~np.isfinite(x)][0]} in row {np.argwhere(~np.isfinite(x))[0][0]}")
    _check_actions(data.space.action, data.actions)
    mask = data.space.observation.mask_of(data.observations)
    if mask is not None:
        data_checks.check_allowed(data.actions, mask, data.space.action.choices)


def _like(kind: np.dtype) -> tuple:
    """Kinds that stand for a type: float32 may stand where float64 could."""
    same = (kind.kind, kind.itemsize > 4)
    return (same, ("f", False)) if kind.kind == "f" else (same,)


def _check_actions(layout: ActionLayout, actions: np.ndarray) -> None:
    if layout.kind == "Box":
        wrong = np.abs(actions) > 1 if layout.low is not None else np.zeros(len(actions), bool)
        expected = "[−1, 1]"
    else:
        wrong = (actions < 0) | (actions >= np.array(layout.choices).reshape(layout.stored[0]))
        expected = f"0 to {[n - 1 for n in layout.choices]}"
    if wrong.any():
        place = np.argwhere(wrong)[0][0]
        raise ValueError(f"expected actions in {expected}, given {actions[place]} in row {place}")
