"""The algorithms' harness: every entry of `rl.ALGORITHMS` goes through every check here. A new algorithm needs no new test for
these, only its line in the list; whole updates (test_updates) and settings (test_settings) have tables of their own.
"""

import inspect
from dataclasses import fields

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import deepnp
import envs  # noqa: F401  (registers deepnp/…)
import rl
from rl.config import WIDTHS
from rl.runs.table import KEY
from rl.takes import Takes
from rl.training.explorer.words import words_of
from tests.rl.toys import MODEL, Counter, Endless, Target, config_of, states, suited, vectorize

ALGORITHMS = list(rl.ALGORITHMS.values())
# What a page needs to learn something small, soon: by how it gathers its experience.
ON_POLICY = dict(num_envs=16, steps=32, batch_size=128, epochs=4, hidden=(16,), lr=5e-3)
OFF_POLICY = dict(num_envs=2, hidden=(32, 32), batch_size=64, warmup=200, memory=10_000, lr=3e-3)
TABLES = "MonteCarlo", "OffPolicyMonteCarlo", "SARSA", "QLearning", "DoubleQLearning", "DynaQ"
OWN = {
    "A2C": dict(num_envs=4, steps=4),  # it takes one step for each rollout
    "DPG": dict(steps=1, lr=rl.schedules.Linear(3e-3, 0.0), critic_lr=2e-2, exploration=0.3),
    "OnPolicySAC": dict(steps=2, lr=1e-2),  # all rows at once
    **{name: dict(targets="polyak") for name in ("DQN", "C51", "QRDQN")},
    "FQI": dict(rounds=40, round_steps=60, lr=1e-2),
    **{name: dict(lr=0.2, decay=0.0) for name in TABLES},
    "CEM": dict(episodes=4, population=32, extra_generations=20),  # what one episode of the task pays depends on where it begins
    "CMAES": dict(episodes=4),
    "SACBC": dict(value_weight=40.0, normalize_observations=False),
    "AWR": dict(beta=0.2, normalize_observations=False),
    "AWAC": dict(beta=0.05, normalize_observations=False),
    **{name: dict(beta=0.01, normalize_observations=False) for name in ("ForwardKL", "ReverseKL")},
    "IQL": dict(beta=0.03, normalize_observations=False),
    "CQL": dict(conservatism=0.1, draws=4, normalize_observations=False),
    **dict.fromkeys(("MVE", "Dyna", "MBA"), MODEL),
    "MBPO": MODEL | dict(batch_size=8, imagined_batch=56, updates=1),
    "PETS": MODEL,
}
# Steps until a value that learns from values is where it goes to; a few algorithms need more than the others.
UNTIL_THE_LIMIT = {
    "REINFORCE": 3000,
    "A2C": 8000,
    "OffPolicyPG": 6000,
    "DPG": 4000,
    "TRPO": 4500,
    "RWR": 6000,
    "PPO": 6400,
    **dict.fromkeys(
        ("DQN", "C51", "QRDQN", "DiscreteSAC", "NAF", "MBA", "DDQNBC", "FittedSARSA"), 4500
    ),  # observation 0 leaves the last bias alone to learn
    **dict.fromkeys(("AWR", "IQL"), 4500),
    "SACValue": 4500,  # a value passes through two networks for each step
}
UNTIL_IT_IS_SOLVED = {"DPG": 8000, "OnPolicySAC": 3000, "IQL": 2000}
UNTIL_THE_END = {"DPG": 2000, "A2C": 4000, "C51": 1600}


@pytest.fixture(params=ALGORITHMS, ids=lambda a: a.name)
def algorithm(request):
    return request.param


of_values = pytest.mark.parametrize("algorithm", [a for a in ALGORITHMS if a.takes.value], ids=lambda a: a.name)
of_transitions = pytest.mark.parametrize(
    "algorithm", [a for a in ALGORITHMS if a.takes.transitions and not a.takes.tables], ids=lambda a: a.name
)


