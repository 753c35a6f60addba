"""What it means that a vector environment equals single ones: everything they return, step for step, exactly."""

import numpy as np


def vector_equals_singles(batch, singles, steps, seed=5):
    """Step a vector environment and a `SyncVectorEnv` with the same random actions, and compare: how many ends, how many limits."""
    ends, limits, rng = 0, 0, np.random.default_rng(seed)
    (a, info_a), (b, info_b) = batch.reset(seed=seed), singles.reset(seed=seed)
    for _ in range(steps):
        same(a, b)
        same_infos(info_a, info_b)
        actions = random_actions(batch.action_space, rng)
        a, *results_a, info_a = batch.step(actions)
        b, *results_b, info_b = singles.step(actions)
        for x, y in zip(results_a, results_b, strict=True):
            np.testing.assert_array_equal(x, y)
        ends, limits = ends + results_a[1].sum(), limits + results_a[2].sum()
    return ends, limits


def random_actions(space, rng):
    return rng.uniform(space.low, space.high).astype(np.float32)


def same(a, b):
    """Equal observations, arrays or dictionaries of them."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            np.testing.assert_array_equal(a[key], b[key], err_msg=key)
    else:
        np.testing.assert_array_equal(a, b)


def same_infos(a, b):
    assert a.keys() == b.keys()
    for key, value in a.items():
        if key == "final_obs":
            for i in np.flatnonzero(a["_final_obs"]):
                same({k: v[i] for k, v in value.items()} if isinstance(value, dict) else value[i], b[key][i])
        elif isinstance(value, dict):
            same_infos(value, b[key])
        else:
            np.testing.assert_array_equal(value, b[key], err_msg=key)
