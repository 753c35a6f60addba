"""Worlds that a table describes, and the maze of Sutton: outcomes as often as the table says, and what is no table."""

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Discrete

import envs  # noqa: F401  (registers deepnp/…)
from envs.planar.dyna_maze import CELLS
from envs.planar.table import Table, TableEnv, copies_of

UP, RIGHT, DOWN, LEFT = range(4)
COIN = {
    0: {0: [(0.25, 1, 1.0, False), (0.75, 0, -1.0, True)], 1: [(1.0, 1, 0.5, False)]},
    1: {a: [(1.0, 0, 2.0, False)] for a in (0, 1)},
}


def begun(core):
    core.reset(np.arange(core.num_envs), [np.random.default_rng(i) for i in range(core.num_envs)])
    return core


def test_outcomes_come_as_often_as_the_table_says():
    core = begun(Table(40_000, outcomes=COIN))
    rewards, terminated = core.step(np.zeros(40_000, int))
    assert (core.observe() == 1).mean() == pytest.approx(0.25, abs=0.01)
    np.testing.assert_array_equal(rewards, np.where(core.observe() == 1, 1.0, -1.0))
    np.testing.assert_array_equal(terminated, core.observe() == 0)


def test_episodes_begin_as_often_as_they_should():
    core = begun(Table(40_000, outcomes=COIN, start=[0.3, 0.7]))
    assert core.observe().mean() == pytest.approx(0.7, abs=0.01)
    assert core.observation_space == Discrete(2)


def test_gymnasium_s_lake_has_the_same_outcomes():
    """Every transition that copies make is in Gymnasium's table, with its reward and end; slips are as frequent."""
    copies = copies_of("FrozenLake-v1", 500)
    table, rng = gymnasium.make("FrozenLake-v1").unwrapped.P, np.random.default_rng(0)
    before, slips = copies.reset(seed=0)[0], []
    for _ in range(40):
        actions = rng.integers(4, size=500)
        after, rewards, terminated, _, infos = copies.step(actions)
        reached = np.where(terminated, infos.get("final_obs", after), after)
        for s, a, s_next, r, end in zip(before, actions, reached, rewards, terminated, strict=True):
            assert (int(s_next), float(r), bool(end)) in [outcome[1:] for outcome in table[int(s)][int(a)]]
        slips += (reached[(before == 10) & (actions == DOWN)] == 14).tolist()
        before = after
    assert np.mean(slips) == pytest.approx(1 / 3, abs=4 * np.sqrt(2 / 9 / len(slips)))
    assert copies.max_episode_steps == 100
    assert copies.spec.id == "FrozenLake-v1"


def test_the_maze():
    with gymnasium.make("deepnp/DynaMaze-v0") as env:
        assert env.reset(seed=0)[0] == 18
        moves = [LEFT, RIGHT, RIGHT, DOWN, DOWN, RIGHT, UP, RIGHT, UP, *[RIGHT] * 5, UP, UP, LEFT]
        path = [int(env.step(a)[0]) for a in moves]
        assert path == [18, 19, 19, 28, 37, 38, 38, 39, 30, 31, 32, 33, 34, 35, 26, 17, 17]  # walls at 20, 29 and 16
        assert env.step(UP)[:4] == (8, 1.0, True, False)
        table = env.unwrapped.P
    assert env.unwrapped.initial_state_distrib.argmax() == CELLS.index("S")
    assert all(table[s][a] == [(1.0, s, 0.0, True)] for s in range(54) if CELLS[s] in "G#" for a in range(4))


@pytest.mark.parametrize(
    ("outcomes", "settings", "message"),
    [
        ({}, {}, r"expected a table of states 0, 1, …, given \[\]"),
        ({1: COIN[0]}, {}, "expected a table of states 0"),
        ({0: {}}, {}, "expected a table of states 0"),
        ({0: COIN[0], 1: {0: []}}, {}, "expected outcomes for actions 0 … 1 of each state, given 1"),
        ({0: {0: [(0.5, 0, 0.0, False)]}}, {}, r"expected probabilities that sum to 1 in P\[0\]\[0\], given \[0.5\]"),
        ({0: {0: [(1.5, 0, 0.0, False), (-0.5, 0, 0.0, False)]}}, {}, "expected probabilities"),
        ({0: {0: [(1.0, 7, 0.0, False)]}}, {}, r"expected next states in \[0, 0\], given 7"),
        (COIN, {"start": [1.0]}, "expected start as probabilities of 2 states"),
        (COIN, {"start": [0.5, 0.6]}, "expected start as probabilities of 2 states"),
        (COIN, {"shape": (1, 1)}, "expected a shape of at least 2 cells"),
    ],
    ids=range(10),
)
def test_what_is_no_table_is_refused(outcomes, settings, message):
    with pytest.raises(ValueError, match=message):
        TableEnv(outcomes=outcomes, **settings)


def test_environments_without_a_table_are_refused():
    with pytest.raises(TypeError, match=r"expected an environment with a table P\[s\]\[a\] of transitions, given CartPole-v1"):
        copies_of("CartPole-v1")


def test_a_picture_shows_where_one_is():
    core = begun(Table(1, outcomes=COIN, shape=(1, 2)))
    first = core.render(0)
    core.world.position[0] = 1
    assert first.shape == (480, 480, 3)
    assert (first != core.render(0)).any()
