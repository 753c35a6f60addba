"""The last rollouts of an agent, and how probable their actions were to the policies that drew them.

Shapes: T steps, N environments, K rollouts.
"""

from typing import NamedTuple

import numpy as np

from rl.experience import trees
from rl.experience.actions import ActionLayout
from rl.experience.rollout import Rollout
from rl.experience.spaces import ObservationLayout

FIELDS = ("actions", "rewards", "terminated", "truncated", "valid")


class Past(NamedTuple):
    """A rollout, and ln b(a|s) (T, N) of the policy that collected it."""

    rollout: Rollout
    log_prob: np.ndarray


class Rollouts:
    """The last K rollouts, oldest first: a part, saved with the agent.

    Observations are kept as the policy saw them: a running normalisation that has moved since does
    not touch them.

    Parameters
    ----------
    observation, action : ObservationLayout, ActionLayout
        Of the agent's spaces.
    capacity : int
        K.
    """

    def __init__(self, observation: ObservationLayout, action: ActionLayout, capacity: int):
        self.observation, self.action, self.capacity = observation, action, capacity
        self.past: list[Past] = []

    def add(self, past: Past) -> None:
        """Remember one more; the oldest one is forgotten where there are too many."""
        self.past = [*self.past, past][-self.capacity :] if self.capacity else []

    def state_dict(self) -> dict[str, np.ndarray]:
        state = {}
        for i, (rollout, log_prob) in enumerate(self.past):
            columns = {name: getattr(rollout, name) for name in FIELDS} | {"log_prob": log_prob}
            columns |= _named("observations", rollout.observations) | _named("last", rollout.last)
            if rollout.final:
                columns["final_places"] = np.array(list(rollout.final), np.int64)
                columns |= _named("final", trees.concatenate(list(rollout.final.values())))
            state |= {f"{i}.{name}": column for name, column in columns.items()}
        return state

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Restore a `state_dict()`; the latest K of it.

        Raises
        ------
        KeyError, ValueError
            If a column is missing, or of another shape or kind than the spaces want: then nothing changes.
        """
        numbers = sorted({int(key.partition(".")[0]) for key in state})
        past = [self._read({k.partition(".")[2]: np.array(x) for k, x in state.items() if k.startswith(f"{i}.")}) for i in numbers]
        self.past = past[-self.capacity :] if self.capacity else []

    def _read(self, columns) -> Past:
        shape, (action_shape, action_type) = columns["rewards"].shape, self.action.stored
        if len(shape) != 2 or 0 in shape:
            raise ValueError(f"expected a rollout's rewards (T, N), given {shape}")
        kinds = {"actions": action_type, "rewards": np.float32, "log_prob": np.float32}
        for name in (*FIELDS, "log_prob"):
            _check(name, columns[name], shape + (action_shape if name == "actions" else ()), kinds.get(name, bool))
        trees_of = {"observations": self._tree(columns, "observations", shape), "last": self._tree(columns, "last", shape[1:])}
        final = {}
        if any(name.startswith("final") for name in columns):
            places = columns["final_places"]
            if places.ndim != 2 or not (places.shape[1:] == (2,) and (places >= 0).all() and (places < shape).all()):
                raise ValueError(f"expected places of final observations within {shape}, given {places!r:.80}")
            tree = self._tree(columns, "final", places.shape[:1])
            final = {(int(t), int(n)): trees.at(tree, slice(i, i + 1)) for i, (t, n) in enumerate(places)}
        rollout = Rollout(**trees_of, **{name: columns[name] for name in FIELDS}, final=final)
        return Past(rollout, columns["log_prob"])

    def _tree(self, columns, name, leading):
        """Observations of leading axes, from columns."""
        like = trees.each(lambda part: part, self.observation.empty(1, np.float32))
        arrays = [columns[f"{name}{i}"] for i in range(len(trees.parts(like)))]
        for i, (array, part) in enumerate(zip(arrays, trees.parts(like), strict=True)):
            _check(f"{name}{i}", array, (*leading, *part.shape[1:]), part.dtype)
        return tuple(arrays) if isinstance(like, tuple) else arrays[0]


def _named(name, tree):
    return {f"{name}{i}": part for i, part in enumerate(trees.parts(tree))}


def _check(name, array, shape, dtype):
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"expected {name} {shape} of {np.dtype(dtype)}, given {array.shape} of {array.dtype}")
