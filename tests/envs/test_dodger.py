"""The Dodger: throws, flight, hits, the zone, the grid."""

import numpy as np
import pytest

from envs.planar.dodger import BALL, GROUND, SENSOR_SIZE, SHAPE, Dodger
from envs.planar.moves import AHEAD, STAY, TURN_LEFT

EMPTY, OTHER = 0, 1


def dodger(seed=0, copies=1):
    core = Dodger(copies)
    core.reset(np.arange(copies), [np.random.default_rng(seed + i) for i in range(copies)])
    return core


def act(core, action):
    return core.step(np.full(core.num_envs, action))


def with_ball(core, x, y, z, clock=150):
    """One ball at rest in the air, for a moment."""
    w = core.world
    w.clock[0] = clock
    w.ball_x[0, 0], w.ball_y[0, 0], w.ball_z[0, 0] = x, y, z
    w.ball_vx[0], w.ball_vy[0], w.ball_vz[0] = 0, 0, 0


def cells(core):
    core.look(np.zeros(1, int), core._observations)
    return core.observe()[0, :SENSOR_SIZE].reshape(SHAPE)


class TestBalls:
    def test_a_still_agent_is_hit_by_the_first(self):
        core = dodger(copies=200)
        alive = np.ones(200, bool)
        lengths = np.zeros(200)
        for _ in range(160):
            rewards, terminated = act(core, STAY)
            np.testing.assert_allclose(rewards[alive & terminated], 0.0025 - 1)
            np.testing.assert_allclose(rewards[alive & ~terminated], 0.0025)
            lengths += alive
            alive &= ~terminated
        assert not alive.any()
        assert lengths.min() > 125  # 5 m at 8 m/s, 2 cm short of it
        assert lengths.max() <= 151  # at 5 m/s

    def test_a_throw_comes_from_five_metres_away_and_two_up(self):
        core = dodger(copies=300)
        core.world.x[:] = np.linspace(-7, 7, 300)
        for k in range(100):
            assert (core.world.ball_z == 0).all(), k
            act(core, STAY)
        w = core.world
        away = np.hypot(w.ball_x[:, 0] - w.x, w.ball_y[:, 0] - w.y)
        np.testing.assert_allclose(away, 5, atol=1e-4)
        np.testing.assert_array_equal(w.ball_z[:, 0], 2)
        assert np.abs(w.ball_x[:, 0]).max() < 7.3
        speed = np.hypot(w.ball_vx[:, 0], w.ball_vy[:, 0])
        assert 5 <= speed.min() + 1e-4 < 5.2
        assert 7.8 < speed.max() <= 8.001
        angles = np.arctan2(w.ball_y[:, 0] - w.y, w.ball_x[:, 0] - w.x)[100:200]  # where all directions are inside
        assert np.abs(np.exp(1j * angles).mean()) < 0.3
        assert core.info()["thrown"].tolist() == [1] * 300

    def test_at_most_ten_and_then_the_oldest(self):
        core = dodger()
        core.world.clock[0] = 1099
        core.world.ball_x[0] = 6
        core.world.ball_y[0] = np.linspace(-6, 6, 10)
        core.world.ball_z[0] = 0.147
        before = core.world.ball_x.copy()
        act(core, STAY)
        assert core.info()["thrown"][0] == 11
        changed = core.world.ball_x[0] != before[0]
        assert np.flatnonzero(changed).tolist() == [0]

    def test_a_flight_is_a_parabola(self):
        core = dodger()
        with_ball(core, -5, 3, 5)
        core.world.ball_vx[0, 0], core.world.ball_vz[0, 0] = 2, 1
        for _ in range(40):
            act(core, STAY)
        t = 40 * 0.02
        assert core.world.ball_x[0, 0] == pytest.approx(-5 + 2 * t, abs=1e-4)
        assert core.world.ball_z[0, 0] == pytest.approx(5 + t - 0.5 * 9.81 * t * t, abs=1e-3)

    def test_balls_bounce_lower_and_lower_then_roll_to_a_stop_inside_the_walls(self):
        core = dodger()
        with_ball(core, -5, 3, 2)
        core.world.ball_vx[0, 0], core.world.ball_vy[0, 0] = -3, 2
        tops, energies, rising = [], [], False
        for _ in range(2000):
            core.world.clock[0] = 150
            z, vz = core.world.ball_z[0, 0], core.world.ball_vz[0, 0]
            if rising and vz <= 0 and z > 0.148:
                tops.append(z)
            rising = vz > 0
            act(core, STAY)
            w = core.world
            assert w.ball_z[0, 0] >= 0.147 - 1e-6
            assert max(abs(w.ball_x[0, 0]), abs(w.ball_y[0, 0])) <= 7.3 - 0.147 + 1e-5
            energies.append(np.hypot(w.ball_vx[0, 0], w.ball_vy[0, 0]))
        assert len(tops) > 2
        assert (np.diff(tops) < 0).all()
        assert energies[-1] == 0
        assert (np.diff(energies) <= 1e-6).all()


