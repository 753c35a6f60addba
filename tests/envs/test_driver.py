"""The Driver: circuits, the car, lines across the road, walls, traffic, what the rays see."""

import gymnasium
import numpy as np
import pytest

import envs  # noqa: F401  (registers deepnp/…)
from envs.planar.circuits import APART, HALF_WIDTH, POINTS, draw_circuit
from envs.planar.driver import CAR, GATE, GATES, SENSOR, STEERING, WALL, Driver, _rays, _touches

STILL, GAS = np.zeros((1, 3)), np.array([[0.0, 1.0, 0.0]])


def driver(seed=0, copies=1, **settings):
    core = Driver(copies, **settings)
    core.reset(np.arange(copies), [np.random.default_rng(seed + i) for i in range(copies)])
    return core


def put(core, m, aside=0.0, turned=0.0, speed=0.0, ahead=0.0, i=0):
    """The car at point m of the road, so many metres to its left and ahead, turned so far to the left of its direction."""
    w = core.world
    tx, ty = w.along_x[i, m % POINTS], w.along_y[i, m % POINTS]
    w.x[i] = w.road_x[i, m % POINTS] - ty * aside + tx * ahead
    w.y[i] = w.road_y[i, m % POINTS] + tx * aside + ty * ahead
    w.heading[i], w.speed[i] = np.arctan2(ty, tx) + turned, speed
    w.at[i] = m if ahead >= 0 else m - 1
    w.paid[i] = w.at[i] // GATE


def walls(core, i=0):
    """Both walls as segments in float64: (2·M, 2, 2)."""
    w = core.world
    middle = np.stack([w.road_x[i], w.road_y[i]], 1).astype(float)
    left = np.stack([-w.along_y[i], w.along_x[i]], 1).astype(float)
    sides = [middle + side * HALF_WIDTH * left for side in (1, -1)]
    return np.concatenate([np.stack([side, np.roll(side, -1, 0)], 1) for side in sides])


def meet(a, b, c, d):
    """How far along a→b it crosses c→d: t in [0, 1], or None."""
    matrix = np.array([b - a, c - d]).T
    if abs(np.linalg.det(matrix)) < 1e-12:
        return None
    t, u = np.linalg.solve(matrix, c - a)
    return t if 0 <= t <= 1 and 0 <= u <= 1 else None


def outline(core, i=0):
    w = core.world
    ahead = np.array([np.cos(w.heading[i]), np.sin(w.heading[i])], float)
    left = np.array([-ahead[1], ahead[0]])
    middle = np.array([w.x[i], w.y[i]], float)
    return [middle + 2.1 * p * ahead + 0.95 * q * left for p, q in ((1, 1), (1, -1), (-1, -1), (-1, 1))]


class TestCircuits:
    def test_a_seed_draws_a_circuit_and_another_seed_another(self):
        a, b, c = driver(1), driver(1), driver(2)
        np.testing.assert_array_equal(a.world.road_x, b.world.road_x)
        assert np.abs(a.world.road_x - c.world.road_x).max() > 1

    def test_each_episode_has_its_own(self):
        core, rng = Driver(1), np.random.default_rng(0)
        core.reset(np.zeros(1, int), [rng])
        first = core.world.road_x.copy()
        core.reset(np.zeros(1, int), [rng])
        assert np.abs(core.world.road_x - first).max() > 1

    def test_roads_are_closed_smooth_wide_and_of_both_hands(self):
        lengths, hands = [], []
        chance, arrays = np.arange(300, dtype=np.uint64) * np.uint64(12345), np.empty((4, POINTS), np.float32)
        for i in range(300):
            spacing = draw_circuit(chance, i, *arrays)
            x, y, tx, ty = arrays.astype(float)
            steps = np.hypot(np.roll(x, -1) - x, np.roll(y, -1) - y)
            assert steps.max() < spacing * 1.001  # closed: the last point's step back to the first is no longer
            assert steps.min() > spacing * 0.97  # a chord is a little shorter than its arc
            np.testing.assert_allclose(np.hypot(tx, ty), 1, atol=1e-5)
            turns = np.arctan2(tx * np.roll(ty, -1) - ty * np.roll(tx, -1), tx * np.roll(tx, -1) + ty * np.roll(ty, -1))
            assert np.abs(turns).max() < spacing / 9 + 1e-3  # no bend is tighter than 9 m
            assert abs(turns.sum()) == pytest.approx(2 * np.pi, abs=1e-3)
            gaps = np.hypot(x[:, None] - x, y[:, None] - y)
            around = np.abs(np.arange(POINTS)[:, None] - np.arange(POINTS))
            around = np.minimum(around, POINTS - around)
            assert gaps[around > np.ceil(1.6 * APART / spacing)].min() > 2 * HALF_WIDTH
            lengths.append(spacing * POINTS)
            hands.append(turns.sum() > 0)
        assert min(lengths) > 150
        assert max(lengths) < 450
        assert 100 < sum(hands) < 200


