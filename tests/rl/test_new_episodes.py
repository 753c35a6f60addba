"""Where somebody else stepped the environment, new episodes begin; everything that remembers old ones hears of it."""

import numpy as np
import pytest

import envs  # noqa: F401  (registers deepnp/…)
import rl
from rl.experience.environments import make_vector
from tests.rl.test_environments import SMALL, ppo, sac
from tests.rl.toys import Counter, Endless, vectorize


class TestNewBeginnings:
    """Every part hears of new episodes, once, from one place."""

    def test_the_reward_scale_s_returns_start_at_zero(self):
        agent = ppo(vectorize(lambda: Endless(1000), 2), gamma=0.5)
        agent.learn(40)
        np.testing.assert_allclose(agent.scaler.returns, 2, rtol=1e-5)
        seen = []
        begin = agent.scaler.begin
        agent.scaler.begin = lambda n: (begin(n), seen.append(agent.scaler.returns.copy()))
        rl.evaluate(agent, agent.env, 2) if agent.env.num_envs == 2 else None
        agent.learn(80)
        assert len(seen) == 1
        np.testing.assert_array_equal(seen[0], [0, 0])

    def test_noise_that_remembers_is_forgotten(self):
        settings = {**SMALL, "noise": "ornstein-uhlenbeck", "warmup": 0}
        agent = rl.DDPG(vectorize(lambda: Endless(1000), 2), rl.DDPGConfig(**settings)).learn(100)
        assert agent.noise.noise.any()
        agent.set_env(vectorize(lambda: Endless(1000), 2))
        agent.begin_episodes()
        assert not agent.noise.noise.any()

    def test_a_loop_of_one_s_own_between_two_calls(self):
        env = vectorize(lambda: Counter(1000, truncates=True), 1)
        agent = sac(env, warmup=10**6).learn(20)
        env.reset()
        for _ in range(5):
            env.step(np.zeros((1, 1), np.float32))
        agent.learn(40)
        before, after = agent.memory.observations[:40, 0], agent.memory.next_observations[:40, 0]
        np.testing.assert_array_equal(after - before, 1)
        assert agent.memory.truncated[19]
        assert before[20] == 0

    def test_an_environment_that_tells_its_state_goes_on_if_nobody_touched_it(self):
        env = make_vector("deepnp/Navigation-v0", 2)
        agent = sac(env, warmup=10**6).learn(20)
        agent.learn(40)
        assert not agent.memory.truncated[agent.memory.slots - 1 :][:1].any()
        assert agent.collector.lengths.tolist() == [20, 20]
        env.step(env.action_space.sample())
        agent.learn(60)
        assert agent.collector.lengths.tolist() == [10, 10]

    def test_a_loop_of_one_s_own_in_the_agent_s_own_environment(self, tmp_path):
        """Its state tells, at the next `learn` and in a file."""
        agent = sac("deepnp/Navigation-v0", num_envs=2, warmup=10**6).learn(20)
        agent.save(tmp_path / "before.safetensors")
        agent.env.step(agent.env.action_space.sample())
        agent.save(tmp_path / "after.safetensors")
        loaded = rl.SAC.load(tmp_path / "before.safetensors", "deepnp/Navigation-v0").learn(30)
        assert loaded.collector.lengths.tolist() == [15, 15]
        with pytest.warns(UserWarning, match="the file does not hold its state"):
            loaded = rl.SAC.load(tmp_path / "after.safetensors", "deepnp/Navigation-v0").learn(30)
        assert loaded.collector.lengths.tolist() == [5, 5]
        assert agent.learn(30).collector.lengths.tolist() == [5, 5]
        assert agent.learn(40).collector.lengths.tolist() == [10, 10]

    def test_a_callback_that_saves_and_fails_leaves_whole_episodes(self, tmp_path):
        agent, path = sac("deepnp/Navigation-v0", num_envs=2, warmup=10**6).learn(10), tmp_path / "agent.safetensors"
        with pytest.raises(ZeroDivisionError):
            agent.learn(20, lambda agent, metrics: agent.save(path) or 1 / 0)
        assert agent.learn(30).collector.lengths.tolist() == [15, 15]
        assert rl.SAC.load(path, "deepnp/Navigation-v0").learn(30).collector.lengths.tolist() == [15, 15]

    def test_an_exception_in_the_middle_of_a_step(self, monkeypatch):
        agent = sac(vectorize(lambda: Counter(1000, truncates=True), 1), warmup=10**6).learn(10)
        add = agent.memory.add
        monkeypatch.setattr(agent.memory, "add", lambda *row: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            agent.learn(20)
        monkeypatch.setattr(agent.memory, "add", add)
        agent.learn(30)
        before, after = agent.memory.observations[:30, 0], agent.memory.next_observations[:30, 0]
        np.testing.assert_array_equal(after - before, 1)
