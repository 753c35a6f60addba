"""Schedules: what they give, what they refuse, and that files and copies hold them."""

import copy
import json
import pickle

import numpy as np
import pytest

import envs  # noqa: F401  (registers deepnp/…)
import rl
from rl.config import settings_from_json, settings_to_json
from rl.schedules import Constant, Cosine, Exponential, Linear, Step, schedule_of, text_of
from tests.rl.references.worlds import World

PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)
VALUES = {
    Constant(3.0): (3, 3, 3, 3, 3),
    Linear(1.0, 0.0): (1, 0.75, 0.5, 0.25, 0),
    Linear(1.0, 0.1, share=0.5): (1, 0.55, 0.1, 0.1, 0.1),
    Cosine(1.0, 0.0): (1, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5, 0),
    Cosine(1.0, 0.0, warmup=0.5): (0, 0.5, 1, 0.5, 0),
    Exponential(1.0, 1e-4): (1, 0.1, 0.01, 0.001, 1e-4),
    Step(1.0, 0.1, at=(0.5, 0.75)): (1, 1, 0.1, 0.01, 0.01),
}


def decay(progress):
    """A function of somebody's, which a file can only name."""
    return 1e-2 * (1 - progress)


def agent(**settings):
    return rl.PPO(World, rl.PPOConfig(steps=16, batch_size=8, hidden=(6,), **settings))


@pytest.mark.parametrize("schedule", VALUES, ids=text_of)
class TestEach:
    def test_goes_where_it_says(self, schedule):
        np.testing.assert_allclose([schedule(p) for p in PLACES], VALUES[schedule], rtol=1e-12, atol=1e-12)

    def test_is_read_from_its_text(self, schedule):
        assert schedule_of(text_of(schedule)) == schedule

    def test_goes_through_json(self, schedule):
        config = rl.SACConfig(lr=schedule)
        content = json.loads(json.dumps(settings_to_json(config)))
        assert settings_from_json(rl.SACConfig, content) == config


def test_a_number_is_read_from_text():
    assert schedule_of("3e-4") == 3e-4
    assert schedule_of(" Linear:1:0 ") == Linear(1.0, 0.0)


@pytest.mark.parametrize(
    "text", ["", "x", "linear", "linear:1", "linear:1:x", "linear:1:0:0.5:7", "foo:1", "step:1:2", "linear:nan:0"]
)
def test_other_text_is_refused(text):
    with pytest.raises(ValueError, match="expected a rate as a number, constant:VALUE, linear:START:END"):
        schedule_of(text)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(np.nan, 0), "Linear's start as a finite number, given nan"),
        (lambda: Linear("a", 0), "Linear's start as a finite number, given 'a'"),
        (lambda: Linear(True, 0), "Linear's start as a finite number, given True"),
        (lambda: Linear(10**400, 0), "Linear's start as a finite number, given 1000"),
        (lambda: Linear(1, 0, share=0), r"share of the training in \(0, 1\], given 0"),
        (lambda: Cosine(1, 0, warmup=1), r"warmup in \[0, 1\), given 1"),
        (lambda: Exponential(1, 0), "expected start > 0 and end > 0, given 1 and 0"),
        (lambda: Step(1, 0.1, at=(2,)), r"Step's at as places in \[0, 1\], given \(2,\)"),
        (lambda: Step(1, 0.1, at=0.5), r"Step's at as places in \[0, 1\], given 0.5"),
    ],
)
def test_what_is_no_schedule_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Linear(1e-3, -1e-3), "at progress 0.75 it is -0.0005"),
        (lambda p: 20 * p, "at progress 0.75 it is 15"),
        (lambda p: None, "at progress 0 it raises ValueError: expected a finite number"),
        (lambda p: 1 / (1 - p), "at progress 1 it raises ZeroDivisionError"),
        (lambda: 1e-3, "at progress 0 it raises TypeError"),
        (Linear, r"this is a class, so make one: Linear\(…\)"),
        ("linear:1:0", "or a schedule of such"),
    ],
)
def test_a_config_checks_its_schedules(value, message):
    with pytest.raises(ValueError, match=r"expected PPOConfig.lr as a number in \[0, 10\].*" + message):
        rl.PPOConfig(lr=value)


def test_fields_that_are_no_rates_take_none():
    with pytest.raises(ValueError, match=r"expected PPOConfig\.gamma as a number"):
        rl.PPOConfig(gamma=Linear(0.9, 0.99))


def test_a_value_out_of_range_in_between_ends_the_training():
    spike = agent(lr=lambda p: 100.0 if 0.3 < p < 0.4 else 1e-3)
    with pytest.raises(ValueError, match=r"expected PPOConfig.lr in \[0, 10\], given 100.0 at progress 0.3"):
        spike.learn(48)


