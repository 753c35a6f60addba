"""Keywords of other libraries, and misspelt ones, are answered with ours."""

import inspect
from dataclasses import fields, replace

import pytest

import rl
from rl.names import ELSEWHERE, OURS
from tests.rl.references.worlds import World

CALLS = {
    "learning_rate is called lr here; n_steps is called steps here": lambda _: rl.PPOConfig(learning_rate=1e-3, n_steps=64),
    "n_steps is called n_step here; ent_coef is called temperature here": lambda _: rl.SACConfig(n_steps=3, ent_coef=0.1),
    "buffer_size is called memory here": lambda _: rl.SACConfig(buffer_size=100),
    "there is no hiden; did you mean hidden?": lambda _: rl.TD3Config(hiden=(8, 8)),
    "learning_rate is the setting lr here: PPO(env, PPOConfig(lr=…))": lambda _: rl.PPO(World, learning_rate=1e-3),
    "gamma is a setting: PPO(env, PPOConfig(gamma=…))": lambda _: rl.PPO(World, gamma=0.9),
    "verbose is learn(progress=True) here": lambda _: rl.SAC(World, verbose=1),
    "total_timesteps is called total_steps here": lambda agent: agent.learn(total_timesteps=100),
    "verbose is called progress here; progress_bar is": lambda agent: agent.learn(10, verbose=1, progress_bar=True),
    "learn(): there is no foo; there are total_steps, callback": lambda agent: agent.learn(10, foo=1),
    "there is no device: this algorithm computes on the CPU": lambda _: rl.PPO(World, device="cuda"),
    "exploration_final_eps is called random_share here": lambda _: rl.DQNConfig(exploration_final_eps=0.1),
    "exploration_fraction is called random_steps here": lambda _: rl.DQNConfig(exploration_fraction=0.1),
    "target_update_interval is called target_interval here": lambda _: rl.DQNConfig(target_update_interval=10),
    "alpha is called lr here; epsilon is called exploration here": lambda _: rl.QLearningConfig(alpha=0.1, epsilon=0.1),
    "planning_steps is called planning here": lambda _: rl.DynaQConfig(planning_steps=5),
    "n_eval_episodes is called episodes here": lambda agent: rl.evaluate(agent, World, n_eval_episodes=3),
    "epochz; did you mean epochs?": lambda agent: replace(agent.config, epochz=2),
    'leave "MlpPolicy" out': lambda _: rl.PPO("MlpPolicy", World),
}


@pytest.mark.parametrize("answer", CALLS)
def test_wrong_keywords_are_answered_with_ours(answer):
    agent = rl.PPO(World, rl.PPOConfig(hidden=(4,), steps=8))
    with pytest.raises(TypeError) as caught:
        CALLS[answer](agent)
    assert answer in str(caught.value)
    assert "docs/settings.md" in str(caught.value)


def test_every_config_answers():
    for algorithm in rl.ALGORITHMS.values():
        if "lr" not in {f.name for f in fields(algorithm.config)}:
            continue  # a search over parameters
        with pytest.raises(TypeError, match="learning_rate is called lr here"):
            algorithm.config(learning_rate=1e-3)


def test_signatures_stay_what_they_are():
    assert list(inspect.signature(rl.PPOConfig).parameters) == [f.name for f in fields(rl.PPOConfig)]
    assert list(inspect.signature(rl.Agent.learn).parameters)[:3] == ["self", "total_steps", "callback"]
    assert "episodes" in inspect.signature(rl.evaluate).parameters
    assert rl.Agent.learn.__doc__.startswith("Train until")


def test_missing_arguments_are_python_s_own_error():
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        rl.evaluate(None)


def test_the_table_names_what_there_is():
    """A name of ours that nothing has would send people into the void."""
    settings = {f.name for algorithm in rl.ALGORITHMS.values() for f in fields(algorithm.config)}
    functions = (rl.PPO, rl.Agent.learn, rl.Agent.predict, rl.evaluate)
    known = settings | {name for function in functions for name in inspect.signature(function).parameters}
    assert not {ours for answers in OURS.values() for ours in answers} - known
    assert not ELSEWHERE.keys() & settings
    # Settings of TRPO, TD2, REPS and PPO, and what other libraries call settings of other algorithms; memory by its two names.
    assert OURS.keys() & settings == {"policy_lr", "policy_noise", "target_kl", "epsilon", "recall", "memory_size", "memory_span"}


def test_an_algorithm_that_there_is_not_is_answered_with_those_that_there_are():
    with pytest.raises(AttributeError, match=r"module 'rl' has no attribute 'Rainbows': the algorithms are .*PPO, .*SAC"):
        rl.Rainbows  # noqa: B018
    assert not hasattr(rl, "Rainbows")
    from rl import loops  # noqa: F401  (a submodule that nobody imported before is found still)
