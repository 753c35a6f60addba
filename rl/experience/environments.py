"""Environments as learners take them: an id, an `Env` or a `VectorEnv`, always stepped as a `VectorEnv` with flat observations."""

import inspect
from typing import Protocol, runtime_checkable

import gymnasium
from gymnasium.envs.registration import load_env_creator
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from rl.experience.goals import GoalVector, ResumableGoalVector, has_goals
from rl.experience.spaces import SpaceInfo

EnvLike = str | gymnasium.Env | VectorEnv


@runtime_checkable
class Resumable(Protocol):
    """An environment whose situation can be saved, so that a training goes on exactly. The vector environments of `envs` are."""

    def state(self) -> dict: ...

    def set_state(self, state: dict) -> None: ...


def make_vector(env: EnvLike, num_envs: int = 1) -> VectorEnv:
    """A vector environment from an id (`num_envs` copies), an Env (one copy) or a VectorEnv (as it is).

    An id with a native vector form gets that; any other is stepped copy by copy. Autoreset is SAME_STEP where we choose.
    The Dict observations of a goal environment become flat, see `GoalVector`.

    Raises
    ------
    ValueError
        For an unknown id, or something that is no environment.
    """
    vector = _make_vector(env, num_envs)
    if not has_goals(vector.single_observation_space):
        return vector
    return ResumableGoalVector(vector) if isinstance(vector, Resumable) else GoalVector(vector)


def space_of(env: VectorEnv) -> SpaceInfo:
    """What an agent needs to know of the spaces of a `make_vector`.

    Raises
    ------
    ValueError
        For spaces that no agent here can handle.
    """
    goal = env.goal if isinstance(env, GoalVector) else 0
    return SpaceInfo.of(env.single_observation_space, env.single_action_space, goal)


def _make_vector(env, num_envs):
    if isinstance(env, VectorEnv):
        if autoreset_mode(env) is AutoresetMode.DISABLED:
            raise ValueError("expected a vector environment with autoreset mode NEXT_STEP or SAME_STEP in its metadata")
        return env
    if isinstance(env, gymnasium.Env):
        return SyncVectorEnv([lambda: env], autoreset_mode=AutoresetMode.SAME_STEP)
    if not isinstance(env, str):
        raise ValueError(f"expected an environment's id, an Env or a VectorEnv, given {type(env).__name__}")
    if num_envs != int(num_envs) or num_envs < 1:
        raise ValueError(f"expected num_envs >= 1, given {num_envs}")
    try:
        spec = gymnasium.spec(env)
    except (gymnasium.error.Error, ModuleNotFoundError) as error:
        raise ValueError(f'unknown environment "{env}" (deepnp/… needs "import envs" first): {error}') from error
    if spec.vector_entry_point is not None:
        creator = spec.vector_entry_point
        creator = creator if callable(creator) else load_env_creator(creator)
        if "autoreset_mode" in inspect.signature(creator).parameters:
            return gymnasium.make_vec(env, num_envs, "vector_entry_point", autoreset_mode=AutoresetMode.SAME_STEP)
    return gymnasium.make_vec(env, num_envs, "sync", vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP})


def same_step(env: VectorEnv) -> bool:
    """Whether a step that ends an episode already returns the next one's first observation."""
    return autoreset_mode(env) is AutoresetMode.SAME_STEP


def autoreset_mode(env: VectorEnv) -> AutoresetMode:
    """How the environment begins new episodes; DISABLED where it does not say."""
    return AutoresetMode(env.metadata.get("autoreset_mode", AutoresetMode.DISABLED))
