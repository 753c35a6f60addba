"""What Gymnasium's MuJoCo tasks, version 5, share: its models, its noise at the start, its bookkeeping.

The physics is Gymnasium's to the last bit: the same model, the same `mj_step`. Observations are its float64 ones rounded to
float32. One difference is deliberate: a simulation that diverges ends its episode, with `diverged` in the infos and no
reward, where Gymnasium goes on from MuJoCo's own reset.

Shapes: N copies, O observations.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from envs.bodies.body import Body
from envs.bodies.rendering import View
from envs.checks import nest
from envs.core import Core

ASSETS = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets"


@dataclass(frozen=True)
class Setup:
    """The constants of a task.

    Attributes
    ----------
    model : str
        A file among Gymnasium's assets.
    observations : int
        O.
    frame_skip : int
        Physics substeps a decision.
    noise : float
        Half-width of the uniform noise on the initial positions and velocities.
    normal_velocities : bool
        Initial velocities are normal instead, with `noise` as their deviation.
    infos : tuple of str
        Infos of each step, beyond where the body is.
    derived : tuple of str
        MuJoCo's fields beyond the state that a task reads. They lag by a substep, in Gymnasium too.
    persistent : bool
        See `Body`.
    camera : str or View
        What pictures are taken with.
    """

    model: str
    observations: int
    frame_skip: int
    noise: float
    normal_velocities: bool = False
    infos: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    persistent: bool = False
    camera: str | View = "track"


class Task(Core):
    """N copies of a task, with Gymnasium's default arguments.

    Actions beyond the space are taken as they are, as in Gymnasium: MuJoCo clips what it applies, the reward's costs do not.

    Parameters
    ----------
    num_envs : int
        N.
    num_threads : int
        Native threads; 0 takes every processor that this process may use.
    """

    setup: ClassVar[Setup]

    def __init__(self, num_envs: int = 1, num_threads: int = 0):
        setup = self.setup
        self.body = Body(ASSETS / setup.model, num_envs, setup.frame_skip, num_threads, setup.camera, setup.persistent)
        self.body.derived = setup.derived
        self.fields = {name: self.body.batch.bind(name) for name in setup.derived}
        self.num_envs = num_envs
        model = self.body.model
        self.dt = model.opt.timestep * setup.frame_skip
        self.render_fps = 1 / self.dt
        low, high = model.actuator_ctrlrange.astype(np.float32).T
        self.action_space = spaces.Box(low, high, dtype=np.float32)
        self.observation_space = spaces.Box(-np.inf, np.inf, (setup.observations,), np.float32)
        self._infos = {name: np.zeros(num_envs) for name in setup.infos}

    @abstractmethod
    def _move(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Step the body, its controls set: rewards (N,), terminated (N,) and the setup's infos, (N,) each."""

    def _places(self) -> dict[str, np.ndarray]:
        """Infos that are true of a state, not of a step."""
        return {}

    def _start(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Initial positions and velocities, drawn in Gymnasium's order: equal seeds are equal starts."""
        noise, model = self.setup.noise, self.body.model
        qpos = model.qpos0 + rng.uniform(-noise, noise, model.nq)
        if self.setup.normal_velocities:
            return qpos, noise * rng.standard_normal(model.nv)
        return qpos, rng.uniform(-noise, noise, model.nv)

    def reset(self, ids: np.ndarray, rngs: list[np.random.Generator]) -> None:
        qpos, qvel = (np.array(rows) for rows in zip(*(self._start(rngs[i]) for i in ids), strict=True))
        self.body.reset(ids, qpos, qvel, np.zeros((len(ids), self.body.model.nu)))
        for values in self._infos.values():
            values[ids] = 0

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.body.ctrl[:] = actions
        rewards, terminated, self._infos = self._move(actions)
        diverged = self.body.diverged
        return np.where(diverged, 0.0, rewards), terminated | diverged

    def info(self) -> dict[str, np.ndarray]:
        """Gymnasium's infos, and `diverged` where the physics gave up."""
        own = {name: values.copy() for name, values in self._infos.items()}
        return {**self._places(), **own, "diverged": self.body.diverged.copy()}

    def render(self, copy: int) -> np.ndarray:
        return self.body.render(copy)

    def state(self) -> dict[str, np.ndarray]:
        infos = {name: values.astype(np.float64) for name, values in self._infos.items()}  # float32 after a step, some of them
        return {**self.body.state(), **nest("info", infos)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self.body.restore(state)
        self._infos = {name: state[f"info.{name}"].copy() for name in self._infos}

    def close(self) -> None:
        self.body.close()


def squares(values: np.ndarray) -> np.ndarray:
    """Σ v² over everything but the copies: (N, …) -> (N,). In the dtype given, as Gymnasium's costs are."""
    return np.square(values).reshape(len(values), -1).sum(axis=1)
