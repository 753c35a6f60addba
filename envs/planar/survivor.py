"""deepnp/Survivor-v0: stay alive in an arena that fills with enemies, with a gun of twelve rounds.

Observation (157)   rounds left / 12 · one-hot of the gun: ready, cooling, reloading · 50 rays of 20 m round the agent, the first
                    straight ahead, then to the left, each [distance / 20, or −1 · 1 if it hit a wall · 1 if it hit an enemy];
                    one such ray along the barrel
Action (9)          0 stay · 1 right · 2 left · 3 ahead · 4 back (2.5 m/s) · 5 turn right · 6 turn left (2.5°) · 7 fire · 8 reload
Reward              +0.0025 a step alive, −0.0025 a shot, +0.25 an enemy
End                 an enemy touches the agent

The arena is a square of 18 m with four obstacles (see arena.py); the agent starts in its middle. A shot flies straight ahead
and kills the first enemy in its way, if no wall comes first. The gun cools for 0.15 s after a shot, rounded up to 4 decisions;
to reload takes 4 s, and is possible when the gun is ready and not full. Firing when the gun is not ready or is empty does
nothing. The first enemy comes at once and then one every 5 s, from one of four spawners in the corners, never the nearest; at
most 16 live. Enemies walk to the agent at 1.5 m/s, round obstacles. A decision is 40 ms. The price of a shot is that of the
thesis's public code; its text has none.
"""

from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from envs.checks import Bounds, check_whole
from envs.kernels import kernel, uniform
from envs.pair import environments
from envs.planar import canvas
from envs.planar.arena import BOXES, ENEMY_RADIUS, HALF_ARENA, SPAWNERS, cell_of, is_clear, keep_out, middle_of, routes
from envs.planar.canvas import Canvas
from envs.planar.game import Game
from envs.planar.moves import MOVES, moved
from envs.planar.raster import paint_all, paint_box, paint_disc, view_of
from envs.sensors import (
    NOTHING,
    UNTAGGED,
    RaySensor,
    clear_rays,
    ray_buffers,
    report_rays,
    sweep_box,
    sweep_disc,
    sweep_room,
    turn_rays,
)

ENEMY = 0
SENSOR = RaySensor(rays=50, fov=2 * np.pi, length=20.0, tags=1)
SENSOR_LENGTH, SENSOR_TAGS, SENSOR_SIZE = np.float32(SENSOR.length), SENSOR.tags, SENSOR.size
BARREL = RaySensor(rays=1, fov=0.0, length=20.0, tags=1)
FIRE, RELOAD = MOVES, MOVES + 1
READY, COOLING, RELOADING = range(3)
SECONDS = np.float32(0.04)
STRIDE, TURN, ENEMY_STRIDE = np.float32(2.5) * SECONDS, np.float32(np.radians(2.5)), np.float32(1.5) * SECONDS
AGENT_RADIUS = np.float32(0.4)
ROUNDS, COOLING_STEPS, RELOADING_STEPS, SPAWN_STEPS = 12, 4, 100, 125
ENEMIES = 16
SPAN = np.float32(20.0)  # metres across a picture
GUN = ((60, 180, 80), (230, 150, 40), (200, 40, 40))  # colours of READY, COOLING, RELOADING
ALIVE, SHOT, KILL = 0.0025, -0.0025, 0.25
LONGEST = 2**30  # steps of an episode


class World(NamedTuple):
    """E = 16 enemies."""

    rng_state: np.ndarray  # (N,) uint64
    x: np.ndarray  # (N,)
    y: np.ndarray
    heading: np.ndarray  # (N,) radians
    shot: np.ndarray  # (N,) metres that this step's shot flew; 0 without one
    rounds: np.ndarray  # (N,) int32
    gun: np.ndarray  # (N,) int32: READY, COOLING, RELOADING
    wait: np.ndarray  # (N,) int32: steps until it is ready
    clock: np.ndarray  # (N,) int32: steps of the episode
    kills: np.ndarray  # (N,) int32
    enemy_x: np.ndarray  # (N, E)
    enemy_y: np.ndarray
    enemy_lives: np.ndarray  # (N, E) bool


