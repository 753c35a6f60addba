"""What all algorithms share: acting, learning, and one list of what training changes.

An algorithm subclasses `Agent` once. It sets `Config`, `takes` and `iterate`, and implements
`build`, `parts`, `act` and `update`. Saving, loading, resuming and copying follow from `parts()`;
see checkpoint.py.
"""

import os
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from gymnasium import Space
from gymnasium.vector import VectorEnv

from deepnp.backend import one_blas_thread
from rl import checkpoint, learning
from rl.config import rates_at, scheduled, whole_number, with_rates
from rl.experience import goals
from rl.experience.collector import Collector
from rl.experience.environments import EnvLike, Resumable, is_made_here, make_vector, name_of, space_of
from rl.experience.normalizers import normalizer_of
from rl.experience.spaces import ActsIn, SpaceInfo
from rl.guards import Guard
from rl.interruption import SafePoint
from rl.names import check_no_policy_name, explained
from rl.networks.own import named_networks
from rl.prediction import Predictor
from rl.runs.callbacks import CallbackLike, Callbacks, callbacks_of
from rl.runs.progress import ProgressBar
from rl.runs.run import Run, run_at
from rl.state import EpisodeAware, Part, same_state
from rl.takes import Takes


class Agent(Predictor, ABC):
    """A learner.

    Parameters
    ----------
    env
        Where it learns: an id (made into `config.num_envs` copies), an Env, a VectorEnv, a factory
        or a list of these; see `rl.experience.environments.make_vector`.
    config : dataclass, optional
        The algorithm's settings.
    seed : int
        Decides everything: weights, actions, batches, the environment.
    env_settings : mapping, optional
        Keyword arguments of an id's environment.
    networks : mapping, optional
        Networks of one's own, by name: those of `own_networks`, see rl/networks/own.py.

    Attributes
    ----------
    config : dataclass
        The algorithm's settings.
    space : SpaceInfo
        Of the environment.
    steps, iterations : int
        Environment steps and training iterations so far, over the agent's whole life.
    normalizer : Normalizer or None
        Frozen while predicting, saved with the agent.
    recall : Recall, ReplayRecall or None
        What its networks remember of the episodes under way, where they have memory.
    env : VectorEnv or None
    env_name : str or None
        What the environment is called; saved with the agent.

    Raises
    ------
    ValueError
        For an unknown id, or a space that the algorithm does not take.
    TypeError
        If the config is another algorithm's.
    """

    Config: ClassVar[type]
    takes: ClassVar[Takes]
    own_networks: ClassVar[tuple[str, ...]] = ()  # those that can be handed in

    @explained
    def __init__(
        self,
        env: EnvLike,
        config: Any = None,
        seed: int = 0,
        *,
        env_settings: Mapping[str, Any] | None = None,
        networks: Any = None,
    ):
        check_no_policy_name(env, type(self).__name__)
        config = self._checked(config)
        vector = make_vector(env, config.num_envs, env_settings)
        owned = is_made_here(env)
        try:
            self._begin(space_of(vector), config, seed, networks)
        except BaseException:
            if owned:
                vector.close()
            raise
        self._use(vector, (env, env_settings) if owned else None)

    @classmethod
    def of_spaces(cls, observation_space: Space, action_space: Space, config: Any = None, seed: int = 0) -> Self:
        """An agent for two Gymnasium spaces, without an environment: to predict, or to be given one by `set_env`."""
        agent, goal = cls.__new__(cls), 0
        if goals.has_goals(observation_space):
            observation_space, goal = goals.flat_space(observation_space)
        agent._begin(SpaceInfo.of(observation_space, action_space, goal), cls._checked(config), seed)
        return agent

    @classmethod
    def _checked(cls, config):
        config = cls.Config() if config is None else config
        if type(config) is not cls.Config:
            raise TypeError(f"expected a {cls.Config.__name__}, given {type(config).__name__}")
        return config

    def _begin(self, space, config, seed, networks=None):
        self.takes.check(type(self).__name__, space)
        self.networks = named_networks(type(self).__name__, self.own_networks, networks)
        self.space = config.acting_in(space) if isinstance(config, ActsIn) else space
        self.config, self.seed = config, whole_number("seed", seed, 0)
        self.steps, self.iterations = 0, 0
        self.total_steps = 0  # where the present, or the latest, `learn` goes to
        self._scheduled = scheduled(config)
        self.device = getattr(config, "device", "cpu")  # of algorithms that can be on a GPU
        self.normalizer = normalizer_of(config, space.observations)  # images are left as they are
        self.rngs: dict[str, np.random.Generator] = {}
        self.env: VectorEnv | None = None
        self.env_name: str | None = None
        self.source: tuple | None = None  # what `env` was made from, where it was made for this agent
        self.collector: Collector | None = None
        self.safe_point, self.guard = SafePoint(), Guard()
        self.callbacks = Callbacks()
        self._close: Callable[[], Any] | None = None
        self._left: dict | None = None  # the environment's state as the last `learn` left it; None while learning
        self.build()
        self._built = frozenset(map(id, self.parts().values()))

    @abstractmethod
    def build(self) -> None:
        """Make generators, networks and optimizers from `space`, `config` and `seed`."""

    @abstractmethod
    def parts(self) -> dict[str, Part]:
        """What training changes, by name."""

    @abstractmethod
    def iterate(self, total_steps: int) -> dict[str, float]:
        """Collect and learn for a while, to `total_steps` at most: one of rl/loops.

        Returns metrics.
        """

    @property
    def owes(self) -> bool:
        """Whether there is something left to learn from the steps that were taken, without any more of them."""
        return False

    @property
    def offline(self) -> bool:
        """Whether its next steps are updates on a data set, and the environment waits."""
        return False

    @property
    def untouched(self) -> bool:
        """Whether no step was taken in an environment yet."""
        return self.steps == 0

    def at(self, progress: float) -> Any:
        """The settings at `progress` in [0, 1] of the training: schedules as numbers."""
        return with_rates(self.config, rates_at(self.config, self._scheduled, progress)) if self._scheduled else self.config

    @property
    def now(self) -> Any:
        """The settings at this step of the present, or the latest, `learn`."""
        return self.at(min(self.steps / self.total_steps, 1.0) if self.total_steps else 0.0)

    def __setattr__(self, name: str, value: Any) -> None:
        if id(self.__dict__.get(name)) in self.__dict__.get("_built", ()):
            given = f"write into it (`load_state_dict`): a new object in the place of {name} would not be trained"
            raise AttributeError(f"expected {type(self).__name__}.{name} to stay what it is; {given}")
        super().__setattr__(name, value)

    @explained
    def set_env(self, env: EnvLike, *, env_settings: Mapping[str, Any] | None = None) -> None:
        """Train in this environment from now on; one that was made for the agent before is closed.

        Raises
        ------
        ValueError
            If its spaces are not the agent's.
        """
        owned = is_made_here(env)
        vector = make_vector(env, self.config.num_envs if owned else 1, env_settings)
        try:
            self.space.check(space_of(vector))
        except BaseException:
            if owned:
                vector.close()
            raise
        if vector is self.env:
            self.forget_episodes()
        else:
            self._use(vector, (env, env_settings) if owned else None)

    def _use(self, vector, source):
        self.close()
        self.env, self.env_name, self.source = vector, name_of(vector), source
        self.config = replace(self.config, num_envs=vector.num_envs)
        if source is not None:
            self._close = weakref.finalize(self, vector.close)
            self._close.atexit = False

    def close(self) -> None:
        """Close the environment, if it was made for this agent. It can be given another."""
        if self._close is not None:
            self._close()
        self.env = self.collector = self.source = self._close = self._left = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @explained
    def learn(
        self,
        total_steps: int,
        callback: CallbackLike = None,
        *,
        progress: bool | ProgressBar = False,
        log: str | os.PathLike | Run | None = None,
        on_nonfinite: str = "stop",
    ) -> Self:
        """Train until `steps` reaches `total_steps`, counted over the agent's whole life.

        So a loaded agent goes on where it was: `agent.learn(1_000_000)` after a checkpoint at
        600,000 does the rest, schedules included. An environment that was handed in begins new
        episodes at each call, as others may have stepped it; one that can tell its state goes on if
        nobody did. Ctrl-C waits until the present step is whole; a second one does not.

        Parameters
        ----------
        total_steps : int
            Environment steps; exceeded by less than one step of all copies.
        callback : Callback, callable, or a list of these
            See rl/runs/callbacks.py. A function is called as `callback(agent, metrics)` after each
            iteration. An answer that is false (but None) ends the training.
        progress : bool
            Show a progress line.
        log : "csv", "tensorboard", a path, or a Run
            Where to write settings, metrics and checkpoints: to a new folder in runs/, with
            TensorBoard's events too, or to this one. See `Run`.
        on_nonfinite : {"stop", "skip"}
            When a loss or a gradient is NaN or infinite, which is never learned from: end, or leave
            that step out and count it in the metric "skipped". Observations, actions, rewards and
            parameters that are not finite end the training in any case: see rl/guards.py.

        Raises
        ------
        NonFiniteError
            If a loss, gradient, parameter, observation, action or reward is NaN or infinite; the
            message names it and the step, and a note the last good checkpoint.
        """
        total_steps, self.guard = whole_number("total_steps", total_steps, 1), Guard(on_nonfinite)
        callbacks = callbacks_of(callback)
        if learning.is_over(self, total_steps):
            return self
        if self.env is None and not self.offline:
            raise RuntimeError("this agent has no environment: call set_env(env) before learn")
        run = None if log is None else run_at(log, self, total_steps)
        if run is not None:
            callbacks.insert(0, run)
        if progress:
            callbacks.insert(0, progress if isinstance(progress, ProgressBar) else ProgressBar())
        if not self.is_undisturbed():
            self.forget_episodes()
        self.total_steps, self._left = total_steps, None
        try:
            with self.safe_point, one_blas_thread():  # two threads of our own work beat a threaded BLAS
                learning.learn(self, Callbacks(callbacks))
        finally:
            self._left = self.env.state() if self.collector is not None and isinstance(self.env, Resumable) else None
            if run is not None and run is not log:  # made here: nobody goes on with it
                run.close()
        return self

    def is_undisturbed(self) -> bool:
        """Whether the environment stands where learning left it, so that episodes under way can go on.

        Its state tells, where it has one; else this holds where the environment was made for the
        agent.
        """
        if self.collector is None or not isinstance(self.env, Resumable):
            return self.collector is not None and self._close is not None
        return self._left is None or same_state(self.env.state(), self._left)

    def begin_episodes(self) -> None:
        """The one place where new episodes begin: whatever remembers old ones hears of it."""
        if self.env is None:
            raise RuntimeError("this agent's environment was closed while it learned: call set_env(env) to go on")
        dtype, seed = self.space.vector_dtype(self.normalizer is not None), int(self.rngs["environment"].integers(2**31))
        self.collector = Collector(self.env, self.space.observation, dtype, seed)
        for part in self.parts().values():
            if isinstance(part, EpisodeAware):
                part.begin(self.env.num_envs)

    def forget_episodes(self) -> None:
        """Begin new episodes when learning goes on: somebody else stepped the environment."""
        self.collector = None

    @explained
    def save(self, path: str | os.PathLike, memory: bool = True) -> None:
        """Write everything that training needs to go on exactly to one safetensors file, atomically.

        Where the environment offers `state()`, as the vector environments of `envs` do, its
        situation is included; any other begins new episodes after loading.

        Parameters
        ----------
        path
        memory : bool
            With the replay memory. Without, training goes on from the file with an empty one: the
            policy acts (warm-up is not repeated), and learns once the memory holds a batch.

        Raises
        ------
        NonFiniteError
            If a number in it is NaN or infinite: such a file would be of no use, and might replace
            one that is.
        """
        checkpoint.save(self, path, memory)

    @classmethod
    def load(
        cls, path: str | os.PathLike, env: EnvLike | None = None, *, env_settings: Mapping[str, Any] | None = None, **settings: Any
    ) -> Self:
        """The agent of a file written by `save`.

        Parameters
        ----------
        path
            The file.
        env : optional
            The environment to go on learning in; without one the agent can only predict. To learn
            in another environment than the file's, load without one and call `set_env`.
        env_settings : mapping, optional
            Keyword arguments of an id's environment.
        **settings
            In the place of the file's: `lr=1e-4`. What shapes what is stored, such as `hidden`, must
            stay. For another `num_envs` or `memory` the replay memory is dealt anew.

        Raises
        ------
        FileNotFoundError, MemoryError
            If there is no such file; if its replay memory needs more than is free.
        ValueError
            If the file is damaged, or not a checkpoint of this algorithm, or does not fit the
            environment or the settings.
        TypeError
            For settings that the config does not have. If called on `Agent` itself: `rl.load` finds
            a file's algorithm.
        """
        return checkpoint.load(cls, path, env, env_settings, settings)

    def __copy__(self) -> Self:
        return checkpoint.copy_of(self)

    def __deepcopy__(self, memo: dict) -> Self:
        return checkpoint.copy_of(self)

    def __reduce__(self) -> tuple:
        return checkpoint.rebuild, checkpoint.pickled(self)
