"""The Survivor: the gun, enemies and their ways, rewards and ends, what is seen."""

import numpy as np
import pytest

from envs.planar.arena import BOXES, EDGE, SPAWNERS, cell_of, is_clear, keep_out, middle_of, routes
from envs.planar.moves import AHEAD, STAY, TURN_LEFT
from envs.planar.survivor import COOLING, FIRE, READY, RELOAD, RELOADING, SPAWN_STEPS, Survivor


def survivor(seed=0, copies=1, enemies=False):
    core = Survivor(copies)
    core.reset(np.arange(copies), [np.random.default_rng(seed + i) for i in range(copies)])
    core.world.enemy_lives[:] &= enemies
    return core


def act(core, action):
    rewards, terminated = core.step(np.full(core.num_envs, action))
    return pytest.approx(rewards[0], abs=1e-12), terminated[0]


def enemy(core, x, y, k=0):
    core.world.enemy_x[0, k], core.world.enemy_y[0, k], core.world.enemy_lives[0, k] = x, y, True


def look(core):
    core.look(np.zeros(1, int), core._observations)
    return core.observe()[0]


class TestGun:
    def test_a_hit(self):
        core = survivor()
        core.world.heading[0] = 0
        enemy(core, 6, 0.3), enemy(core, 7, 0, 1), enemy(core, -4, 0, 2)
        assert act(core, FIRE) == (0.25 - 0.0025 + 0.0025, False)
        assert core.world.enemy_lives[0, :3].tolist() == [False, True, True]  # the first in its way
        assert core.info()["kills"][0] == 1
        assert core.world.shot[0] == pytest.approx(6 - 0.4, abs=1e-5)

    def test_a_miss_and_a_wall_in_between(self):
        core = survivor()
        core.world.heading[0] = 0
        enemy(core, 5, 0.8)
        assert act(core, FIRE) == (0.0, False)
        core = survivor()
        core.world.x[0], core.world.y[0], core.world.heading[0] = -3.5, 2, np.pi / 2  # under the first obstacle
        enemy(core, -3.5, 6)
        assert act(core, FIRE) == (0.0, False)
        assert core.info()["kills"][0] == 0
        assert core.world.shot[0] == pytest.approx(1)

    def test_it_cools_for_four_decisions(self):
        core, earned = survivor(), []
        for _ in range(9):
            core.world.enemy_lives[:] = False
            rewards, _ = core.step(np.array([FIRE]))
            earned.append(rewards[0])
        np.testing.assert_allclose(earned, [0, 0.0025, 0.0025, 0.0025, 0, 0.0025, 0.0025, 0.0025, 0], atol=1e-12)
        assert core.world.rounds[0] == 9
        assert core.world.gun[0] == COOLING

    def test_twelve_rounds_then_nothing_then_reloading_for_four_seconds(self):
        core = survivor()
        for _ in range(60):
            core.world.enemy_lives[:] = False
            core.step(np.array([FIRE]))
        assert core.world.rounds[0] == 0
        assert core.world.gun[0] == READY
        assert act(core, FIRE) == (0.0025, False)
        act(core, RELOAD)
        for _ in range(99):
            core.world.enemy_lives[:] = False
            assert core.world.gun[0] == RELOADING
            assert act(core, FIRE) == (0.0025, False)
            assert core.world.rounds[0] == 0
        core.world.enemy_lives[:] = False
        act(core, STAY)
        assert core.world.rounds[0] == 12
        assert core.world.gun[0] == READY

    def test_a_full_gun_is_not_reloaded_and_a_cooling_one_not_yet(self):
        core = survivor()
        act(core, RELOAD)
        assert core.world.gun[0] == READY
        act(core, FIRE)
        act(core, RELOAD)
        assert core.world.gun[0] == COOLING


class TestEnemies:
    def test_one_that_touches_ends_it(self):
        core = survivor()
        enemy(core, 0.97, 0)
        assert act(core, STAY) == (0.0025, False)  # 0.91 m away: 1 cm too far
        reward, terminated = act(core, STAY)
        assert (reward, terminated) == (0.0, True)

    def test_the_first_comes_at_once_and_then_one_every_five_seconds_never_from_the_nearest(self):
        core = survivor(copies=400, enemies=True)
        w = core.world
        assert (w.enemy_lives.sum(axis=1) == 1).all()
        w.x[:], w.y[:] = 5, 6
        for _ in range(SPAWN_STEPS - 1):
            w.enemy_lives[:] = False
            act(core, STAY)
            assert not w.enemy_lives.any()
        act(core, STAY)
        assert (w.enemy_lives.sum(axis=1) == 1).all()
        came = np.stack([w.enemy_x[:, 0], w.enemy_y[:, 0]], 1)
        counts = [(came == corner).all(axis=1).sum() for corner in SPAWNERS]
        assert counts[0] == 0
        assert min(counts[1:]) > 100

    def test_at_most_sixteen(self):
        core = survivor()
        for k in range(16):
            enemy(core, 8, -8 + k, k)
        core.world.clock[0] = SPAWN_STEPS - 1
        act(core, STAY)
        assert core.world.enemy_lives.sum() == 16

    def test_they_walk_at_one_and_a_half_metres_a_second(self):
        core = survivor()
        enemy(core, 5, 0)
        for _ in range(25):
            act(core, STAY)
        assert core.world.enemy_x[0, 0] == pytest.approx(3.5, abs=1e-4)

    def test_they_arrive_from_anywhere_round_the_obstacles(self, rng):
        core = Survivor(200)
        core.reset(np.arange(200), [rng] * 200)
        w = core.world
        points = [p for p in rng.uniform(-8.4, 8.4, (2000, 2)) if not _in_box(*p)]
        free = [p for p in points if np.allclose(keep_out(*np.float32(p), np.float32(0.5)), p)]
        w.enemy_x[:, 0], w.enemy_y[:, 0] = np.array(free[:200], np.float32).T
        w.x[:], w.y[:] = np.array(free[200:400], np.float32).T
        caught, far = np.zeros(200, bool), np.hypot(w.enemy_x[:, 0] - w.x, w.enemy_y[:, 0] - w.y).max()
        for _ in range(int(1.6 * far / 0.06)):
            w.enemy_lives[:, 1:] = False
            before = np.stack([w.enemy_x[:, 0], w.enemy_y[:, 0]])
            caught |= core.step(np.full(200, STAY))[1]
            moved = np.hypot(*(np.stack([w.enemy_x[:, 0], w.enemy_y[:, 0]]) - before))
            assert moved[~caught].max(initial=0) < 0.065
            for x0, y0, x1, y1 in BOXES:
                gap = np.hypot(np.maximum(np.maximum(x0 - w.enemy_x[:, 0], w.enemy_x[:, 0] - x1), 0),
                               np.maximum(np.maximum(y0 - w.enemy_y[:, 0], w.enemy_y[:, 0] - y1), 0))  # fmt: skip
                assert gap.min() > 0.499
        assert caught.all()


