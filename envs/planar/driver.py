"""deepnp/Driver-v0 and deepnp/Driver-Traffic-v0: one lap of a circuit, fast, without touching a wall or another car.

Observation (72)    18 rays of 30 m round the car, evenly in a full circle, the first straight ahead, then to the left:
                    each [distance / 30, or −1 · 1 if it hit anything but · a wall · a car]
Action (3)          steering, −1 (35° to the right) … 1 (35° to the left) · throttle · brake; the last two act above 0
Reward              −0.001 a step, +0.5 for each checkpoint, +1 at the finish line, −1 for touching a wall or another car
End                 a wall, another car, the finish line

The circuit is drawn anew for every episode (see circuits.py): 170 to 380 m round, 8 m wide, driven either way. Sixteen lines
across the road divide it; the last is the finish, which is where the car started, and the others are checkpoints. Each pays
once, in their order, so driving back and forth earns nothing. The start is a rolling one, at up to 10 m/s.

The car: 4.2 m × 1.9 m, a bicycle with a rear drive of 9 m/s² against a drag of 0.5/s (so 18 m/s at most) and a brake of
10 m/s²; it has no reverse. Its front wheels turn it by v·tan δ / 2.6 m, as long as the tyres' 9 m/s² across can hold the bend:
beyond that it runs wide. Speed is not observed. A decision is 40 ms.

With `traffic`, other cars go round at 4 to 7 m/s, in the left or the right half of the road: none in Driver-v0, where no ray
meets a car, and three in Driver-Traffic-v0, as in the thesis, whose rays detect "the walls or another car". Its text names the
price of a step, checkpoints and walls; what the finish pays and what another car costs is ours.
"""

from typing import NamedTuple

import numpy as np
from gymnasium import spaces

from envs.checks import Bounds, check_whole
from envs.kernels import kernel, uniform
from envs.pair import environments
from envs.planar import canvas
from envs.planar.canvas import Canvas
from envs.planar.circuits import HALF_WIDTH, POINTS, draw_circuit
from envs.planar.game import Game
from envs.planar.raster import paint_all, paint_box, paint_disc, view_of
from envs.sensors import RaySensor, clear_rays, ray_buffers, report_rays, sweep_chain, sweep_disc, turn_rays

SENSOR = RaySensor(rays=18, fov=2 * np.pi, length=30.0, tags=2)
WALL, CAR = 0, 1
SENSOR_LENGTH, SENSOR_TAGS = np.float32(SENSOR.length), SENSOR.tags
SIGHT = 1.5  # metres of road that may lie within a metre of sight: how far along it rays look for walls
SECONDS = np.float32(0.04)
STEERING, WHEELBASE = np.float32(np.radians(35)), np.float32(2.6)
DRIVE, DRAG, BRAKE, GRIP = np.float32(9.0), np.float32(0.5), np.float32(10.0), np.float32(9.0)
HALF_LENGTH, HALF_CAR = np.float32(2.1), np.float32(0.95)
TRAFFIC_RADIUS, TRAFFIC_LANE = np.float32(1.2), np.float32(2.0)
GATES = 16
GATE = POINTS // GATES
SPAN = np.float32(30.0)  # metres across a picture
STEP, CHECKPOINT, FINISH, CRASH = -0.001, 0.5, 1.0, -1.0
MAX_TRAFFIC = 8
MOST_PASSED = 2**30


class World(NamedTuple):
    """K other cars; M points of the road."""

    rng_state: np.ndarray  # (N,) uint64
    x: np.ndarray  # (N,) of the car's middle
    y: np.ndarray
    heading: np.ndarray  # (N,) radians
    speed: np.ndarray
    steering: np.ndarray  # (N,) radians, of the front wheels
    at: np.ndarray  # (N,) int32: points of the road passed since the start, less those passed backwards
    paid: np.ndarray  # (N,) int32: lines that were crossed
    road_x: np.ndarray  # (N, M) the middle of the road, the first at the start
    road_y: np.ndarray
    along_x: np.ndarray  # (N, M) its direction
    along_y: np.ndarray
    spacing: np.ndarray  # (N,) metres between its points
    traffic_at: np.ndarray  # (N, K) in points of the road
    traffic_lane: np.ndarray  # (N, K) metres to the left of its middle
    traffic_speed: np.ndarray  # (N,)


