"""Gymnasium's MuJoCo tasks in native batches: equal to Gymnasium's own, and to themselves as singles.

Observations must equal Gymnasium's rounded to float32, exactly, over whole episodes, resets included. Rewards too; only two may
differ by 1e-12: Humanoid's centre of mass is one sum over all copies in another order, and Gymnasium takes Reacher's distance
by a BLAS product, which some processors round once less.
"""

import warnings
from functools import partial

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import envs  # noqa: F401  (registers deepnp/…)
from envs.bodies.v5 import TASKS
from tests.envs import same

TOLERANCE = {"Humanoid": 1e-12, "Reacher": 1e-12}
MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]
pytestmark = pytest.mark.parametrize("task", TASKS)


def vector(task, copies, mode=AutoresetMode.SAME_STEP, **settings):
    return gymnasium.make_vec(f"deepnp/{task}-v5", copies, "vector_entry_point", autoreset_mode=mode, **settings)


def actions_of(env, rng, size=1.0):
    space = env.action_space
    return (size * rng.uniform(space.low, space.high)).astype(np.float32)


def test_it_is_gymnasiums_task(task):
    """Same seeds, same actions, 400 steps: random ones, then still ones, that bodies fall by themselves."""
    ours = vector(task, 2)
    theirs = SyncVectorEnv([lambda: gymnasium.make(f"{task}-v5")] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    assert ours.single_observation_space.shape == theirs.single_observation_space.shape
    assert ours.single_action_space == theirs.single_action_space
    assert gymnasium.spec(f"deepnp/{task}-v5").max_episode_steps == gymnasium.spec(f"{task}-v5").max_episode_steps
    rng, tolerance = np.random.default_rng(0), TOLERANCE.get(task, 0)
    (a, info_a), (b, info_b) = ours.reset(seed=3), theirs.reset(seed=3)
    parts = set()
    for step in range(400):
        np.testing.assert_array_equal(a, b.astype(np.float32))
        for key in info_a.keys() & info_b.keys() - {"final_obs", "final_info"}:
            given = info_b.get(f"_{key}", slice(0, 0))  # Gymnasium gives fewer infos of a reset
            np.testing.assert_allclose(info_a[key][given], info_b[key][given], rtol=tolerance, atol=tolerance, err_msg=key)
        actions = actions_of(ours, rng, 1.0 if step < 300 else 0.1)
        a, rewards_a, *ends_a, info_a = ours.step(actions)
        b, rewards_b, *ends_b, info_b = theirs.step(actions)
        np.testing.assert_allclose(rewards_a, rewards_b, rtol=tolerance, atol=tolerance)
        for x, y in zip(ends_a, ends_b, strict=True):
            np.testing.assert_array_equal(x, y)
        parts |= {key for key in info_b if key.startswith("reward_")}
    assert {key for key in info_a if key.startswith("reward_")} == parts


def test_from_any_state(task):
    """Both put into the same wild state: the same step, the same end."""
    rng = np.random.default_rng(1)
    copies, ended = 16, 0
    ours = vector(task, copies, AutoresetMode.DISABLED)
    theirs = gymnasium.make(f"{task}-v5").unwrapped
    ours.reset(seed=0), theirs.reset(seed=0)
    core = ours.core
    body, model = core.body, core.body.model
    qpos = np.tile(model.qpos0, (copies, 1)) + rng.uniform(-0.6, 0.6, (copies, model.nq))
    qvel = rng.normal(size=(copies, model.nv))
    body.reset(np.arange(copies), qpos, qvel, np.zeros((copies, model.nu)))
    actions = np.stack([actions_of(ours, rng)[0] for _ in range(copies)])
    qpos = body.qpos.copy()
    observations, rewards, terminated, _, _ = ours.step(actions)
    for i in range(copies):
        theirs.reset(seed=0)
        theirs.set_state(qpos[i], qvel[i])
        expected, reward, end, _, _ = theirs.step(actions[i])
        np.testing.assert_array_equal(observations[i], expected.astype(np.float32))
        assert rewards[i] == pytest.approx(reward, rel=1e-12, abs=1e-12)
        assert terminated[i] == end
        ended += end
    theirs.close()
    if task in ("Walker2d", "Hopper", "Ant", "Humanoid", "InvertedPendulum"):
        assert 0 < ended < copies
    else:
        assert ended == 0


def test_gymnasium_accepts_it(task):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*infinity.*|.*between.*-1 and 1.*|.*symmetric and normalized.*")
        check_env(gymnasium.make(f"deepnp/{task}-v5").unwrapped, skip_render_check=True)


@pytest.mark.parametrize("mode", MODES)
def test_vector_equals_singles_step_for_step(task, mode):
    singles = SyncVectorEnv([lambda: gymnasium.make(f"deepnp/{task}-v5", max_episode_steps=40)] * 2, autoreset_mode=mode)
    ends, limits = same.vector_equals_singles(vector(task, 2, mode, max_episode_steps=40), singles, 250)
    assert ends + limits > 10


def test_same_seed_same_trajectory_at_any_thread_count(task):
    same.threads_do_not_matter(partial(vector, task))


def test_state_continues_bit_for_bit(task):
    same.state_continues(partial(vector, task))


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e12])
def test_a_diverging_copy_ends_alone(task, poison):
    same.a_diverging_copy_ends_alone(partial(vector, task), poison)


def test_pictures_show_something(task):
    same.shows_something(gymnasium.make(f"deepnp/{task}-v5", render_mode="rgb_array"))
