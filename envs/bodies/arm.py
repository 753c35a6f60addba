"""deepnp/ArmReach-v0 and deepnp/ArmPush-v0: a robot arm with a goal, for hindsight replay.

    reach   bring the hand to a point in space              push   push the cube to a point on the ground

Observation         a dictionary of three float32 arrays
  observation       joint angles J, angular velocities J (rad/s), held targets J, the hand's place 3;
                    push: and the cube's place from the hand 3, two axes of its orientation 6, its velocity 3, its spin 3
  achieved_goal     where the hand (reach) or the cube (push) is, 3
  desired_goal      where it is to be, 3
Action (J)          how fast the joints' targets move, in [−1, 1]: six joints and three claws, or six if the hand has no claws
Reward              −1 while further than 0.05 m from the goal, else 0; shaped: minus the distance in metres
End                 none but the time limit

Angles and targets are measured in [−1, 1] between a joint's limits. A decision is `frame_skip` substeps of 5 ms. The hand's
place is the one of a substep before, see body.py; x forward, y left, z up, in metres.
"""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces

from envs.bodies.body import Body
from envs.bodies.camera import filmable
from envs.bodies.drive import JointDrive
from envs.bodies.rendering import View
from envs.checks import Bounds
from envs.core import Core
from envs.pair import environments

TOLERANCE = 0.05  # metres
RATE = 0.1  # of half a joint's range, that its target moves in a decision at most
JOINTS, CLAWS = 6, 3
CAMERA = View(lookat=(0.3, 0.0, 0.28), distance=1.9, azimuth=125, elevation=-25)


