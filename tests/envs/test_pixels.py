"""Pictures to learn from: what a shape covers, what each game shows where, and the game of Catch."""

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box

import envs  # noqa: F401  (registers deepnp/…)
from envs.planar.catch import Catch
from envs.planar.dodger import Dodger
from envs.planar.driver import Driver
from envs.planar.raster import check_pixels, paint_all, paint_box, paint_disc, view_of
from envs.planar.sorter import Sorter
from envs.planar.survivor import COOLING, RELOADING, Survivor

RED, WHITE = (255, 0, 0), (255, 255, 255)
GOLD, ENEMY, BLUE = (217, 165, 32), (192, 57, 43), (47, 111, 181)


def started(core, seed=0):
    core.reset(np.arange(core.num_envs), [np.random.default_rng(seed + i) for i in range(core.num_envs)])
    return core


def seen(core):
    """The picture of the only copy, after its world was changed."""
    core.look(np.arange(1), core._observations)
    return core.observe()[0]


def where(picture, colour):
    """Middle of the pixels of one colour, as metres ahead and to the left of the middle in pictures as wide as 2: (2,)."""
    rows, columns = np.nonzero((picture == colour).all(-1))
    assert len(rows)
    half = len(picture) / 2
    return np.array([half - rows.mean() - 0.5, half - columns.mean() - 0.5]) / half


class TestShapes:
    def painted(self, heading=0.0, size=40):
        picture = np.zeros((size, size, 3), np.uint8)
        paint_all(picture, (1, 2, 3))
        return picture, view_of(picture, np.float32(1.0), np.float32(2.0), np.float32(heading), np.float32(8.0))

    def test_all(self):
        assert (self.painted()[0] == (1, 2, 3)).all()

    @pytest.mark.parametrize("heading", [0.0, 0.7, np.pi / 2, -2.5])
    def test_a_disc_is_where_it_is(self, heading):
        picture, view = self.painted(heading)
        paint_disc(picture, view, np.float32(2.5), np.float32(1.0), np.float32(0.8), RED)
        c, s = np.cos(heading), np.sin(heading)
        expected = np.array([c * 1.5 - s * 1.0, -s * 1.5 - c * 1.0]) / 4
        np.testing.assert_allclose(where(picture, RED), expected, atol=0.02)
        assert (picture == RED).all(-1).sum() == pytest.approx(np.pi * (0.8 * 5) ** 2, rel=0.1)

    def test_a_disc_smaller_than_a_pixel_is_one(self):
        picture, view = self.painted()
        paint_disc(picture, view, np.float32(2.5), np.float32(1.0), np.float32(0.01), RED)
        assert (picture == RED).all(-1).sum() == 1

    @pytest.mark.parametrize("place", [(0.0, 5.9), (100.0, 2.0), (-3.2, 2.0), (-1e30, 1e30), (np.nan, 0.0), (np.inf, 0.0)])
    def test_what_lies_outside_or_nowhere_is_cut_off(self, place):
        picture, view = self.painted()
        paint_disc(picture, view, np.float32(place[0]), np.float32(place[1]), np.float32(0.5), RED)
        paint_box(picture, view, np.float32(place[0]), np.float32(place[1]), np.float32(0.1), 1.0, 1.0, 1.0, WHITE)
        assert (picture == (1, 2, 3)).all(-1).sum() > 1000

    @pytest.mark.parametrize("heading", [0.0, 0.5, 2.0])
    @pytest.mark.parametrize("turned", [0.0, 0.8, -2.2])
    def test_a_box_is_where_it_is(self, heading, turned):
        picture, view = self.painted(heading, 48)
        paint_box(picture, view, np.float32(1.5), np.float32(2.5), np.float32(turned), 2.0, 0.5, 0.5, RED)
        middle = np.array([0.5 + 0.75 * np.cos(turned), 0.5 + 0.75 * np.sin(turned)])
        c, s = np.cos(heading), np.sin(heading)
        expected = np.array([c * middle[0] + s * middle[1], c * middle[1] - s * middle[0]]) / 4
        np.testing.assert_allclose(where(picture, RED), expected, atol=0.03)
        assert (picture == RED).all(-1).sum() == pytest.approx(2.5 * 1.0 * 36, rel=0.15)

    def test_sizes(self):
        assert [check_pixels(pixels) for pixels in (False, True, 0, 16, np.int64(48))] == [0, 32, 0, 16, 48]
        for wrong in (-1, 15, 49, 1, 20.0, "32", None):
            with pytest.raises(ValueError, match=r"expected .*pixels.* given"):
                check_pixels(wrong)