class Survivor(Game):
    """N agents, each in an arena of its own.

    Parameters
    ----------
    num_envs : int
        N.
    show_sensors : bool
        Draw the rays.
    pixels : bool or int
        Observe a picture of 32 pixels a side, or of 16 … 48, in place of the sensors:
        its lowest row shows the rounds that are left, and the gun in green, orange or red.
    """

    def __init__(self, num_envs: int = 1, show_sensors: bool = False, pixels: bool | int = False):
        n = check_whole("num_envs", num_envs, 1)
        floats, counts = (np.zeros(n, np.float32) for _ in range(4)), (np.zeros(n, np.int32) for _ in range(5))
        enemies = (np.zeros((n, ENEMIES), dtype) for dtype in (np.float32, np.float32, bool))
        world = World(np.zeros(n, np.uint64), *floats, *counts, *enemies)
        observations = spaces.Box(-1, 1, (4 + SENSOR_SIZE + BARREL.size,), np.float32)
        super().__init__(world, observations, spaces.Discrete(MOVES + 2), float(SECONDS), show_sensors, pixels)
        self._directions, self._barrel, self._routes = SENSOR.directions(), BARREL.directions(), routes()

    def state_bounds(self) -> Bounds:
        gun = {"rounds": (0, ROUNDS), "gun": (READY, RELOADING), "wait": (0, RELOADING_STEPS)}
        return {**gun, "clock": (0, LONGEST), "kills": (0, LONGEST)}

    def begin(self, ids) -> None:
        _begin(self.world, ids)

    def advance(self, actions, rewards, terminated) -> None:
        _advance(self.world, actions, self._barrel, self._routes, rewards, terminated)

    def look(self, ids, out) -> None:
        if self.pixels:
            _paint(self.world, ids, out)
            return
        _look(self.world, ids, self._directions, self._barrel, out)

    def info(self) -> dict[str, np.ndarray]:
        """`kills`: enemies shot."""
        return {"kills": self.world.kills.astype(np.int64)}

    def draw(self, copy: int) -> Canvas:
        w, i = self.world, copy
        view = Canvas((0, -0.55), 19.8)
        view.arena(float(HALF_ARENA), "#e4e1d8")
        for x, y in SPAWNERS:
            view.disc(x, y, 0.7, "#c0392b30", "#c0392b80", 0.08)
        for box in BOXES:
            view.box(*box, canvas.WALL)
        if self.show_sensors:
            near, met, dx, dy = _rays(w, i, self._directions)
            colour = {UNTAGGED: canvas.INK, NOTHING: None, ENEMY: canvas.ENEMY}
            view.rays(w.x[i], w.y[i], dx, dy, near, [colour[int(m)] for m in met])
        c, s = np.cos(w.heading[i]), np.sin(w.heading[i])
        if w.shot[i] > 0:
            view.line([(w.x[i], w.y[i]), (w.x[i] + c * w.shot[i], w.y[i] + s * w.shot[i])], "#f2b705", 0.14)
        for k in np.flatnonzero(w.enemy_lives[i]):
            toward = np.arctan2(w.y[i] - w.enemy_y[i, k], w.x[i] - w.enemy_x[i, k])
            view.disc(w.enemy_x[i, k], w.enemy_y[i, k], ENEMY_RADIUS, canvas.ENEMY, "#6f1f17", 0.06)
            for side in (-0.45, 0.45):
                eye = toward + side
                view.disc(w.enemy_x[i, k] + 0.3 * np.cos(eye), w.enemy_y[i, k] + 0.3 * np.sin(eye), 0.11, "#ffffff")
        view.turned_box(w.x[i], w.y[i], w.heading[i], 0.85, 0.0, 0.09, canvas.INK)
        view.agent(w.x[i], w.y[i], w.heading[i], float(AGENT_RADIUS))
        gun = ("", "", f"     reloading {w.wait[i] * float(SECONDS):.1f} s")[w.gun[i]]
        view.caption(f"{w.clock[i] * SECONDS:.0f} s     enemies shot: {w.kills[i]}     {w.rounds[i]} of {ROUNDS} rounds{gun}")
        return view


