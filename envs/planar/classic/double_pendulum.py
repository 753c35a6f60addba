"""deepnp/DoublePendulum-v0: keep two poles, one on top of the other, upright on a cart.

Observation (8)     x · sin θ₁ · sin θ₂ · cos θ₁ · cos θ₂ · ẋ · θ̇₁ · θ̇₂: the cart's place, the first pole's angle from
                    upright, the second's from the first; speeds cut off at ±10
Action (1)          a push of −500 … 500 N, u
Reward              10 − 0.01·x² − (y − 2)² − 10⁻³·θ̇₁² − 5·10⁻³·θ̇₂², with (x, y) the tip
Start               at rest, in a line, at most 20° from upright
End                 y ≤ 1

At most 500 steps of 20 ms. The cart is 10.47 kg, on a rail whose ends at ±10 m stop it. The poles are capsules of 0.6 m × 9 cm,
water's density; `random_body` draws each length between 0.5 and 1 m. Each joint damps with 0.05. It is the model of rllab's
`InvertedDoublePendulumEnv`, and of Gymnasium's `InvertedDoublePendulum-v5` on a longer rail; a test compares it with MuJoCo.
The tip is at most 1.2 m high, so the term (y − 2)² costs at least 0.64. Constraint forces are not observed: they are 0.

Lagrange's equations in angles from upright, α = θ₁ and β = θ₁ + θ₂, with p = m₁·l₁/2 + m₂·l₁, q = m₂·l₂/2, k = m₂·l₁·l₂/2,
J₁, J₂ the inertias about the hinges (the first with m₂ at its end), f₁ = 0.05·(β̇ − 2α̇) and f₂ = 0.05·(α̇ − β̇):

    | M          p·cos α         q·cos β       |   | ẍ |   | u − 0.05·ẋ + p·sin α·α̇² + q·sin β·β̇²      |
    | p·cos α    J₁              k·cos(α − β)  | · | α̈ | = | g·p·sin α − k·sin(α − β)·β̇² + f₁          |
    | q·cos β    k·cos(α − β)    J₂            |   | β̈ |   | g·q·sin β + k·sin(α − β)·α̇² + f₂          |
"""

import numpy as np

from envs.kernels import kernel
from envs.pair import environments
from envs.planar import canvas
from envs.planar.canvas import Canvas
from envs.planar.classic.task import ClassicTask, between, clipped, runge_kutta

SECONDS = 0.02
GRAVITY, FORCE, DAMPING = 9.81, 500.0, 0.05
DENSITY, RADIUS = 1000.0, 0.045
CART = DENSITY * (np.pi * 0.1**2 * 0.2 + 4 / 3 * np.pi * 0.1**3)  # a capsule of 0.2 m × 0.2 m
RAIL, LOWEST, FASTEST = 10.0, 1.0, 10.0
TILT = np.radians(20)


class DoublePendulum(ClassicTask):
    """N double pendulums; see `ClassicTask`."""

    seconds, situation, bodies = SECONDS, 6, ((0.6, 0.5, 1.0), (0.6, 0.5, 1.0))
    positions, observations = (0, 1, 2, 3, 4), 8

    def start(self, ids) -> None:
        _start(self.world, ids)

    def move(self, actions, rewards, terminated) -> None:
        _move(self.world, actions, rewards, terminated)

    def sense(self, ids, out) -> None:
        _sense(self.world.x, ids, out)

    def info(self) -> dict[str, np.ndarray]:
        """`height` of the tip over the rail, in metres."""
        return {"height": (self.world.body * np.cos(self.world.x[:, 1:3])).sum(1)}

    def draw(self, copy: int) -> Canvas:
        (x, first, second, *_), lengths = self.world.x[copy], self.world.body[copy]
        view = Canvas((x, 0.5), 3.4, background=canvas.GROUND)
        view.line([(-RAIL, 0), (RAIL, 0)], canvas.FAINT, 0.03)
        for metre in range(-int(RAIL), int(RAIL) + 1):
            view.line([(metre, -0.06), (metre, 0.06)], canvas.FAINT, 0.02)
        view.line([(x - 2, LOWEST), (x + 2, LOWEST)], canvas.FAINT, 0.01)
        view.box(x - 0.2, -0.1, x + 0.2, 0.1, canvas.WALL)
        middle = np.array([x + lengths[0] * np.sin(first), lengths[0] * np.cos(first)])
        tip = middle + lengths[1] * np.array([np.sin(second), np.cos(second)])
        view.line([(x, 0), middle], canvas.AGENT, 2 * RADIUS)
        view.line([middle, tip], canvas.BALL, 2 * RADIUS)
        for joint_x, joint_y in ((x, 0), middle):
            view.disc(joint_x, joint_y, 0.04, canvas.INK)
        view.caption(f"tip {tip[1]:.2f} m high, cart at {x:.1f} m")
        return view


