"""Navigation: moves, rewards, the best that can be earned."""

import numpy as np
import pytest

from envs.planar.navigation import Navigation


def navigation(n, copies=1, seed=0):
    core = Navigation(copies, n)
    core.reset(np.arange(copies), [np.random.default_rng(seed + i) for i in range(copies)])
    return core


@pytest.mark.parametrize("n", [1, 2, 10, 50])
def test_moves_and_rewards(n, rng):
    core = navigation(n, 5)
    for _ in range(10):
        before, actions = core.observe().astype(float), rng.uniform(-2, 2, (5, n))
        rewards, terminated = core.step(actions)
        after = before + np.clip(actions, -1, 1)
        np.testing.assert_allclose(core.observe(), after, atol=1e-5)
        expected = (np.linalg.norm(before, axis=1) - np.linalg.norm(after, axis=1)) / np.sqrt(n)
        np.testing.assert_allclose(rewards, expected, atol=1e-5)
        assert not terminated.any()
    np.testing.assert_allclose(core.info()["distance"], np.linalg.norm(core.observe(), axis=1), rtol=1e-6)


def test_starts_are_normal_and_the_best_return_is_about_one():
    core = navigation(50, 400)
    x = core.observe()
    assert abs(x.mean()) < 0.03
    assert abs(x.std() - 1) < 0.03
    total = sum(core.step(-core.observe())[0] for _ in range(6))
    np.testing.assert_allclose(total, np.linalg.norm(x, axis=1) / np.sqrt(50), atol=1e-4)
    assert total.mean() == pytest.approx(1, abs=0.02)
