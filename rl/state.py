"""Parts: the named things that training changes, and how they become a file.

A checkpoint is flat: "part.name" -> array.
"""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from deepnp.backend import to_device


class Part(Protocol):
    """Something that training changes: a network, an optimizer, a memory, a counter."""

    def state_dict(self) -> dict[str, np.ndarray]: ...

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None: ...


@runtime_checkable
class EpisodeAware(Protocol):
    """A part that remembers something of the episodes under way."""

    def begin(self, num_envs: int) -> None:
        """New episodes begin in all `num_envs` environments."""
        ...


class Counter:
    """A number that training counts: a part of its own, so that it is saved."""

    def __init__(self):
        self.count = 0

    def state_dict(self) -> dict[str, np.ndarray]:
        return {"count": np.array(self.count)}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        self.count = int(state["count"])


def join(parts: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """State dictionaries by the names of their parts, as one."""
    return {f"{name}.{key}": array for name, state in parts.items() for key, array in state.items()}


def part(state: dict, name: str) -> dict:
    """The entries of one part, under their own names."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): array for key, array in state.items() if key.startswith(prefix)}


def state_on_cpu(thing: Part) -> dict[str, np.ndarray]:
    """The state of a part, as NumPy's arrays: those that are on a GPU are copied."""
    return {name: to_device(array, "cpu") for name, array in thing.state_dict().items()}


def snapshot(thing: Part) -> dict[str, np.ndarray]:
    """The state of a part as it is now: copies, which training leaves alone."""
    return {name: np.array(array) for name, array in state_on_cpu(thing).items()}


def state_of(parts: dict[str, Part]) -> dict[str, np.ndarray]:
    """The state of several parts, as one dictionary."""
    return join({name: thing.state_dict() for name, thing in parts.items()})


def restore(parts: dict[str, Part], state: dict[str, np.ndarray]) -> None:
    """Write `state_of` back into the same parts.

    Raises ValueError for entries that belong to none of them.
    """
    unknown = sorted({key.partition(".")[0] for key in state} - parts.keys())
    if unknown:
        raise ValueError(f"expected the parts {sorted(parts)}, given {unknown} besides")
    for name, thing in parts.items():
        thing.load_state_dict(part(state, name))


def same_state(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether two states of an environment are equal."""
    return a.keys() == b.keys() and all(np.array_equal(np.asarray(a[name]), np.asarray(b[name])) for name in a)


def spawn_rngs(seed: int, *names: str) -> dict[str, np.random.Generator]:
    """Independent generators from one seed, by name."""
    sequences = np.random.SeedSequence(seed).spawn(len(names))
    return {name: np.random.default_rng(s) for name, s in zip(names, sequences, strict=True)}


def add_rngs(rngs: dict[str, np.random.Generator], seed: int, *names: str) -> dict[str, np.random.Generator]:
    """The generators that `spawn_rngs` made of this seed, and more of it, under other names."""
    return {**spawn_rngs(seed, *rngs, *names), **rngs}
