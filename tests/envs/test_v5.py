"""Gymnasium's MuJoCo tasks in native batches: equal to Gymnasium's own, and to themselves as singles.

Observations must equal Gymnasium's rounded to float32, exactly, over whole episodes, resets included. Rewards too; only
Humanoid's may differ by 1e-12, for its centre of mass is one sum over all copies in another order.
"""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import envs  # noqa: F401  (registers deepnp/…)
from envs.bodies.v5 import TASKS
from tests.envs.same import same_infos, vector_equals_singles

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
    rng, tolerance = np.random.default_rng(0), 1e-12 if task == "Humanoid" else 0
    (a, info_a), (b, info_b) = ours.reset(seed=3), theirs.reset(seed=3)
    parts = set()
    for step in range(400):
        np.testing.assert_array_equal(a, b.astype(np.float32))
        for key in info_a.keys() & info_b.keys() - {"final_obs", "final_info"}:
            told = info_b.get(f"_{key}", slice(0, 0))  # Gymnasium tells less of a reset
            np.testing.assert_allclose(info_a[key][told], info_b[key][told], rtol=tolerance, atol=tolerance, err_msg=key)
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
    ends, limits = vector_equals_singles(vector(task, 2, mode, max_episode_steps=40), singles, 450)
    assert ends + limits > 10


def test_same_seed_same_trajectory_at_any_thread_count(task):
    def trajectory(threads, seed):
        env = vector(task, 5, num_threads=threads)
        rng, rows = np.random.default_rng(0), [env.reset(seed=seed)[0]]
        rows += [env.step(actions_of(env, rng))[0] for _ in range(40)]
        return np.array(rows)

    one = trajectory(1, 3)
    np.testing.assert_array_equal(one, trajectory(2, 3))
    assert (one != trajectory(1, 4)).any()


def test_state_continues_bit_for_bit(task):
    rng = np.random.default_rng(0)
    env, other = vector(task, 3, max_episode_steps=30), vector(task, 3, max_episode_steps=30)
    env.reset(seed=0)
    actions = [actions_of(env, rng) for _ in range(80)]
    for a in actions[:40]:
        env.step(a)
    state, before = env.state(), env.core.observe()
    other.reset(seed=99)
    other.step(actions[0])
    other.set_state(state)
    np.testing.assert_array_equal(other.core.observe(), before)
    for a in actions[40:]:
        (*expected, info), (*results, other_info) = env.step(a), other.step(a)
        for x, y in zip(results, expected, strict=True):
            np.testing.assert_array_equal(x, y)
        same_infos(info, other_info)


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e12])
def test_a_diverging_copy_ends_alone(task, poison):
    still = np.zeros(vector(task, 3).action_space.shape)
    env, twin = vector(task, 3), vector(task, 3)
    env.reset(seed=0), twin.reset(seed=0)
    env.step(still), twin.step(still)
    env.core.body.qvel[1] = poison
    (observations, rewards, terminated, _, infos), expected = env.step(still), twin.step(still)
    assert terminated[1]
    np.testing.assert_array_equal(infos["final_info"]["diverged"], [False, True, False])
    assert np.isfinite(infos["final_obs"][1]).all()
    assert np.isfinite(observations).all()
    assert rewards[1] == 0
    for _ in range(20):
        np.testing.assert_array_equal(observations[[0, 2]], expected[0][[0, 2]])
        assert np.isfinite(observations).all()
        (observations, *_, infos), expected = env.step(still), twin.step(still)
        assert not infos["diverged"].any()