class Arm(Core):
    """N arms with a goal.

    Parameters
    ----------
    num_envs, frame_skip, num_threads : int
        See `Body`. The default of 8 substeps is 40 ms, 25 decisions a second.
    claws : bool
        Whether the actions move the claws too; without, they stay half closed.
    shaped : bool
        Pay minus the distance instead of −1 or 0.
    noise : float
        Half-width of the uniform noise on the joints' initial angles, where 1 is half a joint's range.
    """

    offers: ClassVar[tuple[str, ...]] = ("compute_reward",)
    model: ClassVar[str]
    sensed: ClassVar[int]  # observations beyond the arm's own
    ready: ClassVar[tuple[float, ...]] = (0, 0, 0, 0, 0, 0)  # targets at the start, before the noise

    def __init__(
        self,
        num_envs: int = 1,
        frame_skip: int = 8,
        num_threads: int = 0,
        claws: bool = True,
        shaped: bool = False,
        noise: float = 0.1,
    ):
        if not 0 <= noise <= 1:
            raise ValueError(f"expected noise in [0, 1], given {noise}")
        self.body = Body(Path(__file__).with_name(self.model), num_envs, frame_skip, num_threads, CAMERA)
        self.body.derived = ("site_xpos",)
        self.drive = JointDrive(self.body, np.zeros(JOINTS + CLAWS, int))
        self.drive.strengths[:] = 1
        self.num_envs, self.shaped, self.noise = num_envs, shaped, noise
        self.joints = JOINTS + CLAWS * claws
        self.render_fps = 1 / (frame_skip * self.body.model.opt.timestep)
        self.action_space = spaces.Box(-1, 1, (self.joints,), np.float32)
        sizes = {"observation": 3 * self.joints + 3 + self.sensed, "achieved_goal": 3, "desired_goal": 3}
        self.observation_space = spaces.Dict(
            {name: spaces.Box(-np.inf, np.inf, (size,), np.float32) for name, size in sizes.items()}
        )
        self._hand = self.body.batch.bind("site_xpos")
        self._goal = self.body.batch.bind("mocap_pos")  # the red ball

    @abstractmethod
    def achieved(self) -> np.ndarray:
        """The position that the goal is for: (N, 3)."""

    @abstractmethod
    def _draw(self, rng: np.random.Generator, qpos: np.ndarray) -> np.ndarray:
        """Draw a goal (3,), and the positions of objects into qpos."""

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: dict) -> np.ndarray:
        """Rewards (…,) of goals (…, 3); info is not used."""
        distance = np.linalg.norm(np.asarray(achieved_goal) - np.asarray(desired_goal), axis=-1)
        return -distance if self.shaped else -(distance > TOLERANCE).astype(np.float32)

    def reset(self, ids: np.ndarray, rngs: list[np.random.Generator]) -> None:
        model, drive = self.body.model, self.drive
        qpos, goals = np.tile(model.qpos0, (len(ids), 1)), np.zeros((len(ids), 3))
        for row, i in enumerate(ids):
            drive.targets[i] = 0
            drive.targets[i, :JOINTS] = np.clip(self.ready + rngs[i].uniform(-self.noise, self.noise, JOINTS), -1, 1)
            goals[row] = self._draw(rngs[i], qpos[row])
        angles = drive.angles(drive.targets[ids])
        qpos[:, drive.qpos_address] = angles
        self.body.reset(ids, qpos, np.zeros((len(ids), model.nv)), angles)
        self._goal[ids, 0] = goals

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        targets = self.drive.targets.copy()
        targets[:, : self.joints] += RATE * np.clip(actions, -1, 1)
        self.drive.set(targets, self.drive.strengths)
        goals = self._goal.copy()
        self.body.step()
        self._goal[:] = goals  # a diverged copy keeps its goal to the end
        rewards = self.compute_reward(*self._goals(), {})
        return np.where(self.body.diverged, 0.0, rewards), self.body.diverged.copy()

    def observe(self) -> Any:
        achieved, desired = self._goals()
        observation = np.concatenate([*self._own(), *self._sense()], axis=1, dtype=np.float32)
        return {"observation": observation, "achieved_goal": achieved, "desired_goal": desired}

    def _own(self) -> list[np.ndarray]:
        """Angles, speeds and targets of the joints, (N, J) each, and the hand's place (N, 3)."""
        drive, moved = self.drive, slice(None, self.joints)
        angles = 2 * (self.body.qpos[:, drive.qpos_address] - drive.low) / (drive.high - drive.low) - 1
        return [angles[:, moved], self.body.qvel[:, drive.qvel_address][:, moved], drive.targets[:, moved], self._hand[:, 0]]

    def _sense(self) -> list[np.ndarray]:
        return []

    def _goals(self) -> tuple[np.ndarray, np.ndarray]:
        """As observed, so that rewards recomputed from memory are equal."""
        return self.achieved().astype(np.float32), self._goal[:, 0].astype(np.float32)

    def info(self) -> dict[str, np.ndarray]:
        """`is_success`, `goal_distance` in metres, `diverged` where the physics gave up."""
        achieved, desired = self._goals()
        distance = np.linalg.norm(achieved - desired, axis=1).astype(float)
        return {"is_success": distance <= TOLERANCE, "goal_distance": distance, "diverged": self.body.diverged.copy()}

    def render(self, copy: int) -> np.ndarray:
        return self.body.render(copy)

    def state(self) -> dict[str, np.ndarray]:
        return {**self.body.state(), "targets": self.drive.targets.copy()}

    def state_bounds(self) -> Bounds:
        return {"targets": (-1, 1)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self.body.restore(state)
        self.drive.targets[:] = state["targets"]

    def close(self) -> None:
        self.body.close()


class ArmReach(Arm):
    """Bring the hand to a point within reach: 0.35 to 0.7 m from the shoulder, in front, above the ground."""

    model, sensed = "arm.xml", 0

    def achieved(self) -> np.ndarray:
        return self._hand[:, 0]

    def _draw(self, rng, qpos):
        shoulder = np.array([0, 0, 0.3])
        while True:
            goal = shoulder + rng.uniform(-0.7, 0.7, 3)
            if 0.35 < np.linalg.norm(goal - shoulder) < 0.7 and goal[0] > 0.1 and goal[2] > 0.12:
                return goal


class ArmPush(Arm):
    """Push the cube to a point on the ground, 0.1 to 0.3 m away from where it lies."""

    model, sensed = "arm_push.xml", 15
    ready = (0, 0.3, 0, 0, 0, 0)  # lower: the hand hangs over the cubes

    def achieved(self) -> np.ndarray:
        return self._cube()[0][:, :3]

    def _draw(self, rng, qpos):
        cube, goal = _ground(rng), _ground(rng)
        while not 0.1 < np.linalg.norm(goal - cube) < 0.3:
            goal = _ground(rng)
        turn = rng.uniform(-np.pi / 8, np.pi / 8)  # half of its angle
        qpos[-7:] = [*cube, np.cos(turn), 0, 0, np.sin(turn)]
        return goal

    def _cube(self) -> tuple[np.ndarray, np.ndarray]:
        """Place and orientation (N, 7), velocity and spin (N, 6)."""
        return self.body.qpos[:, -7:], self.body.qvel[:, -6:]

    def _sense(self) -> list[np.ndarray]:
        pose, motion = self._cube()
        w, x, y, z = pose[:, 3:].T
        first = [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)]
        second = [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)]
        return [pose[:, :3] - self._hand[:, 0], np.stack([*first, *second], axis=1), motion]


def _ground(rng: np.random.Generator) -> np.ndarray:
    """A point for the cube's centre: on the ground, 0.4 to 0.6 m from the arm, within 40° of straight ahead."""
    distance, angle = rng.uniform(0.4, 0.6), rng.uniform(-0.7, 0.7)
    return np.array([distance * np.cos(angle), distance * np.sin(angle), 0.05])


ArmReachEnv, ArmReachVectorEnv = environments(ArmReach, filmable(ArmReach))
ArmPushEnv, ArmPushVectorEnv = environments(ArmPush, filmable(ArmPush))