@kernel
def _begin(w, ids):
    for i in ids:
        w.x[i], w.y[i], w.shot[i] = 0, 0, 0
        w.heading[i] = np.float32(2 * np.pi) * (uniform(w.rng_state, i) - np.float32(0.5))
        w.rounds[i], w.gun[i], w.wait[i], w.clock[i], w.kills[i] = ROUNDS, READY, 0, 0, 0
        w.enemy_lives[i] = False
        w.enemy_x[i] = np.float32(0)
        w.enemy_y[i] = np.float32(0)
        _spawn(w, i)


@kernel
def _advance(w, actions, barrel, table, rewards, terminated):
    near, met, dx, dy = ray_buffers(1)
    for i in range(len(w.x)):
        action, reward = actions[i], 0.0
        mx, my, w.heading[i] = moved(action, w.heading[i], STRIDE, TURN)
        w.x[i], w.y[i] = keep_out(w.x[i] + mx, w.y[i] + my, AGENT_RADIUS)
        _cool(w, i)
        w.shot[i] = 0
        if action == FIRE and w.gun[i] == READY and w.rounds[i] > 0:
            reward += SHOT
            w.rounds[i] -= 1
            w.gun[i], w.wait[i] = COOLING, COOLING_STEPS
            turn_rays(barrel, np.cos(w.heading[i]), np.sin(w.heading[i]), dx, dy)
            _cast(w, i, near, met, dx, dy, True)
            w.shot[i] = near[0]
            if met[0] >= 0:
                w.enemy_lives[i, met[0]] = False
                w.kills[i] += 1
                reward += KILL
        elif action == RELOAD and w.gun[i] == READY and w.rounds[i] < ROUNDS:
            w.gun[i], w.wait[i] = RELOADING, RELOADING_STEPS
        terminated[i] = _enemies_walk(w, i, table)
        w.clock[i] += 1
        if w.clock[i] % SPAWN_STEPS == 0:
            _spawn(w, i)
        rewards[i] = reward if terminated[i] else reward + ALIVE


@kernel
def _cool(w, i):
    """The gun's clock goes on."""
    if w.wait[i] > 0:
        w.wait[i] -= 1
        if w.wait[i] == 0:
            if w.gun[i] == RELOADING:
                w.rounds[i] = ROUNDS
            w.gun[i] = READY


@kernel
def _enemies_walk(w, i, table):
    """All enemies take a step, straight at the agent where nothing is between; whether one touches it."""
    goal, touch, caught = cell_of(w.x[i], w.y[i]), AGENT_RADIUS + ENEMY_RADIUS, False
    for k in range(ENEMIES):
        if not w.enemy_lives[i, k]:
            continue
        x, y = w.enemy_x[i, k], w.enemy_y[i, k]
        to_x, to_y = w.x[i], w.y[i]
        if not is_clear(x, y, to_x, to_y):
            here = cell_of(x, y)
            if here != goal:
                to_x, to_y = middle_of(table[goal, here])
        dx, dy = to_x - x, to_y - y
        distance = max(np.sqrt(dx * dx + dy * dy), np.float32(1e-6))
        share = min(ENEMY_STRIDE / distance, np.float32(1))
        x, y = keep_out(x + dx * share, y + dy * share, ENEMY_RADIUS)
        w.enemy_x[i, k], w.enemy_y[i, k] = x, y
        caught |= (x - w.x[i]) ** 2 + (y - w.y[i]) ** 2 < touch * touch
    return caught


@kernel
def _spawn(w, i):
    """An enemy comes from a spawner, any but the one nearest to the agent."""
    nearest, closest = 0, np.float32(1e9)
    for p in range(len(SPAWNERS)):
        distance = (SPAWNERS[p, 0] - w.x[i]) ** 2 + (SPAWNERS[p, 1] - w.y[i]) ** 2
        if distance < closest:
            nearest, closest = p, distance
    p = int(uniform(w.rng_state, i) * (len(SPAWNERS) - 1))
    p += p >= nearest
    for k in range(ENEMIES):
        if not w.enemy_lives[i, k]:
            w.enemy_x[i, k], w.enemy_y[i, k], w.enemy_lives[i, k] = SPAWNERS[p, 0], SPAWNERS[p, 1], True
            return


