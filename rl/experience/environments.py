"""Environments as learners take them: whatever `gymnasium.make` takes, an `Env`, a `VectorEnv`, a factory or a list of these.

All of them are stepped as a `VectorEnv`. Environments that are made here get SAME_STEP autoreset,
and every observation is a copy: an environment may hand out one array again and again, and with
SAME_STEP the last observation of an episode would become the first of the next.
"""

import copy
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from rl.experience.capture import ResumableCopies, ResumableVector, obstacle
from rl.experience.capture_layers import Resumable
from rl.experience.capture_replay import Recorded, is_replayed
from rl.experience.checked import Checked
from rl.experience.goals import GoalVector, ResumableGoalVector, has_goals
from rl.experience.mujoco_words import deprecations_left_out
from rl.experience.pace import Pace
from rl.experience.single import OneCopy, ResumableOneCopy
from rl.experience.spaces import SpaceInfo
from rl.experience.symmetry import Mirror

Single = str | EnvSpec | gymnasium.Env | Callable[[], gymnasium.Env]
EnvLike = Single | VectorEnv | Sequence[Single]


def make_vector(env: EnvLike, num_envs: int = 1, settings: Mapping[str, Any] | None = None) -> VectorEnv:
    """A vector environment of whatever stands for one.

    Parameters
    ----------
    env
        An id (also "module:Name-v0") or an `EnvSpec`: made into `num_envs` copies, natively where
        it has a vector form. A callable that makes an Env: called `num_envs` times. An Env: one
        copy. A list of any of these: one copy each. A VectorEnv: as it is; a `SyncVectorEnv` whose copies
        can be captured, with a wrapper that does.
    num_envs : int
    settings : mapping, optional
        Keyword arguments of an id's environment; and `decision_period` and `stacked_inputs`, see pace.py.

    Raises
    ------
    ValueError
        For an unknown id, something that is no environment, or settings where nothing is made.
    """
    vector = _make_vector(env, num_envs, dict(settings or {}))
    if not has_goals(vector.single_observation_space):
        return vector
    try:
        return ResumableGoalVector(vector) if isinstance(vector, Resumable) else GoalVector(vector)
    except BaseException:
        if is_made_here(env):
            vector.close()
        raise


def is_made_here(env: EnvLike) -> bool:
    """Whether `make_vector` makes the environments itself, so that whoever asked for them has to close them.

    Of a list, it has to make all: whoever hands in an Env closes the others with it.
    """
    if isinstance(env, list | tuple):
        return all(map(is_made_here, env))
    return isinstance(env, str | EnvSpec) or (callable(env) and not isinstance(env, gymnasium.Env | VectorEnv))


def space_of(env: VectorEnv) -> SpaceInfo:
    """What an agent needs to know of the spaces of a `make_vector`.

    Raises ValueError for spaces that no agent here can handle.
    """
    goal = env.goal if isinstance(env, GoalVector) else 0
    return SpaceInfo.of(env.single_observation_space, env.single_action_space, goal, Mirror.of(env))


def name_of(env: VectorEnv) -> str:
    """The environment's id, or its class where it has none."""
    if env.spec is not None:
        return env.spec.id
    inner = env.unwrapped
    single = inner.envs[0] if isinstance(inner, SyncVectorEnv) else inner
    return single.spec.id if single.spec is not None else type(single.unwrapped).__name__


def members(env: VectorEnv) -> set[int]:
    """Identities of the environments that a vector environment steps, itself included."""
    copies = env.unwrapped.envs if isinstance(env.unwrapped, SyncVectorEnv) else ()
    return {id(env.unwrapped), *(id(copy.unwrapped) for copy in copies)}


def same_step(env: VectorEnv) -> bool:
    """Whether a step that ends an episode already returns the next one's first observation."""
    return autoreset_mode(env) is AutoresetMode.SAME_STEP


def autoreset_mode(env: VectorEnv) -> AutoresetMode:
    """How the environment begins new episodes; DISABLED where it does not say."""
    return AutoresetMode(env.metadata.get("autoreset_mode", AutoresetMode.DISABLED))