class TestGames:
    def test_spaces_are_bytes(self):
        for name in ("Driver", "Sorter", "Dodger", "Survivor"):
            env = gymnasium.make(f"deepnp/{name}-v0", pixels=True)
            assert env.observation_space == Box(0, 255, (32, 32, 3), np.uint8)
            with pytest.raises(ValueError, match="pixels=False to show sensors"):
                gymnasium.make(f"deepnp/{name}-v0", pixels=True, show_sensors=True)

    def test_sorter_shows_the_next_tile(self):
        core = started(Sorter(1, pixels=48))
        w = core.world
        w.tile_x[0], w.tile_y[0], w.heading[0] = np.linspace(-4, 4, 10), 3.0, 0.5
        for found in (0, 4, 9):
            w.found[0] = found
            c, s, x = np.cos(0.5), np.sin(0.5), w.tile_x[0, found]
            np.testing.assert_allclose(where(seen(core), GOLD), np.array([c * x + s * 3, c * 3 - s * x]) / 6, atol=0.05)
            blue = (seen(core)[..., 2] == 200).sum()
            assert blue > 0 or found == 9
        assert blue == 0  # tiles that were found are gone

    def test_sorter_shows_the_wall(self):
        core = started(Sorter(1, pixels=32))
        core.world.x[0], core.world.heading[0] = 4.0, 0.0
        picture = seen(core)
        assert (picture[0] == (70, 80, 90)).all()
        assert (picture[16, 4] != (70, 80, 90)).any()

    def test_dodger_shows_balls_brighter_the_higher(self):
        core = started(Dodger(1, pixels=48))
        w = core.world
        w.clock[0], w.heading[0] = 100, 0.0
        w.ball_x[0, 0], w.ball_y[0, 0] = 2.0, 1.0
        sums = []
        for height in (0.2, 1.0, 2.0):
            w.ball_z[0, 0] = height
            ahead, left = round(24 - 2.0 * 6), round(24 - 1.0 * 6)
            sums.append(int(seen(core)[ahead, left].astype(int).sum()))
        assert sums == sorted(set(sums))
        np.testing.assert_allclose(where(seen(core), (60, 140, 80)), (0, 0), atol=0.05)

    def test_survivor_shows_enemies_rounds_and_the_gun(self):
        core = started(Survivor(1, pixels=32))
        w = core.world
        w.enemy_lives[0], w.heading[0] = False, 1.0
        w.enemy_x[0, 3], w.enemy_y[0, 3], w.enemy_lives[0, 3] = 3.0, 1.5, True
        c, s = np.cos(1.0), np.sin(1.0)
        np.testing.assert_allclose(where(seen(core), ENEMY), np.array([c * 3 + s * 1.5, c * 1.5 - s * 3]) / 10, atol=0.07)
        np.testing.assert_allclose(where(seen(core), BLUE), (0, 0), atol=0.07)
        for rounds, gun, colour in ((12, 0, (60, 180, 80)), (5, COOLING, (230, 150, 40)), (0, RELOADING, (200, 40, 40))):
            w.rounds[0], w.gun[0] = rounds, gun
            row = seen(core)[-1]
            assert (row[:12] == 255).all(-1).sum() == rounds
            assert (row[12:16] == colour).all()

    def test_driver_shows_the_road_and_cars(self):
        core = started(Driver(1, traffic=1, pixels=32))
        w = core.world
        picture = seen(core)
        np.testing.assert_allclose(where(picture, ENEMY), (0, 0), atol=0.07)
        road = (picture == (140, 148, 155)).all(-1)
        assert road[0].any() or road[-1].any()
        assert (picture == (110, 150, 90)).all(-1).sum() > 100
        m = 3
        w.traffic_at[0, 0], w.traffic_lane[0, 0] = m, 2.0
        x = w.road_x[0, m] - 2 * w.along_y[0, m] - w.x[0]
        y = w.road_y[0, m] + 2 * w.along_x[0, m] - w.y[0]
        c, s = np.cos(w.heading[0]), np.sin(w.heading[0])
        np.testing.assert_allclose(where(seen(core), BLUE), np.array([c * x + s * y, c * y - s * x]) / 15, atol=0.08)


class TestCatch:
    def test_an_episode(self):
        core = started(Catch(4))
        core.world.column[:], core.world.paddle[:] = (3, 10, 7, 6), 5
        for step in range(1, 16):
            rewards, terminated = core.step(np.array([1, 0, 0, 0]) if step == 1 else np.zeros(4, int))
            picture = core.observe()[0, :, :, 0]
            assert picture[step, 3] == 255
            assert picture.sum() == 255 * (4 if step < 15 else 3)  # the ball has landed on the paddle
            np.testing.assert_array_equal(picture[15, 3:6], 255)
            np.testing.assert_array_equal(terminated, [step == 15] * 4)
            np.testing.assert_array_equal(rewards, [1, -1, -1, 1] if step == 15 else [0] * 4)
        np.testing.assert_array_equal(core.info()["caught"], [True, False, False, True])

    def test_the_paddle_moves_between_the_edges(self):
        core = started(Catch(1))
        for action, end in ((1, 1), (2, 14)):
            core.world.row[0] = 0
            for _ in range(14):
                core.step(np.array([action]))
            assert core.world.paddle[0] == end

    def test_every_ball_can_be_caught(self):
        core = started(Catch(500))
        w = core.world
        assert set(w.column) == set(range(16))
        assert set(w.paddle) == set(range(1, 15))
        for _ in range(15):
            rewards, _ = core.step(np.where(w.paddle > w.column, 1, np.where(w.paddle < w.column, 2, 0)))
        assert (rewards == 1).all()