@kernel
def _start(w, ids):
    for i in ids:
        tilt = between(w.rng_state, i, -TILT, TILT)
        w.x[i] = 0.0
        w.x[i, 1], w.x[i, 2] = tilt, tilt


@kernel
def _move(w, actions, rewards, terminated):
    work = np.empty((3, 6))
    for i in range(len(w.x)):
        x, first, second = w.x[i], w.body[i, 0], w.body[i, 1]
        runge_kutta(_slope, x, FORCE * clipped(actions[i, 0]), w.body[i], SECONDS, work)
        if abs(x[0]) > RAIL:
            x[0], x[3] = min(max(x[0], -RAIL), RAIL), 0.0
        tip_x = x[0] + first * np.sin(x[1]) + second * np.sin(x[2])
        tip_y = first * np.cos(x[1]) + second * np.cos(x[2])
        slow = 1e-3 * x[4] ** 2 + 5e-3 * (x[5] - x[4]) ** 2
        rewards[i] = 10 - 0.01 * tip_x**2 - (tip_y - 2) ** 2 - slow
        terminated[i] = tip_y <= LOWEST


@kernel
def _capsule(length):
    """Mass of a pole, and its inertia about an end: a cylinder and two half balls."""
    rod, ball = DENSITY * np.pi * RADIUS**2 * length, DENSITY * 4 / 3 * np.pi * RADIUS**3
    middle = rod * (3 * RADIUS**2 + length**2) / 12 + ball * (2 * RADIUS**2 / 5 + length**2 / 4 + 3 * length * RADIUS / 8)
    return rod + ball, middle + (rod + ball) * length**2 / 4


@kernel
def _slope(x, u, body, out):
    """x = (x, α, β, ẋ, α̇, β̇)."""
    (m1, j1), (m2, j2) = _capsule(body[0]), _capsule(body[1])
    mass, p, q, k = CART + m1 + m2, (m1 / 2 + m2) * body[0], m2 * body[1] / 2, m2 * body[0] * body[1] / 2
    j1 += m2 * body[0] ** 2
    a, b, rub = x[4], x[5], DAMPING * (x[5] - x[4])
    pull1, pull2, sine = p * np.sin(x[1]), q * np.sin(x[2]), k * np.sin(x[1] - x[2])
    f1 = u - DAMPING * x[3] + pull1 * a * a + pull2 * b * b
    f2 = GRAVITY * pull1 - sine * b * b - DAMPING * a + rub
    f3 = GRAVITY * pull2 + sine * a * a - rub
    m12, m13, m23 = p * np.cos(x[1]), q * np.cos(x[2]), k * np.cos(x[1] - x[2])
    c11, c12, c13 = j1 * j2 - m23 * m23, m13 * m23 - m12 * j2, m12 * m23 - m13 * j1  # cofactors of the matrix
    c22, c23, c33 = mass * j2 - m13 * m13, m12 * m13 - mass * m23, mass * j1 - m12 * m12
    scale = 1 / (mass * c11 + m12 * c12 + m13 * c13)
    out[0], out[3] = x[3], scale * (c11 * f1 + c12 * f2 + c13 * f3)
    out[1], out[4] = x[4], scale * (c12 * f1 + c22 * f2 + c23 * f3)
    out[2], out[5] = x[5], scale * (c13 * f1 + c23 * f2 + c33 * f3)


@kernel
def _sense(x, ids, out):
    for i in ids:
        out[i, 0] = x[i, 0]
        out[i, 1], out[i, 3] = np.sin(x[i, 1]), np.cos(x[i, 1])
        out[i, 2], out[i, 4] = np.sin(x[i, 2] - x[i, 1]), np.cos(x[i, 2] - x[i, 1])
        out[i, 5] = min(max(x[i, 3], -FASTEST), FASTEST)
        out[i, 6] = min(max(x[i, 4], -FASTEST), FASTEST)
        out[i, 7] = min(max(x[i, 5] - x[i, 4], -FASTEST), FASTEST)


DoublePendulumEnv, DoublePendulumVectorEnv = environments(DoublePendulum)
