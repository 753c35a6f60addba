"""HalfCheetah, Walker2d, Hopper and Swimmer: move along x, in the plane.

    r = Δx/Δt + healthy − c Σ a²           healthy is 1 while within the limits, and the episode ends beyond them

Cheetahs and swimmers have no limits and get no 1.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from envs.bodies.v5.task import Setup, Task, squares
from envs.pair import environments

SPEED = "x_velocity", "reward_forward", "reward_ctrl"
INFINITE = (-np.inf, np.inf)


@dataclass(frozen=True)
class Limits:
    """Open intervals in which a body is healthy: of its height, its pitch, and every other number of its state."""

    height: tuple[float, float]
    pitch: tuple[float, float]
    rest: tuple[float, float] = INFINITE

    def healthy(self, qpos: np.ndarray, qvel: np.ndarray) -> np.ndarray:
        """(N, nq), (N, nv) -> (N,). Pitch counts among the rest too."""
        fine = _within(qpos[:, 1], self.height) & _within(qpos[:, 2], self.pitch)
        return fine & _within(qpos[:, 2:], self.rest).all(axis=1) & _within(qvel, self.rest).all(axis=1)


def _within(values, interval):
    return (values > interval[0]) & (values < interval[1])


class Runner(Task):
    """A task of this file. Observed are positions but for the first `hidden`, and velocities clipped to ±`fastest`."""

    hidden: ClassVar[int] = 1
    fastest: ClassVar[float] = np.inf
    control_cost: ClassVar[float]
    limits: ClassVar[Limits | None] = None

    def _move(self, actions):
        body = self.body
        before = body.qpos[:, :2].copy()
        body.step()
        velocity = (body.qpos[:, :2] - before) / self.dt
        cost = self.control_cost * squares(actions)
        infos = {"x_velocity": velocity[:, 0], "reward_forward": velocity[:, 0], "reward_ctrl": -cost}
        if "y_velocity" in self.setup.infos:
            infos["y_velocity"] = velocity[:, 1]
        if self.limits is None:
            return velocity[:, 0] - cost, np.zeros(self.num_envs, bool), infos
        healthy = self.limits.healthy(body.qpos, body.qvel)
        return velocity[:, 0] + healthy - cost, ~healthy, {**infos, "reward_survive": healthy.astype(float)}

    def _places(self):
        return {"x_position": self.body.qpos[:, 0].copy()}

    def observe(self) -> np.ndarray:
        velocities = np.clip(self.body.qvel, -self.fastest, self.fastest)
        return np.concatenate([self.body.qpos[:, self.hidden :], velocities], axis=1, dtype=np.float32)


class HalfCheetah(Runner):
    """deepnp/HalfCheetah-v5: 17 observations, 6 actions."""

    setup = Setup("half_cheetah.xml", 17, frame_skip=5, noise=0.1, normal_velocities=True, infos=SPEED)
    control_cost = 0.1


class Swimmer(Runner):
    """deepnp/Swimmer-v5: 8 observations, 2 actions."""

    setup = Setup("swimmer.xml", 8, frame_skip=4, noise=0.1, infos=(*SPEED, "y_velocity"))
    hidden, control_cost = 2, 1e-4


class Walker2d(Runner):
    """deepnp/Walker2d-v5: 17 observations, 6 actions."""

    setup = Setup("walker2d_v5.xml", 17, frame_skip=4, noise=5e-3, infos=(*SPEED, "reward_survive"))
    fastest, control_cost = 10.0, 1e-3
    limits = Limits(height=(0.8, 2.0), pitch=(-1.0, 1.0))


class Hopper(Runner):
    """deepnp/Hopper-v5: 11 observations, 3 actions."""

    setup = Setup("hopper.xml", 11, frame_skip=4, noise=5e-3, infos=(*SPEED, "reward_survive"))
    fastest, control_cost = 10.0, 1e-3
    limits = Limits(height=(0.7, np.inf), pitch=(-0.2, 0.2), rest=(-100.0, 100.0))


HalfCheetahEnv, HalfCheetahVectorEnv = environments(HalfCheetah)
SwimmerEnv, SwimmerVectorEnv = environments(Swimmer)
Walker2dEnv, Walker2dVectorEnv = environments(Walker2d)
HopperEnv, HopperVectorEnv = environments(Hopper)
