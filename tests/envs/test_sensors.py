"""Rays against sphere tracing and the grid against its corners, both in float64; descriptions, layouts, bad input."""

from itertools import pairwise, product

import numpy as np
import pytest

from envs import sensors
from envs.sensors import NOTHING, UNTAGGED, GridSensor, RaySensor

LENGTH = 10.0


def to_segment(p, a, b):
    u = np.clip((p - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
    return np.linalg.norm(p - a - u * (b - a))


def to_disc(p, c, r):
    return max(np.linalg.norm(p - c) - r, 0.0)


def to_box(p, low, high):
    return np.linalg.norm(p - np.clip(p, low, high))


def to_room(p, low, high):
    return max(np.concatenate([p - low, high - p]).min(), 0.0)


def traced(origin, direction, distance, radius):
    """Go on by the distance to the obstacle, which is always safe: (t or None, the least gap that was met)."""
    t, gap = 0.0, np.inf
    for _ in range(3000):
        clearance = distance(origin + t * direction) - radius
        gap = min(gap, clearance)
        if clearance < 1e-6:
            return t, gap
        t += clearance
        if t > LENGTH:
            return None, gap
    return None, gap


def sweep(kind, shape, origin, directions, radius, tag=3):
    near, met = np.empty(directions.shape[1], np.float32), np.empty(directions.shape[1], np.int32)
    sensors.clear_rays(near, met, LENGTH)
    f = np.float32
    place = (near, met, f(origin[0]), f(origin[1]), directions[0], directions[1])
    if kind == "chain":
        points = np.array(shape, f)
        sensors.sweep_chain(*place, points[:, 0].copy(), points[:, 1].copy(), f(radius), tag)
    else:
        sweeps = {"disc": sensors.sweep_disc, "segment": sensors.sweep_segment}
        sweeps |= {"box": sensors.sweep_box, "room": sensors.sweep_room}
        sweeps[kind](*place, *map(f, np.concatenate([np.ravel(s) for s in shape])), f(radius), tag)
    return near, met


def draw_case(kind, rng):
    if kind == "disc":
        c, r = rng.uniform(-6, 6, 2), rng.uniform(0.1, 2)
        return (c, [r]), lambda p: to_disc(p, c, r)
    if kind == "segment":
        a, b = rng.uniform(-6, 6, (2, 2))
        return (a, b), lambda p: to_segment(p, a, b)
    if kind == "chain":
        points = rng.uniform(-6, 6, (6, 2))
        return points, lambda p: min(to_segment(p, a, b) for a, b in pairwise(points))
    corners = np.sort(rng.uniform(-6, 6, (2, 2)), axis=0)
    if kind == "box":
        return tuple(corners), lambda p: to_box(p, *corners)
    low, high = rng.uniform(-8, -3, 2), rng.uniform(3, 8, 2)
    return (low, high), lambda p: to_room(p, low, high)


@pytest.mark.parametrize("radius", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["disc", "segment", "chain", "box", "room"])
def test_rays_reach_what_sphere_tracing_reaches(kind, radius, rng):
    hits = misses = 0
    for _ in range(40):
        shape, distance = draw_case(kind, rng)
        origin = rng.uniform(-2, 2, 2)
        directions = RaySensor(19, 2 * np.pi, LENGTH, 4, offset=rng.uniform(-3, 3)).directions()
        near, met = sweep(kind, shape, origin, directions, radius)
        for k, direction in enumerate(directions.T.astype(float)):
            t, gap = traced(origin, direction, distance, radius)
            if (t is None and gap < 1e-3) or (t is not None and t > LENGTH - 1e-2):
                continue  # too close to call
            if t is None:
                assert met[k] == NOTHING
                assert near[k] == LENGTH
                misses += 1
            else:
                assert met[k] == 3, (kind, origin, direction, t)
                assert near[k] == pytest.approx(t, abs=5e-3)
                hits += 1
    assert hits > 60
    assert misses > 60 or kind == "room"


@pytest.mark.parametrize("radius", [0.0, 0.2])
def test_the_nearest_obstacle_wins_whatever_the_order(radius, rng):
    directions = RaySensor(24, 2 * np.pi, LENGTH, 0).directions()
    discs = [(rng.uniform(-6, 6, 2), rng.uniform(0.2, 1)) for _ in range(12)]
    discs = [(c, r) for c, r in discs if np.linalg.norm(c) > r + 0.3]
    alone = [sweep("disc", (c, [r]), np.zeros(2), directions, radius)[0] for c, r in discs]
    for order in (range(len(discs)), reversed(range(len(discs)))):
        near, met = np.empty(24, np.float32), np.empty(24, np.int32)
        sensors.clear_rays(near, met, LENGTH)
        for k in order:
            (x, y), r = discs[k]
            place = (near, met, np.float32(0), np.float32(0), *directions)
            sensors.sweep_disc(*place, np.float32(x), np.float32(y), np.float32(r), np.float32(radius), k)
        np.testing.assert_array_equal(near, np.minimum(np.min(alone, axis=0), LENGTH))
        hit = near < LENGTH
        np.testing.assert_array_equal(met[hit], np.argmin(alone, axis=0)[hit])


@pytest.mark.parametrize("kind", ["disc", "box", "segment"])
def test_a_ray_that_begins_inside_has_distance_zero(kind):
    shape = {"disc": ((0.1, 0), [1]), "box": ((-1, -1), (1, 1)), "segment": ((-1, 0.1), (1, 0.1))}[kind]
    directions = RaySensor(8, 2 * np.pi, LENGTH, 1).directions()
    near, met = sweep(kind, shape, np.zeros(2), directions, 0.3)
    np.testing.assert_array_equal(near, 0)
    np.testing.assert_array_equal(met, 3)


def test_rays_along_the_axes_and_along_walls():
    """Divisions by zero inside the kernels must not show."""
    directions = np.array([(1, 0, -1, 0), (0, 1, 0, -1)], np.float32)
    near, _ = sweep("room", ((-3, -2), (5, 4)), np.zeros(2), directions, 0.0)
    np.testing.assert_array_equal(near, [5, 4, 3, 2])
    near, _ = sweep("box", ((1, -1), (2, 1)), np.zeros(2), directions, 0.0)
    np.testing.assert_array_equal(near, [1, LENGTH, LENGTH, LENGTH])
    near, _ = sweep("segment", ((1, 0), (2, 0)), np.zeros(2), directions, 0.0)
    assert np.isfinite(near).all()


def test_where_rays_look():
    half = np.sqrt(0.5)
    cases = [
        (RaySensor(1, 1.0, 1, 0), [(1, 0)]),
        (RaySensor(3, np.pi / 2, 1, 0), [(half, -half), (1, 0), (half, half)]),
        (RaySensor(4, 2 * np.pi, 1, 0), [(1, 0), (0, 1), (-1, 0), (0, -1)]),
        (RaySensor(1, 0.0, 1, 0, offset=np.pi / 2), [(0, 1)]),
    ]
    for sensor, expected in cases:
        np.testing.assert_allclose(sensor.directions().T, expected, atol=1e-6)
    own = RaySensor(4, 2 * np.pi, 1, 0).directions()
    dx, dy = np.empty(4, np.float32), np.empty(4, np.float32)
    sensors.turn_rays(own, np.cos(0.3), np.sin(0.3), dx, dy)
    np.testing.assert_allclose(np.arctan2(dy, dx)[:2], [0.3, 0.3 + np.pi / 2], atol=1e-6)


def test_a_report_of_rays():
    near, met = np.array([2.5, 10, 5, 0], np.float32), np.array([1, NOTHING, UNTAGGED, 0], np.int32)
    out = np.full(18, 7.0, np.float32)
    sensors.report_rays(near, met, LENGTH, 2, out, 1)
    np.testing.assert_array_equal(out[[0, 17]], 7)
    np.testing.assert_array_equal(out[1:17].reshape(4, 4), [(0.25, 0, 0, 1), (-1, 0, 0, 0), (0.5, 1, 0, 0), (0, 0, 1, 0)])
    assert RaySensor(4, 1.0, LENGTH, 2).size == 16


SHAPE, EDGE = (6, 3, 6), 0.5


def corners_of(i, j, k):
    low = (np.array([i, j, k]) - np.array(SHAPE) / 2) * EDGE
    return low, low + EDGE


def grid():
    cells = np.empty((*SHAPE, 4), np.float32)
    sensors.clear_grid(cells)
    return cells


def test_a_ball_marks_the_cells_that_it_overlaps(rng):
    marked = 0
    for _ in range(60):
        p, r = rng.uniform(-2.2, 2.2, 3).astype(np.float32), np.float32(rng.uniform(0.05, 0.7))
        cells = grid()
        sensors.mark_ball(cells, np.float32(EDGE), *p, r, 1)
        for at in product(*map(range, SHAPE)):
            gap = np.linalg.norm(p - np.clip(p, *corners_of(*at)))
            if abs(gap - r) > 1e-5:
                assert cells[at].tolist() == ([0, 0, 0, 1] if gap < r else [1, 0, 0, 0]), (p, r, at)
                marked += gap < r
    assert marked > 100


def test_a_plane_marks_the_cells_that_reach_beyond_it(rng):
    marked = 0
    for _ in range(60):
        n, distance = rng.normal(size=3), rng.uniform(-1, 3)
        n = (n / np.linalg.norm(n)).astype(np.float32)
        cells = grid()
        sensors.mark_beyond(cells, np.float32(EDGE), *n, np.float32(distance), UNTAGGED)
        for at in product(*map(range, SHAPE)):
            reach = max(n @ corner for corner in product(*zip(*corners_of(*at), strict=True)))
            if abs(reach - distance) > 1e-5:
                assert cells[at].tolist() == ([0, 1, 0, 0] if reach > distance else [1, 0, 0, 0])
                marked += reach > distance
    assert marked > 100


def test_a_cell_can_hold_several_things():
    cells = grid()
    for tag in (0, 1, UNTAGGED):
        sensors.mark_ball(cells, np.float32(EDGE), *np.float32([0.25, 0.1, 0.25]), np.float32(0.1), tag)
    assert cells[3, 1, 3].tolist() == [0, 1, 1, 1]
    assert cells[..., 0].sum() == 107
    assert GridSensor(SHAPE, EDGE, 2).size == 432


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RaySensor(0, 1.0, 1.0, 1), "integer rays >= 1, given 0"),
        (lambda: RaySensor(1.5, 1.0, 1.0, 1), "integer rays >= 1, given 1.5"),
        (lambda: RaySensor(1, 1.0, 1.0, -1), "integer tags >= 0, given -1"),
        (lambda: RaySensor(1, 7.0, 1.0, 1), "fov in .*, given 7.0"),
        (lambda: RaySensor(1, 1.0, 0.0, 1), "length > 0, given 0.0"),
        (lambda: RaySensor(1, 1.0, np.nan, 1), "length > 0, given nan"),
        (lambda: RaySensor(1, 1.0, 1.0, 1, radius=-0.1), "radius >= 0, given -0.1"),
        (lambda: RaySensor(1, 1.0, 1.0, 1, offset=np.inf), "finite offset, given inf"),
        (lambda: GridSensor((1, 2), 0.5, 1), r"three numbers, given \(1, 2\)"),
        (lambda: GridSensor((1, 0, 2), 0.5, 1), "cells along each axis >= 1, given 0"),
        (lambda: GridSensor((1, 1, 2), -0.5, 1), "cell > 0, given -0.5"),
        (lambda: GridSensor((1, 1, 2), 0.5, -1), "integer tags >= 0, given -1"),
    ],
)
def test_bad_descriptions(make, message):
    with pytest.raises(ValueError, match=message):
        make()
