"""What an environment returns, compared with what Gymnasium asks of it.

An environment may be anybody's first: it returns four values, a reward of shape (1,), a Dict
without one of its keys. Without a word here, one of these is an error deep in somebody's arrays,
and another trains on something else in silence.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

RESULTS = "(observation, reward, terminated, truncated, info)"
NUMBERS = float, int, np.floating, np.integer, np.bool_


class Checked(gymnasium.Wrapper):
    """An environment whose results are what they have to be, and whose observations are the
    caller's own.

    Raises
    ------
    ValueError
        Where a result has another form, type or shape; the message names the environment, what was
        expected and what was given.
    """

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        for name in ("observation_space", "action_space"):
            space = getattr(env, name, None)  # an AttributeError deep in a wrapper would not say whose it is
            if not isinstance(space, spaces.Space):
                raise self._wrong(f"an {name} that is a gymnasium.Space", space)
        check_reset(env.unwrapped)
        self._space = env.observation_space  # looked up once: wrappers ask one another

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[Any, dict]:
        returned = self.env.reset(seed=seed, options=options)
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise self._wrong("reset to return (observation, info)", returned)
        observation, info = returned
        self._check(isinstance(info, dict), "a dict of infos", info)
        return self._own(self._space, observation), info

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict]:
        returned = self.env.step(action)
        if not isinstance(returned, tuple) or len(returned) != 5:
            raise self._wrong(f"step to return {RESULTS}", returned)
        observation, reward, terminated, truncated, info = returned
        if not (is_number(reward) and is_number(terminated) and is_number(truncated)):
            self._check(is_number(reward), "a reward that is one number", reward)
            self._check(is_number(terminated), "terminated as a bool", terminated)
            self._check(is_number(truncated), "truncated as a bool", truncated)
        if not isinstance(info, dict):
            raise self._wrong("a dict of infos", info)
        return self._own(self._space, observation), reward, terminated, truncated, info

    def _own(self, space, observation):
        """A copy: arrays in the form of the space."""
        if isinstance(observation, np.ndarray) and observation.shape == space.shape and observation.dtype == space.dtype:
            return observation.copy()
        if isinstance(space, spaces.Dict):
            whole = isinstance(observation, Mapping) and space.spaces.keys() <= observation.keys()
            self._check(whole, f"an observation with {list(space.spaces)}", observation)
            return {key: self._own(child, observation[key]) for key, child in space.spaces.items()}
        if isinstance(space, spaces.Tuple):
            whole = isinstance(observation, tuple) and len(observation) == len(space.spaces)
            self._check(whole, f"an observation of {len(space.spaces)} parts", observation)
            return tuple(map(self._own, space.spaces, observation))
        try:
            own = np.array(observation)
        except ValueError:  # rows of unequal length
            raise self._wrong(f"an observation of shape {space.shape}", observation) from None
        self._check(own.shape == space.shape, f"an observation of shape {space.shape}", observation)
        castable = np.can_cast(own.dtype, space.dtype, "same_kind")
        self._check(castable, f"an observation of {space.dtype}", observation)
        return own

    def _check(self, right, expected, given):
        if not right:
            raise self._wrong(expected, given)

    def _wrong(self, expected, given):
        name = type(self.env.unwrapped).__name__
        return ValueError(f"expected of {name} {expected}, given {described(given)}")


def check_reset(env: gymnasium.Env) -> None:
    """Raise ValueError, with the signature, if `reset` does not take what Gymnasium's does."""
    try:
        signature = inspect.signature(env.reset)
    except (TypeError, ValueError):  # of what is not Python's
        return
    try:
        signature.bind(seed=None, options=None)
    except TypeError:
        name = type(env).__name__
        raise ValueError(f"expected of {name} reset(self, *, seed=None, options=None), given reset{signature}") from None


def is_number(value: Any) -> bool:
    """Whether a value is one number or Boolean, be it Python's, NumPy's or another library's."""
    if isinstance(value, NUMBERS):
        return True
    if value is None or isinstance(value, str | bytes) or np.shape(value) != ():
        return False
    return np.asarray(value).dtype.kind in "fiub"


def described(value: Any) -> str:
    """A value's type, with what tells it from others of that type."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} and shape {value.shape}"
    if isinstance(value, Mapping):
        return f"a {type(value).__name__} with {list(value)}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"{value!r}"[:60]
