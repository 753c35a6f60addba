"""The example on memory: its two tasks, and a short run."""

import sys

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import rl
from examples import memory


def test_recall_is_an_environment():
    check_env(memory.Recall(), skip_render_check=True)


@pytest.mark.parametrize("delay", [1, 4])
def test_the_cue_pays_when_it_is_asked_for_and_only_then(delay):
    env = memory.Recall(delay)
    observation, _ = env.reset(seed=3)
    cue, rewards, asked = int(observation.argmax()), [], []
    assert observation[cue] == 1
    ended = False
    while not ended:
        asked.append(observation[-1])
        observation, reward, ended, _, _ = env.step(cue)
        rewards.append(reward)
        assert not observation[:-1].any()
    assert rewards == asked == [0] * delay + [1]
    env.reset(seed=3)
    assert [env.step((cue + 1) % 4)[1] for _ in rewards] == [0] * (delay + 1)


def test_velocities_are_not_to_be_seen():
    env = memory.blind_cartpole()
    observation, _ = env.reset(seed=0)
    np.testing.assert_array_equal(observation, np.array(env.unwrapped.state, np.float32)[[0, 2]])


@pytest.mark.parametrize("kind", ["none", "attention"])
def test_a_short_run(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["memory.py", "--task", "recall", "--memory", kind, "--steps", "500", "--out", str(tmp_path / "run")]
    )
    memory.main()
    assert f"recall with memory {kind}: return 0." in capsys.readouterr().out
    agent = rl.load(tmp_path / "run" / "checkpoints" / "last.safetensors")
    assert agent.config.memory == (None if kind == "none" else kind)
