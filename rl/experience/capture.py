"""The situation of environment copies, as flat arrays: with them a training goes on exactly.

Each copy is a chain of wrappers with an environment at its end. Where every layer of every copy is
known (capture_layers.py, capture_physics.py, capture_replay.py), the copies can tell their state.
One unknown layer is enough that they cannot, and then new episodes begin.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import SyncVectorEnv, VectorEnv, VectorWrapper

from rl.experience.capture_layers import ENVIRONMENTS, SILENT, Attributes, Layer, generator, of_wrapper, offers, place, told
from rl.experience.capture_physics import Physics
from rl.experience.capture_replay import REPLAYED, Bodies, Recorded, is_replayed
from rl.experience.capture_values import PARTS, pack, unpack

MUJOCO = "gymnasium.envs.mujoco."


class Copies:
    """Environment copies that tell their state together: a mixin for a vector environment in SAME_STEP mode.

    Attributes
    ----------
    envs : list of Env
        The copies. Each of them can be captured: `obstacle` finds nothing.
    """

    envs: list[gymnasium.Env]

    def state(self) -> dict[str, np.ndarray]:
        """Every copy's situation, random generator included, in new arrays.

        Raises
        ------
        ValueError
            If an environment's own `state()` returns something else than plain values.
        """
        packed = [_packed(env) for env in self.envs]
        return {f"{i}.{name}": array for i, parts in enumerate(packed) for name, array in parts.items()}

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from a `state()` of as many copies of the same environment.

        Raises
        ------
        ValueError
            If it is not one; then nothing has changed. Also if an environment's own `set_state`
            refuses it.
        NotReproduced
            If an episode of Box2D came out differently; then the copies have to be reset.
        """
        names = {f"{i}.{name}" for i in range(len(self.envs)) for name in PARTS}
        if not isinstance(state, Mapping) or state.keys() != names:
            given = sorted(state) if isinstance(state, Mapping) else type(state).__name__
            raise ValueError(f"expected the state of {len(self.envs)} copies, given {given!s:.80}")
        setters = []
        for i, env in enumerate(self.envs):
            layers, values = list(layers_of(env)), unpack({name: state[f"{i}.{name}"] for name in PARTS})
            if not isinstance(values, list) or len(values) != len(layers):
                raise ValueError(f"expected the state of {len(layers)} layers of copy {i}, given {values!r:.80}")
            setters += [layer.setter(value) for layer, value in zip(layers, values, strict=True)]
        for set_layer in setters:
            set_layer()


class ResumableCopies(Copies, SyncVectorEnv):
    """Gymnasium's copies side by side, whose situation can be saved."""


class ResumableVector(Copies, VectorWrapper):
    """Gymnasium's copies side by side as somebody handed them in, whose situation can be saved.

    Parameters
    ----------
    env : SyncVectorEnv
        Of copies that can be captured.
    """

    env: SyncVectorEnv

    def __init__(self, env: SyncVectorEnv):
        super().__init__(env)
        self.envs = env.envs

    def state(self) -> dict[str, np.ndarray]:
        return {"ended": self.env._autoreset_envs.copy(), **super().state()}

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        ended = state.get("ended") if isinstance(state, Mapping) else None
        if not isinstance(ended, np.ndarray) or ended.shape != (len(self.envs),) or ended.dtype != bool:
            raise ValueError(f"expected which of {len(self.envs)} copies have ended, given {ended!r:.60}")
        super().set_state({name: array for name, array in state.items() if name != "ended"})
        self.env._autoreset_envs = ended.copy()  # with NEXT_STEP, these begin a new episode at the next step


def layers_of(env: gymnasium.Env) -> Iterator[Layer]:
    """What an environment holds, from the outermost wrapper inwards: a replay comes before what it would change.

    Raises
    ------
    ValueError
        If nobody knows what a layer holds; the message says which, and goes on from the
        environment's name.
    """
    while isinstance(env, gymnasium.Wrapper):
        yield from [env] if isinstance(env, Recorded) else of_wrapper(env)
        env = env.env
    yield from _of_environment(env)
    yield Attributes(env, {"_np_random": generator})


def obstacle(env: gymnasium.Env) -> str | None:
    """Why an environment's situation cannot be saved; None where it can."""
    if is_replayed(env) and not (isinstance(env, Recorded) and _has_limit(env)):
        return "its episodes have to be replayed: expected a time limit, and an id, an Env or a list, not a vector"
    try:
        list(layers_of(env))
    except ValueError as error:
        return str(error)
    return None


def obstacle_of(env: VectorEnv) -> str | None:
    """Why a vector environment's situation cannot be saved; None where it can."""
    if offers(env):
        return None
    inner = env.unwrapped
    if not isinstance(inner, SyncVectorEnv):
        return f"a {type(inner).__name__} offers no state() and set_state(state)"
    found = [reason for reason in map(obstacle, inner.envs) if reason is not None]
    return found[0] if found else f"{type(inner).__name__} is a vector environment of somebody's own: hand in a list of its copies"


def _packed(env):
    values = [layer.state() for layer in layers_of(env)]
    try:
        return pack(values)
    except ValueError as error:
        raise ValueError(f"the state of {type(env.unwrapped).__name__} cannot be saved: {error}") from error


def _of_environment(env: Any) -> list[Layer]:
    """What an environment of the lists holds, and what a class of somebody's adds to it; the generator is another layer."""
    own = [] if _known(type(env)) else told(env)
    if not (own or _known(type(env))):
        raise ValueError(f"it {SILENT}")
    if is_replayed(env):
        return [Bodies(env), *own]
    parent = next(filter(_known, type(env).__mro__), None)
    if parent is None:
        return own
    listed = ENVIRONMENTS.get(place(parent))
    return [Physics(env) if listed is None else Attributes(env, listed), *own]


def _known(kind: type) -> bool:
    """Whether a class is one of Gymnasium's that can be captured."""
    return place(kind) in ENVIRONMENTS or place(kind) in REPLAYED or kind.__module__.startswith(MUJOCO)


def _has_limit(env):
    while isinstance(env, gymnasium.Wrapper):
        if place(type(env)) == "gymnasium.wrappers.common:TimeLimit":
            return True
        env = env.env
    return False