class Driver(Game):
    """N cars, each on a circuit of its own.

    Parameters
    ----------
    num_envs : int
        N.
    traffic : int
        Other cars on each circuit, K.
    show_sensors : bool
        Draw the rays.
    pixels : bool or int
        Observe a picture of 32 pixels a side, or of 16 … 48, in place of the sensors:
        30 m of road, and cars.
    """

    def __init__(self, num_envs: int = 1, traffic: int = 0, show_sensors: bool = False, pixels: bool | int = False):
        n = check_whole("num_envs", num_envs, 1)
        if check_whole("traffic", traffic, 0) > MAX_TRAFFIC:
            raise ValueError(f"expected traffic in [0, {MAX_TRAFFIC}], given {traffic}")
        f32, k = np.float32, int(traffic)
        world = World(
            np.zeros(n, np.uint64),
            *(np.zeros(n, f32) for _ in range(5)),
            *(np.zeros(n, np.int32) for _ in range(2)),
            *(np.zeros((n, POINTS), f32) for _ in range(4)),
            np.ones(n, f32),
            np.zeros((n, k), f32),
            np.zeros((n, k), f32),
            np.zeros(n, f32),
        )
        observations = spaces.Box(-1, 1, (SENSOR.size,), np.float32)
        super().__init__(world, observations, spaces.Box(-1, 1, (3,), np.float32), float(SECONDS), show_sensors, pixels)
        self._directions = SENSOR.directions()

    def state_bounds(self) -> Bounds:
        counts = {"at": (-MOST_PASSED, MOST_PASSED), "paid": (0, MOST_PASSED)}
        traffic = {"traffic_at": (0, POINTS), "traffic_lane": (-HALF_WIDTH, HALF_WIDTH), "traffic_speed": (0, 100)}
        return {**counts, **traffic, "spacing": (0.1, 100)}

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
        """`lap`: the part of a lap that was driven, from 0 to 1."""
        return {"lap": np.clip(self.world.at / POINTS, 0.0, 1.0)}

    def draw(self, copy: int) -> Canvas:
        w, i = self.world, copy
        middle, ahead = np.stack([w.road_x[i], w.road_y[i]], 1), np.stack([w.along_x[i], w.along_y[i]], 1)
        left = np.stack([-ahead[:, 1], ahead[:, 0]], 1)
        edges = [middle + HALF_WIDTH * left, middle - HALF_WIDTH * left]
        edges.sort(key=lambda p: -np.ptp(p, axis=0).prod())  # the outer one first
        low, high = edges[0].min(0), edges[0].max(0)
        span = (high - low).max() + 16
        view = Canvas(tuple((low + high) / 2 - (0, 0.03 * span)), span, background="#b9cfa6")
        view.polygon(edges[0], "#8d949b", "#ffffff", 0.8)
        view.polygon(edges[1], "#b9cfa6", "#ffffff", 0.8)
        for gate in range(1, GATES):
            m, done = gate * GATE, gate <= w.paid[i]
            ends = [middle[m] + side * HALF_WIDTH * left[m] for side in (1, -1)]
            view.line(ends, "#a3a9af" if done else canvas.GOLD, 0.7)
        for row in range(2):
            for column in range(8):
                corner = middle[0] + (column - 4) * left[0] + (row - 1) * ahead[0]
                square = [corner, corner + left[0], corner + left[0] + ahead[0], corner + ahead[0]]
                view.polygon(square, "#ffffff" if (row + column) % 2 else "#22303c")
        if self.show_sensors:
            near, met, dx, dy = _rays(w, i, self._directions)
            colours = [{WALL: canvas.INK, CAR: canvas.ENEMY}.get(int(m)) for m in met]
            view.rays(w.x[i], w.y[i], dx, dy, near, colours)
        for k in range(w.traffic_at.shape[1]):
            x, y, heading = _traffic(w, i, k)
            _draw_car(view, x, y, heading, 0.0, canvas.AGENT)
        _draw_car(view, w.x[i], w.y[i], w.heading[i], w.steering[i], canvas.ENEMY)
        view.caption(f"{w.speed[i] * 3.6:3.0f} km/h     checkpoint {min(w.paid[i], GATES - 1)} of {GATES - 1}")
        return view


def _draw_car(view, x, y, heading, steering, colour):
    c, s = np.cos(heading), np.sin(heading)
    for ahead, turn in ((1.3, steering), (-1.3, 0.0)):
        for aside in (0.95, -0.95):
            view.turned_box(x + c * ahead - s * aside, y + s * ahead + c * aside, heading + turn, 0.55, 0.55, 0.28, "#22303c")
    view.turned_box(x, y, heading, HALF_LENGTH, HALF_LENGTH, HALF_CAR, colour)
    view.turned_box(x, y, heading, 0.9, 0.0, 0.7, "#dfe9f2")


