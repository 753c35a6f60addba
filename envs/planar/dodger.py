"""deepnp/Dodger-v0: stay in the centre of the arena and out of the way of basketballs.

Observation (435)   a grid of 6 × 3 × 6 cells of 0.5 m round the agent (ahead, up, left), each [1 if empty · 1 if the wall
                    reaches into it · the ground · a ball], 432; then where the agent is, seen from the centre: ahead, up (0)
                    and left, in halves of the arena, 3. All in the agent's own axes: it need not know where north is
Action (7)          0 stay · 1 right · 2 left · 3 ahead · 4 back (5 m/s) · 5 turn right · 6 turn left (2.5°)
Reward              +0.0025 a step in the centre zone, −1 when hit
End                 a ball touches the agent

The arena is a square of 14.6 m, the centre zone a disc of 1.08 m radius. The agent is a cylinder 0.32 m wide and high; it
starts in the centre, and walls stop it. Every 100 steps a ball of 0.147 m radius leaves a point 5 m away and 2 m up, at 5 to
8 m/s over ground, so that it would meet the agent if it stayed. Balls fly, bounce from ground and walls and roll; there are at
most ten, and then the oldest is thrown again. The grid stands 0.25 m deep in the ground and 1.25 m high. A decision is 20 ms.
"""

from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from envs.checks import Bounds, check_whole
from envs.kernels import kernel, uniform
from envs.pair import environments
from envs.planar import canvas
from envs.planar.canvas import Canvas
from envs.planar.game import Game
from envs.planar.moves import MOVES, moved
from envs.planar.raster import paint_all, paint_box, paint_disc, view_of
from envs.sensors import UNTAGGED, GridSensor, clear_grid, mark_ball, mark_beyond

GROUND, BALL = 0, 1
SENSOR = GridSensor(shape=(6, 3, 6), cell=0.5, tags=2)
SHAPE, SENSOR_SIZE, CELL = (*SENSOR.shape, 4), SENSOR.size, np.float32(SENSOR.cell)
GRID_HEIGHT = np.float32(0.5)  # of the grid's middle
SECONDS = np.float32(0.02)
STRIDE, TURN = np.float32(5.0) * SECONDS, np.float32(np.radians(2.5))
HALF_ARENA, ZONE = np.float32(7.3), np.float32(1.08)
AGENT_RADIUS, AGENT_HEIGHT, RADIUS = np.float32(0.16), np.float32(0.32), np.float32(0.147)
BALLS, EVERY, AWAY, UP = 10, 100, np.float32(5.0), np.float32(2.0)
SLOWEST, FASTEST = np.float32(5.0), np.float32(8.0)
GRAVITY, BOUNCE, GRAZE, ROLL = np.float32(9.81), np.float32(0.7), np.float32(0.9), np.float32(0.4)
REST = np.float32(0.5)  # m/s: slower than this, a ball that lands stays on the ground
SPAN, HIGHEST = np.float32(8.0), np.float32(3.0)  # metres across a picture; balls are not painted brighter than at that height
IN_ZONE, HIT = 0.0025, -1.0
LONGEST = 2**30  # steps of an episode


class World(NamedTuple):
    """B = 10 balls."""

    rng_state: np.ndarray  # (N,) uint64
    x: np.ndarray  # (N,)
    y: np.ndarray
    heading: np.ndarray  # (N,) radians
    clock: np.ndarray  # (N,) int32: steps of the episode
    ball_x: np.ndarray  # (N, B)
    ball_y: np.ndarray
    ball_z: np.ndarray
    ball_vx: np.ndarray
    ball_vy: np.ndarray
    ball_vz: np.ndarray


