"""What Gymnasium's environments and wrappers hold from one step to the next.

A chain of wrappers with the environment at its end is captured layer by layer. A layer of the
list below holds a few named attributes. MuJoCo's and Box2D's environments have files of their own.
A layer that is in no list tells of itself: by `state()` and `set_state(state)`, or by the names in
its class's `state_attributes`. A wrapper that does neither may still be passed over, if it has no
attributes of its own.

The list names classes by their place, so that none of them is imported here.
"""

import inspect
import time
from collections import deque
from collections.abc import Callable, Mapping
from operator import attrgetter
from types import FunctionType
from typing import Any, Protocol, TypeGuard, runtime_checkable

import gymnasium
import numpy as np
from gymnasium import spaces

Check = Callable[[Any, Any], bool]  # of a value, for an environment or wrapper
Setter = Callable[[], None]


@runtime_checkable
class Resumable(Protocol):
    """An environment whose situation can be saved, so that a training goes on exactly.

    Of a vector environment, the state is a flat dict of arrays. Of a single one, it may also hold
    numbers, strings, tuples and lists.
    """

    def state(self) -> dict: ...

    def set_state(self, state: dict) -> None: ...


class Layer(Protocol):
    """A part of what an environment holds."""

    def state(self) -> Any:
        """A plain value; see capture_values.py."""

    def setter(self, state: Any) -> Setter:
        """What sets such a value; ValueError if it is none for this environment."""


class Attributes:
    """Named attributes of an environment, or of a wrapper alone.

    Parameters
    ----------
    owner
        Whose they are.
    checks : mapping of str to Check
        Their names ("a.b" is one of an attribute), and what a value has to be.
    after : mapping of str to a function, optional
        Attributes that are not saved, and what gives them a value when the others are set.
    """

    def __init__(self, owner: Any, checks: Mapping[str, Check], after: Mapping[str, Callable[[], Any]] | None = None):
        self.owner, self.checks, self.after = owner, checks, after or {}

    def state(self) -> dict[str, Any]:
        return {name: attrgetter(name)(self.owner) for name in self.checks}

    def setter(self, state: Any) -> Setter:
        given = sorted(state) if isinstance(state, dict) else type(state).__name__
        if not isinstance(state, dict) or state.keys() != self.checks.keys():
            raise ValueError(f"expected {sorted(self.checks)} of {type(self.owner).__name__}, given {given}")
        for name, check in self.checks.items():
            if not check(state[name], self.owner):
                raise ValueError(f"expected {name} of {type(self.owner).__name__} as it leaves it, given {state[name]!r:.80}")
        return lambda: self._set(state)

    def _set(self, state):
        for name, value in [*state.items(), *((name, make()) for name, make in self.after.items())]:
            path, _, last = name.rpartition(".")
            setattr(attrgetter(path)(self.owner) if path else self.owner, last, value)


class Offered:
    """What an environment or wrapper tells of itself."""

    def __init__(self, owner: Resumable):
        self.owner = owner

    def state(self) -> Any:
        return self.owner.state()

    def setter(self, state: Any) -> Setter:
        return lambda: self.owner.set_state(state)


