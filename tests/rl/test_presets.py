"""Settings as the thesis on DeepUnity has them, and defaults that depend on other settings."""

import numpy as np
import pytest

import rl
from rl import PPOConfig, SACConfig
from rl.experience.hindsight import STRATEGIES
from rl.experience.normalizers import normalizer_of
from tests.rl.references.worlds import Goals


def test_ppo_of_the_thesis():
    """Table 3.1, and what its text says of observations and rewards."""
    c = PPOConfig.deepunity()
    assert (c.hidden, c.activation, c.lr, c.gamma, c.anneal_lr) == ((64, 64), "tanh", 3e-4, 0.99, False)
    assert (c.batch_size, c.num_envs * c.steps, c.gae_horizon, c.epochs) == (512, 10_240, 256, 8)
    assert (c.entropy_coef, c.clip, c.lam, c.max_grad_norm) == (5e-3, 0.2, 0.96, 0.5)
    assert (c.value_coef, c.target_kl, c.normalize_advantages) == (0.5, 0.015, True)
    assert normalizer_of(c, 3).clip == 5
    assert not c.scale_rewards
    assert (c.penalty, c.shared) == ("clip", False)


def test_sac_of_the_thesis():
    c = SACConfig.deepunity()
    assert (c.hidden, c.activation, c.lr, c.gamma) == ((64, 64), "tanh", 3e-4, 0.99)
    assert (c.batch_size, c.memory, c.update_interval, c.updates, c.warmup) == (128, 1_000_000, 64, 1, 1024)
    assert (c.temperature, c.tau) == (0.2, 5e-3)


def test_overrides_come_through_and_copies_share_the_buffer():
    c = PPOConfig.deepunity(num_envs=16, lr=1e-3, target_kl=None)
    assert (c.num_envs, c.steps, c.lr, c.target_kl) == (16, 640, 1e-3, None)
    assert PPOConfig.deepunity(num_envs=16, steps=8).steps == 8
    assert PPOConfig.deepunity(num_envs=np.int64(10)).steps == 1024
    assert type(rl.SACLiteConfig.deepunity(updates=2)) is rl.SACLiteConfig
    for wrong in (0, "8", 2.5):
        with pytest.raises(ValueError, match=r"expected PPOConfig.num_envs as an integer"):
            PPOConfig.deepunity(num_envs=wrong)
    with pytest.raises(TypeError, match="learning_rate is called lr here"):
        SACConfig.deepunity(learning_rate=1e-3)


def test_it_trains():
    agent = rl.PPO("Pendulum-v1", PPOConfig.deepunity(num_envs=2, steps=64, batch_size=64, hidden=(8,)), seed=0).learn(128)
    assert agent.steps == 128


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_final_relabels_one_for_one_and_the_others_four(strategy):
    """Shares of the rows whose desired goal is one that was drawn: ½, and ⅘."""
    config = rl.SACConfig(hindsight=strategy, warmup=10, memory=4000, batch_size=1000, hidden=(4,), update_interval=500)
    assert config.relabelled == (1 if strategy == "final" else 4)
    assert rl.SACConfig(hindsight=strategy, hindsight_k=3).relabelled == 3
    assert rl.SACConfig(hindsight=strategy, hindsight_k=0).relabelled == 0
    agent, batches = rl.SAC(Goals, config, seed=0), []
    update = agent.update
    agent.update = lambda batch: batches.append(batch) or update(batch)
    agent.learn(2000)
    goals = {tuple(goal) for goal in agent.memory.observations[: len(agent.memory), -4:-2]}
    own = np.mean([tuple(goal) in goals for goal in batches[-1].observations[:, -4:-2]])
    assert own == pytest.approx(0.5 if strategy == "final" else 0.2, abs=0.05)
