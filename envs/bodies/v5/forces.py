"""External forces on every body, contacts included: MuJoCo's `cfrc_ext`, which `mj_step` leaves out.

Gymnasium calls `mj_rnePostConstraint` after each decision, on what the integrator's last stage left behind. That is in no
array of the batch (a force sensor reports the first stage's), so a persistent batch's data is copied out, one copy of the
body after the other: some 16 µs, a thirtieth of an Ant's decision.

Shapes: N copies, B bodies.
"""

import mujoco
import numpy as np

from envs.bodies.body import Body


class ExternalForces:
    """`values` (N, B, 6): torque and force about the tree's centre of mass, zero at the start of an episode.

    Parameters
    ----------
    body : Body
        A persistent one.
    """

    def __init__(self, body: Body):
        self._body, self._data = body, mujoco.MjData(body.model)
        self.values = np.zeros((len(body.qpos), body.model.nbody, 6))

    def update(self) -> None:
        """After a decision."""
        for copy, row in enumerate(self.values):
            self._body.batch.get_data(copy, self._data)
            mujoco.mj_rnePostConstraint(self._body.model, self._data)
            row[:] = self._data.cfrc_ext

    def reset(self, ids: np.ndarray) -> None:
        self.values[ids] = 0