def whole(value: Any, _: Any) -> bool:
    """A count."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 0)


def flag(value: Any, _: Any) -> bool:
    return isinstance(value, bool | np.bool_)


def anything(value: Any, _: Any) -> bool:
    """What only its owner knows."""
    return True


def number(value: Any, _: Any) -> bool:
    return np.shape(value) == () and np.asarray(value).dtype.kind in "fiu" and bool(np.isfinite(value))


def text(value: Any, _: Any) -> bool:
    return isinstance(value, str)


def cards(value: Any, _: Any) -> bool:
    return isinstance(value, list) and all(whole(item, None) for item in value)


def generator(value: Any, _: Any) -> bool:
    """A random generator, or None where an environment never asked for one."""
    return value is None or isinstance(value, np.random.Generator)


def maybe(check: Check) -> Check:
    """None, or what a check asks for."""
    return lambda value, owner: value is None or check(value, owner)


def vector(size: int) -> Check:
    """`size` finite numbers: an array, or a tuple as MountainCar keeps it after its first step."""
    return lambda value, _: isinstance(value, np.ndarray | tuple) and len(value) == size and all(number(v, None) for v in value)


def like(name: str) -> Check:
    """Finite numbers in the shape that an attribute has now."""

    def check(value, owner):
        numbers = np.asarray(value)
        fits = numbers.shape == np.shape(attrgetter(name)(owner)) and numbers.dtype.kind in "fiu"
        return fits and bool(np.isfinite(numbers).all())

    return check


def queue(name: str, check: Check) -> Check:
    """A deque as long at most as an attribute may be now, of what a check asks for."""

    def whole_queue(value, owner):
        fits = isinstance(value, deque) and value.maxlen == attrgetter(name)(owner).maxlen
        return fits and all(check(item, owner) for item in value)

    return whole_queue


def observed(value: Any, owner: Any) -> bool:
    """An observation of the environment inside, as far as shapes tell."""
    space = owner.env.observation_space
    return not isinstance(space, spaces.Box) or np.shape(value) == space.shape


def chosen(value: Any, owner: Any) -> bool:
    """One of an environment's numbered states."""
    return bool(owner.observation_space.contains(value))


def acted(value: Any, owner: Any) -> bool:
    return value is None or np.shape(value) == (owner.action_space.shape or ())


GRID: dict[str, Check] = {"s": chosen, "lastaction": maybe(whole)}
CARDS: dict[str, Check] = {"dealer": cards, "player": cards, "dealer_top_card_suit": text, "dealer_top_card_value_str": text}

ENVIRONMENTS: dict[str, dict[str, Check]] = {
    "gymnasium.envs.classic_control.cartpole:CartPoleEnv": {"state": vector(4), "steps_beyond_terminated": maybe(whole)},
    "gymnasium.envs.classic_control.mountain_car:MountainCarEnv": {"state": vector(2)},
    "gymnasium.envs.classic_control.continuous_mountain_car:Continuous_MountainCarEnv": {"state": vector(2)},
    "gymnasium.envs.classic_control.pendulum:PendulumEnv": {"state": vector(2), "last_u": maybe(number)},
    "gymnasium.envs.classic_control.acrobot:AcrobotEnv": {"state": vector(4)},
    "gymnasium.envs.toy_text.frozen_lake:FrozenLakeEnv": GRID,
    "gymnasium.envs.toy_text.cliffwalking:CliffWalkingEnv": GRID,
    "gymnasium.envs.toy_text.taxi:TaxiEnv": {**GRID, "fickle_step": flag, "taxi_orientation": whole},
    "gymnasium.envs.toy_text.blackjack:BlackjackEnv": CARDS,
}

STATISTICS: dict[str, Check] = {f"{name}_queue": queue(f"{name}_queue", number) for name in ("time", "return", "length")}
STATISTICS |= {"episode_count": whole, "episode_returns": number, "episode_lengths": whole}
STICKY: dict[str, Check] = {"last_action": acted, "is_sticky_actions": flag, "num_repeats": whole, "repeats_taken": whole}


def _running(name: str) -> dict[str, Check]:
    return {f"{name}.mean": like(f"{name}.mean"), f"{name}.var": like(f"{name}.var"), f"{name}.count": number}


