"""An agent behind the methods that code written for Stable-Baselines3 calls."""

import gymnasium
import numpy as np
import pytest

import rl
from rl import PPO, PPOConfig
from rl.training.adapter import StableBaselinesModel


@pytest.fixture
def agent():
    return PPO("Pendulum-v1", PPOConfig(steps=50, hidden=(8,), batch_size=25, epochs=1))


def test_the_adapter_answers_as_a_model_of_stable_baselines_does(agent, rng):
    observations = rng.standard_normal((20, 3)).astype(np.float32)
    model = StableBaselinesModel(agent, seed=0)
    state = (np.zeros(3),)
    actions, same = model.predict(observations, state, np.ones(20, bool), deterministic=True)
    assert same is state
    np.testing.assert_array_equal(actions, agent.predict(observations))
    drawn, nothing = model.predict(observations)
    assert nothing is None
    assert not np.array_equal(drawn, actions)
    np.testing.assert_array_equal(StableBaselinesModel(agent, seed=0).predict(observations)[0], drawn)
    assert model.learn(total_timesteps=100).num_timesteps == 100
    assert model.learn(100).num_timesteps == 200 == agent.steps
    assert model.get_env() is agent.env


def test_the_adapter_saves_our_files_and_refuses_what_is_no_agent(agent, tmp_path):
    agent.close()
    model = StableBaselinesModel(agent)
    model.save(tmp_path / "agent.safetensors")
    assert isinstance(rl.load(tmp_path / "agent.safetensors"), PPO)
    assert model.get_env() is None
    with pytest.raises(TypeError, match="expected an agent, given <"):
        StableBaselinesModel(gymnasium.make("Pendulum-v1"))
