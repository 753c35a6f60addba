"""deepnp/CartPoleBalance-v0 and deepnp/CartPoleSwingUp-v0: a pole on a cart that is pushed along a rail.

Observation (4)     x · ẋ · θ · θ̇: the cart's place, the pole's angle from upright, to the right; whole turns are counted
Action (1)          a push of −10 … 10 N, u
Balance, reward     10 − (1 − cos θ) − 10⁻⁵·u², and 0 in the step that ends the episode
         start      x, ẋ, θ, θ̇ uniform within 0.12, 0.2, 0.01 and 0.2 of zero
         end        |x| > 2.4 or |θ| > 0.2
SwingUp, reward     cos θ, and −100 in the step that ends the episode
         start      |x| < 1, |ẋ| < 2, |θ − π| < 1, |θ̇| < 3: the pole hangs
         end        |x| > 3

Both last at most 500 steps of 50 ms. The cart is 1 kg. The pole is a rod of 1 m × 10 cm with 0.1 kg a metre; `random_body`
draws 0.5 … 1.5 m. Gravity is 10 m/s², nothing rubs.

Lagrange's equations, with m the rod's mass, l half its length, J = m·((2l)²/3 + w²/12) its inertia about the hinge:

    (M + m)·ẍ + m·l·cos θ·θ̈ = u + m·l·sin θ·θ̇²
    m·l·cos θ·ẍ + J·θ̈ = m·g·l·sin θ
"""

import numpy as np

from envs.kernels import kernel
from envs.pair import environments
from envs.planar import canvas
from envs.planar.canvas import Canvas
from envs.planar.classic.task import ClassicTask, between, clipped, runge_kutta, show

SECONDS = 0.05
GRAVITY, FORCE, CART = 10.0, 10.0, 1.0  # m/s², N, kg
DENSITY, WIDTH = 0.1, 0.1  # kg a metre of the pole, metres
BALANCED_X, BALANCED_ANGLE, SWUNG_X = 2.4, 0.2, 3.0


class CartPole(ClassicTask):
    """N poles on their carts; see `ClassicTask`."""

    seconds, situation, bodies = SECONDS, 4, ((1.0, 0.5, 1.5),)
    positions, observations = (0, 2), 4
    rail = SWUNG_X

    def sense(self, ids, out) -> None:
        show(self.world.x, ids, out)

    def info(self) -> dict[str, np.ndarray]:
        """`upright`: cos θ."""
        return {"upright": np.cos(self.world.x[:, 2])}

    def draw(self, copy: int) -> Canvas:
        (x, _, angle, _), length = self.world.x[copy], self.world.body[copy, 0]
        view = Canvas((0, 0.2), 2 * self.rail + 1.6, background=canvas.GROUND)
        view.line([(-self.rail, 0), (self.rail, 0)], canvas.FAINT, 0.06)
        for end in (-self.rail, self.rail):
            view.line([(end, -0.2), (end, 0.2)], canvas.WALL, 0.06)
        view.box(x - 0.58, -0.43, x + 0.58, 0.43, canvas.WALL)
        tip = (x + length * np.sin(angle), 0.43 + length * np.cos(angle))
        view.line([(x, 0.43), tip], canvas.BALL, WIDTH)
        view.disc(x, 0.43, 0.07, canvas.GOLD)
        view.caption(f"{np.degrees(angle):.0f}° from upright")
        return view


class CartPoleBalance(CartPole):
    """N poles to be kept upright; see `ClassicTask`."""

    rail = BALANCED_X

    def start(self, ids) -> None:
        _stand(self.world, ids)

    def move(self, actions, rewards, terminated) -> None:
        _balance(self.world, actions, rewards, terminated)


class CartPoleSwingUp(CartPole):
    """N poles to be swung up; see `ClassicTask`."""

    def start(self, ids) -> None:
        _hang(self.world, ids)

    def move(self, actions, rewards, terminated) -> None:
        _swing(self.world, actions, rewards, terminated)


@kernel
def _stand(w, ids):
    for i in ids:
        w.x[i, 0], w.x[i, 1] = between(w.rng_state, i, -0.12, 0.12), between(w.rng_state, i, -0.2, 0.2)
        w.x[i, 2], w.x[i, 3] = between(w.rng_state, i, -0.01, 0.01), between(w.rng_state, i, -0.2, 0.2)


@kernel
def _hang(w, ids):
    for i in ids:
        w.x[i, 0], w.x[i, 1] = between(w.rng_state, i, -1.0, 1.0), between(w.rng_state, i, -2.0, 2.0)
        w.x[i, 2], w.x[i, 3] = between(w.rng_state, i, np.pi - 1, np.pi + 1), between(w.rng_state, i, -3.0, 3.0)


@kernel
def _slope(x, u, body, out):
    length = body[0]
    mass, half = DENSITY * length, length / 2
    lever, inertia = mass * half, mass * (length**2 / 3 + WIDTH**2 / 12)
    sine, cosine = np.sin(x[2]), np.cos(x[2])
    push, fall = u + lever * sine * x[3] ** 2, GRAVITY * lever * sine
    determinant = (CART + mass) * inertia - (lever * cosine) ** 2
    out[0], out[1] = x[1], (inertia * push - lever * cosine * fall) / determinant
    out[2], out[3] = x[3], ((CART + mass) * fall - lever * cosine * push) / determinant


@kernel
def _balance(w, actions, rewards, terminated):
    work = np.empty((3, 4))
    for i in range(len(w.x)):
        u = FORCE * clipped(actions[i, 0])
        runge_kutta(_slope, w.x[i], u, w.body[i], SECONDS, work)
        terminated[i] = abs(w.x[i, 0]) > BALANCED_X or abs(w.x[i, 2]) > BALANCED_ANGLE
        rewards[i] = 0.0 if terminated[i] else 9.0 + np.cos(w.x[i, 2]) - 1e-5 * u * u


@kernel
def _swing(w, actions, rewards, terminated):
    work = np.empty((3, 4))
    for i in range(len(w.x)):
        runge_kutta(_slope, w.x[i], FORCE * clipped(actions[i, 0]), w.body[i], SECONDS, work)
        terminated[i] = abs(w.x[i, 0]) > SWUNG_X
        rewards[i] = -100.0 if terminated[i] else np.cos(w.x[i, 2])


CartPoleBalanceEnv, CartPoleBalanceVectorEnv = environments(CartPoleBalance)
CartPoleSwingUpEnv, CartPoleSwingUpVectorEnv = environments(CartPoleSwingUp)
