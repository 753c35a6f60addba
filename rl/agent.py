"""What all algorithms share: acting, the training loop, saving and loading.

An algorithm subclasses `Agent` once, sets `Config`, and implements `_build`, `act`, `iterate`, `state_dict` and
`load_state_dict`.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, replace
from typing import Any, ClassVar

import numpy as np
from gymnasium.vector import VectorEnv

from deepnp import NonFiniteError
from deepnp.backend import one_blas_thread
from deepnp.storage import load_tensors, save_tensors
from rl.experience import goals
from rl.experience.environments import EnvLike, Resumable, make_vector, space_of
from rl.experience.normalize import ObservationNormalizer
from rl.experience.rollout import Collector
from rl.experience.spaces import SpaceInfo
from rl.state import join, part

FORMAT = "deepnp agent 1"
Callback = Callable[["Agent", dict[str, float]], bool | None]


class Agent(ABC):
    """A learner in an environment.

    Attributes
    ----------
    config : dataclass
        The algorithm's settings.
    space : SpaceInfo
        Of the environment.
    steps, iterations : int
        Environment steps and training iterations so far, over the agent's whole life.
    normalizer : ObservationNormalizer or None
        Frozen while predicting, saved with the agent.
    """

    Config: ClassVar[type]

    def __init__(self, env: EnvLike, config: Any = None, seed: int = 0):
        """An untrained agent for an environment: an id (made into `config.num_envs` copies), an Env or a VectorEnv (as it is).

        `seed` decides everything: weights, actions, batches, the environment.

        Raises
        ------
        ValueError
            For an unknown id, or a space that cannot be handled.
        TypeError
            If the config is another algorithm's.
        """
        config = self.Config() if config is None else config
        if type(config) is not self.Config:
            raise TypeError(f"expected a {self.Config.__name__}, given {type(config).__name__}")
        vector = make_vector(env, config.num_envs)
        config = replace(config, num_envs=vector.num_envs)  # a VectorEnv brings its own number
        self._begin(space_of(vector), config, seed)
        self.set_env(vector)

    def _begin(self, space, config, seed):
        self.space, self.config, self.seed = space, config, whole_number("seed", seed, 0)
        self.steps, self.iterations = 0, 0
        self.normalizer = ObservationNormalizer(space.observations) if config.normalize_observations else None
        self.rngs: dict[str, np.random.Generator] = {}
        self.env: VectorEnv | None = None
        self.collector: Collector | None = None
        self._build()

    @abstractmethod
    def _build(self) -> None:
        """Make generators, networks and optimizers from `space`, `config` and `seed`."""

    @abstractmethod
    def iterate(self, progress: float) -> dict[str, float]:
        """Collect and learn once; `progress` in [0, 1] of the training drives schedules. Returns metrics."""

    @abstractmethod
    def act(self, observations: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
        """The policy's actions for normalised observations (B, O): drawn with `rng`, or the most probable ones without."""

    @abstractmethod
    def state_dict(self) -> dict[str, np.ndarray]:
        """Every array that training changes."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Restore a `state_dict()`."""

    def set_env(self, env: EnvLike) -> None:
        """Train in this environment from now on.

        Raises
        ------
        ValueError
            If its spaces are not the agent's.
        """
        vector = make_vector(env, self.config.num_envs)
        self.space.check(space_of(vector))
        self.env, self.collector = vector, None

    def observe(self, observations: np.ndarray) -> np.ndarray:
        """Observations (B, *shape) as the networks see them: flat, float32, normalised."""
        flat = self.space.flatten(observations)
        return self.normalizer(flat) if self.normalizer else np.array(flat, np.float32)  # a copy: environments reuse theirs

    def predict(
        self,
        observation: np.ndarray | Mapping[str, np.ndarray],
        deterministic: bool = True,
        rng: np.random.Generator | None = None,
    ) -> np.ndarray:
        """The action for one observation, or the actions for a batch of them, as the environment takes them.

        Parameters
        ----------
        observation : array, the space's shape or (B, that shape)
            Or, of a goal environment, a Dict of such arrays.
        deterministic : bool
            The most probable action; otherwise a draw.
        rng : numpy.random.Generator, optional
            What to draw with; fresh entropy by default. Never the training's own generator.

        Raises
        ------
        ValueError
            If the shape is wrong or a value is not finite.
        """
        observation = goals.flat(observation) if self.space.goal and isinstance(observation, Mapping) else np.asarray(observation)
        shape = self.space.observation_shape
        single = observation.shape == shape
        batch = observation[None] if single else observation
        if batch.shape[1:] != shape:
            raise ValueError(f"expected an observation of shape {shape} or (B, {str(shape)[1:]}, given {observation.shape}")
        if not np.isfinite(batch).all():
            raise ValueError("expected a finite observation, given NaN or infinity")
        actions = self.space.to_environment(
            self.act(self.observe(batch), None if deterministic else rng or np.random.default_rng())
        )
        return actions[0] if single else actions

    def learn(self, total_steps: int, callback: Callback | None = None) -> "Agent":
        """Train until `steps` reaches `total_steps`, counted over the agent's whole life.

        So a loaded agent goes on where it was: `agent.learn(1_000_000)` after a checkpoint at 600,000 does the rest,
        schedules included.

        Parameters
        ----------
        total_steps : int
            Environment steps; the last iteration may go beyond.
        callback : callable, optional
            `callback(agent, metrics)` after each iteration; returning something false (but None) stops.

        Raises
        ------
        NonFiniteError
            If a loss, gradient, observation or reward is NaN or infinite; the message names it and the step.
        """
        whole_number("total_steps", total_steps, 1)
        if self.env is None:
            raise RuntimeError("this agent was loaded without an environment: call set_env(env) before learn")
        with one_blas_thread():  # environment threads and our own side-by-side work beat a threaded BLAS
            while self.steps < total_steps:
                if self.collector is None:  # at first, and after a callback played in the very environment that we learn in
                    self.collector = Collector(self.env, seed=int(self.rngs["environment"].integers(2**31)))
                try:
                    metrics = self.iterate(self.steps / total_steps)
                except NonFiniteError as error:
                    raise NonFiniteError(f"at step {self.steps}: {error}") from error
                go_on = callback(self, metrics) if callback is not None else None
                if go_on is not None and not go_on:
                    break
        return self

    def save(self, path: str | os.PathLike) -> None:
        """Write everything that training needs to go on exactly to one safetensors file, atomically.

        Where the environment offers `state()`, as the vector environments of `envs` do, its situation is included; any
        other begins new episodes after loading.
        """
        parts = {"agent": self.state_dict()}
        if self.normalizer:
            parts["normalizer"] = self.normalizer.state_dict()
        if self.collector is not None and isinstance(self.env, Resumable):
            parts |= {"env": self.env.state(), "collector": self.collector.state()}
        metadata = {
            "format": FORMAT,
            "algorithm": type(self).__name__,
            "config": asdict(self.config),
            "space": self.space.to_json(),
            "seed": self.seed,
            "steps": self.steps,
            "iterations": self.iterations,
            "rngs": {name: rng.bit_generator.state for name, rng in self.rngs.items()},
        }
        save_tensors(path, join(parts), metadata)

    @classmethod
    def load(cls, path: str | os.PathLike, env: EnvLike | None = None) -> "Agent":
        """The agent of a file written by `save`.

        Parameters
        ----------
        path
            The file.
        env : optional
            An environment to go on learning in; without one the agent can only predict.

        Raises
        ------
        ValueError
            If the file is truncated, or not a checkpoint of this algorithm, or does not fit the environment.
        """
        tensors, metadata = load_tensors(path)
        given = metadata.get("format") if isinstance(metadata, dict) else None
        if given != FORMAT:
            raise ValueError(f'{path} is no agent: expected format "{FORMAT}", given {given!r}')
        lacking = sorted({"algorithm", "config", "space", "seed", "steps", "iterations", "rngs"} - metadata.keys())
        if lacking:
            raise ValueError(f"{path} is not a whole agent: its metadata lacks {lacking}")
        if metadata["algorithm"] != cls.__name__:
            raise ValueError(f"{path} holds a {metadata['algorithm']} agent, not {cls.__name__}")
        known = {f.name for f in fields(cls.Config)}
        unknown = sorted(set(metadata["config"]) - known)
        if unknown:
            raise ValueError(f"{path} has settings that {cls.Config.__name__} does not know: {unknown}")
        config = cls.Config(**{k: tuple(v) if isinstance(v, list) else v for k, v in metadata["config"].items()})
        agent = cls.__new__(cls)
        try:
            agent._begin(SpaceInfo.from_json(metadata["space"]), config, metadata["seed"])
            agent._restore(tensors, metadata)
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"{path} is not a whole agent: {type(error).__name__} {error}") from error
        if env is not None:
            agent.set_env(env)
            agent._restore_env(part(tensors, "env"), part(tensors, "collector"))
        return agent

    def _restore(self, tensors, metadata):
        self.load_state_dict(part(tensors, "agent"))
        if self.normalizer:
            self.normalizer.load_state_dict(part(tensors, "normalizer"))
        self.steps = whole_number("steps", metadata["steps"], 0)
        self.iterations = whole_number("iterations", metadata["iterations"], 0)
        if metadata["rngs"].keys() != self.rngs.keys():
            raise ValueError(f"expected random generators {sorted(self.rngs)}, given {sorted(metadata['rngs'])}")
        for name, state in metadata["rngs"].items():
            self.rngs[name].bit_generator.state = state

    def _restore_env(self, env_state, collector_state):
        if isinstance(self.env, Resumable) and env_state and len(collector_state["ended"]) == self.env.num_envs:
            self.collector = Collector(self.env, seed=0)
            self.env.set_state(env_state)
            self.collector.set_state(collector_state)


def spawn_rngs(seed: int, *names: str) -> dict[str, np.random.Generator]:
    """Independent generators from one seed, by name."""
    sequences = np.random.SeedSequence(seed).spawn(len(names))
    return {name: np.random.default_rng(s) for name, s in zip(names, sequences, strict=True)}


def whole_number(name: str, value: Any, low: int) -> int:
    """`value` as an int, or a ValueError that names it unless it is a whole number >= low."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
        raise ValueError(f"expected {name} as an integer >= {low}, given {value!r}")
    return int(value)
