"""deepnp/Crawler-v0: crawl forward on four legs as far as possible.

Observation (94)    torso orientation, a quaternion with w ≥ 0: 4 · torso velocities 6 · thighs B10 ×4 · shins B10 ×4 ·
                    1 for each foot that touches the ground ×4
                    B10 = a limb's linear velocity 3, angular velocity 3, held joint targets 3 (x, y, z; a zero for an axis
                    that it cannot turn about), held strength 1. Velocities are its centre of mass's, in world axes
                    (x forward, y left, z up), m/s and rad/s.
Action (20)         joint targets: of each thigh x (down) and y (sideways), then of each shin x (bend); then a strength for
                    each of the 8 limbs, thighs first. Legs: front left, front right, back left, back right.
Reward              0.1 for each metre that the torso moves forward
End                 the torso or a thigh touches the ground

A decision is `frame_skip` substeps of 5 ms with the action held.

The thesis's text ends an episode when the head touches the ground. The torso and the thighs are those of its public code.
"""

from pathlib import Path

import numpy as np
from gymnasium import spaces

from envs.bodies.camera import filmable
from envs.bodies.limbed import ABSENT, ZERO, Limbed, Senses
from envs.pair import environments

LEGS = ["front_left", "front_right", "back_left", "back_right"]
LIMBS = [f"{leg}_{part}" for part in ("thigh", "shin") for leg in LEGS]


class Crawler(Limbed):
    """N crawlers.

    Parameters
    ----------
    num_envs, frame_skip, num_threads : int
        See `Body`. The default of 8 substeps is 40 ms, 25 decisions a second.
    noise : float
        See `Limbed`.
    """

    def __init__(self, num_envs: int = 1, frame_skip: int = 8, num_threads: int = 0, noise: float = 0.1):
        feet = [f"{leg}_foot" for leg in LEGS]
        stands = {*feet, *(f"{leg}_shin" for leg in LEGS)}
        super().__init__(Path(__file__).with_name("crawler.xml"), num_envs, frame_skip, num_threads, noise, LIMBS, feet, stands)
        thighs = [[2 * leg, 2 * leg + 1, ZERO] for leg in range(4)]
        shins = [[8 + leg, ZERO, ZERO] for leg in range(4)]
        slots = [[ABSENT] * 3, *thighs, *shins]
        self.senses = Senses(self.body, self.drive, "torso", ["torso", *LIMBS], slots, [ABSENT, *range(8)], [ABSENT] * 9)
        self.observation_space = spaces.Box(-np.inf, np.inf, (self.senses.size + 4,), np.float32)

    def reset(self, ids: np.ndarray, rngs: list[np.random.Generator]) -> None:
        qpos, qvel = self.rest(ids)
        for row, i in enumerate(ids):
            self.perturb(rngs[i], qpos[row], qvel[row])
        self.begin(ids, qpos, qvel)

    def observe(self) -> np.ndarray:
        out = np.empty((self.num_envs, self.senses.size + 4), np.float32)
        grounded = self.grounded()
        self.senses.observe(grounded, out)
        out[:, self.senses.size :] = grounded
        return out


CrawlerEnv, CrawlerVectorEnv = environments(Crawler, filmable(Crawler))
