"""InvertedPendulum and Reacher.

pendulum    r = 1 while the pole leans by at most 0.2 rad, the end beyond
reacher     r = −‖fingertip − target‖ − Σ a²
"""

import numpy as np

from envs.bodies.rendering import View
from envs.bodies.v5.task import Setup, Task, squares
from envs.pair import environments


class InvertedPendulum(Task):
    """deepnp/InvertedPendulum-v5: 4 observations, 1 action in ±3."""

    setup = Setup("inverted_pendulum.xml", 4, 2, 0.01, infos=("reward_survive",), camera=View((0, 0, 0.1), 2.2, 90, -10))

    def _move(self, actions):
        self.body.step()
        upright = np.abs(self.body.qpos[:, 1]) <= 0.2
        return upright.astype(float), ~upright, {"reward_survive": upright.astype(float)}

    def observe(self) -> np.ndarray:
        return np.concatenate([self.body.qpos, self.body.qvel], axis=1, dtype=np.float32)


class Reacher(Task):
    """deepnp/Reacher-v5: 10 observations, 2 actions. The target is the last two positions."""

    setup = Setup(
        "reacher.xml", 10, 2, 0.1, infos=("reward_dist", "reward_ctrl"), derived=("xpos",), camera=View((0, 0, 0), 0.85, 90, -89)
    )

    def __init__(self, num_envs: int = 1, num_threads: int = 0):
        super().__init__(num_envs, num_threads)
        self._fingertip, self._target = (self.body.model.body(name).id for name in ("fingertip", "target"))

    def _start(self, rng):
        model = self.body.model
        qpos = rng.uniform(-0.1, 0.1, model.nq) + model.qpos0
        goal = rng.uniform(-0.2, 0.2, 2)
        while np.linalg.norm(goal) >= 0.2:
            goal = rng.uniform(-0.2, 0.2, 2)
        qvel = rng.uniform(-0.005, 0.005, model.nv)
        qpos[-2:], qvel[-2:] = goal, 0
        return qpos, qvel

    def _move(self, actions):
        self.body.step()
        distance = -np.linalg.norm(self._offset(), axis=1)
        cost = squares(actions)
        return distance - cost, np.zeros(self.num_envs, bool), {"reward_dist": distance, "reward_ctrl": -cost}

    def observe(self) -> np.ndarray:
        qpos, qvel = self.body.qpos, self.body.qvel
        parts = [np.cos(qpos[:, :2]), np.sin(qpos[:, :2]), qpos[:, 2:], qvel[:, :2], self._offset()[:, :2]]
        return np.concatenate(parts, axis=1, dtype=np.float32)

    def _offset(self) -> np.ndarray:
        return self.fields["xpos"][:, self._fingertip] - self.fields["xpos"][:, self._target]


InvertedPendulumEnv, InvertedPendulumVectorEnv = environments(InvertedPendulum)
ReacherEnv, ReacherVectorEnv = environments(Reacher)