@kernel
def _begin(w, ids):
    for i in ids:
        w.spacing[i] = draw_circuit(w.rng_state, i, w.road_x[i], w.road_y[i], w.along_x[i], w.along_y[i])
        aside = np.float32(2) * (uniform(w.rng_state, i) - np.float32(0.5))
        w.x[i], w.y[i] = w.road_x[i, 0] - w.along_y[i, 0] * aside, w.road_y[i, 0] + w.along_x[i, 0] * aside
        turned = np.float32(0.3) * (uniform(w.rng_state, i) - np.float32(0.5))
        w.heading[i] = np.arctan2(w.along_y[i, 0], w.along_x[i, 0]) + turned
        w.speed[i] = np.float32(10) * uniform(w.rng_state, i)
        w.steering[i], w.at[i], w.paid[i] = 0, 0, 0
        others = w.traffic_at.shape[1]
        w.traffic_speed[i] = np.float32(4) + np.float32(3) * uniform(w.rng_state, i)
        for k in range(others):
            w.traffic_at[i, k] = POINTS * (k + np.float32(0.4) + np.float32(0.4) * uniform(w.rng_state, i)) / others
            w.traffic_lane[i, k] = TRAFFIC_LANE if uniform(w.rng_state, i) < 0.5 else -TRAFFIC_LANE


@kernel
def _advance(w, actions, rewards, terminated):
    for i in range(len(w.x)):
        _drive(w, i, actions[i])
        rewards[i] = STEP
        _follow(w, i)
        crossed = w.at[i] // GATE
        if crossed > w.paid[i]:
            w.paid[i] = crossed
            rewards[i] += FINISH if crossed == GATES else CHECKPOINT
            terminated[i] = crossed == GATES
        if not terminated[i] and _touches(w, i):
            rewards[i] += CRASH
            terminated[i] = True


@kernel
def _drive(w, i, action):
    """The car, and the traffic, move on."""
    zero, one = np.float32(0), np.float32(1)
    steer = min(max(action[0], -one), one) * STEERING
    throttle, brake = min(max(action[1], zero), one), min(max(action[2], zero), one)
    speed = w.speed[i] + SECONDS * (DRIVE * throttle - DRAG * w.speed[i] - BRAKE * brake)
    speed = max(speed, zero)
    turn = speed * np.tan(steer) / WHEELBASE
    holds = GRIP / max(speed, one)
    turn = min(max(turn, -holds), holds)
    heading = w.heading[i] + SECONDS * turn
    if heading > np.float32(np.pi):
        heading -= np.float32(2 * np.pi)
    elif heading < -np.float32(np.pi):
        heading += np.float32(2 * np.pi)
    w.heading[i], w.speed[i], w.steering[i] = heading, speed, steer
    w.x[i] += SECONDS * speed * np.cos(heading)
    w.y[i] += SECONDS * speed * np.sin(heading)
    for k in range(w.traffic_at.shape[1]):
        w.traffic_at[i, k] += SECONDS * w.traffic_speed[i] / w.spacing[i]
        if w.traffic_at[i, k] >= POINTS:
            w.traffic_at[i, k] -= POINTS


@kernel
def _follow(w, i):
    """Count the lines across the road, one through each of its points, that the car has crossed either way."""
    for _ in range(4):
        m = (w.at[i] + 1) % POINTS
        if (w.x[i] - w.road_x[i, m]) * w.along_x[i, m] + (w.y[i] - w.road_y[i, m]) * w.along_y[i, m] >= 0:
            w.at[i] += 1
            continue
        m = w.at[i] % POINTS
        if (w.x[i] - w.road_x[i, m]) * w.along_x[i, m] + (w.y[i] - w.road_y[i, m]) * w.along_y[i, m] >= 0:
            return
        w.at[i] -= 1


@kernel
def _touches(w, i):
    """Whether the car's outline meets a wall near it, or another car."""
    c, s = np.cos(w.heading[i]), np.sin(w.heading[i])
    reach = 2 + int(3 / w.spacing[i])
    for side in (-HALF_WIDTH, HALF_WIDTH):
        for j in range(-reach, reach + 1):
            m, n = (w.at[i] + j) % POINTS, (w.at[i] + j + 1) % POINTS
            ax, ay = w.road_x[i, m] - side * w.along_y[i, m] - w.x[i], w.road_y[i, m] + side * w.along_x[i, m] - w.y[i]
            bx, by = w.road_x[i, n] - side * w.along_y[i, n] - w.x[i], w.road_y[i, n] + side * w.along_x[i, n] - w.y[i]
            if _crosses_box(c * ax + s * ay, c * ay - s * ax, c * bx + s * by, c * by - s * bx):
                return True
    for k in range(w.traffic_at.shape[1]):
        x, y, _ = _traffic(w, i, k)
        ahead, left = c * (x - w.x[i]) + s * (y - w.y[i]), c * (y - w.y[i]) - s * (x - w.x[i])
        dx, dy = max(abs(ahead) - HALF_LENGTH, np.float32(0)), max(abs(left) - HALF_CAR, np.float32(0))
        if dx * dx + dy * dy < TRAFFIC_RADIUS * TRAFFIC_RADIUS:
            return True
    return False


