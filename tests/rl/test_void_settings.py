"""A setting that another setting makes void is refused, or its text says what it belongs to.

Void: both values of test_settings.py give the same parameters in the end. `SAID` lists every such setting, and the word of
its text that says so. The first test looks for more: it tries each field without what test_settings.py gives it besides.
"""

import inspect
from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import pytest

import rl
from tests.rl import test_settings, test_settings_black_box
from tests.rl.felt import Felt

TABLES = test_settings.TABLES | test_settings_black_box.TABLES
REFUSED = test_settings.REFUSED | test_settings_black_box.REFUSED
SAID = {
    "priority_offset": "prioritised replay",
    "importance_exponent": "prioritised replay",
    "normalizer": "normalisation by",
    "observation_clip": "normalised observations",
    "hindsight_k": "hindsight",
    "hindsight_reward": "hindsight",
    "goal_tolerance": "binary reward",
    "shaping_keep": "shaped reward",
    "shaping_power": "shaped reward",
    "critic_affine": "critics' normalisation",
    "block_width": "critic_blocks",
    "recall_size": "recall",
    "recall_span": "recall",
    "memory_size": "memory",
    "memory_span": "memory",
    "sigma_beta": "σ's network",
    "sigma_scale": "σ's network",
    "initial_temperature": "tuned",
    "target_entropy": "tuned",
    "shared": "Gaussian",
    "flow_layers": "flow",
    "latent": "variational",
    "n_step": "TD(n)",
    "lam": "GAE",
    "cg_steps": "conjugate gradients",
    "cg_tolerance": "ends them",
    "damping": "(F + cI)x = g",
    "sub_sampling": "F",
    "shrink": "line search",
    "backtracks": "line search",
    "policy_steps": "dual",
    "policy_lr": "dual",
    "multiplier": "dual",
    "multiplier_lr": "dual",
    "clip": "clip",
    "kl_coef": "KL penalty",
    "kl_target": "adaptive",
    "anneal_clip": "clip's",
    "anneal_entropy": "entropy's",
    "target_interval": "periodic",
    "tau": "target",
    "random_share": "in the end",
    "extra_generations": "added",
}
OF_DATA = {"clip_targets", "boltzmann"}  # felt or not by what was seen in a short run, whatever else is set
STRONGER = {"FAR": {"shrink", "backtracks"}, "EPOCHS": {"penalty", "anneal_clip"}}  # felt where updates are large or many
REFUSALS = [
    ("TRPO", dict(step_size=0.1), "method"),
    ("TRPO", dict(step_size=0.1, method="dual"), "method"),
    ("PPO", dict(rollback=True), "target_kl"),
    ("PPO", dict(sigma_hidden=(8,)), "sigma"),
    ("SAC", dict(critic_hidden=(8,), critic_blocks=(8,)), "critic_blocks"),
]
OFF = [  # settings under which a field is void, beyond the defaults
    ("TRPO", dict(method="npg"), ("cg_steps", "shrink", "backtracks")),
    ("TRPO", dict(method="tnpg"), ("shrink", "backtracks")),
    ("TRPO", dict(method="dual"), ("cg_steps", "cg_tolerance", "damping", "sub_sampling")),
    ("PPO", dict(penalty="kl-fixed", epochs=4), ("clip", "kl_target", "anneal_clip")),
    ("PPO", dict(penalty="none", epochs=4), ("clip", "kl_coef", "kl_target")),
    ("PPO", dict(head="beta"), ("sigma_beta", "sigma_scale")),
    ("A2C", dict(estimator="td"), ("lam", "n_step")),
    ("SAC", dict(temperature=0.2), ("initial_temperature", "target_entropy")),
    ("SAC", dict(actor="flow"), ("shared", "latent")),
    ("TD3", dict(targets=False), ("tau",)),
    ("DQN", dict(targets="none"), ("target_interval", "tau")),
    ("CEM", dict(extra_sigma=0.0), ("extra_generations",)),
]


def doc(name: str, field: str) -> str:
    return next(f for f in fields(getattr(rl, name).Config) if f.name == field).metadata["doc"]


def is_void(name: str, field: str, besides: dict) -> bool:
    """Whether both values of test_settings.py end alike; False where they are refused."""
    felt = TABLES[name][field]
    try:
        ends = [test_settings.train(name, Felt(None, None, "", besides, felt.env), {field: v})[0] for v in (felt.low, felt.high)]
    except ValueError:
        return False
    return ends[0].shape == ends[1].shape and np.array_equal(*ends)


def conditional() -> Iterator[tuple[str, str]]:
    """Each field that test_settings.py gives something besides, once for each Config that defines it."""
    seen = set()
    for name, table in TABLES.items():
        owners = {f: c.__name__ for c in reversed(getattr(rl, name).Config.__mro__[:-1]) for f in inspect.get_annotations(c)}
        for field, felt in table.items():
            if felt.besides and (name, field) not in REFUSED and (owners[field], field) not in seen:
                seen.add((owners[field], field))
                yield name, field


@pytest.mark.parametrize(("name", "field"), list(conditional()))
def test_a_field_that_the_defaults_make_void_says_so(name, field):
    excused = OF_DATA.union(*STRONGER.values())
    if field not in excused and is_void(name, field, {}):
        assert field in SAID, f"{name}: {field} changes nothing at the defaults; refuse it, or say what it belongs to"
        assert SAID[field] in doc(name, field)


@pytest.mark.parametrize(("name", "besides", "void"), OFF)
def test_a_field_that_another_setting_makes_void_says_so(name, besides, void):
    for field in void:
        assert is_void(name, field, besides), f"{name}: {field} is felt with {besides}; it is no longer void"
        assert SAID[field] in doc(name, field), field


@pytest.mark.parametrize(("name", "settings", "other"), REFUSALS)
def test_an_override_that_would_be_ignored_is_refused(name, settings, other):
    with pytest.raises(ValueError, match=other):
        getattr(rl, name).Config(**settings)
