"""Every field of the black-box algorithms' Configs is felt; see test_settings.py, whose tests these are."""

from dataclasses import fields

import numpy as np
import pytest

import rl
from rl import schedules
from tests.rl.references.worlds import Choices
from tests.rl.test_settings import SHARED_ON_POLICY, Felt, train

SEARCH: dict[str, Felt] = {
    "num_envs": Felt(1, 3, "-iterations of the environment"),
    "population": Felt(4, 8, "-updates"),
    "episodes": Felt(1, 3, "-updates"),
    "gamma": Felt(0.1, 1.0, "-candidate_return"),  # World's rewards are negative: later ones count
    "horizon": Felt(1, 20, "-updates"),
    "hidden": Felt((6,), (6, 6), "parameters"),
    "activation": Felt("relu", "tanh"),
    "initial_sigma": Felt(0.01, 1.0, "moved"),
    "normalize_observations": Felt(False, True),
    "normalizer": Felt("standard", "min-max", "", dict(normalize_observations=True)),
    "observation_clip": Felt(0.01, 10.0, "", dict(normalize_observations=True, initial_sigma=2.0)),
}
CEM = SEARCH | {
    "elite_share": Felt(0.25, 1.0, "-elite_return"),
    "extra_sigma": Felt(0.0, 3.0, "moved"),
    "extra_generations": Felt(1, 100, "moved", dict(extra_sigma=3.0)),
}
CMAES = SEARCH | {"full_covariance": Felt(0, 1000)}
FITTED = {"gamma", "value_hidden"}
LIKELIHOOD: dict[str, Felt] = SHARED_ON_POLICY | {
    "updates": Felt(2, 8, "policy steps"),
    "lr": Felt(1e-4, 1e-2, "moved"),
    "max_grad_norm": Felt(0.01, 10.0),  # Adam's steps are as long whatever the gradient's
}
RWR = LIKELIHOOD | {
    "baseline": Felt("none", "value"),
    "epochs": Felt(1, 3, "moved of the value"),
    "batch_size": Felt(4, 10, "-moved of the value"),
    "value_lr": Felt(1e-4, 1e-2, "moved of the value"),
    "scale_rewards": Felt(False, True, "-value_loss"),
}
REPS = {name: felt for name, felt in LIKELIHOOD.items() if name not in FITTED} | {
    "epsilon": Felt(0.05, 1.0, "-effective_share"),
    "penalty": Felt(1e-4, 100.0),
}
TABLES = {"CEM": CEM, "CMAES": CMAES, "RWR": RWR, "REPS": REPS}
REFUSED = {("REPS", name): value for name, value in (("memory", "gru"), ("memory_size", 3), ("memory_span", 3), ("burn_in", 1))}
ENTRIES = [(name, field) for name, table in TABLES.items() for field in table if (name, field) not in REFUSED]
RATES = [(name, f.name) for name in TABLES for f in fields(getattr(rl, name).Config) if f.metadata["rate"]]


@pytest.mark.parametrize("name", TABLES)
def test_every_field_has_an_entry(name):
    assert {f.name for f in fields(getattr(rl, name).Config)} == set(TABLES[name])


@pytest.mark.parametrize(("name", "field"), ENTRIES)
def test_field_is_felt(name, field):
    felt = TABLES[name][field]
    (low, low_measures), (high, high_measures) = (train(name, felt, {field: value}) for value in (felt.low, felt.high))
    assert low.shape != high.shape or not np.array_equal(low, high), f"{name}: {field} changes nothing"
    measure, sign = felt.measure.removeprefix("-"), -1 if felt.measure.startswith("-") else 1
    if measure:
        assert sign * low_measures[measure] < sign * high_measures[measure], (low_measures[measure], high_measures[measure])


@pytest.mark.parametrize(("name", "field"), REFUSED)
def test_field_is_refused(name, field):
    with pytest.raises(ValueError, match=field):
        getattr(rl, name).Config(**{field: REFUSED[name, field]})


@pytest.mark.parametrize(("name", "field"), RATES)
def test_every_rate_follows_a_schedule(name, field):
    start, end = (1.0, 0.1) if field == "epsilon" else (1e-2, 1e-4)
    given = start, schedules.Constant(start), schedules.Linear(start, end)
    plain, stays, moves = (train(name, Felt(None, None), {field: value})[0] for value in given)
    np.testing.assert_array_equal(plain, stays)
    assert not np.array_equal(stays, moves)


@pytest.mark.parametrize("name", ["CEM", "CMAES", "RWR", "REPS"])
def test_choices_are_learned_too(name):
    felt = Felt(None, None, "", {}, Choices)
    (first, measures), (second, _) = (train(name, felt, {}) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert measures["moved"] > 0
