"""Several runs evaluated at once."""

import numpy as np
import pytest

import envs  # noqa: F401  (registers deepnp/…)
from rl import PPO, PPOConfig, evaluate
from rl.training.judging import RESULT, evaluate_runs

CONFIG = PPOConfig(num_envs=2, steps=16, batch_size=16, epochs=1, hidden=(8,))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folders = [tmp_path_factory.mktemp("runs") / name for name in ("a", "b")]
    agents = [PPO("CartPole-v1", CONFIG, seed=n).learn(32, log=folder) for n, folder in enumerate(folders)]
    return folders, agents


def test_each_agent_plays_the_same_episodes(runs):
    folders, agents = runs
    played = evaluate_runs(folders, episodes=3, seed=5)
    assert list(played) == folders
    for folder, agent in zip(folders, agents, strict=True):
        np.testing.assert_array_equal(played[folder]["return"], evaluate(agent, "CartPole-v1", 3, seed=5))
        np.testing.assert_array_equal(played[folder]["length"], played[folder]["return"])


def test_what_cannot_be_evaluated_is_told_and_leaves_the_others_alone(runs):
    folders, _ = runs
    assert list(evaluate_runs(str(folders[1]), episodes=1)) == [folders[1]]
    with pytest.raises(FileNotFoundError, match="expected a run's folder"):
        evaluate_runs([folders[0], folders[0] / "nowhere"])
    best = folders[0] / "checkpoints" / "best.safetensors"
    best.write_bytes((folders[0] / "checkpoints" / "last.safetensors").read_bytes())
    with pytest.raises(RuntimeError, match=r"1 of 2 runs could not be evaluated: .*b: .*best"):
        evaluate_runs(folders, episodes=1, best=True)
    assert (folders[0] / RESULT).exists()
