"""deepnp/ArmSeek-v0: find a ball with the hand, which senses it with rays.

Observation (210)   joint angles 9, angular velocities 9, held targets 9, the hand's place 3; then 5 × 12 rays from the hand, 1 m
                    long and of 5 cm radius, 30° apart, over 120° up and all round, each [distance, or −1 · 1 if it met the
                    ground · 1 if it met the ball]
Action (9)          as of ArmReach, see arm.py
Reward              minus the distance from the hand to the ball's middle, in metres
End                 none but the time limit

The ball is where ArmReach's goal is. Where that is, is not observed: the hand has to look for it. The rays pass through the arm.
"""

from typing import ClassVar

import numpy as np
from gymnasium import spaces

from envs.bodies.arm import ArmReach
from envs.pair import environments
from envs.rays import BodyRays, RaySensor3D

SENSOR = RaySensor3D(rows=5, columns=12, fov_rows=np.radians(120), fov_columns=2 * np.pi, length=1.0, tags=1, radius=0.05)


class ArmSeek(ArmReach):
    """N arms that look for a ball.

    Parameters
    ----------
    num_envs, frame_skip, num_threads : int
        See `Body`. The default of 8 substeps is 40 ms, 25 decisions a second.
    claws : bool
        See `Arm`.
    noise : float
        See `Arm`.
    """

    offers: ClassVar[tuple[str, ...]] = ()

    def __init__(self, num_envs: int = 1, frame_skip: int = 8, num_threads: int = 0, claws: bool = True, noise: float = 0.1):
        super().__init__(num_envs, frame_skip, num_threads, claws, shaped=True, noise=noise)
        self.rays = BodyRays(self.body, SENSOR, "grip", {"floor": -1, "target": 0})
        self.body.derived = self.rays.derived
        self._width = 3 * self.joints + 3
        self.observation_space = spaces.Box(-np.inf, np.inf, (self._width + SENSOR.size,), np.float32)

    def reset(self, ids, rngs) -> None:
        super().reset(ids, rngs)
        self.body.batch.forward(ids)  # the balls have moved

    def observe(self) -> np.ndarray:
        out = np.empty((self.num_envs, self._width + SENSOR.size), np.float32)
        np.concatenate(self._own(), axis=1, out=out[:, : self._width], casting="same_kind")
        self.rays.observe(out, self._width)
        return out


ArmSeekEnv, ArmSeekVectorEnv = environments(ArmSeek)
