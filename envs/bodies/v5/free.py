"""Ant and Humanoid: move along x, free in space.

    r = v_x·w + healthy − c Σ u² − contact cost        healthy while the torso's height is within the limits, the end beyond

An ant's speed is its torso's, a humanoid's that of its centre of mass; both are derived fields, one substep old.
Contact forces are observed and cost a little, see forces.py.
"""

import numpy as np

from envs.bodies.v5.forces import ExternalForces
from envs.bodies.v5.task import Setup, Task, squares
from envs.pair import environments

INFOS = "x_velocity", "y_velocity", "reward_forward", "reward_ctrl", "reward_contact", "reward_survive"


class Free(Task):
    """What the two share."""

    def __init__(self, num_envs: int = 1, num_threads: int = 0):
        super().__init__(num_envs, num_threads)
        self.forces = ExternalForces(self.body)

    def reset(self, ids, rngs) -> None:
        super().reset(ids, rngs)
        self.forces.reset(ids)

    def state(self) -> dict[str, np.ndarray]:
        return {**super().state(), "forces": self.forces.values.copy()}

    def restore(self, state) -> None:
        super().restore(state)
        self.forces.values[:] = state["forces"]

    def _places(self):
        return {"x_position": self.body.qpos[:, 0].copy(), "y_position": self.body.qpos[:, 1].copy()}

    def _travel(self, place) -> np.ndarray:
        """Step, and the velocity (N, 2) of the point that place() returns."""
        before = place()
        self.body.step()
        self.forces.update()
        return (place() - before) / self.dt

    def _account(self, velocity, forward, survive, control_cost, contact_cost):
        values = (velocity[:, 0], velocity[:, 1], forward, -control_cost, -contact_cost, survive)
        return (forward + survive) - (control_cost + contact_cost), dict(zip(INFOS, values, strict=True))


class Ant(Free):
    """deepnp/Ant-v5: 105 observations (positions 13, velocities 14, contact forces clipped to ±1 of 13 bodies), 8 actions."""

    setup = Setup("ant.xml", 105, 5, 0.1, normal_velocities=True, infos=INFOS, derived=("xpos",), persistent=True)

    def _move(self, actions):
        velocity = self._travel(lambda: self.fields["xpos"][:, 1, :2].copy())
        height = self.body.qpos[:, 2]
        healthy = (height >= 0.2) & (height <= 1.0)
        contact_cost = 5e-4 * squares(np.clip(self.forces.values, -1, 1))
        rewards, infos = self._account(velocity, velocity[:, 0], healthy.astype(float), 0.5 * squares(actions), contact_cost)
        return rewards, ~healthy, infos

    def observe(self) -> np.ndarray:
        forces = np.clip(self.forces.values[:, 1:], -1, 1).reshape(self.num_envs, -1)
        return np.concatenate([self.body.qpos[:, 2:], self.body.qvel, forces], axis=1, dtype=np.float32)


class Humanoid(Free):
    """deepnp/Humanoid-v5: 348 observations (positions 22, velocities 23, inertias 130, velocities 78, actuators 17, forces 78)."""

    setup = Setup(
        "humanoid.xml",
        348,
        frame_skip=5,
        noise=0.01,
        infos=INFOS,
        derived=("xipos", "cinert", "cvel", "qfrc_actuator"),
        persistent=True,
    )

    def _move(self, actions):
        velocity = self._travel(self._mass_center)
        height = self.body.qpos[:, 2]
        healthy = (height > 1.0) & (height < 2.0)
        control_cost = 0.1 * squares(self.body.ctrl)
        contact_cost = np.minimum(5e-7 * squares(self.forces.values), 10.0)
        rewards, infos = self._account(velocity, 1.25 * velocity[:, 0], 5.0 * healthy, control_cost, contact_cost)
        return rewards, ~healthy, infos

    def observe(self) -> np.ndarray:
        parts = [self.body.qpos[:, 2:], self.body.qvel, self.fields["cinert"][:, 1:], self.fields["cvel"][:, 1:]]
        parts += [self.fields["qfrc_actuator"][:, 6:], self.forces.values[:, 1:]]
        return np.concatenate([part.reshape(self.num_envs, -1) for part in parts], axis=1, dtype=np.float32)

    def _mass_center(self) -> np.ndarray:
        masses = self.body.model.body_mass
        return (np.einsum("b,nbj->nj", masses, self.fields["xipos"]) / masses.sum())[:, :2]


AntEnv, AntVectorEnv = environments(Ant)
HumanoidEnv, HumanoidVectorEnv = environments(Humanoid)
