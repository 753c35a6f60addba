"""deepnp/Walker-v0: walk forward as far as possible without falling (the thesis's §4.4 task).

Observation (120)   chest orientation, a quaternion with w ≥ 0: 4 · head B10 · chest velocities 6 · hips B10 · arms B10 ×2 ·
                    forearms B8 ×2 · legs B10 ×2 · shins B8 ×2 · feet (B8 + 1 if it touches the ground) ×2
                    B10 = a limb's linear velocity 3, angular velocity 3, held joint targets 3, held strength 1; B8 has one
                    joint. Velocities are the limb's centre of mass's, in world axes (x forward, y left, z up), m/s and rad/s.
Action (36)         joint targets: head 3, hips 3, left arm 3, left forearm 1, right arm 3, right forearm 1, left leg 3,
                    left shin 1, left foot 1, right leg 3, right shin 1, right foot 1; then a strength for each of the 12 limbs.
Reward              0.1 for each metre that the chest moves forward
End                 anything but a foot or a shin touches the ground

A decision is `frame_skip` substeps of 5 ms with the action held.
"""

from pathlib import Path

import numpy as np
from gymnasium import spaces
from numba import njit

from envs.bodies.body import Body
from envs.bodies.drive import JointDrive
from envs.core import Core
from envs.single import SingleEnv
from envs.vector import CoreVectorEnv

LIMBS = ["head", "hips", "left_arm", "left_forearm", "right_arm", "right_forearm"]
LIMBS += ["left_leg", "left_shin", "left_foot", "right_leg", "right_shin", "right_foot"]
SENSED = ["head", "chest", "hips", "left_arm", "right_arm", "left_forearm", "right_forearm"]
SENSED += ["left_leg", "right_leg", "left_shin", "right_shin", "left_foot", "right_foot"]
REWARD_PER_METRE = 0.1
TOUCH = 1e-3  # metres above the floor at which a foot counts as grounded