def small(algorithm, make, seed=0, mode=AutoresetMode.SAME_STEP, given=True, **settings):
    settings = {**(ON_POLICY if algorithm.takes.on_policy else OFF_POLICY), **OWN.get(algorithm.name, {}), **settings}
    known = {f.name for f in fields(algorithm.config)}
    settings = {name: value for name, value in settings.items() if name in known}
    make = suited(algorithm, make)
    env = make if isinstance(make, str) else vectorize(make, settings["num_envs"], mode)
    agent = algorithm.cls(env, algorithm.config(**settings), seed=seed)
    return agent.learn_from(data_of(algorithm, make)) if given and algorithm.family == "offline" else agent


def data_of(algorithm, make):
    """Random actions; for who imitates, the best of them."""
    data = rl.collect("random", make, 2000)
    return data.take(data.rewards >= np.quantile(data.rewards, 0.9)) if algorithm.name == "BC" else data


class TestForm:
    """A page that can be read."""

    def test_the_list_says_what_it_is(self, algorithm):
        assert algorithm.name == algorithm.cls.__name__ == algorithm.config.algorithm
        assert isinstance(algorithm.takes, Takes)
        assert algorithm.family in algorithm.cls.__module__
        assert algorithm.paper
        assert getattr(rl, algorithm.name) is algorithm.cls
        assert getattr(rl, f"{algorithm.name}Config") is algorithm.config

    def test_the_page_is_a_page(self, algorithm):
        source = inspect.getsource(inspect.getmodule(algorithm.cls))
        assert source.count("\n") <= 200
        assert "←" in source.split('"""')[1]  # the pseudocode, or where it differs from its parent's

    def test_it_knows_nothing_of_threads_files_or_environments(self, algorithm):
        source = inspect.getsource(inspect.getmodule(algorithm.cls))
        words = ("thread", "twin(", "side_by_side", "save_tensors", "load_tensors", "gymnasium", "env.step")
        assert not [word for word in words if word in source.split('"""', 2)[2]]

    def test_every_setting_says_what_it_means_and_may_be(self, algorithm):
        for f in fields(algorithm.config):
            assert f.metadata["doc"], f.name
            bounded = f.metadata["choices"] or f.metadata["low"] is not None
            assert bounded or f.type in (bool, *WIDTHS), f.name


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP], ids=["same", "next"])
def test_solves_a_trivial_task(algorithm, mode):
    steps = UNTIL_IT_IS_SOLVED.get(algorithm.name, 6000 if algorithm.takes.on_policy else 1000)
    metrics = {}
    agent = small(algorithm, Target, mode=mode, initial_sigma=0.3, anneal_lr=False).learn(steps, lambda _, new: metrics.update(new))
    assert rl.evaluate(agent, suited(algorithm, Target), 20).mean() > -0.02
    unexplained = [name for name in metrics if name != KEY and words_of(name).section == "other"]
    assert not unexplained, "they have no words in rl/training/explorer/words.toml"


def value_of_zero(agent) -> float:
    """What the agent believes that observation 0, and action 0 where it asks for one, are worth."""
    zero = np.zeros((1, 1), np.float32)
    if hasattr(agent, "value") and agent.takes.on_policy:
        return agent.value.predict(agent.observe(zero))[0, 0]
    if isinstance(agent, rl.AWR):
        return agent.value.target(zero)[0]
    if hasattr(agent, "critics"):
        of_choices = "Box" not in agent.takes.actions
        return agent.critics.smallest(zero).max() if of_choices else agent.critics.action_gradient(zero, zero)[0][0]
    if agent.takes.bounded:
        return agent.policy.value(zero)[0]
    return agent.policy.values.data.max() if agent.takes.tables else agent.policy.predict(zero).max()


