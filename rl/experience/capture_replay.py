"""Box2D's environments: an episode is replayed.

Box2D's contacts cannot be read or set, and they decide the next step. What can be had exactly is
the episode itself: the random generator as it stood when the episode began, and the actions since.
They are replayed when the situation is set, and the bodies have to be where they were.
"""

import copy
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils.seeding import np_random

from rl.experience.capture_layers import Setter, place
from rl.experience.checked import Checked

WALKER = "gymnasium.envs.box2d.bipedal_walker:BipedalWalker"
CAR = "gymnasium.envs.box2d.car_racing:CarRacing"
REPLAYED = {"gymnasium.envs.box2d.lunar_lander:LunarLander", WALKER, CAR}


class NotReproduced(ValueError):
    """A replayed episode came out differently."""


def is_replayed(env: gymnasium.Env) -> bool:
    """Whether an environment, with or without wrappers, can only be captured by its episode so far."""
    return _is_any(env.unwrapped, REPLAYED)


class Recorded(Checked):
    """A checked environment of Box2D's that remembers how its episode came about.

    BipedalWalker gets a new world at each reset, as LunarLander does by itself: in a used one, an
    episode depends on all before it, and not only on the seed.
    """

    def __init__(self, env: gymnasium.Env):
        super().__init__(env)
        self._begun: tuple[type, Any] | int = 0  # the generator's kind and state when the episode began, or its seed
        self._options: dict | None = None
        self._dtype = env.action_space.dtype
        self._actions: list[bytes | np.ndarray] = []  # bytes of the usual type: a fifth of the time that copies take

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[Any, dict]:
        base: Any = self.env.unwrapped
        bits = base.np_random.bit_generator
        self._begun = (type(bits), bits.state) if seed is None else int(seed)
        self._options, self._actions = options, []
        _renew_world(base)
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict]:
        array = np.asarray(action)
        self._actions.append(array.tobytes() if array.dtype is self._dtype else array.copy())
        return super().step(action)

    def state(self) -> dict[str, Any]:
        """The episode so far."""
        shape = self.action_space.shape
        actions = [np.frombuffer(a, self._dtype).reshape(shape) if isinstance(a, bytes) else a for a in self._actions]
        return {"generator": self._generator(), "options": self._options, "actions": np.array(actions)}

    def setter(self, state: Any) -> Setter:
        """What replays an episode; ValueError if it is none of this environment's."""
        if not isinstance(state, dict) or state.keys() != {"generator", "options", "actions"}:
            raise ValueError(f"expected generator, options and actions of an episode, given {state!r:.80}")
        generator, options, actions = state["generator"], state["options"], state["actions"]
        if not isinstance(generator, np.random.Generator) or not isinstance(options, dict | None):
            raise ValueError(f"expected a random generator and options, given {generator!r:.60} and {options!r:.60}")
        if not isinstance(actions, np.ndarray) or not _are_actions(actions, self.action_space):
            raise ValueError(f"expected actions of {self.action_space}, given {actions!r:.80}")
        return lambda: self._replay(generator, options, actions)

    def _generator(self):
        """The random generator as it stood when the episode began."""
        if isinstance(self._begun, int):
            return np_random(self._begun)[0]
        kind, state = self._begun
        bits = kind()
        bits.state = state
        return np.random.Generator(bits)

    def _replay(self, generator, options, actions):
        base: Any = self.env.unwrapped
        base.np_random = copy.deepcopy(generator)
        with _without_pictures(base):
            self.reset(options=options)
            for action in actions:
                self.step(action)


class Bodies:
    """Where the bodies of a Box2D world are: after a replay they have to be there again.

    Parameters
    ----------
    env
        One of Box2D's environments.
    """

    def __init__(self, env: Any):
        self.env = env

    def state(self) -> np.ndarray:
        moving = [b for b in self.env.world.bodies if b.type]  # a static one has type 0
        rows = [(*b.position, b.angle, *b.linearVelocity, b.angularVelocity, b.awake) for b in moving]
        return np.array(rows, np.float64).reshape(-1, 7)

    def setter(self, state: Any) -> Setter:
        if not isinstance(state, np.ndarray) or state.ndim != 2 or state.shape[1] != 7:
            raise ValueError(f"expected rows of 7 numbers for bodies, given {state!r:.80}")
        return lambda: self._compare(state)

    def _compare(self, state):
        if not np.array_equal(self.state(), state):
            name = type(self.env).__name__
            raise NotReproduced(f"{name}'s episode came out differently when it was replayed, perhaps by another version of Box2D")


def _renew_world(base):
    if _is_any(base, {WALKER}):
        base._destroy()
        base.world = type(base.world)()


@contextmanager
def _without_pictures(base):
    """CarRacing takes 20 ms a step to draw what it observes: nobody looks at a replay."""
    if not _is_any(base, {CAR}):
        yield
        return
    base._render = lambda mode: np.zeros(base.observation_space.shape, np.uint8)
    try:
        yield
    finally:
        del base._render


def _is_any(env, places):
    """Whether an environment's class, or one that it inherits from, stands in these places."""
    return any(place(kind) in places for kind in type(env).__mro__)


def _are_actions(actions, space):
    if not actions.size:
        return True
    if isinstance(space, spaces.Discrete):
        return actions.ndim == 1 and all(map(space.contains, actions))
    return actions.shape[1:] == space.shape and actions.dtype.kind == "f" and bool(np.isfinite(actions).all())
