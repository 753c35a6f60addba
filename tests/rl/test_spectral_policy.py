"""A policy whose inner layer is spectrally normalised (docs/networks.md): it learns, stays normalised, and resumes to the bit."""

import numpy as np
import pytest

import rl
from deepnp import Linear, Sequential, SpectralNorm, Tanh

SETTINGS = rl.PPOConfig(num_envs=2, steps=32, batch_size=32, epochs=3, lr=0.01, anneal_lr=False)


def policy():
    rng = np.random.default_rng(0)
    middle = SpectralNorm(Linear(16, 16, rng=rng), rng=rng)
    return Sequential(Linear(3, 16, rng=rng), Tanh(), middle, Tanh(), Linear(16, 1, rng=rng))


def make():
    return rl.PPO("Pendulum-v1", SETTINGS, seed=0, policy=policy())


def test_it_learns_and_its_layer_makes_nothing_longer():
    agent = make().learn(640)
    (layer,) = (module for _, module in agent.policy.mean.children() if isinstance(module, SpectralNorm))
    used = layer.predict(np.eye(16, dtype=np.float32)) - layer.predict(np.zeros((1, 16), np.float32))
    assert np.linalg.norm(used, 2) == pytest.approx(1, abs=0.05)
    before = policy().state_dict()["2.module.weight"]
    assert np.abs(layer.module.weight.data - before).max() > 0.01


def test_resume_equals_uninterrupted(tmp_path):
    whole = make().learn(640)
    make().learn(320).save(tmp_path / "agent.safetensors")
    resumed = rl.PPO.load(tmp_path / "agent.safetensors", "Pendulum-v1", policy=policy()).learn(640)
    for name, array in whole.policy.state_dict().items():
        np.testing.assert_array_equal(array, resumed.policy.state_dict()[name], err_msg=name)
