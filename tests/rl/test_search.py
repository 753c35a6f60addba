"""What a tuning searches."""

import json
from dataclasses import fields

import pytest

import rl
from rl import PPOConfig, SACConfig
from rl.training.recipes import config_of
from rl.training.search import (
    OFF_POLICY,
    ON_POLICY,
    TABLE,
    Choice,
    Range,
    completed,
    domain_of,
    label,
    settings_of,
    space_from_json,
    space_of,
    space_to_json,
    suggest,
)


class Trial:
    """Always takes the first choice, and the lower end."""

    def __init__(self):
        self.asked = {}

    def suggest_int(self, name, low, high, *, log=False):
        self.asked[name] = ("int", low, high, log)
        return low

    def suggest_float(self, name, low, high, *, log=False):
        self.asked[name] = ("float", low, high, log)
        return low

    def suggest_categorical(self, name, choices):
        self.asked[name] = choices
        return choices[0]


@pytest.mark.parametrize("algorithm", rl.ALGORITHMS.values(), ids=lambda a: a.name)
def test_every_algorithm_has_a_space_of_settings_that_it_takes(algorithm):
    space = space_of(algorithm.config, algorithm.takes, 100_000)
    assert {"lr", "model_lr"} & space.keys() or not algorithm.takes.transitions
    assert completed(space, algorithm.config, {}) == space
    chosen = suggest(Trial(), space, algorithm.config)
    assert chosen.keys() == space.keys()
    config_of(algorithm.name, chosen)


def test_no_row_of_the_tables_is_in_vain():
    policies = (ON_POLICY, (True, False)), (OFF_POLICY, (False, False)), (TABLE, (False, True))
    for table, kind in policies:
        takes = [a for a in rl.ALGORITHMS.values() if (a.takes.on_policy, a.takes.tables) == kind]
        known = {f.name for a in takes for f in fields(a.config)}
        assert table.keys() <= known


def test_a_short_trial_keeps_steps_to_learn_from():
    ppo, sac = rl.ALGORITHMS["PPO"], rl.ALGORITHMS["SAC"]
    assert space_of(sac.config, sac.takes, 4_000)["warmup"] == Choice((100, 500, 1_000))
    assert space_of(ppo.config, ppo.takes, 5_000)["steps"] == Choice((64, 128))
    assert space_of(sac.config, sac.takes, 10)["warmup"] == Choice((100,))


def test_a_users_space_is_completed():
    usual = {"lr": Range(1e-5, 1e-2, True)}
    given = completed({"lr": None, "lam": None, "activation": None, "anneal_lr": None, "epochs": Range(1, 3)}, PPOConfig, usual)
    assert given["lr"] == usual["lr"]
    assert given["lam"] == Range(0, 1)
    assert given["anneal_lr"] == Choice((False, True))
    assert "tanh" in given["activation"]
    assert completed(["lr"], PPOConfig, usual) == usual
    trial = Trial()
    assert suggest(trial, given, PPOConfig) == {
        "lr": 1e-5,
        "lam": 0,
        "activation": given["activation"].values[0],
        "anneal_lr": False,
        "epochs": 1,
    }
    assert trial.asked["epochs"] == ("int", 1, 3, False)
    assert trial.asked["lr"] == ("float", 1e-5, 1e-2, True)
    suggest(trial, {"batch_size": Range(8, 512, log=True)}, PPOConfig)
    assert trial.asked["batch_size"] == ("int", 8, 512, True)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "settings to search, given none"),
        ({"learning_rate": None}, "settings of PPOConfig to search, given 'learning_rate'"),
        ({"lr": Range(-1, 1)}, "PPOConfig.lr"),
        ({"epochs": Range(0.5, 2)}, "whole numbers for epochs"),
        ({"epochs": Choice((1.5,))}, "PPOConfig.epochs"),
        ({"hidden": None}, "a Range or a Choice for hidden, whose own range has no end"),
        ({"clip": None}, "a Range or a Choice for clip, whose own range has no end"),
        ({"lr": (1e-4, 1e-3)}, "expected a Range or a Choice for lr, given"),
    ],
)
def test_spaces_that_cannot_be_are_refused(space, message):
    with pytest.raises(ValueError, match=message):
        completed(space, PPOConfig, {})


def test_domains_travel_as_json_and_parameters_become_settings():
    space = {"lr": Range(1e-5, 1e-2, True), "hidden": Choice(((64, 64), [8])), "gamma": Choice((0.9, 1))}
    assert space_from_json(json.loads(json.dumps(space_to_json(space)))) == space
    params = {"lr": 1e-3, "hidden": label(space["hidden"], (8,)), "gamma": label(space["gamma"], 1)}
    assert settings_of(params, space) == {"lr": 1e-3, "hidden": (8,), "gamma": 1}
    assert (8,) in space["hidden"]
    assert [64, 64] in space["hidden"]
    assert (9,) not in space["hidden"]
    assert 1e-2 in space["lr"]
    assert 0.1 not in space["lr"]
    assert (lambda progress: 1e-3) not in space["lr"]
    assert SACConfig().hidden in space_of(SACConfig, rl.SAC.takes, 1000)["hidden"]


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("1e-5:1e-2:log", Range(1e-5, 1e-2, True)),
        ("0.8:1", Range(0.8, 1)),
        ("64,128,256", Choice((64, 128, 256))),
        ("[64,64],[256,256]", Choice(((64, 64), (256, 256)))),
        ("tanh, relu", Choice(("tanh", "relu"))),
        ("true,false", Choice((True, False))),
    ],
)
def test_domains_from_text(text, domain):
    assert domain_of(text) == domain


@pytest.mark.parametrize("text", ["", "1:", "a:b", "2:1", "0:1:log", "1:2:3", "1:2:log:log", "nan:1", ",", "1:inf"])
def test_text_that_is_no_domain(text):
    with pytest.raises(ValueError, match="expected LOW:HIGH, LOW:HIGH:log or VALUE,VALUE"):
        domain_of(text)
