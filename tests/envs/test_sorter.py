"""The Sorter: tiles, moves, rewards and ends, what is seen."""

import numpy as np
import pytest

from envs.planar.moves import AHEAD, BACK, LEFT, RIGHT, STAY, TURN_LEFT, TURN_RIGHT
from envs.planar.sorter import TILES, Sorter


def sorter(seed=0, copies=1):
    core = Sorter(copies)
    core.reset(np.arange(copies), [np.random.default_rng(seed + i) for i in range(copies)])
    return core


def act(core, action):
    rewards, terminated = core.step(np.full(core.num_envs, action))
    return rewards[0], terminated[0]


def beside(core, tile, gap):
    """The agent on the way from the middle to a tile, `gap` metres before it would touch, looking at it."""
    w = core.world
    tx, ty = w.tile_x[0, tile], w.tile_y[0, tile]
    share = (3.3 - 0.4 - 0.25 - gap) / 3.3
    w.x[0], w.y[0], w.heading[0] = tx * share, ty * share, np.arctan2(ty, tx)


def test_tiles_are_shuffled_on_a_circle():
    core = sorter(copies=300)
    w = core.world
    np.testing.assert_allclose(np.hypot(w.tile_x, w.tile_y), 3.3, atol=1e-5)
    places = np.round(np.arctan2(w.tile_y, w.tile_x) / (2 * np.pi / TILES)).astype(int) % TILES
    assert (np.sort(places, axis=1) == np.arange(TILES)).all()
    assert all(set(places[:, k]) == set(range(TILES)) for k in range(TILES))
    assert np.abs(np.bincount(places[:, 0], minlength=TILES) - 30).max() < 20


@pytest.mark.parametrize(
    ("action", "expected"),
    [(STAY, (0, 0)), (RIGHT, (0, -0.12)), (LEFT, (0, 0.12)), (AHEAD, (0.12, 0)), (BACK, (-0.12, 0))],
)
def test_moves_are_in_the_agents_own_axes(action, expected):
    core = sorter()
    c, s = np.cos(core.world.heading[0]), np.sin(core.world.heading[0])
    assert act(core, action) == (-0.0025, False)
    x, y = core.world.x[0], core.world.y[0]
    np.testing.assert_allclose((c * x + s * y, c * y - s * x), expected, atol=1e-6)


@pytest.mark.parametrize(("action", "degrees"), [(TURN_LEFT, 5), (TURN_RIGHT, -5)])
def test_turns_are_five_degrees_and_go_all_the_way_round(action, degrees):
    core = sorter()
    start = core.world.heading[0]
    for k in range(1, 80):
        act(core, action)
        assert abs(core.world.heading[0]) <= np.pi + 1e-5
        difference = np.exp(1j * (core.world.heading[0] - start)) - np.exp(1j * np.radians(degrees * k))
        assert abs(difference) < 1e-4


def test_the_right_tile_pays_and_disappears():
    core = sorter()
    beside(core, 0, 0.13)
    assert act(core, AHEAD) == (-0.0025, False)  # 1 cm is left
    assert core.observe()[0, 60:].tolist() == [1] + 9 * [0]
    reward, terminated = act(core, AHEAD)
    assert reward == pytest.approx(0.9975)
    assert not terminated
    assert core.info()["tiles"][0] == 1
    assert core.observe()[0, 60:].tolist() == [0, 1] + 8 * [0]
    assert act(core, STAY) == (-0.0025, False)
    assert core.observe()[0, :60].reshape(5, 12)[2].tolist()[1:] == [1] + 10 * [0]  # through where it was, to the wall


def test_a_wrong_tile_ends_it():
    core = sorter()
    beside(core, 4, 0.05)
    reward, terminated = act(core, AHEAD)
    assert reward == pytest.approx(-1.0025)
    assert terminated
    assert core.info()["tiles"][0] == 0


def test_the_last_tile_ends_it():
    core, total = sorter(), 0.0
    for k in range(TILES):
        beside(core, k, 0.05)
        reward, terminated = act(core, AHEAD)
        total += reward
        assert terminated == (k == TILES - 1)
    assert total == pytest.approx(10 - 10 * 0.0025)
    assert core.observe()[0, 60:].sum() == 0


@pytest.mark.parametrize("heading", [0.0, np.pi / 2, np.pi, -np.pi / 2])
def test_the_wall_ends_it(heading):
    core = sorter()
    core.world.heading[0] = heading
    core.world.x[0], core.world.y[0] = 4.6 * np.cos(heading) + 0.0, 4.6 * np.sin(heading)
    core.world.tile_x[:], core.world.tile_y[:] = 0, 0
    assert act(core, AHEAD) == (-0.0025, False)
    reward, terminated = act(core, AHEAD)
    assert reward == pytest.approx(-1.0025)
    assert terminated


def test_what_the_rays_see():
    core = sorter()
    beside(core, 7, 1.0)
    core.look(np.zeros(1, int), core._observations)
    rays = core.observe()[0, :60].reshape(5, 12)
    assert rays[2, 0] == pytest.approx((1.0 + 0.25) / 10, abs=1e-5)
    assert rays[2, 1:].tolist() == [0] * 8 + [1, 0, 0]
    assert rays[0, 1:].sum() == 1
    core.world.tile_x[:], core.world.tile_y[:] = 50, 50
    core.world.x[0], core.world.y[0], core.world.heading[0] = 0, 0, 0
    core.look(np.zeros(1, int), core._observations)
    rays = core.observe()[0, :60].reshape(5, 12)
    angles = np.radians([-22.5, -11.25, 0, 11.25, 22.5])
    np.testing.assert_allclose(rays[:, 0], 0.5 / np.cos(angles), atol=1e-5)
    np.testing.assert_array_equal(rays[:, 1], 1)