@of_values
def test_always_truncated_constant_reward_is_worth_its_limit(algorithm):
    """Reward 1 a step, γ = 0.8, truncated every five steps: the value is 1/(1 − γ) = 5, not the 3.4 that five steps are worth."""
    settings = dict(temperature=0.0, gamma=0.8, tau=0.05)
    settings |= (
        dict(scale_rewards=False, epochs=10, lr=1e-2, value_coef=1.0, max_grad_norm=10.0)
        if algorithm.takes.on_policy and not algorithm.takes.tables
        else {}
    )
    agent = small(algorithm, Endless, **settings).learn(UNTIL_THE_LIMIT.get(algorithm.name, 1500))
    assert value_of_zero(agent) == pytest.approx(5, rel=0.04)


@of_values
def test_termination_ends_what_is_to_come(algorithm):
    """One step an episode, reward 1, terminated: worth 1, whatever γ."""
    settings = dict(temperature=0.0, gamma=0.9, scale_rewards=False, value_coef=1.0, max_grad_norm=10.0, epochs=10, lr=5e-3)
    agent = small(algorithm, lambda: Endless(1, terminates=True), **settings)
    agent.learn(UNTIL_THE_END.get(algorithm.name, 800))
    assert value_of_zero(agent) == pytest.approx(1, abs=0.15)


def test_same_seed_same_bits_whatever_the_threads(algorithm):
    before, results = deepnp.get_num_threads(), []
    try:
        for threads, seed in ((2, 0), (1, 0), (2, 1)):
            deepnp.set_num_threads(threads)
            agent = small(algorithm, "Pendulum-v1", seed, warmup=100, update_interval=4, num_envs=2, batch_size=64)
            results.append(states(agent.learn(500)))
    finally:
        deepnp.set_num_threads(before)
    for name, array in results[0].items():
        np.testing.assert_array_equal(array, results[1][name], err_msg=name)
    assert any((array != results[2][name]).any() for name, array in results[0].items() if name.startswith("policy."))


@of_transitions
def test_ten_steps_are_remembered_as_they_were(algorithm):
    """A counter from 0 to 3: what an algorithm learns from is the trace by hand, ends and all."""
    seen = []
    few = dict(num_envs=1, steps=10, batch_size=10, warmup=10**6)
    agent = small(algorithm, lambda: Counter(3), given=False, **few, normalize_observations=False, scale_rewards=False)
    if algorithm.takes.on_policy:
        update = agent.update
        agent.update = lambda rollout, progress: seen.append(rollout) or update(rollout, progress)
        agent.learn(10)
        rows = seen[0].observations[:, 0, 0], seen[0].rewards[:, 0], seen[0].terminated[:, 0]
    else:
        memory = agent.learn(10).memory
        rows = memory.observations[:10, 0], memory.rewards[:10], memory.terminated[:10]
        np.testing.assert_array_equal(memory.next_observations[:10, 0], [1, 2, 3] * 3 + [1])
    np.testing.assert_array_equal(rows[0], [0, 1, 2] * 3 + [0])
    np.testing.assert_array_equal(rows[1], [1, 2, 3] * 3 + [1])
    np.testing.assert_array_equal(np.flatnonzero(rows[2]), [2, 5, 8])


def test_another_algorithm_s_config_and_file_are_refused(algorithm, tmp_path):
    other = next(a for a in ALGORITHMS if a is not algorithm)
    with pytest.raises(TypeError, match=f"expected a {algorithm.name}Config, given {other.name}Config"):
        algorithm.cls(suited(algorithm, Target)(), other.config())
    small(other, Target).save(tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=f"holds a {other.name} agent, not {algorithm.name}"):
        algorithm.cls.load(tmp_path / "other.safetensors")


def test_without_an_environment_it_predicts_and_says_what_it_lacks(algorithm):
    env = suited(algorithm, Target)()
    config = config_of(algorithm, rounds=1, hidden=(16,))
    agent = algorithm.cls.of_spaces(env.observation_space, env.action_space, config)
    assert agent.predict(np.zeros(env.observation_space.shape)).shape == env.action_space.shape
    with pytest.raises(RuntimeError, match="call set_env"):
        agent.learn(10)
    agent.set_env(env)
    assert agent.learn(10).steps == 10