class TestArena:
    def test_every_route_arrives(self):
        table = routes()
        for goal in range(0, EDGE * EDGE, 7):
            here = np.arange(EDGE * EDGE)
            inside = table[goal] < 0  # unreachable: inside an obstacle
            for _ in range(60):
                here = np.where(inside, goal, table[goal, here])
            assert (here == goal).all()
        open_floor = [c for c in range(EDGE * EDGE) if np.allclose(keep_out(*middle_of(c), np.float32(0.5)), middle_of(c))]
        centre = cell_of(np.float32(0.5), np.float32(0.5))
        assert (table[centre, [c for c in open_floor if not _in_box(*middle_of(c))]] >= 0).all()

    def test_a_way_is_clear_where_a_wide_ray_meets_nothing(self, rng):
        clear = 0
        for _ in range(400):
            a, b = rng.uniform(-8, 8, (2, 2)).astype(np.float32)
            points = a + np.linspace(0, 1, 400)[:, None] * (b - a)
            inside = [
                ((points > (x0 - 0.5, y0 - 0.5)) & (points < (x1 + 0.5, y1 + 0.5))).all(axis=1).any() for x0, y0, x1, y1 in BOXES
            ]
            if is_clear(*a, *b):
                assert not any(inside)
                clear += 1
            elif not any(inside):  # it cuts a corner by less than the samples' distance
                fine = a + np.linspace(0, 1, 40000)[:, None] * (b - a)
                assert any(
                    ((fine > (x0 - 0.5, y0 - 0.5)) & (fine < (x1 + 0.5, y1 + 0.5))).all(axis=1).any() for x0, y0, x1, y1 in BOXES
                )
        assert 50 < clear < 350

    def test_walls_and_obstacles_stop_the_agent(self):
        core = survivor()
        core.world.x[0], core.world.y[0], core.world.heading[0] = -3.5, 2, np.pi / 2
        for _ in range(20):
            core.world.enemy_lives[:] = False
            act(core, AHEAD)
        assert core.world.y[0] == pytest.approx(3 - 0.4, abs=1e-4)
        core.world.heading[0] = 0
        for _ in range(125):
            core.world.enemy_lives[:] = False
            act(core, AHEAD)
        assert core.world.x[0] == pytest.approx(9 - 0.4, abs=1e-4)


def _in_box(x, y):
    return any(x0 < x < x1 and y0 < y < y1 for x0, y0, x1, y1 in BOXES)


class TestObservation:
    def test_ammunition_and_gun(self):
        core = survivor()
        assert look(core)[:4].tolist() == [1, 1, 0, 0]
        act(core, FIRE)
        np.testing.assert_allclose(look(core)[:4], [11 / 12, 0, 1, 0], atol=1e-6)
        for _ in range(4):
            act(core, STAY)
        act(core, RELOAD)
        np.testing.assert_allclose(look(core)[:4], [11 / 12, 0, 0, 1], atol=1e-6)

    def test_view_and_barrel(self):
        core = survivor()
        core.world.heading[0] = 0
        enemy(core, 4, 0)
        seen = look(core)
        view, barrel = seen[4:154].reshape(50, 3), seen[154:]
        np.testing.assert_allclose(view[0], [3.5 / 20, 0, 1], atol=1e-6)
        np.testing.assert_allclose(barrel, [3.5 / 20, 0, 1], atol=1e-6)
        assert view[25].tolist() == pytest.approx([9 / 20, 1, 0])  # behind: the wall
        assert (view[:, 1:].sum(axis=1) == 1).all()
        core.world.heading[0] = np.pi
        seen = look(core)
        assert seen[154:].tolist() == pytest.approx([9 / 20, 1, 0])
        np.testing.assert_allclose(seen[4 + 75 : 4 + 78], [3.5 / 20, 0, 1], atol=1e-5)

    def test_the_dead_are_not_seen(self):
        core = survivor()
        core.world.heading[0] = 0
        enemy(core, 4, 0)
        act(core, FIRE)
        assert look(core)[154:].tolist() == pytest.approx([9 / 20, 1, 0])

    def test_a_turn_is_two_and_a_half_degrees(self):
        core = survivor()
        core.world.heading[0] = 0
        act(core, TURN_LEFT)
        assert core.world.heading[0] == pytest.approx(np.radians(2.5))
