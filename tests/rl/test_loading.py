"""Agents are loaded with other settings, in another number of copies, without their memory, and without a second one."""

import tracemalloc

import numpy as np
import pytest
from gymnasium.spaces import Box

import envs  # noqa: F401  (registers deepnp/…)
import rl
from deepnp.storage import load_tensors
from tests.rl.test_checkpoint import agent_of
from tests.rl.toys import Target, states, suited, vectorize

NAVIGATION = "deepnp/Navigation-v0"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "agent.safetensors"


class TestOtherSettings:
    def test_they_take_the_place_of_the_file_s(self, path):
        agent_of(rl.ALGORITHMS["SAC"], NAVIGATION).learn(100).save(path)
        for load in (rl.load, rl.SAC.load):
            agent = load(path, NAVIGATION, lr=1e-5, gamma=0.5)
            assert (agent.config.lr, agent.config.gamma, agent.config.hidden) == (1e-5, 0.5, (8,))
            before = agent.policy.flat.data.copy()
            agent.learn(101)
            moved = np.abs(agent.policy.flat.data - before).max()
            assert 0 < moved < 2e-5  # Adam's step is lr at most

    @pytest.mark.parametrize("algorithm", ["PPO", "SAC"])
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"lr": -1.0}, r"expected \w+Config.lr as a number"),
            ({"hidden": (9,)}, r"expected settings that fit what was saved, given hidden=\(9,\): .*expected .*given"),
            ({"hidden": (30_000, 30_000)}, "expected hidden of networks with"),
            ({"normalize_observations": True}, "given normalize_observations=True: expected observations that are not normalized"),
        ],
    )
    def test_what_does_not_fit_is_said(self, path, algorithm, settings, message):
        agent_of(rl.ALGORITHMS[algorithm], normalize_observations=False).learn(40).save(path)
        with pytest.raises(ValueError, match=message):
            rl.load(path, **settings)

    def test_a_normaliser_is_not_dropped_in_silence(self, path):
        agent_of(rl.ALGORITHMS["SAC"], normalize_observations=True).learn(40).save(path)
        with pytest.raises(ValueError, match="given normalize_observations=False: expected observations that are normalized"):
            rl.load(path, normalize_observations=False)

    def test_priorities_that_were_not_kept(self, path):
        agent_of(rl.ALGORITHMS["SAC"], priority_exponent=0.0).learn(40).save(path)
        with pytest.raises(
            ValueError, match=r"given priority_exponent=0.5: .* lacks \['priorities.largest', 'priorities.powers'\]"
        ):
            rl.load(path, priority_exponent=0.5)

    @pytest.mark.parametrize("name", ["learning_rate", "seed", "total_timesteps"])
    def test_names_that_it_does_not_have(self, path, name):
        agent_of(rl.ALGORITHMS["SAC"]).save(path)
        with pytest.raises(TypeError, match=name):
            rl.load(path, **{name: 1})

    def test_another_capacity(self, path):
        whole = agent_of(rl.ALGORITHMS["SAC"], NAVIGATION).learn(190)
        whole.save(path)
        for capacity in (40, 1000):
            agent = rl.load(path, NAVIGATION, memory=capacity)
            assert len(agent.memory) == min(capacity, 190)
            agent.learn(260)
            assert len(agent.memory) == min(capacity, 260)
        newest = rl.load(path, memory=40).memory.rewards
        assert set(newest) <= set(whole.memory.rewards)


