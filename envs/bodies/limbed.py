"""A body with limbs that moves forward: drive, observations, reward and end, shared by Walker and Crawler.

    r = 0.1 (x_t+1 − x_t)                     a tenth of the metres, along x
    end                                        a part that may not touch the ground touches it

The observation of a body part: the linear and angular velocity of its centre of mass in world axes 3 + 3, its held joint
targets, its held strength if it is a limb, and 1 if it is a foot that touches the ground.

Shapes: N copies, K sensed parts, L limbs.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from gymnasium import spaces

from envs.bodies.body import Body
from envs.bodies.drive import JointDrive
from envs.checks import Bounds
from envs.core import Core
from jit import exact_kernel

REWARD_PER_METRE = 0.1
TOUCH = 1e-3  # metres above the floor at which a foot counts as grounded
ABSENT, ZERO = -1, -2  # slots of joint targets: not observed, observed as a zero


class Senses:
    """The observation of a body: orientation of its trunk 4 (a quaternion with w ≥ 0), then its parts.

    Parameters
    ----------
    body : Body
    drive : JointDrive
    trunk : str
        The part whose orientation is observed.
    parts : list of str
        The sensed parts, in order.
    slots : array of int, (K, 3)
        Of each part's joint targets the actuator, or `ABSENT`, or `ZERO`.
    limbs : array of int, (K,)
        Of each part the limb whose strength is observed, or `ABSENT`.
    feet : array of int, (K,)
        Of each part the foot that it is, or `ABSENT`.
    """

    def __init__(self, body: Body, drive: JointDrive, trunk: str, parts: list[str], slots, limbs, feet):
        model, batch = body.model, body.batch
        self.slots, self.limbs, self.feet = (np.asarray(a, np.int64) for a in (slots, limbs, feet))
        self.lengths = 6 + (self.slots != ABSENT).sum(axis=1) + (self.limbs != ABSENT) + (self.feet != ABSENT)  # (K,)
        self.size = 4 + int(self.lengths.sum())
        ids = np.array([model.body(name).id for name in parts])
        self._layout = (model.body(trunk).id, ids, self.slots, self.limbs, self.feet)
        self._fields = tuple(batch.bind(name) for name in ("xquat", "xipos", "cvel", "subtree_com"))
        self._drive = drive

    def observe(self, grounded: np.ndarray, out: np.ndarray) -> None:
        """Into the first columns of out (N, …), with feet on the ground (N, feet)."""
        _observe(*self._fields, self._drive.targets, self._drive.strengths, grounded, *self._layout, out)


class Limbed(Core):
    """N bodies with limbs.

    Parameters
    ----------
    xml : Path
        The model. Its first joint is free; limbs are bodies with position servos.
    num_envs, frame_skip, num_threads : int
        See `Body`.
    noise : float
        Half-width of the uniform noise on the initial joint angles (rad) and velocities (rad/s), at most 0.5.
    limbs : list of str
        Bodies with a strength each, in the order of their actuators.
    feet : list of str
        Geoms whose touch is sensed.
    stands : set of str
        Geoms that may touch the ground.
    """

    def __init__(
        self,
        xml: Path,
        num_envs: int,
        frame_skip: int,
        num_threads: int,
        noise: float,
        limbs: list[str],
        feet: list[str],
        stands: set[str],
    ):
        if not 0 <= noise <= 0.5:
            raise ValueError(f"expected noise in [0, 0.5], given {noise}")
        self.body = Body(xml, num_envs, frame_skip, num_threads)
        model = self.body.model
        self.num_envs, self.noise = num_envs, noise
        self.render_fps = 1 / (frame_skip * model.opt.timestep)
        limb_of_body = {model.body(name).id: i for i, name in enumerate(limbs)}
        self.limb_of_joint = np.array([limb_of_body[b] for b in model.jnt_bodyid[model.actuator_trnid[:, 0]]])
        self.drive = JointDrive(self.body, self.limb_of_joint)
        self.action_space = spaces.Box(-1, 1, (model.nu + len(limbs),), np.float32)
        self.feet = np.array([model.geom(name).id for name in feet])
        self.upper = np.array([g for g in range(model.ngeom) if model.geom(g).name not in stands | {"floor"}])

    def rest(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The drive of the copies `ids` at rest, and the state that it aims at: qpos (len(ids), nq), qvel (len(ids), nv)."""
        self.drive.reset(ids)
        qpos = np.tile(self.body.model.qpos0, (len(ids), 1))
        qpos[:, self.drive.qpos_address] = self.drive.angles(self.drive.targets[ids])
        return qpos, np.zeros((len(ids), self.body.model.nv))

    def perturb(self, rng: np.random.Generator, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """Add uniform noise to one copy's joint angles (rad) and velocities (rad/s)."""
        for row, address in ((qpos, self.drive.qpos_address), (qvel, self.drive.qvel_address)):
            row[address] += rng.uniform(-self.noise, self.noise, len(address))

    def begin(self, ids: np.ndarray, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """Begin at these states, with the drive aimed at the joints' angles and the lowest foot on the ground."""
        self.drive.aim(ids, qpos[:, self.drive.qpos_address])
        self.body.reset(ids, qpos, qvel, self.drive.angles(self.drive.targets[ids]))
        self.body.put_down(ids, self.feet)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        targets = self.drive.targets.shape[1]
        self.drive.set(actions[:, :targets], actions[:, targets:])
        before = self.body.qpos[:, 0].copy()
        self.body.step()
        diverged = self.body.diverged
        rewards = np.where(diverged, 0.0, REWARD_PER_METRE * (self.body.qpos[:, 0] - before))
        fallen = (self.body.heights(self.upper) < 0).any(axis=1)
        return rewards, fallen | diverged

    def grounded(self) -> np.ndarray:
        """Which feet touch the ground: (N, feet)."""
        return self.body.heights(self.feet) < TOUCH

    def info(self) -> dict[str, np.ndarray]:
        """`distance` moved forward in metres, `diverged` where the physics gave up."""
        return {"distance": self.body.qpos[:, 0].copy(), "diverged": self.body.diverged.copy()}

    def render(self, copy: int) -> np.ndarray:
        return self.body.render(copy)

    def state(self) -> dict[str, np.ndarray]:
        return {**self.body.state(), "targets": self.drive.targets.copy(), "strengths": self.drive.strengths.copy()}

    def state_bounds(self) -> Bounds:
        return {"targets": (-1, 1), "strengths": (-1, 1)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self.body.restore(state)
        self.drive.targets[:], self.drive.strengths[:] = state["targets"], state["strengths"]

    def close(self) -> None:
        self.body.close()


@exact_kernel
def _observe(xquat, xipos, cvel, com, targets, strengths, grounded, trunk, parts, slots, limbs, feet, out):
    root = 1  # body 0 is the world; cvel is about the centre of mass of the tree that starts here
    for i in range(out.shape[0]):
        sign = 1.0 if xquat[i, trunk, 0] >= 0 else -1.0  # q and −q are the same rotation
        for j in range(4):
            out[i, j] = sign * xquat[i, trunk, j]
        c = 4
        for k, b in enumerate(parts):
            wx, wy, wz = cvel[i, b, 0], cvel[i, b, 1], cvel[i, b, 2]
            rx, ry, rz = xipos[i, b, 0] - com[i, root, 0], xipos[i, b, 1] - com[i, root, 1], xipos[i, b, 2] - com[i, root, 2]
            out[i, c] = cvel[i, b, 3] + wy * rz - wz * ry  # v + ω × r
            out[i, c + 1] = cvel[i, b, 4] + wz * rx - wx * rz
            out[i, c + 2] = cvel[i, b, 5] + wx * ry - wy * rx
            out[i, c + 3], out[i, c + 4], out[i, c + 5] = wx, wy, wz
            c += 6
            for slot in slots[k]:
                if slot != -1:  # ABSENT; −2 is ZERO
                    out[i, c] = targets[i, slot] if slot >= 0 else 0.0
                    c += 1
            if limbs[k] >= 0:
                out[i, c] = strengths[i, limbs[k]]
                c += 1
            if feet[k] >= 0:
                out[i, c] = grounded[i, feet[k]]
                c += 1
