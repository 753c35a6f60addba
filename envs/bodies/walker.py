"""deepnp/Walker-v0: walk forward as far as possible without falling.

Observation (120)   chest orientation, a quaternion with w ≥ 0: 4 · head B10 · chest velocities 6 · hips B10 · arms B10 ×2 ·
                    forearms B8 ×2 · legs B10 ×2 · shins B8 ×2 · feet (B8 + 1 if it touches the ground) ×2
                    B10 = a limb's linear velocity 3, angular velocity 3, held joint targets 3, held strength 1; B8 has one
                    joint. Velocities are the limb's centre of mass's, in world axes (x forward, y left, z up), m/s and rad/s.
Action (36)         joint targets: head 3, hips 3, left arm 3, left forearm 1, right arm 3, right forearm 1, left leg 3,
                    left shin 1, left foot 1, right leg 3, right shin 1, right foot 1; then a strength for each of the 12 limbs.
Reward              0.1 for each metre that the chest moves forward
End                 anything but a foot or a shin touches the ground

A decision is `frame_skip` substeps of 5 ms with the action held.

The thesis's text observes "rotation, velocities and angular velocities of each body part". Here, as in its public code, it is the
chest's rotation alone, each part's velocities, and what the drive holds. The text ends an episode when the upper body touches the
ground; here a thigh counts, too. How an episode starts is not said there; ours starts within a step (`stride`, `push`), which
shapes the gait: `stride=0, push=0` starts at rest.
"""

from pathlib import Path

import numpy as np
from gymnasium import spaces

from envs.bodies.camera import filmable
from envs.bodies.limbed import ABSENT, Limbed, Senses
from envs.pair import environments

LIMBS = ["head", "hips", "left_arm", "left_forearm", "right_arm", "right_forearm"]
LIMBS += ["left_leg", "left_shin", "left_foot", "right_leg", "right_shin", "right_foot"]
SENSED = ["head", "chest", "hips", "left_arm", "right_arm", "left_forearm", "right_forearm"]
SENSED += ["left_leg", "right_leg", "left_shin", "right_shin", "left_foot", "right_foot"]
FEET = ["left_foot", "right_foot"]


class Walker(Limbed):
    """N walkers.

    Parameters
    ----------
    num_envs, frame_skip, num_threads : int
        See `Body`. The default of 8 substeps is 40 ms, 25 decisions a second.
    noise : float
        See `Limbed`.
    stride : float
        An episode begins within a step: one leg stands, forward by half to all of this hip angle (rad), the other is behind,
        bent and swinging forward. Which leg stands is drawn at random, so the walker meets both halves of a gait from the start.
    push : float
        The chest's initial speed forward, up to this many m/s, in proportion to the step.
    """

    offers = ("mirror",)

    def __init__(
        self,
        num_envs: int = 1,
        frame_skip: int = 8,
        num_threads: int = 0,
        noise: float = 0.05,
        stride: float = 0.45,
        push: float = 1.2,
    ):
        for name, value, limit in (("stride", stride, 0.5), ("push", push, 3.0)):
            if not 0 <= value <= limit:
                raise ValueError(f"expected {name} in [0, {limit}], given {value}")
        stands = {*FEET, "left_shin", "right_shin"}
        super().__init__(Path(__file__).with_name("walker.xml"), num_envs, frame_skip, num_threads, noise, LIMBS, FEET, stands)
        self.stride, self.push = stride, push
        joints = [np.flatnonzero(self.limb_of_joint == LIMBS.index(n)) if n in LIMBS else [] for n in SENSED]
        slots = [[*own, *[ABSENT] * (3 - len(own))] for own in joints]
        limbs = [LIMBS.index(n) if n in LIMBS else ABSENT for n in SENSED]
        feet = [FEET.index(n) if n in FEET else ABSENT for n in SENSED]
        self.senses = Senses(self.body, self.drive, "chest", SENSED, slots, limbs, feet)
        self.observation_space = spaces.Box(-np.inf, np.inf, (self.senses.size,), np.float32)
        self._mid_step = [self._step_forward(standing, swinging) for standing, swinging in (("left", "right"), ("right", "left"))]

    def reset(self, ids: np.ndarray, rngs: list[np.random.Generator]) -> None:
        qpos, qvel = self.rest(ids)
        for row, i in enumerate(ids):
            pose, velocity = self._mid_step[rngs[i].integers(2)]
            share = rngs[i].uniform(0.5, 1)  # from standing still, hopping on both legs is learned too easily
            qpos[row] += share * self.stride * pose
            qvel[row] += share * self.stride * velocity
            qvel[row, 0] = share * self.push
            self.perturb(rngs[i], qpos[row], qvel[row])
        self.begin(ids, qpos, qvel)

    def observe(self) -> np.ndarray:
        out = np.empty((self.num_envs, self.senses.size), np.float32)
        self.senses.observe(self.grounded(), out)
        return out

    def mirror(self) -> dict[str, np.ndarray]:
        """The reflection of left and right, y → −y: as index and sign arrays, mirrored = sign · original[index].

        Vectors turn (x, −y, z), rotations (−x, y, −z); limbs change sides, and the right side's joint axes are built as
        the left side's reflections, so their angles keep their signs.
        """
        names = [_other_side(name) for name in LIMBS]
        joints = {name: np.flatnonzero(self.limb_of_joint == i) for i, name in enumerate(LIMBS)}
        target_index, target_sign = [], []
        for name, twin in zip(LIMBS, names, strict=True):
            target_index += [*joints[twin]]
            target_sign += [-1, 1, -1] if name == twin else [1] * len(joints[name])
        strength_index = [LIMBS.index(twin) for twin in names]
        targets = len(target_index)
        lengths = self.senses.lengths
        starts = dict(zip(SENSED, 4 + np.cumsum([0, *lengths[:-1]]), strict=True))
        index, sign = list(range(4)), [1, -1, 1, -1]
        for k, name in enumerate(SENSED):
            twin = _other_side(name)
            index += range(starts[twin], starts[twin] + lengths[k])
            signs = [1] * lengths[k]
            signs[:6] = [1, -1, 1, -1, 1, -1]
            if name == twin and name in LIMBS:
                signs[6:9] = [-1, 1, -1]
            sign += signs
        return {
            "observation_index": np.array(index),
            "observation_sign": np.array(sign, np.float32),
            "action_index": np.array(target_index + [targets + i for i in strength_index]),
            "action_sign": np.array(target_sign + [1] * len(LIMBS), np.float32),
        }

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


WalkerEnv, WalkerVectorEnv = environments(Walker, filmable(Walker))