class TestOtherCopies:
    @pytest.mark.parametrize("copies", [1, 2, 5])
    @pytest.mark.parametrize("algorithm", rl.ALGORITHMS)
    def test_training_goes_on(self, path, algorithm, copies):
        env = suited(rl.ALGORITHMS[algorithm], NAVIGATION)
        before = agent_of(rl.ALGORITHMS[algorithm], env).learn(300)
        before.save(path)
        if copies == 2:
            agent = rl.load(path, env, num_envs=copies)
        else:
            with pytest.warns(UserWarning, match=f"the file holds 2 copies, and there are {copies}"):
                agent = rl.load(path, env, num_envs=copies)
        assert agent.env.num_envs == agent.config.num_envs == copies
        agent.learn(400)
        if not (before.takes.on_policy or before.takes.tables):
            assert (agent.memory.copies, len(agent.memory)) == (copies, 200)

    def test_an_environment_that_was_handed_in_has_as_many_as_were_asked_for(self, path):
        agent_of(rl.ALGORITHMS["PPO"]).learn(40).save(path)
        with pytest.raises(ValueError, match="expected an environment of num_envs=4 copies, given one of 3"):
            rl.load(path, vectorize(Target, 3), num_envs=4)

    def test_set_env_deals_too(self):
        agent = agent_of(rl.ALGORITHMS["SAC"]).learn(150)
        agent.set_env(vectorize(Target, 3))
        agent.learn(180)
        assert (agent.memory.copies, len(agent.memory)) == (3, 180)


class TestWithoutTheMemory:
    def test_training_goes_on_with_an_empty_one(self, path):
        """No second warm-up: the policy acts, and learns from the first whole batch on."""
        whole = agent_of(rl.ALGORITHMS["SAC"], NAVIGATION).learn(100)
        whole.save(path, memory=False)
        assert not [name for name in load_tensors(path)[0] if name.startswith("agent.memory.")]
        agent = rl.load(path, NAVIGATION)
        assert len(agent.memory) == 0
        for name, array in states(agent).items():
            np.testing.assert_array_equal(array, states(whole)[name])
        before, rng = agent.policy.flat.data.copy(), agent.rngs["explore"].bit_generator.state
        agent.learn(110)
        np.testing.assert_array_equal(agent.policy.flat.data, before)  # 10 transitions, a batch is 16
        assert agent.rngs["explore"].bit_generator.state != rng
        assert len(agent.memory) == 10
        agent.learn(130)
        assert (agent.policy.flat.data != before).any()

    @pytest.mark.parametrize("memory", ["no", 0, None])
    def test_yes_or_no(self, path, memory):
        with pytest.raises(TypeError, match="expected memory as a bool, given"):
            agent_of(rl.ALGORITHMS["SAC"]).save(path, memory=memory)

    def test_of_what_has_none_it_changes_nothing(self, path, tmp_path):
        agent = agent_of(rl.ALGORITHMS["PPO"]).learn(40)
        agent.save(path)
        agent.save(tmp_path / "x", memory=False)
        assert path.read_bytes() == (tmp_path / "x").read_bytes()


def test_a_flipped_bit_is_named(path):
    agent_of(rl.ALGORITHMS["SAC"], NAVIGATION).learn(100).save(path)
    whole, wanted = path.read_bytes(), load_tensors(path)[0]
    for name in ("agent.memory.observations0", "agent.memory.rewards", "agent.memory.actions", "agent.policy.body.0.weight"):
        place = whole.index(np.ascontiguousarray(wanted[name]).tobytes())
        damaged = bytearray(whole)
        damaged[place] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=f"agent.safetensors is damaged: '{name}' has changed since it was written"):
            rl.load(path)


def test_a_file_whose_checksums_are_gone_is_refused(path):
    agent_of(rl.ALGORITHMS["SAC"]).save(path)
    path.write_bytes(path.read_bytes().replace(b'"checksums"', b'"checksumz"'))
    with pytest.raises(ValueError, match="damaged: expected an agent's file with checksums, given none"):
        rl.load(path)


def test_saving_and_loading_need_no_second_memory(path):
    """Of 40 MB, of four rings that lie apart."""
    spaces = Box(-np.inf, np.inf, (120,), np.float32), Box(-1, 1, (6,), np.float32)
    agent = rl.SAC.of_spaces(*spaces, rl.SACConfig(memory=40_000, hidden=(8,), priority_exponent=0.5))
    agent.memory.prepare(4)
    agent.memory.heads[:] = agent.memory.sizes[:] = 9_000
    taken = 40_000 * agent.memory.bytes_per_row
    tracemalloc.start()
    try:
        agent.save(path)
        saving = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        rl.load(path)
        loading = tracemalloc.get_traced_memory()[1] - taken
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 35e6
    assert saving < 2.5e6
    assert loading < 5e6
