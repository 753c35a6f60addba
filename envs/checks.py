"""What comes from outside is checked here: actions, saved states. A ValueError says what was expected and what was given."""

from collections.abc import Mapping

import numpy as np
from gymnasium import spaces

LARGEST = 1e9  # actions beyond it count as this: they fit into a float32, and so do their squares
UNBOUNDED = (-np.inf, np.inf)
Bounds = Mapping[str, tuple[float, float]]


def check_whole(name: str, value, least: int) -> int:
    """`value` as an int, or a ValueError if it is no integer, NumPy's included, or less than `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"expected an integer {name} >= {least}, given {value}")
    return int(value)


def check_actions(actions, space: spaces.Space, shape: tuple[int, ...]) -> np.ndarray:
    """Actions as an array of `shape`.

    Returns
    -------
    array
        Of a Box: in its dtype, finite, at most `LARGEST` in magnitude, but perhaps outside. Of a Discrete: int64, inside.

    Raises
    ------
    ValueError
        If shape or kind differ, a number is not finite, or a choice is none of the space.
    """
    array = np.asarray(actions)
    if array.shape != shape:
        raise ValueError(f"expected actions of shape {shape}, given {array.shape}")
    if isinstance(space, spaces.Box):
        return _check_continuous(array).astype(space.dtype, copy=False)
    return _check_choices(array, int(space.start), int(space.n))


def _check_continuous(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "fiu":
        raise ValueError(f"expected real-valued actions, given dtype {array.dtype}")
    if (np.abs(array) <= LARGEST).all():
        return array
    finite = np.isfinite(array)
    if not finite.all():
        where = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(f"expected finite actions, given {array[where]} at index {where}")
    return np.clip(array, -LARGEST, LARGEST)


def _check_choices(array: np.ndarray, start: int, count: int) -> np.ndarray:
    if array.dtype.kind not in "iu":
        raise ValueError(f"expected integer actions, given dtype {array.dtype}")
    inside = (array >= start) & (array < start + count)
    if not inside.all():
        raise ValueError(f"expected actions in [{start}, {start + count}), given {array[~inside][0]}")
    return array.astype(np.int64, copy=False)


def check_state(state: Mapping, like: Mapping[str, np.ndarray], bounds: Bounds) -> None:
    """Whether `state` has the names, shapes and dtypes of `like`, and finite numbers within `bounds`, both ends included.

    Raises
    ------
    ValueError
        That names the array.
    """
    if not isinstance(state, Mapping):
        raise ValueError(f"expected a state as a dictionary of arrays, given {type(state).__name__}")
    missing, unknown = sorted(like.keys() - state.keys()), sorted(map(str, state.keys() - like.keys()))
    if missing or unknown:
        raise ValueError(f"expected a state of this environment, given one without {missing} and with {unknown}")
    for name, expected in like.items():
        _check_array(name, state[name], expected, *bounds.get(name, UNBOUNDED))


def _check_array(name: str, array, expected: np.ndarray, low: float, high: float) -> None:
    if not isinstance(array, np.ndarray):
        raise ValueError(f"expected {name!r} of the state as an array, given {type(array).__name__}")
    if array.shape != expected.shape:
        raise ValueError(f"expected {name!r} of the state in shape {expected.shape}, given {array.shape}")
    if array.dtype != expected.dtype:
        raise ValueError(f"expected {name!r} of the state as {expected.dtype}, given {array.dtype}")
    if array.dtype.kind == "b":
        array, low, high = array.view(np.uint8), 0, 1  # a damaged file's "true" may be any byte
    wrong = ~np.isfinite(array) | (array < low) | (array > high)
    if wrong.any():
        given = array[wrong].flat[0]
        raise ValueError(f"expected {name!r} of the state finite and in [{low}, {high}], given {given}")


def nest(name: str, state: Mapping) -> dict:
    """The entries of a part's state, or of its bounds, as they stand in the whole's."""
    return {f"{name}.{key}": value for key, value in state.items()}


def nested(name: str, state: Mapping) -> dict:
    """The entries of a part, out of the whole's."""
    return {key.removeprefix(f"{name}."): value for key, value in state.items() if key.startswith(f"{name}.")}
