"""What a MuJoCo environment of Gymnasium's holds.

MuJoCo's integration state (positions, velocities, warm start, time, controls) decides all later
states. It does not decide everything that a task reads before the next step: positions of bodies
(`xpos`) are those of one substep before, and Ant's and Humanoid's rewards are made of them. So the
arrays that MuJoCo derives are saved too.
"""

from typing import Any

import numpy as np

from rl.experience.capture_layers import Setter

PLACES = ("xpos", "xquat", "xmat", "xipos", "ximat", "xanchor", "xaxis", "geom_xpos", "geom_xmat", "site_xpos", "site_xmat")
VIEWS = ("cam_xpos", "cam_xmat", "light_xpos", "light_xdir")
MOTION = ("cdof", "cdof_dot", "cinert", "cvel", "cacc", "subtree_com", "subtree_linvel", "subtree_angmom", "energy")
FORCES = ("cfrc_int", "cfrc_ext", "qacc", "qacc_smooth", "sensordata", "act_dot")
JOINTS = ("bias", "spring", "damper", "gravcomp", "fluid", "passive", "actuator", "smooth", "constraint", "inverse")
LENGTHS = ("ten_length", "ten_velocity", "actuator_length", "actuator_velocity", "actuator_force")
# What MuJoCo computes in a step and keeps until the next.
DERIVED = (*PLACES, *VIEWS, *MOTION, *FORCES, *(f"qfrc_{name}" for name in JOINTS), *LENGTHS)


class Physics:
    """MuJoCo's data of an environment.

    Parameters
    ----------
    env : MujocoEnv
    """

    def __init__(self, env: Any):
        self.env = env

    def state(self) -> dict[str, Any]:
        derived = {name: array.copy() for name, array in self._derived().items()}
        return {"integration": self._integration(), "derived": derived}

    def setter(self, state: Any) -> Setter:
        own = {"integration": self._integration(), "derived": self._derived()}
        if not isinstance(state, dict) or state.keys() != own.keys() or not isinstance(state["derived"], dict):
            raise ValueError(f"expected {sorted(own)} of MuJoCo, given {state!r:.80}")
        _check("the integration state", state["integration"], own["integration"])
        if state["derived"].keys() != own["derived"].keys():
            odd = sorted(state["derived"].keys() ^ own["derived"].keys())
            raise ValueError(f"expected the arrays of this version of MuJoCo, given {odd} besides or not")
        for name, array in own["derived"].items():
            _check(name, state["derived"][name], array)
        if not np.isfinite(state["integration"]).all():
            raise ValueError("expected a finite integration state of MuJoCo")
        return lambda: self._set(state)

    def _set(self, state):
        import mujoco

        mujoco.mj_setState(self.env.model, self.env.data, state["integration"], int(mujoco.mjtState.mjSTATE_INTEGRATION))
        for name, array in self._derived().items():
            array[...] = state["derived"][name]

    def _integration(self):
        import mujoco

        spec = int(mujoco.mjtState.mjSTATE_INTEGRATION)
        state = np.empty(mujoco.mj_stateSize(self.env.model, spec))
        mujoco.mj_getState(self.env.model, self.env.data, state, spec)
        return state

    def _derived(self):
        """Views of what MuJoCo derived in its last step."""
        return {name: getattr(self.env.data, name) for name in DERIVED}


def _check(name, given, own):
    if not isinstance(given, np.ndarray) or (given.shape, given.dtype) != (own.shape, own.dtype):
        shape, dtype = np.shape(given), getattr(given, "dtype", type(given).__name__)
        raise ValueError(f"expected {name} of MuJoCo as {own.dtype} of shape {own.shape}, given {dtype} of shape {shape}")