class TestCar:
    def test_full_throttle_nears_18_metres_a_second_and_the_brake_stops_without_reversing(self):
        core = driver()
        for _ in range(400):
            put(core, 5, speed=core.world.speed[0])
            core.step(GAS)
        assert core.world.speed[0] == pytest.approx(18, abs=0.1)
        for _ in range(100):
            put(core, 5, speed=core.world.speed[0])
            core.step(np.array([[0.0, 0.0, 1.0]]))
        assert core.world.speed[0] == 0

    def test_one_step_of_the_equations(self):
        core = driver()
        put(core, 5, speed=4.0)
        heading, x, y = core.world.heading[0], core.world.x[0], core.world.y[0]
        core.step(np.array([[0.5, 1.0, 0.0]]))
        speed = 4 + 0.04 * (9 - 0.5 * 4)
        turned = heading + 0.04 * speed * np.tan(0.5 * STEERING) / 2.6
        assert core.world.speed[0] == pytest.approx(speed, rel=1e-5)
        assert core.world.heading[0] == pytest.approx(turned, rel=1e-5)
        assert core.world.x[0] - x == pytest.approx(0.04 * speed * np.cos(turned), abs=1e-4)
        assert core.world.y[0] - y == pytest.approx(0.04 * speed * np.sin(turned), abs=1e-4)

    @pytest.mark.parametrize("side", [1.0, -1.0])
    def test_tyres_hold_nine_metres_a_second_squared(self, side):
        core = driver()
        put(core, 5, speed=16.0)
        heading = core.world.heading[0]
        core.step(np.array([[side, 1.0, 0.0]]))
        turned = np.angle(np.exp(1j * (core.world.heading[0] - heading)))
        assert turned == pytest.approx(side * 0.04 * 9 / core.world.speed[0], rel=1e-3)

    def test_actions_beyond_one_are_one(self):
        a, b = driver(), driver()
        a.step(np.array([[5.0, 9.0, -4.0]]))
        b.step(np.array([[1.0, 1.0, 0.0]]))
        np.testing.assert_array_equal(a.observe(), b.observe())


class TestRewards:
    def test_a_step(self):
        core = driver()
        put(core, 2)
        rewards, terminated = core.step(STILL)
        assert rewards[0] == -0.001
        assert not terminated[0]

    def test_a_checkpoint_pays_once(self):
        core, earned = driver(), []
        for ahead in (-0.1, 0.1, -0.1, 0.1):  # over the line, back, and over it again
            w, m = core.world, GATE
            w.x[0], w.y[0] = w.road_x[0, m] + w.along_x[0, m] * ahead, w.road_y[0, m] + w.along_y[0, m] * ahead
            w.heading[0], w.speed[0] = np.arctan2(w.along_y[0, m], w.along_x[0, m]), 0
            if not earned:
                w.at[0] = m - 1
            rewards, terminated = core.step(STILL)
            earned.append(rewards[0])
            assert not terminated[0]
            assert w.at[0] == (m if ahead > 0 else m - 1)
        np.testing.assert_allclose(earned, [-0.001, 0.499, -0.001, -0.001])

    def test_the_finish_line(self):
        core = driver()
        put(core, POINTS, ahead=-0.1, speed=10.0)
        core.world.paid[0] = GATES - 1
        rewards, terminated = core.step(STILL)
        assert rewards[0] == pytest.approx(0.999)
        assert terminated[0]
        assert core.info()["lap"][0] == 1

    def test_crossing_the_finish_backwards_pays_nothing(self):
        core = driver()
        put(core, 0, turned=np.pi, speed=5.0)
        for _ in range(10):
            rewards, _ = core.step(STILL)
            assert rewards[0] == -0.001
        assert core.world.at[0] < 0
        assert core.info()["lap"][0] == 0

    def test_a_lap_along_the_middle_pays_everything(self):
        core, total = driver(3), 0.0
        for m in range(1, POINTS + 1):
            put(core, m, ahead=0.01)
            core.world.at[0], core.world.paid[0] = m - 1, (m - 1) // GATE
            rewards, terminated = core.step(STILL)
            total += rewards[0]
            assert terminated[0] == (m == POINTS)
        assert total == pytest.approx(15 * 0.5 + 1 - POINTS * 0.001)

    def test_a_wall(self):
        core = driver()
        put(core, 5, turned=np.pi / 2, aside=1.5, speed=10.0)
        rewards, terminated = core.step(STILL)
        assert rewards[0] == pytest.approx(-0.001)  # 3.6 m from the middle, plus 0.4 m: not yet
        assert not terminated[0]
        rewards, terminated = core.step(STILL)
        assert rewards[0] == pytest.approx(-1.001)
        assert terminated[0]

    def test_another_car(self):
        core = driver(traffic=1)
        put(core, 30, aside=float(core.world.traffic_lane[0, 0]), speed=0)
        core.world.traffic_at[0, 0] = 30 + 3.6 / core.world.spacing[0]
        assert core.step(STILL)[1].tolist() == [False]
        core.world.traffic_at[0, 0] = 30 + 3.0 / core.world.spacing[0]
        rewards, terminated = core.step(STILL)
        assert rewards[0] == pytest.approx(-1.001)
        assert terminated[0]