def _make_vector(env, num_envs, settings):
    if num_envs != int(num_envs) or num_envs < 1:
        raise ValueError(f"expected num_envs >= 1, given {num_envs}")
    if isinstance(env, str | EnvSpec):
        return _from_spec(env, num_envs, settings)
    if settings:
        raise ValueError(f"expected settings only for an environment's id, given {sorted(settings)} for {type(env).__name__}")
    if isinstance(env, VectorEnv):
        if autoreset_mode(env) is AutoresetMode.DISABLED:
            raise ValueError("expected a vector environment with autoreset mode NEXT_STEP or SAME_STEP in its metadata")
        plain = type(env) is SyncVectorEnv and all(obstacle(copy) is None for copy in env.envs)
        return ResumableVector(env) if plain else env
    if isinstance(env, gymnasium.Env):
        if num_envs > 1:
            raise ValueError(f"expected an id or a factory for {num_envs} copies, given one {type(env).__name__}")
        return _side_by_side([env])
    if isinstance(env, list | tuple) and env:
        return _side_by_side(env)
    if callable(env):
        return _side_by_side([env] * num_envs)
    raise ValueError(f"expected an environment's id, an Env, a VectorEnv, a factory or a list, given {type(env).__name__}")


def _single(item):
    if isinstance(item, gymnasium.Env):
        return item
    if isinstance(item, str | EnvSpec):
        with deprecations_left_out(spec_of(item)):
            return gymnasium.make(item)
    if callable(item):
        return item()
    raise ValueError(f"expected a list of ids, factories or Envs, given {type(item).__name__} in it")


def _side_by_side(items):
    """One copy of each item of a list; where one cannot be made, those that were are closed."""
    envs, made = [], []
    try:
        for item in items:
            env = _single(item)
            envs.append(env)
            if is_made_here(item):
                made.append(env)
            if not isinstance(env, gymnasium.Env):
                raise ValueError(f"expected a factory that returns a gymnasium.Env, given {type(env).__name__}")
        if len({id(env.unwrapped) for env in envs}) < len(envs):
            raise ValueError(f"expected an Env of its own for each of {len(envs)} copies, given one twice")
        return _together([_checked(env) for env in envs])
    except BaseException:
        for env in made:
            if isinstance(env, gymnasium.Env | VectorEnv):
                env.close()
        raise


def _from_spec(env, num_envs, settings):
    spec = copy.deepcopy(spec_of(env))
    with deprecations_left_out(spec):
        return _made(spec, num_envs, settings)


def _made(spec, num_envs, settings):
    pace = Pace.taken_from(spec.kwargs, settings)
    if spec.vector_entry_point is not None:
        creator = spec.vector_entry_point
        creator = creator if callable(creator) else load_env_creator(creator)
        if "autoreset_mode" in inspect.signature(creator).parameters and pace.is_known_to(creator):
            settings = {**settings, **pace.settings, "autoreset_mode": AutoresetMode.SAME_STEP}
            return gymnasium.make_vec(spec, num_envs, "vector_entry_point", **settings)
    mode = {"autoreset_mode": AutoresetMode.SAME_STEP}
    made = gymnasium.make_vec(spec, num_envs, "sync", mode, wrappers=(pace.around, _checked), **settings)
    vector = _together(made.envs)
    vector.spec = made.spec
    return vector


def _checked(env: gymnasium.Env) -> Checked:
    return Recorded(env) if is_replayed(env) else Checked(env)


def _together(copies: list[gymnasium.Env]) -> SyncVectorEnv:
    """Checked copies as a vector environment in SAME_STEP mode, which can tell its state where each of them can."""
    resumable = all(obstacle(copy) is None for copy in copies)
    if len(copies) == 1:
        return (ResumableOneCopy if resumable else OneCopy)(copies[0])
    makers = [lambda copy=copy: copy for copy in copies]
    return (ResumableCopies if resumable else SyncVectorEnv)(makers, autoreset_mode=AutoresetMode.SAME_STEP)


def spec_of(env: str | EnvSpec) -> EnvSpec:
    """The spec of an id, also "module:Name-v0"; raises ValueError for an unknown one."""
    if isinstance(env, EnvSpec):
        return env
    module, colon, name = env.rpartition(":")
    try:
        if colon:
            importlib.import_module(module)
        return gymnasium.spec(name)
    except (gymnasium.error.Error, ImportError, ValueError) as error:
        raise ValueError(f'unknown environment "{env}"{_remedy(name)}: {error}') from error


def _remedy(name: str) -> str:
    """What is wrong where none of this project's environments is registered: `envs` was not imported, or is another."""
    if not name.startswith("deepnp/") or any(known.startswith("deepnp/") for known in gymnasium.registry):
        return ""
    if "envs" not in sys.modules:
        return ' (deepnp/… needs "import envs" first)'
    return f" (the module envs that was imported is {_origin(sys.modules['envs'])}; it hides the one of deepnp: rename it)"


def _origin(module: ModuleType) -> str:
    """Where a module lies: its file, or the folder of one without an __init__.py."""
    return module.__file__ or ", ".join(module.__path__)
