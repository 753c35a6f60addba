"""deepnp/Sorter-v0: visit ten numbered tiles in ascending order, fast, without touching the wall.

Observation (70)    5 rays of 10 m over 45°, from right to left: each [distance / 10, or −1 · 1 if it hit the wall · one-hot of
                    the tile, 10]; then a one-hot of the tile to find next, 10
Action (7)          0 stay · 1 right · 2 left · 3 ahead · 4 back (3 m/s) · 5 turn right · 6 turn left (5°)
Reward              −0.0025 a step, +1 for the right tile, −1 for the wall or a wrong tile
End                 the wall, a wrong tile, all tiles found

The tiles are discs of 0.4 m radius, shuffled among ten places on a circle of 3.3 m; the agent, of 0.25 m radius, starts in its
middle and looks anywhere. The arena is a square of 10 m. A tile that was found is taken away: it is neither seen nor touched
again. A decision is 40 ms.

The thesis's text has the price of a step, +1 for the right tile, and −1 and the end for the wall. A wrong tile's price, and that
it ends the episode, as the last tile does, are those of its public code.
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
from envs.sensors import NOTHING, UNTAGGED, RaySensor, clear_rays, ray_buffers, report_rays, sweep_disc, sweep_room, turn_rays

TILES = 10
SENSOR = RaySensor(rays=5, fov=np.radians(45), length=10.0, tags=TILES)
SENSOR_LENGTH, SENSOR_SIZE = np.float32(SENSOR.length), SENSOR.size
SECONDS = np.float32(0.04)
STRIDE, TURN = np.float32(3.0) * SECONDS, np.float32(np.radians(5))
HALF_ARENA, CIRCLE, TILE_RADIUS, AGENT_RADIUS = np.float32(5.0), np.float32(3.3), np.float32(0.4), np.float32(0.25)
SPAN = np.float32(12.0)  # metres across a picture
STEP, RIGHT_TILE, WRONG = -0.0025, 1.0, -1.0


class World(NamedTuple):
    """T = 10 tiles."""

    rng_state: np.ndarray  # (N,) uint64
    x: np.ndarray  # (N,)
    y: np.ndarray
    heading: np.ndarray  # (N,) radians
    tile_x: np.ndarray  # (N, T), by number
    tile_y: np.ndarray
    found: np.ndarray  # (N,) int32: how many, and so the number of the next


class Sorter(Game):
    """N agents, each in an arena of its own.

    Parameters
    ----------
    num_envs : int
        N.
    show_sensors : bool
        Draw the rays.
    pixels : bool or int
        Observe a picture of 32 pixels a side, or of 16 … 48, in place of the sensors:
        the tile to find next is gold, the others are brighter the later they come.
    """

    def __init__(self, num_envs: int = 1, show_sensors: bool = False, pixels: bool | int = False):
        n = check_whole("num_envs", num_envs, 1)
        place, tiles = (np.zeros(n, np.float32) for _ in range(3)), (np.zeros((n, TILES), np.float32) for _ in range(2))
        world = World(np.zeros(n, np.uint64), *place, *tiles, np.zeros(n, np.int32))
        observations = spaces.Box(-1, 1, (SENSOR_SIZE + TILES,), np.float32)
        super().__init__(world, observations, spaces.Discrete(MOVES), float(SECONDS), show_sensors, pixels)
        self._directions = SENSOR.directions()

    def state_bounds(self) -> Bounds:
        return {"found": (0, TILES)}

    def begin(self, ids) -> None:
        _begin(self.world, ids)

    def advance(self, actions, rewards, terminated) -> None:
        _advance(self.world, actions, rewards, terminated)

    def look(self, ids, out) -> None:
        if self.pixels:
            _paint(self.world, ids, out)
            return
        _look(self.world, ids, self._directions, out)

    def info(self) -> dict[str, np.ndarray]:
        """`tiles` found."""
        return {"tiles": self.world.found.astype(np.int64)}

    def draw(self, copy: int) -> Canvas:
        w, i = self.world, copy
        view = Canvas((0, -0.35), 11.2)
        view.arena(float(HALF_ARENA), canvas.GROUND)
        for k in range(TILES):
            x, y = w.tile_x[i, k], w.tile_y[i, k]
            if k < w.found[i]:
                view.disc(x, y, TILE_RADIUS, outline=canvas.FAINT, width=0.04)
            else:
                view.disc(x, y, TILE_RADIUS, canvas.GOLD if k == w.found[i] else "#9fb4c7")
            view.text(x, y, str(k + 1), 0.42, canvas.FAINT if k < w.found[i] else canvas.INK)
        if self.show_sensors:
            near, met, dx, dy = _rays(w, i, self._directions)
            colour = {UNTAGGED: canvas.INK, NOTHING: None, int(w.found[i]): canvas.GOLD}
            view.rays(w.x[i], w.y[i], dx, dy, near, [colour.get(int(m), "#5d7f9e") for m in met])
        view.agent(w.x[i], w.y[i], w.heading[i], float(AGENT_RADIUS))
        view.caption(f"next: tile {w.found[i] + 1}" if w.found[i] < TILES else "all tiles found")
        return view


@kernel
def _begin(w, ids):
    for i in ids:
        w.x[i], w.y[i], w.found[i] = 0, 0, 0
        w.heading[i] = np.float32(2 * np.pi) * (uniform(w.rng_state, i) - np.float32(0.5))
        for k in range(TILES):
            w.tile_x[i, k], w.tile_y[i, k] = CIRCLE * np.cos(2 * np.pi * k / TILES), CIRCLE * np.sin(2 * np.pi * k / TILES)
        for k in range(TILES - 1, 0, -1):
            j = int(uniform(w.rng_state, i) * (k + 1))
            w.tile_x[i, k], w.tile_x[i, j] = w.tile_x[i, j], w.tile_x[i, k]
            w.tile_y[i, k], w.tile_y[i, j] = w.tile_y[i, j], w.tile_y[i, k]


@kernel
def _advance(w, actions, rewards, terminated):
    touch, edge = TILE_RADIUS + AGENT_RADIUS, HALF_ARENA - AGENT_RADIUS
    for i in range(len(w.x)):
        dx, dy, w.heading[i] = moved(actions[i], w.heading[i], STRIDE, TURN)
        w.x[i] += dx
        w.y[i] += dy
        reward = STEP
        for k in range(w.found[i], TILES):
            ax, ay = w.x[i] - w.tile_x[i, k], w.y[i] - w.tile_y[i, k]
            if ax * ax + ay * ay < touch * touch:
                right = k == w.found[i]
                reward += RIGHT_TILE if right else WRONG
                w.found[i] += right
                terminated[i] = not right or w.found[i] == TILES
                break  # tiles are too far apart to touch two
        if abs(w.x[i]) > edge or abs(w.y[i]) > edge:
            reward += WRONG
            terminated[i] = True
        rewards[i] = reward


@kernel
def _cast(w, i, directions, near, met, dx, dy):
    thin = np.float32(0)
    turn_rays(directions, np.cos(w.heading[i]), np.sin(w.heading[i]), dx, dy)
    clear_rays(near, met, SENSOR_LENGTH)
    sweep_room(near, met, w.x[i], w.y[i], dx, dy, -HALF_ARENA, -HALF_ARENA, HALF_ARENA, HALF_ARENA, thin, UNTAGGED)
    for k in range(w.found[i], TILES):
        sweep_disc(near, met, w.x[i], w.y[i], dx, dy, w.tile_x[i, k], w.tile_y[i, k], TILE_RADIUS, thin, k)


@kernel
def _look(w, ids, directions, out):
    near, met, dx, dy = ray_buffers(directions.shape[1])
    for i in ids:
        _cast(w, i, directions, near, met, dx, dy)
        report_rays(near, met, SENSOR_LENGTH, TILES, out[i], 0)
        for k in range(TILES):
            out[i, SENSOR_SIZE + k] = k == w.found[i]


@kernel
def _paint(w, ids, out):
    zero = np.float32(0)
    for i in ids:
        view = view_of(out[i], w.x[i], w.y[i], w.heading[i], SPAN)
        paint_all(out[i], (70, 80, 90))
        paint_box(out[i], view, zero, zero, zero, HALF_ARENA, HALF_ARENA, HALF_ARENA, (245, 242, 235))
        for k in range(w.found[i], TILES):
            shade = 50 + 15 * k
            colour = (217, 165, 32) if k == w.found[i] else (shade, shade, 200)
            paint_disc(out[i], view, w.tile_x[i, k], w.tile_y[i, k], TILE_RADIUS, colour)
        paint_disc(out[i], view, w.x[i], w.y[i], AGENT_RADIUS, (20, 20, 20))


@kernel
def _rays(w, i, directions):
    """One copy's rays, to be drawn."""
    near, met, dx, dy = ray_buffers(directions.shape[1])
    _cast(w, i, directions, near, met, dx, dy)
    return near, met, dx, dy


SorterEnv, SorterVectorEnv = environments(Sorter)
