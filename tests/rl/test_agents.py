"""Agents as objects: nothing spoilt by numbers that are not finite, deep copies, pickles, threads."""

import copy
import pickle
import threading

import numpy as np
import pytest

import deepnp
import envs  # noqa: F401  (registers deepnp/…)
import rl
from deepnp import NonFiniteError
from tests.rl.toys import Target, config_of, states, suited, vectorize


@pytest.mark.parametrize("algorithm", rl.ALGORITHMS.values(), ids=lambda a: a.name)
class TestNothingSpoilt:
    def agent(self, algorithm):
        small = dict(steps=20) if algorithm.takes.on_policy else dict(warmup=20, memory=400, rounds=2, round_steps=20)
        return algorithm.cls(vectorize(suited(algorithm, Target), 2), config_of(algorithm, hidden=(8,), batch_size=16, **small))

    def test_a_loss_that_is_not_finite_leaves_the_parameters_alone(self, algorithm):
        if not algorithm.takes.value or algorithm.takes.tables:
            pytest.skip("it has no value")
        agent = self.agent(algorithm).learn(200)
        groups = [(name, getattr(agent, name)) for name in ("critics", "value", "policy") if hasattr(agent, name)]
        networks = [(name, network) for name, group in groups for network in getattr(group, "networks", [group])]
        networks[0][1].flat.data[3] = np.nan
        before = {name: np.array(a) for name, a in states(agent).items() if not name.startswith(("memory", "scaler"))}
        with (
            pytest.raises(NonFiniteError, match=r"at step \d+: .*(loss|gradient|policy's action is nan)"),
            np.errstate(all="ignore"),
        ):
            agent.learn(400)
        after = states(agent)
        for name, array in before.items():
            if name.startswith(networks[0][0]) and not name.split(".")[1].endswith("2"):  # the other critic takes its step
                np.testing.assert_array_equal(after[name], array, err_msg=name)

    def test_parameters_that_are_not_finite_are_not_saved(self, algorithm, tmp_path):
        agent = self.agent(algorithm)
        agent.policy.flat.data[0] = np.inf
        with pytest.raises(NonFiniteError, match=r"policy.*holds NaN or infinity"):
            agent.save(tmp_path / "agent.safetensors")
        assert not list(tmp_path.iterdir())

    def test_a_policy_that_is_not_finite_is_named_with_its_step(self, algorithm):
        if not algorithm.takes.transitions:
            pytest.skip("candidates act, and not the policy")
        if algorithm.name == "DoubleQLearning":
            pytest.skip("its policy is made of two tables")
        agent = self.agent(algorithm)
        agent.policy.flat.data[...] = np.nan
        steps = "(20|22)"  # values of choices say so when they are learned from
        if algorithm.takes.on_policy or algorithm.takes.tables:
            steps = "0"
        if algorithm.name == "FQI":
            steps = "100"  # at the end of the collection
        message = rf"at step {steps}: (the policy's action is nan|.*(loss|TD error) is nan|gradient of)"
        with pytest.raises(NonFiniteError, match=message), np.errstate(all="ignore"):
            agent.learn(100)

    def test_a_part_is_not_replaced(self, algorithm):
        agent = self.agent(algorithm)
        with pytest.raises(AttributeError, match=f"expected {algorithm.name}.policy to stay what it is"):
            agent.policy = copy.deepcopy(agent.policy)


@pytest.mark.parametrize("algorithm", rl.ALGORITHMS.values(), ids=lambda a: a.name)
class TestCopies:
    def agent(self, algorithm, env="deepnp/Navigation-v0"):
        off_policy = dict(warmup=20, memory=400, update_interval=4, rounds=2, round_steps=20)
        small = dict(steps=20, epochs=2) if algorithm.takes.on_policy else off_policy
        return algorithm.cls(suited(algorithm, env), config_of(algorithm, num_envs=2, hidden=(8,), batch_size=16, **small))

    def test_a_deep_copy_learns_what_the_original_learns(self, algorithm):
        agent = self.agent(algorithm).learn(200)
        twin = copy.deepcopy(agent)
        assert twin.env is not agent.env
        agent.learn(400)
        twin.learn(400)
        for name, array in states(agent).items():
            np.testing.assert_array_equal(array, states(twin)[name], err_msg=name)
            assert not np.shares_memory(array, states(twin)[name])

    def test_pickled_agents_predict(self, algorithm, rng):
        agent = self.agent(algorithm).learn(100)
        twin = pickle.loads(pickle.dumps(agent))
        x = np.stack([agent.env.single_observation_space.sample() for _ in range(5)])
        np.testing.assert_array_equal(agent.predict(x), twin.predict(x))
        twin.set_env(suited(algorithm, "deepnp/Navigation-v0"))
        assert twin.learn(200).steps == 200

    def test_two_agents_in_two_threads_are_two_agents(self, algorithm):
        alone = states(self.agent(algorithm).learn(400))
        agents = [self.agent(algorithm) for _ in range(2)]
        threads = [threading.Thread(target=agent.learn, args=(400,)) for agent in agents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for agent in agents:
            for name, array in states(agent).items():
                np.testing.assert_array_equal(array, alone[name], err_msg=name)
        assert deepnp.get_num_threads() >= 1