@kernel
def _crosses_box(ax, ay, bx, by):
    """Whether the segment from a to b meets the car, in the car's axes: no axis of the box or of the segment separates them."""
    if max(ax, bx) < -HALF_LENGTH or min(ax, bx) > HALF_LENGTH or max(ay, by) < -HALF_CAR or min(ay, by) > HALF_CAR:
        return False
    ex, ey = bx - ax, by - ay
    return abs(ax * ey - ay * ex) <= HALF_LENGTH * abs(ey) + HALF_CAR * abs(ex)


@kernel
def _traffic(w, i, k):
    """Where car k of the traffic is: x, y, heading."""
    m = int(w.traffic_at[i, k]) % POINTS
    n, part = (m + 1) % POINTS, w.traffic_at[i, k] - np.floor(w.traffic_at[i, k])
    ax, ay, bx, by = w.along_x[i, m], w.along_y[i, m], w.along_x[i, n], w.along_y[i, n]
    tx, ty = ax + part * (bx - ax), ay + part * (by - ay)
    x = w.road_x[i, m] + part * (w.road_x[i, n] - w.road_x[i, m]) - ty * w.traffic_lane[i, k]
    y = w.road_y[i, m] + part * (w.road_y[i, n] - w.road_y[i, m]) + tx * w.traffic_lane[i, k]
    return x, y, np.arctan2(ty, tx)


@kernel
def _cast(w, i, directions, near, met, dx, dy):
    """What the rays of copy i meet. In a road without branches that is a wall not far along it."""
    wall_x, wall_y = np.empty(POINTS, np.float32), np.empty(POINTS, np.float32)
    turn_rays(directions, np.cos(w.heading[i]), np.sin(w.heading[i]), dx, dy)
    clear_rays(near, met, SENSOR_LENGTH)
    reach, thin = min(POINTS // 2 - 1, 1 + int(SIGHT * SENSOR_LENGTH / w.spacing[i])), np.float32(0)
    for side in (-HALF_WIDTH, HALF_WIDTH):
        for j in range(2 * reach + 2):
            m = (w.at[i] - reach + j) % POINTS
            wall_x[j] = w.road_x[i, m] - side * w.along_y[i, m]
            wall_y[j] = w.road_y[i, m] + side * w.along_x[i, m]
        near_x, near_y = wall_x[: 2 * reach + 2], wall_y[: 2 * reach + 2]
        sweep_chain(near, met, w.x[i], w.y[i], dx, dy, near_x, near_y, thin, WALL)
    for k in range(w.traffic_at.shape[1]):
        x, y, _ = _traffic(w, i, k)
        sweep_disc(near, met, w.x[i], w.y[i], dx, dy, x, y, TRAFFIC_RADIUS, thin, CAR)


@kernel
def _look(w, ids, directions, out):
    near, met, dx, dy = ray_buffers(directions.shape[1])
    for i in ids:
        _cast(w, i, directions, near, met, dx, dy)
        report_rays(near, met, SENSOR_LENGTH, SENSOR_TAGS, out[i], 0)


@kernel
def _paint(w, ids, out):
    for i in ids:
        view = view_of(out[i], w.x[i], w.y[i], w.heading[i], SPAN)
        paint_all(out[i], (110, 150, 90))
        reach = min(POINTS // 2, 1 + int(SPAN / w.spacing[i]))  # of the road near the car: it has no branches
        for j in range(-reach, reach + 1):
            m = (w.at[i] + j) % POINTS
            paint_disc(out[i], view, w.road_x[i, m], w.road_y[i, m], HALF_WIDTH, (140, 148, 155))
        for k in range(w.traffic_at.shape[1]):
            x, y, heading = _traffic(w, i, k)
            paint_box(out[i], view, x, y, heading, HALF_LENGTH, HALF_LENGTH, HALF_CAR, (47, 111, 181))
        paint_box(out[i], view, w.x[i], w.y[i], w.heading[i], HALF_LENGTH, HALF_LENGTH, HALF_CAR, (192, 57, 43))


@kernel
def _rays(w, i, directions):
    """One copy's rays, to be drawn."""
    near, met, dx, dy = ray_buffers(directions.shape[1])
    _cast(w, i, directions, near, met, dx, dy)
    return near, met, dx, dy


DriverEnv, DriverVectorEnv = environments(Driver)
