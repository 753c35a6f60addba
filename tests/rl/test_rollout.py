"""Trajectories: both autoreset modes, a trace by hand, final observations, what a broken environment does."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from deepnp import NonFiniteError
from rl import PPO, PPOConfig
from rl.loops import on_policy
from tests.rl.toys import Counter, vectorize

SAME, NEXT = AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP


def collect(make, mode, steps=10, copies=2, parts=1):
    """`parts` rollouts of steps/parts steps, one after the other."""
    agent = PPO(vectorize(make, copies, mode), PPOConfig(normalize_observations=False, scale_rewards=False))
    agent.begin_episodes()
    return [on_policy.collect(agent, steps // parts) for _ in range(parts)]


def test_ten_step_trace_same_step():
    [(rollout, statistics)] = collect(lambda: Counter(3), SAME)
    np.testing.assert_array_equal(rollout.observations[:, 0, 0], [0, 1, 2, 0, 1, 2, 0, 1, 2, 0])
    np.testing.assert_array_equal(rollout.rewards[:, 0], [1, 2, 3, 1, 2, 3, 1, 2, 3, 1])
    np.testing.assert_array_equal(np.flatnonzero(rollout.terminated[:, 0]), [2, 5, 8])
    assert rollout.valid.all()
    assert not rollout.final
    assert statistics.returns == [6.0] * 6
    assert statistics.lengths == [3] * 6
    assert statistics.means() == {"episode_return": 6.0, "episode_length": 3.0, "episode_count": 3.0}


def test_ten_step_trace_next_step_has_dead_steps():
    [(rollout, statistics)] = collect(lambda: Counter(3), NEXT)
    np.testing.assert_array_equal(rollout.observations[:, 0, 0], [0, 1, 2, 3, 0, 1, 2, 3, 0, 1])
    np.testing.assert_array_equal(rollout.valid[:, 0], [1, 1, 1, 0, 1, 1, 1, 0, 1, 1])
    assert statistics.lengths == [3] * 4
    assert statistics.returns == [6.0] * 4
    assert rollout.ended[[2, 3, 6, 7]].all()


@pytest.mark.parametrize("mode", [SAME, NEXT])
@pytest.mark.parametrize("parts", [1, 2])
def test_values_bootstrap_on_truncation_and_not_on_termination(mode, parts):
    """V(s) = count of s: the value after a truncated step must be the final observation's, 3; after a termination 0."""
    for truncates in (True, False):
        for rollout, _ in collect(lambda t=truncates: Counter(3, t), mode, parts=parts):
            values, following = rollout.values(lambda x: x[:, 0])
            np.testing.assert_array_equal(values, rollout.observations[:, :, 0])
            last = rollout.terminated | rollout.truncated
            np.testing.assert_array_equal(following[last], 3 if truncates else 0)
            inside = rollout.valid & ~last
            np.testing.assert_array_equal(following[inside], values[inside] + 1)


@pytest.mark.parametrize("what", ["reward", "observation"])
def test_nan_from_the_environment_stops_with_its_name(what):
    with pytest.raises(NonFiniteError, match=f"the environment returned {what} nan at index"):
        collect(lambda: Counter(3, broken=what), SAME)


def test_collecting_in_parts_is_collecting_in_one():
    [(whole, _)] = collect(lambda: Counter(4), SAME)
    parts = collect(lambda: Counter(4), SAME, parts=2)
    np.testing.assert_array_equal(whole.observations, np.concatenate([r.observations for r, _ in parts]))
    np.testing.assert_array_equal(whole.last, parts[1][0].last)