@kernel
def _cast(w, i, near, met, dx, dy, by_number):
    """What rays meet; an enemy's tag is its number, or the same for all."""
    thin = np.float32(0)
    clear_rays(near, met, SENSOR_LENGTH)
    sweep_room(near, met, w.x[i], w.y[i], dx, dy, -HALF_ARENA, -HALF_ARENA, HALF_ARENA, HALF_ARENA, thin, UNTAGGED)
    for b in range(len(BOXES)):
        sweep_box(near, met, w.x[i], w.y[i], dx, dy, BOXES[b, 0], BOXES[b, 1], BOXES[b, 2], BOXES[b, 3], thin, UNTAGGED)
    for k in range(ENEMIES):
        if w.enemy_lives[i, k]:
            tag = k if by_number else ENEMY
            sweep_disc(near, met, w.x[i], w.y[i], dx, dy, w.enemy_x[i, k], w.enemy_y[i, k], ENEMY_RADIUS, thin, tag)


@kernel
def _look(w, ids, directions, barrel, out):
    near, met, dx, dy = ray_buffers(directions.shape[1])
    one = slice(0, 1)
    for i in ids:
        out[i, 0] = np.float32(w.rounds[i]) / np.float32(ROUNDS)
        for state in range(3):
            out[i, 1 + state] = w.gun[i] == state
        c, s = np.cos(w.heading[i]), np.sin(w.heading[i])
        turn_rays(directions, c, s, dx, dy)
        _cast(w, i, near, met, dx, dy, False)
        report_rays(near, met, SENSOR_LENGTH, SENSOR_TAGS, out[i], 4)
        turn_rays(barrel, c, s, dx[one], dy[one])
        _cast(w, i, near[one], met[one], dx[one], dy[one], False)
        report_rays(near[one], met[one], SENSOR_LENGTH, SENSOR_TAGS, out[i], 4 + SENSOR_SIZE)


@kernel
def _paint(w, ids, out):
    zero = np.float32(0)
    for i in ids:
        view = view_of(out[i], w.x[i], w.y[i], w.heading[i], SPAN)
        paint_all(out[i], (70, 80, 90))
        paint_box(out[i], view, zero, zero, zero, HALF_ARENA, HALF_ARENA, HALF_ARENA, (228, 225, 216))
        for b in range(len(BOXES)):
            x, y = (BOXES[b, 0] + BOXES[b, 2]) / 2, (BOXES[b, 1] + BOXES[b, 3]) / 2
            length, width = BOXES[b, 2] - x, BOXES[b, 3] - y
            paint_box(out[i], view, x, y, zero, length, length, width, (70, 80, 90))
        for k in range(ENEMIES):
            if w.enemy_lives[i, k]:
                paint_disc(out[i], view, w.enemy_x[i, k], w.enemy_y[i, k], ENEMY_RADIUS, (192, 57, 43))
        paint_disc(out[i], view, w.x[i], w.y[i], AGENT_RADIUS, (47, 111, 181))
        _paint_gun(w, i, out[i, -1])


@kernel
def _paint_gun(w, i, row):
    """The lowest row (P, 3): a bright pixel a round, dark ones for those that were fired, then how the gun is."""
    for k in range(ROUNDS):
        row[k] = 255 if k < w.rounds[i] else 0
    for k in range(ROUNDS, ROUNDS + 4):
        row[k, 0], row[k, 1], row[k, 2] = GUN[w.gun[i]]


@kernel
def _rays(w, i, directions):
    """One copy's rays, to be drawn."""
    near, met, dx, dy = ray_buffers(directions.shape[1])
    turn_rays(directions, np.cos(w.heading[i]), np.sin(w.heading[i]), dx, dy)
    _cast(w, i, near, met, dx, dy, False)
    return near, met, dx, dy


SurvivorEnv, SurvivorVectorEnv = environments(Survivor)