def test_numpy_s_numbers_are_numbers():
    assert agent(lr=lambda p: np.float32(0.5)).at(0.5).lr == 0.5
    assert Linear(np.float64(1), np.int64(0)) == Linear(1.0, 0)


def test_what_is_now_follows_the_steps():
    rates = []
    learner = agent(lr=Linear(1.0, 0.0), clip=Linear(0.2, 0.0), value_lr=Constant(0.25))
    assert learner.now.lr == 1.0
    learner.learn(64, lambda a, m: rates.append((m["lr"], a.policy_optimizer.lr, a.value_optimizer.lr, a.now.clip)))
    np.testing.assert_allclose(rates, [(1 - p, 1 - p, 0.25, 0.2 * (0.75 - p)) for p in (0, 0.25, 0.5, 0.75)], atol=1e-12)
    assert learner.config.lr == Linear(1.0, 0.0)


@pytest.mark.parametrize("name", ["DDPG", "TD2", "TD3", "SAC", "SACLite", "SACValue"])
def test_every_optimizer_has_the_rate_of_the_last_update(name):
    algorithm = getattr(rl, name)
    config = algorithm.Config(batch_size=8, memory=100, warmup=8, hidden=(6,), lr=Linear(1.0, 0.5), critic_lr=Linear(0.2, 0.1))
    learner = algorithm(World, config).learn(40)  # the last update stands at progress 1
    critics = [*learner.critics.optimizers, *(learner.value.optimizers if name == "SACValue" else ())]
    policies = [learner.policy_optimizer, *([learner.temperature.optimizer] if name.startswith("SAC") else ())]
    assert {o.lr for o in critics} == {0.1}
    assert {o.lr for o in policies} == {0.5}


class Until(rl.Callback):
    def __init__(self, steps):
        self.steps = steps

    def on_step(self, agent, step):
        return agent.steps < self.steps


@pytest.mark.parametrize("name", ["DDPG", "SAC", "TD3"])
def test_a_stopped_training_with_schedules_goes_on_to_the_same_bits(name, tmp_path):
    algorithm = getattr(rl, name)
    own = {"SAC": dict(temperature=Linear(0.5, 0.1))}.get(name, dict(exploration=Linear(0.5, 0.1)))
    config = algorithm.Config(
        hidden=(6,), batch_size=8, memory=100, warmup=8, num_envs=2, lr=Cosine(1e-2, 0.0, 0.1), tau=Linear(0.1, 0.0), **own
    )
    env = "deepnp/Navigation-v0"
    straight, stopped = algorithm(env, config, seed=2).learn(60), algorithm(env, config, seed=2)
    stopped.learn(60, Until(30))
    assert stopped.steps == 30
    stopped.save(tmp_path / "a.safetensors")
    resumed = algorithm.load(tmp_path / "a.safetensors", env).learn(60)
    assert resumed.config == config
    np.testing.assert_array_equal(straight.policy.flat.data, resumed.policy.flat.data)


def test_a_function_must_be_given_again(tmp_path):
    agent(lr=decay).save(tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"expected PPOConfig.lr to be known: it was the function .*decay.*give it again, as lr=…"):
        rl.load(tmp_path / "a.safetensors")
    assert rl.load(tmp_path / "a.safetensors", lr=decay).config.lr is decay
    assert rl.load(tmp_path / "a.safetensors", lr=Linear(1e-3, 0)).now.lr == 1e-3


def test_copies_and_pickles_keep_functions():
    learner = agent(lr=decay, clip=Linear(0.2, 0.1))
    for twin in (copy.deepcopy(learner), pickle.loads(pickle.dumps(learner))):
        assert twin.config == learner.config


def test_a_loaded_agent_stands_where_its_schedules_stood(tmp_path):
    learner = agent(clip=Linear(0.2, 0.0))
    learner.learn(64, lambda *_: False)
    learner.save(tmp_path / "a.safetensors")
    assert learner.now.clip == rl.load(tmp_path / "a.safetensors").now.clip == 0.2 * 0.75


def test_damaged_json_is_refused():
    content = settings_to_json(rl.PPOConfig(lr=Linear(1e-3, 0.0)))
    for damaged in ({"linear": {"start": 1}}, {"foo": {}}, {}, {"linear": 3}, {"linear": {"start": 1, "end": 0}, "step": {}}):
        with pytest.raises(ValueError, match=r"expected PPOConfig\.lr to be known: expected a schedule"):
            settings_from_json(rl.PPOConfig, content | {"lr": damaged})
