"""The joint drive: a target angle and a strength, both in [−1, 1], for a spring–damper motor.

    q* = lo + (target + 1)/2 · (hi − lo)                  the target maps onto the joint's limits
    F  = clip(kp (q* − q) − kv q̇, ±(strength + 1)/2 · F_max)      the strength caps the force

kp, kv and F_max are the model's (`<position kp kv forcerange>`); the clip happens inside MuJoCo, so the implicit
integrator keeps stiff springs stable. A limb has one strength for all of its joints.

Shapes: N copies, J driven joints, L limbs.
"""

import numpy as np

from envs.bodies.body import Body


class JointDrive:
    """Drives every actuator of a body.

    Parameters
    ----------
    body : Body
        Its actuators are position servos on hinges with limits.
    limbs : array of int, (J,)
        The limb of each actuator, 0 … L − 1.

    Attributes
    ----------
    targets : array (N, J)
        Held targets in [−1, 1].
    strengths : array (N, L)
        Held strengths in [−1, 1].
    """

    def __init__(self, body: Body, limbs: np.ndarray):
        model = body.model
        if len(limbs) != model.nu:
            raise ValueError(f"expected a limb for each of the {model.nu} actuators, given {len(limbs)}")
        joints = model.actuator_trnid[:, 0]
        self.qpos_address = model.jnt_qposadr[joints]
        self.qvel_address = model.jnt_dofadr[joints]
        self.low, self.high = model.jnt_range[joints].T
        self._ctrl = body.ctrl
        self._limbs = np.asarray(limbs)
        self._force_limit = model.actuator_forcerange[:, 1].copy()
        self._force_range = body.batch.expand("actuator_forcerange")  # (N, J, 2), read by MuJoCo at each step
        self.targets = np.zeros((len(body.qpos), model.nu))
        self.strengths = np.zeros((len(body.qpos), int(self._limbs.max()) + 1))

    def angles(self, targets: np.ndarray) -> np.ndarray:
        """Joint angles in radians of targets (…, J)."""
        return self.low + (targets + 1) / 2 * (self.high - self.low)

    def set(self, targets: np.ndarray, strengths: np.ndarray) -> None:
        """Hold targets (N, J) and strengths (N, L) from now on; values beyond [−1, 1] are clipped."""
        np.clip(targets, -1, 1, out=self.targets)
        np.clip(strengths, -1, 1, out=self.strengths)
        self._ctrl[:] = self.angles(self.targets)
        cap = (self.strengths[:, self._limbs] + 1) / 2 * self._force_limit
        self._force_range[:, :, 0], self._force_range[:, :, 1] = -cap, cap

    def aim(self, ids: np.ndarray, angles: np.ndarray) -> None:
        """Aim the copies `ids` at joint angles (len(ids), J) in radians, as far as the limits allow."""
        self.targets[ids] = np.clip(2 * (angles - self.low) / (self.high - self.low) - 1, -1, 1)

    def reset(self, ids: np.ndarray) -> None:
        """Targets and strengths of the copies `ids` back to zero: mid-range, half force."""
        self.targets[ids], self.strengths[ids] = 0, 0
