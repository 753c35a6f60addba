"""What every environment of ours promises, as checks that take a function `make(copies, **settings)` of a vector environment."""

import numpy as np
from gymnasium.spaces import MultiDiscrete


def vector_equals_singles(batch, singles, steps, seed=5):
    """Step a vector environment and a `SyncVectorEnv` with the same random actions, and compare: how many ends, how many limits."""
    ends, limits, rng = 0, 0, np.random.default_rng(seed)
    (a, info_a), (b, info_b) = batch.reset(seed=seed), singles.reset(seed=seed)
    for _ in range(steps):
        same(a, b)
        same_infos(info_a, info_b)
        actions = random_actions(batch, rng)
        a, *results_a, info_a = batch.step(actions)
        b, *results_b, info_b = singles.step(actions)
        for x, y in zip(results_a, results_b, strict=True):
            np.testing.assert_array_equal(x, y)
        ends, limits = ends + results_a[1].sum(), limits + results_a[2].sum()
    return ends, limits


def threads_do_not_matter(make, steps=40):
    def trajectory(threads, seed):
        env, rng = make(5, num_threads=threads), np.random.default_rng(0)
        return [env.reset(seed=seed)[0], *(env.step(random_actions(env, rng))[0] for _ in range(steps))]

    one, two, other = trajectory(1, 3), trajectory(2, 3), trajectory(1, 4)
    for a, b in zip(one, two, strict=True):
        same(a, b)
    assert any((x != y).any() for a, b in zip(one, other, strict=True) for x, y in zip(parts(a), parts(b), strict=True))


def state_continues(make):
    """Bit for bit, in an environment that has been elsewhere, and in one that was only made."""
    for used in (True, False):
        _state_continues(make, used)


def _state_continues(make, used):
    env, other, rng = make(3, max_episode_steps=30), make(3, max_episode_steps=30), np.random.default_rng(0)
    env.reset(seed=0)
    actions = [random_actions(env, rng) for _ in range(80)]
    for a in actions[:40]:
        env.step(a)
    state, before = env.state(), env.core.observe()
    if used:
        other.reset(seed=99)
        other.step(actions[0])
    other.set_state(state)
    same(other.core.observe(), before)
    for a in actions[40:]:
        (expected, *rest, info), (result, *other_rest, other_info) = env.step(a), other.step(a)
        same(result, expected)
        same_infos(other_info, info)
        for x, y in zip(other_rest, rest, strict=True):
            np.testing.assert_array_equal(x, y)


def a_diverging_copy_ends_alone(make, poison):
    """`poison` is written into a copy's velocities; the environment resets in the same step."""
    env, twin = make(3), make(3)
    still = np.zeros(env.action_space.shape)
    env.reset(seed=0), twin.reset(seed=0)
    env.step(still), twin.step(still)
    env.core.body.qvel[1] = poison
    (observations, rewards, terminated, _, infos), (expected, *_) = env.step(still), twin.step(still)
    assert terminated[1]
    np.testing.assert_array_equal(infos["final_info"]["diverged"], [False, True, False])
    assert all(np.isfinite(part[1]).all() for part in parts(infos["final_obs"]))
    assert rewards[1] == 0
    for _ in range(20):
        for ours, theirs in zip(parts(observations), parts(expected), strict=True):
            assert np.isfinite(ours).all()
            np.testing.assert_array_equal(ours[[0, 2]], theirs[[0, 2]])
        (observations, *_, infos), (expected, *_) = env.step(still), twin.step(still)
        assert not infos["diverged"].any()


def shows_something(env):
    """A picture with more in it than a background."""
    env.reset(seed=0)
    image = env.render()
    env.close()
    assert image.shape == (480, 640, 3)
    assert image.dtype == np.uint8
    assert len(np.unique(image.reshape(-1, 3), axis=0)) > 100


def random_actions(env, rng):
    if isinstance(env.action_space, MultiDiscrete):
        return rng.integers(env.action_space.nvec)
    return rng.uniform(env.action_space.low, env.action_space.high).astype(np.float32)


def parts(observations):
    return [observations[name] for name in sorted(observations)] if isinstance(observations, dict) else [observations]


def same(a, b):
    """Equal observations, arrays or dictionaries of them."""
    assert isinstance(a, dict) == isinstance(b, dict)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
    for x, y in zip(parts(a), parts(b), strict=True):
        np.testing.assert_array_equal(x, y)


def same_infos(a, b):
    assert a.keys() == b.keys()
    for key, value in a.items():
        if key == "final_obs":
            for i in np.flatnonzero(a["_final_obs"]):
                same(*({k: v[i] for k, v in o.items()} if isinstance(o, dict) else o[i] for o in (value, b[key])))
        elif isinstance(value, dict):
            same_infos(value, b[key])
        else:
            np.testing.assert_array_equal(value, b[key], err_msg=key)
