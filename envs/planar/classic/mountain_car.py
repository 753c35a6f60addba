"""deepnp/MountainCar-v0: rock a weak car out of a valley.

Observation (2)     x · ẋ
Action (1)          a push of −1 … 1 N along the track, u
Reward              −1 + h, the height of the car's middle
Start               the bottom, x = 0, at −1 … 1 m/s
End                 x ≥ 0.6, the goal; |x| ≥ 2

At most 500 steps of 50 ms. The car, 0.4 kg, slides on y(x) = 1 − cos(2πx/W), without friction, W = 4 m; `random_body` draws
3 … 5 m. Its middle is 0.15 m above the track. Gravity is 10 m/s². The slope at the goal holds the car back with 3 N.

A bead on a wire, whose speed along it is √(1 + y′²)·ẋ:

    (1 + y′²)·ẍ = u/m·√(1 + y′²) − y′·(g + y″·ẋ²)
"""

import numpy as np

from envs.kernels import kernel
from envs.pair import environments
from envs.planar import canvas
from envs.planar.canvas import Canvas
from envs.planar.classic.task import ClassicTask, between, clipped, runge_kutta, show

SECONDS = 0.05
GRAVITY, MASS, FORCE = 10.0, 0.4, 1.0
GOAL, EDGE, RIDE = 0.6, 2.0, 0.15


class MountainCar(ClassicTask):
    """N cars in their valleys; see `ClassicTask`."""

    seconds, situation, bodies = SECONDS, 2, ((4.0, 3.0, 5.0),)
    positions, observations = (0,), 2

    def start(self, ids) -> None:
        _start(self.world, ids)

    def move(self, actions, rewards, terminated) -> None:
        _move(self.world, actions, rewards, terminated)

    def sense(self, ids, out) -> None:
        show(self.world.x, ids, out)

    def info(self) -> dict[str, np.ndarray]:
        """`height` of the car's middle, in metres."""
        return {"height": RIDE + self._track(self.world.x[:, 0], self.world.body[:, 0])}

    def draw(self, copy: int) -> Canvas:
        x, width = self.world.x[copy, 0], self.world.body[copy, 0]
        view = Canvas((0, 1.0), 4.6, background=canvas.GROUND)
        places = np.linspace(-EDGE, EDGE, 101)
        view.line(np.stack([places, self._track(places, width)], 1), canvas.WALL, 0.04)
        flag = self._track(GOAL, width)
        view.line([(GOAL, flag), (GOAL, flag + 0.5)], canvas.INK, 0.03)
        view.polygon([(GOAL, flag + 0.5), (GOAL + 0.3, flag + 0.4), (GOAL, flag + 0.3)], canvas.GOOD)
        ahead = np.array([1.0, 2 * np.pi / width * np.sin(2 * np.pi * x / width)])
        slope = np.arctan2(ahead[1], ahead[0])
        middle = np.array([x, self._track(x, width)]) + RIDE * np.array([-np.sin(slope), np.cos(slope)])
        view.turned_box(middle[0], middle[1], slope, 0.2, 0.2, 0.1, canvas.AGENT)
        view.caption(f"{x:.2f} m of {GOAL} m")
        return view

    def _track(self, x, width):
        return 1 - np.cos(2 * np.pi * x / width)


@kernel
def _start(w, ids):
    for i in ids:
        w.x[i, 0], w.x[i, 1] = 0.0, between(w.rng_state, i, -1.0, 1.0)


@kernel
def _slope(x, u, body, out):
    wave = 2 * np.pi / body[0]
    slope, bend = wave * np.sin(wave * x[0]), wave * wave * np.cos(wave * x[0])
    steep = 1 + slope * slope
    out[0], out[1] = x[1], (u / MASS * np.sqrt(steep) - slope * (GRAVITY + bend * x[1] ** 2)) / steep


@kernel
def _move(w, actions, rewards, terminated):
    work = np.empty((3, 2))
    for i in range(len(w.x)):
        runge_kutta(_slope, w.x[i], FORCE * clipped(actions[i, 0]), w.body[i], SECONDS, work)
        x, wave = w.x[i, 0], 2 * np.pi / w.body[i, 0]
        rewards[i] = RIDE - np.cos(wave * x)  # −1 + RIDE + y(x)
        terminated[i] = x >= GOAL or x <= -EDGE


MountainCarEnv, MountainCarVectorEnv = environments(MountainCar)