def test_touching_is_crossing_outlines(rng):
    core, touched = driver(copies=8), 0
    for i in range(8):
        segments = walls(core, i)
        for _ in range(40):
            put(core, int(rng.integers(1, POINTS)), rng.uniform(-3.5, 3.5), rng.uniform(-3, 3), i=i)
            corners = outline(core, i)
            edges = list(zip(corners, corners[1:] + corners[:1], strict=True))
            near = segments[np.linalg.norm(segments[:, 0] - corners[0], axis=1) < 12]
            expected = any(meet(a, b, c, d) is not None for a, b in edges for c, d in near)
            assert _touches(core.world, i) == expected
            touched += expected
    assert 50 < touched < 250


def test_rays_see_what_all_walls_together_would_show(rng):
    """The kernel looks only along the road near the car: nothing is missed by that."""
    core = driver(copies=6)
    for i in range(6):
        segments = walls(core, i)
        for _ in range(6):
            put(core, int(rng.integers(1, POINTS)), rng.uniform(-3.4, 3.4), rng.uniform(-3, 3), i=i)
            near, met, dx, dy = _rays(core.world, i, core._directions)
            origin = np.array([core.world.x[i], core.world.y[i]], float)
            for k in range(SENSOR.rays):
                end = origin + SENSOR.length * np.array([dx[k], dy[k]], float)
                hits = [t for t in (meet(origin, end, c, d) for c, d in segments) if t is not None]
                assert near[k] == pytest.approx(SENSOR.length * min(hits, default=1.0), abs=0.02)
                assert met[k] == (WALL if hits else -2)


def test_the_observation_of_a_car_ahead():
    core = driver(traffic=1)
    put(core, 3, aside=float(core.world.traffic_lane[0, 0]))
    core.world.traffic_at[0, 0] = 3 + 10 / core.world.spacing[0]
    core.look(np.zeros(1, int), core._observations)
    rays = core.observe().reshape(18, 4)
    assert rays[0, 1:].tolist() == [0, 0, 1]
    assert rays[0, 0] == pytest.approx((10 - 1.2) / 30, abs=0.02)
    assert rays[5, 1:].tolist() == [0, 1, 0]
    assert rays[:, 2 + CAR].sum() == 1


def test_traffic_keeps_its_lane_and_goes_round():
    core = driver(traffic=4)
    before = core.world.traffic_at.copy()
    for _ in range(50):
        put(core, 0)
        core.step(STILL)
    moved = (core.world.traffic_at - before) % POINTS * core.world.spacing
    np.testing.assert_allclose(moved, 50 * 0.04 * core.world.traffic_speed[0], rtol=1e-3)
    assert (np.abs(core.world.traffic_lane) == 2).all()


def test_the_start_is_a_rolling_one_inside_the_road():
    core = driver(copies=200)
    assert core.world.speed.min() < 1
    assert 7 < core.world.speed.max() <= 10
    assert not any(_touches(core.world, i) for i in range(200))


def test_the_variant_with_traffic_is_registered():
    env, same = (
        gymnasium.make(name, **more) for name, more in (("deepnp/Driver-Traffic-v0", {}), ("deepnp/Driver-v0", {"traffic": 3}))
    )
    np.testing.assert_array_equal(env.reset(seed=3)[0], same.reset(seed=3)[0])
    assert env.unwrapped.core.world.traffic_at.shape == (1, 3)
    assert env.spec.max_episode_steps == 1500