@pytest.mark.parametrize(
    ("x", "y", "z", "hit"),
    [
        (0.30, 0, 0.147, True),  # 0.16 + 0.147 = 0.307
        (0.31, 0, 0.147, False),
        (0, -0.30, 0.147, True),
        (0, 0, 0.46, True),  # 0.32 + 0.147 = 0.467, less what it falls in the step
        (0, 0, 0.48, False),
        (0.25, 0.25, 0.147, False),
    ],
)
def test_what_touches(x, y, z, hit):
    core = dodger()
    with_ball(core, x, y, z)
    rewards, terminated = act(core, STAY)
    assert terminated[0] == hit
    assert rewards[0] == pytest.approx(0.0025 - hit)


def test_balls_not_thrown_yet_touch_nothing():
    core = dodger()
    with_ball(core, 0, 0, 0.147, clock=50)
    assert not act(core, STAY)[1][0]
    assert cells(core)[..., 2 + BALL].sum() == 0


def test_the_zone():
    core = dodger()
    for x, paid in ((1.07, 0.0025), (1.09, 0.0)):
        core.world.x[0] = x
        assert act(core, STAY)[0][0] == paid


def test_walls_stop_the_agent():
    core = dodger()
    core.world.heading[0] = 0
    for k in range(90):
        core.world.clock[0] = 5
        _, terminated = act(core, AHEAD)
        assert core.world.x[0] == pytest.approx(min(0.1 * (k + 1), 7.3 - 0.16), abs=1e-4)
    assert not terminated[0]


class TestObservation:
    def test_an_empty_arena_shows_only_the_ground(self):
        seen = cells(dodger())
        assert (seen[:, 0] == [0, 0, 1, 0]).all()
        assert (seen[:, 1:] == [1, 0, 0, 0]).all()
        assert seen[0, 0, 0, 2 + GROUND] == 1

    def test_a_ball_is_in_the_cells_of_the_agents_own_axes(self):
        core = dodger()
        core.world.heading[0] = np.pi / 2  # ahead is y, left is −x
        with_ball(core, -0.25, 1.25, 0.5)
        marked = np.argwhere(cells(core)[..., 2 + BALL])
        assert marked.tolist() == [[5, 1, 3]]
        assert cells(core)[5, 1, 3].tolist() == [0, 0, 0, 1]
        with_ball(core, -0.25, 1.25, 0.147)
        marked = np.argwhere(cells(core)[..., 2 + BALL])
        assert marked.tolist() == [[5, 0, 3], [5, 1, 3]]  # the lower cells end at 0.25 m, in the middle of the ball
        assert cells(core)[5, 0, 3].tolist() == [0, 0, 1, 1]

    def test_a_wall_is_something_else(self):
        core = dodger()
        core.world.x[0], core.world.y[0], core.world.heading[0] = 6.5, 0, 0  # 0.8 m ahead
        seen = cells(core)
        assert (seen[..., OTHER].any(axis=(1, 2)) == [False, False, False, False, True, True]).all()
        assert seen[4:, :, :, EMPTY].sum() == 0
        core.world.heading[0] = np.pi / 2  # now to the right
        assert (cells(core)[..., OTHER].any(axis=(0, 1)) == [True, True, False, False, False, False]).all()

    def test_the_position_turns_with_the_agent(self):
        core = dodger()
        core.world.x[0], core.world.y[0], core.world.heading[0] = 1.46, 0.73, 0
        core.look(np.zeros(1, int), core._observations)
        np.testing.assert_allclose(core.observe()[0, SENSOR_SIZE:], [0.2, 0, 0.1], atol=1e-6)
        core.world.heading[0] = np.pi / 2
        core.look(np.zeros(1, int), core._observations)
        np.testing.assert_allclose(core.observe()[0, SENSOR_SIZE:], [0.1, 0, -0.2], atol=1e-6)

    def test_a_turn_is_two_and_a_half_degrees(self):
        core = dodger()
        core.world.heading[0] = 0
        act(core, TURN_LEFT)
        assert core.world.heading[0] == pytest.approx(np.radians(2.5))
