"""deepnp/Acrobot-v0: swing two links up and hold them there, with a motor in the joint between them.

Observation (6)     sin φ · cos φ · φ̇ of the first link, then of the second; angles from hanging down, to the right
Action (1)          a torque of −50 … 50 N·m, u, on the second link, and its opposite on the first
Reward              −‖tip − target‖; the target is straight up, at the length of both
Start               hanging: angles from N(0, 0.1²), speeds from N(0, 0.01²)
End                 none

At most 500 steps of 20 ms. Each link is a rod of 1 m × 10 cm with 0.5 kg a metre; `random_body` draws one length for both,
0.5 … 1.5 m. Gravity is 10 m/s², nothing rubs. No link turns faster than 157 rad/s.

Torque and distance are those of rllab's `DoublePendulumEnv`. Random actions reach about −1,220 with them, in Box2D too;
the paper prints −1,904.5, which a torque of 3 N·m gives: a line that rllab has commented out.

Lagrange's equations, with L the length and m the mass of a link, J = m·(L²/3 + w²/12), k = m·L²/2 and δ = φ₁ − φ₂:

    (J + m·L²)·φ̈₁ + k·cos δ·φ̈₂ = −u − k·sin δ·φ̇₂² − 3/2·m·g·L·sin φ₁
    k·cos δ·φ̈₁ + J·φ̈₂           =  u + k·sin δ·φ̇₁² − 1/2·m·g·L·sin φ₂
"""

import numpy as np

from envs.kernels import kernel, normal
from envs.pair import environments
from envs.planar import canvas
from envs.planar.canvas import Canvas
from envs.planar.classic.task import ClassicTask, clipped, runge_kutta

SECONDS = 0.02
GRAVITY, TORQUE, FASTEST = 10.0, 50.0, 157.0
DENSITY, WIDTH = 0.5, 0.1


class Acrobot(ClassicTask):
    """N acrobots; see `ClassicTask`."""

    seconds, situation, bodies = SECONDS, 4, ((1.0, 0.5, 1.5),)
    positions, observations = (0, 1, 3, 4), 6

    def start(self, ids) -> None:
        _start(self.world, ids)

    def move(self, actions, rewards, terminated) -> None:
        _move(self.world, actions, rewards)

    def sense(self, ids, out) -> None:
        _sense(self.world.x, ids, out)

    def info(self) -> dict[str, np.ndarray]:
        """`height` of the tip over the fixed joint, in lengths of a link: −2 … 2."""
        return {"height": -np.cos(self.world.x[:, 0]) - np.cos(self.world.x[:, 1])}

    def draw(self, copy: int) -> Canvas:
        (first, second, *_), length = self.world.x[copy], self.world.body[copy, 0]
        view = Canvas((0, -0.05 * length), 4.8 * length, background=canvas.GROUND)
        view.disc(0, 2 * length, 0.12 * length, canvas.GOLD)
        elbow = length * np.array([np.sin(first), -np.cos(first)])
        tip = elbow + length * np.array([np.sin(second), -np.cos(second)])
        view.line([(0, 0), elbow], canvas.AGENT, WIDTH)
        view.line([elbow, tip], canvas.BALL, WIDTH)
        for joint_x, joint_y in ((0, 0), elbow):
            view.disc(joint_x, joint_y, 0.08, canvas.INK)
        view.caption(f"tip {np.hypot(tip[0], tip[1] - 2 * length):.2f} m from the target")
        return view


@kernel
def _start(w, ids):
    for i in ids:
        for j, sigma in enumerate((0.1, 0.1, 0.01, 0.01)):
            w.x[i, j] = sigma * normal(w.rng_state, i)


@kernel
def _slope(x, u, body, out):
    length = body[0]
    mass = DENSITY * length
    inertia, k, weight = mass * (length**2 / 3 + WIDTH**2 / 12), mass * length**2 / 2, mass * GRAVITY * length / 2
    first, sine, cosine = inertia + mass * length**2, k * np.sin(x[0] - x[1]), k * np.cos(x[0] - x[1])
    a = -u - sine * x[3] ** 2 - 3 * weight * np.sin(x[0])
    b = u + sine * x[2] ** 2 - weight * np.sin(x[1])
    determinant = first * inertia - cosine * cosine
    out[0], out[2] = x[2], (inertia * a - cosine * b) / determinant
    out[1], out[3] = x[3], (first * b - cosine * a) / determinant


@kernel
def _move(w, actions, rewards):
    work = np.empty((3, 4))
    for i in range(len(w.x)):
        x, length = w.x[i], w.body[i, 0]
        runge_kutta(_slope, x, TORQUE * clipped(actions[i, 0]), w.body[i], SECONDS, work)
        x[2], x[3] = min(max(x[2], -FASTEST), FASTEST), min(max(x[3], -FASTEST), FASTEST)
        aside = length * (np.sin(x[0]) + np.sin(x[1]))
        below = length * (2 + np.cos(x[0]) + np.cos(x[1]))
        rewards[i] = -np.sqrt(aside * aside + below * below)


@kernel
def _sense(x, ids, out):
    for i in ids:
        for j in range(2):
            out[i, 3 * j], out[i, 3 * j + 1] = np.sin(x[i, j]), np.cos(x[i, j])
            out[i, 3 * j + 2] = x[i, 2 + j]


AcrobotEnv, AcrobotVectorEnv = environments(Acrobot)