class Walker(Core):
    """N walkers.

    Parameters
    ----------
    num_envs : int
        N.
    frame_skip : int
        Physics substeps of 5 ms a decision; the default of 8 is 40 ms, 25 decisions a second.
    num_threads : int
        Native threads; 0 takes every processor that this process may use.
    noise : float
        Half-width of the uniform noise on the initial joint angles (rad) and velocities (rad/s).
    stride : float
        An episode begins within a step: one leg stands, forward by half to all of this hip angle (rad), the other is behind,
        bent and swinging forward; which is which is chance. So the walker meets both halves of a gait from the first day.
    push : float
        The chest's initial speed forward, up to this many m/s, in proportion to the step.
    """

    def __init__(
        self,
        num_envs: int = 1,
        frame_skip: int = 8,
        num_threads: int = 0,
        noise: float = 0.05,
        stride: float = 0.45,
        push: float = 1.2,
    ):
        for name, value, limit in (("noise", noise, 0.5), ("stride", stride, 0.5), ("push", push, 3.0)):
            if not 0 <= value <= limit:
                raise ValueError(f"expected {name} in [0, {limit}], given {value}")
        self.body = Body(Path(__file__).with_name("walker.xml"), num_envs, frame_skip, num_threads)
        model = self.body.model
        self.num_envs = num_envs
        self.noise, self.stride, self.push = noise, stride, push
        self.render_fps = 1 / (frame_skip * model.opt.timestep)
        joint_bodies = model.jnt_bodyid[model.actuator_trnid[:, 0]]
        limb_of_body = {model.body(name).id: i for i, name in enumerate(LIMBS)}
        limbs = np.array([limb_of_body[b] for b in joint_bodies])
        self.drive = JointDrive(self.body, limbs)
        self.observation_space = spaces.Box(-np.inf, np.inf, (120,), np.float32)
        self.action_space = spaces.Box(-1, 1, (model.nu + len(LIMBS),), np.float32)

        self._bodies = np.array([model.body(name).id for name in SENSED])
        self._first_joint = np.array([np.flatnonzero(limbs == LIMBS.index(n))[0] if n in LIMBS else -1 for n in SENSED])
        self._joints = np.array([(limbs == LIMBS.index(n)).sum() if n in LIMBS else 0 for n in SENSED])
        self._limb = np.array([LIMBS.index(n) if n in LIMBS else -1 for n in SENSED])
        self._feet = np.array([model.geom(name).id for name in ("left_foot", "right_foot")])
        stands = {model.geom(f"{side}_{part}").id for side in ("left", "right") for part in ("foot", "shin")}
        self._upper = np.array([g for g in range(model.ngeom) if g not in stands | {model.geom("floor").id}])
        batch = self.body.batch
        self._xquat, self._xipos, self._cvel = batch.bind("xquat"), batch.bind("xipos"), batch.bind("cvel")
        self._com = batch.bind("subtree_com")
        self._mid_step = [self._step_forward(standing, swinging) for standing, swinging in (("left", "right"), ("right", "left"))]

    def reset(self, ids: np.ndarray, rngs: list[np.random.Generator]) -> None:
        model, drive = self.body.model, self.drive
        drive.reset(ids)
        qpos = np.tile(model.qpos0, (len(ids), 1))
        qvel = np.zeros((len(ids), model.nv))
        qpos[:, drive.qpos_address] = drive.angles(drive.targets[ids])
        for row, i in enumerate(ids):
            pose, velocity = self._mid_step[rngs[i].integers(2)]
            share = rngs[i].uniform(0.5, 1)  # from standing still, hopping on both legs is learned too easily
            qpos[row] += share * self.stride * pose
            qvel[row] += share * self.stride * velocity
            qvel[row, 0] = share * self.push
            qpos[row, drive.qpos_address] += rngs[i].uniform(-self.noise, self.noise, model.nu)
            qvel[row, drive.qvel_address] += rngs[i].uniform(-self.noise, self.noise, model.nu)
        drive.aim(ids, qpos[:, drive.qpos_address])
        self.body.reset(ids, qpos, qvel, drive.angles(drive.targets[ids]))
        self.body.put_down(ids, self._feet)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        targets = self.drive.targets.shape[1]
        self.drive.set(actions[:, :targets], actions[:, targets:])
        before = self.body.qpos[:, 0].copy()
        self.body.step()
        diverged = self.body.diverged
        rewards = np.where(diverged, 0.0, REWARD_PER_METRE * (self.body.qpos[:, 0] - before))
        fallen = (self.body.heights(self._upper) < 0).any(axis=1)
        return rewards, fallen | diverged

    def observe(self) -> np.ndarray:
        out = np.empty((self.num_envs, 120), np.float32)
        grounded = self.body.heights(self._feet) < TOUCH
        layout = (self._bodies, self._first_joint, self._joints, self._limb)
        _observe(self._xquat, self._xipos, self._cvel, self._com, self.drive.targets, self.drive.strengths, grounded, layout, out)
        return out

    def info(self) -> dict[str, np.ndarray]:
        """`distance` walked in metres, `diverged` where the physics gave up."""
        return {"distance": self.body.qpos[:, 0].copy(), "diverged": self.body.diverged.copy()}

    def render(self, copy: int) -> np.ndarray:
        return self.body.render(copy)

    def state(self) -> dict[str, np.ndarray]:
        return {**self.body.state(), "targets": self.drive.targets.copy(), "strengths": self.drive.strengths.copy()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        self.body.set_state(state)
        self.drive.targets[:], self.drive.strengths[:] = state["targets"], state["strengths"]

    def mirror(self) -> dict[str, np.ndarray]:
        """The reflection of left and right, y → −y: as index and sign arrays, mirrored = sign · original[index].

        Vectors turn (x, −y, z), rotations (−x, y, −z); limbs change sides, and the right side's joint axes are built as
        the left side's reflections, so their angles keep their signs.
        """
        names = [_other_side(name) for name in LIMBS]
        first, count = {}, {}
        for name in LIMBS:
            k = SENSED.index(name)
            first[name], count[name] = self._first_joint[k], self._joints[k]
        target_index, target_sign = [], []
        for name, twin in zip(LIMBS, names, strict=True):
            target_index += [first[twin] + j for j in range(count[name])]
            target_sign += [-1, 1, -1] if name == twin else [1] * count[name]
        strength_index = [LIMBS.index(twin) for twin in names]
        targets = len(target_index)
        lengths = [6 + self._joints[k] + (self._limb[k] >= 0) + name.endswith("foot") for k, name in enumerate(SENSED)]
        starts = dict(zip(SENSED, 4 + np.cumsum([0, *lengths[:-1]]), strict=True))
        index, sign = list(range(4)), [1, -1, 1, -1]
        for k, name in enumerate(SENSED):
            twin = _other_side(name)
            index += range(starts[twin], starts[twin] + lengths[k])
            signs = [1] * lengths[k]
            signs[:6] = [1, -1, 1, -1, 1, -1]
            if name == twin and self._limb[k] >= 0:
                signs[6:9] = [-1, 1, -1]
            sign += signs
        return {
            "observation_index": np.array(index),
            "observation_sign": np.array(sign, np.float32),
            "action_index": np.array(target_index + [targets + i for i in strength_index]),
            "action_sign": np.array(target_sign + [1] * len(LIMBS), np.float32),
        }

    def close(self) -> None:
        self.body.close()

    def _step_forward(self, standing: str, swinging: str) -> tuple[np.ndarray, np.ndarray]:
        """Joint angles (nq,) and velocities (nv,) of a step with a hip angle of one radian, to be added to the half-crouch."""
        model = self.body.model
        pose, velocity = np.zeros(model.nq), np.zeros(model.nv)
        angles = {f"{standing}_leg_y": 1, f"{standing}_foot_y": -1, f"{swinging}_leg_y": -0.5, f"{swinging}_shin_y": 1.5}
        for name, angle in angles.items():
            pose[model.joint(name).qposadr[0]] = angle
        velocity[model.joint(f"{swinging}_leg_y").dofadr[0]] = 8
        return pose, velocity


def _other_side(name: str) -> str:
    return name.replace("left", "*").replace("right", "left").replace("*", "right")


@njit(cache=True, nogil=True, error_model="numpy")
def _observe(xquat, xipos, cvel, com, targets, strengths, grounded, layout, out):
    bodies, first_joint, joints, limb = layout
    chest = bodies[1]
    root = 1  # body 0 is the world; cvel is about the centre of mass of the tree that starts here
    for i in range(out.shape[0]):
        sign = 1.0 if xquat[i, chest, 0] >= 0 else -1.0  # q and −q are the same rotation
        for j in range(4):
            out[i, j] = sign * xquat[i, chest, j]
        c = 4
        for k, b in enumerate(bodies):
            wx, wy, wz = cvel[i, b, 0], cvel[i, b, 1], cvel[i, b, 2]
            rx, ry, rz = xipos[i, b, 0] - com[i, root, 0], xipos[i, b, 1] - com[i, root, 1], xipos[i, b, 2] - com[i, root, 2]
            out[i, c] = cvel[i, b, 3] + wy * rz - wz * ry  # v + ω × r
            out[i, c + 1] = cvel[i, b, 4] + wz * rx - wx * rz
            out[i, c + 2] = cvel[i, b, 5] + wx * ry - wy * rx
            out[i, c + 3], out[i, c + 4], out[i, c + 5] = wx, wy, wz
            c += 6
            for j in range(joints[k]):
                out[i, c] = targets[i, first_joint[k] + j]
                c += 1
            if limb[k] >= 0:
                out[i, c] = strengths[i, limb[k]]
                c += 1
            if k >= len(bodies) - 2:  # the feet come last
                out[i, c] = grounded[i, k - len(bodies) + 2]
                c += 1


class WalkerEnv(SingleEnv):
    """One walker; keyword arguments are `Walker`'s."""

    def __init__(
        self, render_mode: str | None = None, frame_skip: int = 8, noise: float = 0.05, stride: float = 0.45, push: float = 1.2
    ):
        super().__init__(Walker(1, frame_skip, 1, noise, stride, push), render_mode)


class WalkerVectorEnv(CoreVectorEnv):
    """Many walkers; keyword arguments are `Walker`'s and `CoreVectorEnv`'s."""

    def __init__(
        self,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        autoreset_mode="NextStep",
        render_mode: str | None = None,
        frame_skip: int = 8,
        num_threads: int = 0,
        noise: float = 0.05,
        stride: float = 0.45,
        push: float = 1.2,
    ):
        super().__init__(
            Walker(num_envs, frame_skip, num_threads, noise, stride, push), max_episode_steps, autoreset_mode, render_mode
        )

    def mirror(self) -> dict[str, np.ndarray]:
        """See `Walker.mirror`."""
        return self.core.mirror()