WRAPPERS: dict[str, dict[str, Check]] = {
    "rl.experience.checked:Checked": {},
    "gymnasium.wrappers.common:TimeLimit": {"_elapsed_steps": whole},
    "gymnasium.wrappers.common:Autoreset": {"autoreset": flag},
    "gymnasium.wrappers.common:OrderEnforcing": {"_has_reset": flag},
    "gymnasium.wrappers.common:PassiveEnvChecker": {},
    "gymnasium.wrappers.common:RecordEpisodeStatistics": STATISTICS,
    "gymnasium.wrappers.stateful_action:StickyAction": STICKY,
    "gymnasium.wrappers.stateful_action:RepeatAction": {},
    "gymnasium.wrappers.stateful_observation:DelayObservation": {"observation_queue": queue("observation_queue", observed)},
    "gymnasium.wrappers.stateful_observation:TimeAwareObservation": {"timesteps": whole},
    "gymnasium.wrappers.stateful_observation:FrameStackObservation": {"obs_queue": queue("obs_queue", observed)},
    "gymnasium.wrappers.stateful_observation:NormalizeObservation": _running("obs_rms"),
    "gymnasium.wrappers.stateful_observation:MaxAndSkipObservation": {"_obs_buffer": like("_obs_buffer")},
    "gymnasium.wrappers.stateful_reward:NormalizeReward": {
        **_running("return_rms"),
        "discounted_reward": like("discounted_reward"),
    },
}
WRAPPERS |= {f"gymnasium.wrappers.transform_action:{name}Action": {} for name in ("Clip", "Rescale", "Discretize")}
WRAPPERS |= {
    f"gymnasium.wrappers.transform_observation:{name}Observation": {}
    for name in ("Filter", "Flatten", "Grayscale", "Resize", "Reshape", "Rescale", "Dtype", "Discretize")
}
WRAPPERS |= {"gymnasium.wrappers.transform_reward:ClipReward": {}}

TRANSFORMS = {  # wrappers around a function of the user's
    "gymnasium.wrappers.transform_action:TransformAction",
    "gymnasium.wrappers.transform_observation:TransformObservation",
    "gymnasium.wrappers.transform_reward:TransformReward",
}
AFTER: dict[str, dict[str, Callable[[], Any]]] = {
    "gymnasium.wrappers.common:PassiveEnvChecker": dict.fromkeys(
        ("checked_reset", "checked_step", "checked_data_reuse"), lambda: True
    ),
    "gymnasium.wrappers.common:RecordEpisodeStatistics": {"episode_start_time": time.perf_counter},
}
SILENT = "offers no state() and set_state(state), and names no state_attributes"
OF_ANY_WRAPPER = {"env", "_action_space", "_observation_space", "_metadata", "_cached_spec", "_saved_kwargs"}


def place(kind: type) -> str:
    """Where a class is found."""
    return f"{kind.__module__}:{kind.__qualname__}"


def offers(owner: Any) -> TypeGuard[Resumable]:
    """Whether an environment has `state()` and `set_state(state)`, and not others of these names, as MuJoCo's have."""
    if not all(callable(getattr(type(owner), name, None)) for name in ("state", "set_state")):
        return False
    try:
        inspect.signature(owner.set_state).bind(None)
    except TypeError:
        return False
    return True


def told(owner: gymnasium.Env) -> list[Layer]:
    """What somebody's class says of itself: by `state()` and `set_state(state)`, by `state_attributes`, by neither.

    Raises
    ------
    ValueError
        If `state_attributes` is no tuple of names.
    """
    names = getattr(type(owner), "state_attributes", None)
    if names is not None and not (isinstance(names, tuple) and all(isinstance(name, str) for name in names)):
        raise ValueError(f"expected state_attributes of {type(owner).__name__} as a tuple of names, given {names!r:.60}")
    layers: list[Layer] = [Offered(owner)] if offers(owner) else []
    return layers if names is None else [*layers, Attributes(owner, dict.fromkeys(names, anything))]


def of_wrapper(wrapper: gymnasium.Wrapper) -> list[Layer]:
    """What a wrapper holds; ValueError, with the reason, where nobody knows."""
    name = place(type(wrapper))
    if name in WRAPPERS:
        return [Attributes(wrapper, WRAPPERS[name], AFTER.get(name))]
    if layers := told(wrapper):
        return layers
    own = sorted(vars(wrapper).keys() - OF_ANY_WRAPPER)
    if name in TRANSFORMS:
        own = [] if _remembers_nothing(vars(wrapper)["func"]) else ["func"]
    if own:
        raise ValueError(f"its wrapper {type(wrapper).__name__} holds {', '.join(own)}, {SILENT}")
    return []


def _remembers_nothing(function) -> bool:
    """Whether a function is one of NumPy's, or one that shares no variables with where it was made."""
    return isinstance(function, np.ufunc) or (isinstance(function, FunctionType) and not function.__closure__)