class Dodger(Game):
    """N agents, each in an arena of its own.

    Parameters
    ----------
    num_envs : int
        N.
    show_sensors : bool
        Draw the grid.
    pixels : bool or int
        Observe a picture of 32 pixels a side, or of 16 … 48, in place of the sensors:
        balls are larger and brighter the higher they fly.
    """

    def __init__(self, num_envs: int = 1, show_sensors: bool = False, pixels: bool | int = False):
        n = check_whole("num_envs", num_envs, 1)
        place, balls = (np.zeros(n, np.float32) for _ in range(3)), (np.zeros((n, BALLS), np.float32) for _ in range(6))
        world = World(np.zeros(n, np.uint64), *place, np.zeros(n, np.int32), *balls)
        high = np.ones(SENSOR_SIZE + 3, np.float32)
        high[SENSOR_SIZE:] = 1.5  # a corner of the arena is √2 away
        low = np.where(high > 1, -high, np.float32(0))
        super().__init__(world, spaces.Box(low, high), spaces.Discrete(MOVES), float(SECONDS), show_sensors, pixels)

    def state_bounds(self) -> Bounds:
        return {"clock": (0, LONGEST)}

    def begin(self, ids) -> None:
        _begin(self.world, ids)

    def advance(self, actions, rewards, terminated) -> None:
        _advance(self.world, actions, rewards, terminated)

    def look(self, ids, out) -> None:
        if self.pixels:
            _paint(self.world, ids, out)
            return
        _look(self.world, ids, out)

    def info(self) -> dict[str, np.ndarray]:
        """`thrown`: balls so far."""
        return {"thrown": self.world.clock // EVERY}

    def draw(self, copy: int) -> Canvas:
        w, i = self.world, copy
        view = Canvas((0, -0.4), 16.2)
        view.arena(float(HALF_ARENA), "#f0e6d2")
        view.disc(0, 0, ZONE, "#cfe5d3", canvas.GOOD, 0.06)
        if self.show_sensors:
            self._draw_grid(view, i)
        for k in range(min(w.clock[i] // EVERY, BALLS)):
            view.disc(w.ball_x[i, k], w.ball_y[i, k], RADIUS, "#00000038")  # the shadow
        view.disc(w.x[i], w.y[i], 2 * AGENT_RADIUS, "#ffffffb0")
        view.disc(w.x[i], w.y[i], AGENT_RADIUS * 1.2, canvas.AGENT)
        view.arrow(w.x[i], w.y[i], w.heading[i], float(AGENT_RADIUS))
        for k in range(min(w.clock[i] // EVERY, BALLS)):  # the higher, the nearer to us: farther from its shadow, and larger
            z = w.ball_z[i, k] - RADIUS
            x, y, r = w.ball_x[i, k], w.ball_y[i, k] + 0.5 * z, RADIUS * (1.1 + 0.25 * z)
            view.disc(x, y, r, canvas.BALL, "#7a3b10", 0.03)
            view.line([(x - r, y), (x + r, y)], "#7a3b10", 0.03)
            view.line([(x, y - r), (x, y + r)], "#7a3b10", 0.03)
        seconds = w.clock[i] * SECONDS
        view.caption(f"{seconds:.1f} s     balls thrown: {w.clock[i] // EVERY}")
        return view

    def _draw_grid(self, view: Canvas, i: int) -> None:
        w = self.world
        cells = self._observations[i, :SENSOR_SIZE].reshape(SHAPE)
        c, s = np.cos(w.heading[i]), np.sin(w.heading[i])
        for a in range(SHAPE[0]):
            for b in range(SHAPE[2]):
                corners = [(a - 3 + p, b - 3 + q) for p, q in ((0, 0), (1, 0), (1, 1), (0, 1))]
                square = [(w.x[i] + CELL * (c * p - s * q), w.y[i] + CELL * (s * p + c * q)) for p, q in corners]
                ball, wall = cells[a, :, b, 2 + BALL].any(), cells[a, :, b, 1].any()
                view.polygon(square, f"{canvas.BALL}90" if ball else "#4a556060" if wall else None, "#2f6fb560", 0.02)


@kernel
def _begin(w, ids):
    for i in ids:
        w.x[i], w.y[i], w.clock[i] = 0, 0, 0
        w.heading[i] = np.float32(2 * np.pi) * (uniform(w.rng_state, i) - np.float32(0.5))
        for k in range(BALLS):
            w.ball_x[i, k], w.ball_y[i, k], w.ball_z[i, k] = 0, 0, 0
            w.ball_vx[i, k], w.ball_vy[i, k], w.ball_vz[i, k] = 0, 0, 0


@kernel
def _advance(w, actions, rewards, terminated):
    edge = HALF_ARENA - AGENT_RADIUS
    for i in range(len(w.x)):
        dx, dy, w.heading[i] = moved(actions[i], w.heading[i], STRIDE, TURN)
        w.x[i] = min(max(w.x[i] + dx, -edge), edge)
        w.y[i] = min(max(w.y[i] + dy, -edge), edge)
        hit = False
        for k in range(min(w.clock[i] // EVERY, BALLS)):
            _fly(w, i, k)
            hit |= _hits(w, i, k)
        w.clock[i] += 1
        if w.clock[i] % EVERY == 0:
            _throw(w, i, (w.clock[i] // EVERY - 1) % BALLS)
        if w.x[i] * w.x[i] + w.y[i] * w.y[i] < ZONE * ZONE:
            rewards[i] = IN_ZONE
        if hit:
            rewards[i] += HIT
        terminated[i] = hit


@kernel
def _fly(w, i, k):
    """One ball, one step: a parabola, then what ground and walls do to it."""
    w.ball_x[i, k] += SECONDS * w.ball_vx[i, k]
    w.ball_y[i, k] += SECONDS * w.ball_vy[i, k]
    rolling = w.ball_z[i, k] <= RADIUS and w.ball_vz[i, k] == 0
    if rolling:
        speed = np.sqrt(w.ball_vx[i, k] ** 2 + w.ball_vy[i, k] ** 2)
        kept = max(speed - SECONDS * ROLL, np.float32(0)) / max(speed, np.float32(1e-6))
        w.ball_vx[i, k] *= kept
        w.ball_vy[i, k] *= kept
    else:
        w.ball_z[i, k] += SECONDS * (w.ball_vz[i, k] - np.float32(0.5) * SECONDS * GRAVITY)
        w.ball_vz[i, k] -= SECONDS * GRAVITY
        if w.ball_z[i, k] < RADIUS:
            w.ball_z[i, k] = RADIUS
            w.ball_vz[i, k] *= -BOUNCE
            w.ball_vx[i, k] *= GRAZE
            w.ball_vy[i, k] *= GRAZE
            if w.ball_vz[i, k] < REST:
                w.ball_vz[i, k] = 0
    edge = HALF_ARENA - RADIUS
    if abs(w.ball_x[i, k]) > edge:
        w.ball_x[i, k] = edge if w.ball_x[i, k] > 0 else -edge
        w.ball_vx[i, k] *= -BOUNCE
    if abs(w.ball_y[i, k]) > edge:
        w.ball_y[i, k] = edge if w.ball_y[i, k] > 0 else -edge
        w.ball_vy[i, k] *= -BOUNCE


@kernel
def _hits(w, i, k):
    """Whether ball k touches the agent's cylinder."""
    dx, dy = w.ball_x[i, k] - w.x[i], w.ball_y[i, k] - w.y[i]
    aside = max(np.sqrt(dx * dx + dy * dy) - AGENT_RADIUS, np.float32(0))
    above = max(w.ball_z[i, k] - AGENT_HEIGHT, np.float32(0))
    return aside * aside + above * above < RADIUS * RADIUS


@kernel
def _throw(w, i, k):
    """Ball k leaves a point inside the arena so that, over ground at a drawn speed, it comes down where the agent is."""
    edge, x, y = HALF_ARENA - RADIUS, np.float32(0), np.float32(0)
    for _ in range(64):
        angle = np.float32(2 * np.pi) * uniform(w.rng_state, i)
        x, y = w.x[i] + AWAY * np.cos(angle), w.y[i] + AWAY * np.sin(angle)
        if abs(x) < edge and abs(y) < edge:
            break
    x, y = min(max(x, -edge), edge), min(max(y, -edge), edge)
    dx, dy = w.x[i] - x, w.y[i] - y
    speed = SLOWEST + (FASTEST - SLOWEST) * uniform(w.rng_state, i)
    seconds = np.sqrt(dx * dx + dy * dy) / speed
    w.ball_x[i, k], w.ball_y[i, k], w.ball_z[i, k] = x, y, UP
    w.ball_vx[i, k], w.ball_vy[i, k] = dx / seconds, dy / seconds
    fall = AGENT_HEIGHT / 2 - UP
    w.ball_vz[i, k] = fall / seconds + np.float32(0.5) * GRAVITY * seconds


@kernel
def _look(w, ids, out):
    zero, one = np.float32(0), np.float32(1)
    for i in ids:
        cells = out[i, :SENSOR_SIZE].reshape(SHAPE)
        c, s = np.cos(w.heading[i]), np.sin(w.heading[i])
        clear_grid(cells)
        mark_beyond(cells, CELL, zero, -one, zero, GRID_HEIGHT, GROUND)
        mark_beyond(cells, CELL, c, zero, -s, HALF_ARENA - w.x[i], UNTAGGED)
        mark_beyond(cells, CELL, -c, zero, s, HALF_ARENA + w.x[i], UNTAGGED)
        mark_beyond(cells, CELL, s, zero, c, HALF_ARENA - w.y[i], UNTAGGED)
        mark_beyond(cells, CELL, -s, zero, -c, HALF_ARENA + w.y[i], UNTAGGED)
        for k in range(min(w.clock[i] // EVERY, BALLS)):
            dx, dy = w.ball_x[i, k] - w.x[i], w.ball_y[i, k] - w.y[i]
            mark_ball(cells, CELL, c * dx + s * dy, w.ball_z[i, k] - GRID_HEIGHT, c * dy - s * dx, RADIUS, BALL)
        out[i, SENSOR_SIZE] = (c * w.x[i] + s * w.y[i]) / HALF_ARENA
        out[i, SENSOR_SIZE + 1] = 0
        out[i, SENSOR_SIZE + 2] = (c * w.y[i] - s * w.x[i]) / HALF_ARENA


@kernel
def _paint(w, ids, out):
    zero = np.float32(0)
    for i in ids:
        view = view_of(out[i], w.x[i], w.y[i], w.heading[i], SPAN)
        paint_all(out[i], (70, 80, 90))
        paint_box(out[i], view, zero, zero, zero, HALF_ARENA, HALF_ARENA, HALF_ARENA, (120, 110, 90))
        paint_disc(out[i], view, zero, zero, ZONE, (60, 140, 80))
        paint_disc(out[i], view, w.x[i], w.y[i], AGENT_RADIUS, (20, 20, 60))
        for k in range(min(w.clock[i] // EVERY, BALLS)):
            height = min(max(w.ball_z[i, k], zero), HIGHEST) / HIGHEST
            colour = (200 + int(55 * height), 90 + int(165 * height), int(255 * height))
            paint_disc(out[i], view, w.ball_x[i, k], w.ball_y[i, k], RADIUS * (1 + height), colour)


DodgerEnv, DodgerVectorEnv = environments(Dodger)
