"""Every field of every Config is felt: another value, another outcome, and in the direction that the field says.

Each entry runs a learner twice, with the lower and the higher value of one field. The trained parameters must differ, and
the measure, where there is one, must rise (or fall) with the field. A field without an entry fails.
"""

from dataclasses import fields

import numpy as np
import pytest

import rl
from rl import schedules
from rl.algorithms.policy_gradient.config import OnPolicyConfig
from rl.algorithms.replay_config import ReplayConfig
from tests.rl import defaults, felt_offline, felt_values
from tests.rl.felt import ACTING, MEMORY, RECALL, Felt
from tests.rl.references.adapter import critics_of, modules
from tests.rl.references.worlds import Choices, Goals, World, Worlds

Outcome = dict[str, float]
ELSEWHERE = {"device"}  # tests/gpu/test_agents.py
OFF_POLICY = ("DDPG", "TD2", "TD3", "SAC", "SACLite", "SACValue")
STEPS = 60
BASE = dict(hidden=(6, 6), batch_size=8, memory=200, warmup=10, lr=1e-2, tau=0.05, num_envs=2, update_interval=1, updates=1)
BASE |= dict(rounds=2, round_steps=10)
ON_POLICY_BASE = dict(hidden=(6, 6), batch_size=8, steps=10, epochs=2, lr=1e-2, num_envs=2, population=4)


SHARED: dict[str, Felt] = {
    "num_envs": Felt(1, 3, "-iterations of the environment"),
    "gamma": Felt(0.5, 0.99, "discount"),
    "tau": Felt(0.01, 0.5, "-distance to the targets"),
    "lr": Felt(1e-4, 1e-2, "moved"),
    "critic_lr": Felt(1e-4, 1e-2, "moved", dict(lr=1e-4)),
    "batch_size": Felt(4, 8, "rows"),
    "memory": Felt(16, 200, "stored"),
    "warmup": Felt(10, 30, "-updates"),
    "random_share": Felt(0.0, 0.9, "spread of actions", dict(warmup=8)),
    "update_interval": Felt(1, 3, "-updates"),
    "updates": Felt(1, 2, "updates"),
    "n_step": Felt(1, 3, "-discount"),
    "priority_exponent": Felt(0.0, 0.8, "-weight"),
    "priority_offset": Felt(0.01, 1000.0, "weight", dict(priority_exponent=0.8)),  # the errors here are beyond 10
    "importance_exponent": Felt(0.0, 1.0, "-weight", dict(priority_exponent=0.8)),
    "newest": Felt(0, 2, "rows"),
    "hindsight": Felt("final", "random", "", env=Goals),
    "hindsight_k": Felt(0, 8, "reward", dict(hindsight="final"), Goals),
    "hindsight_reward": Felt("binary", "shaped", "reward", dict(hindsight="final", hindsight_k=1), Goals),
    "goal_tolerance": Felt(0.05, 0.5, "reward", dict(hindsight="final", hindsight_k=1, hindsight_reward="binary"), Goals),
    "shaping_keep": Felt(0.0, 0.9, "reward", dict(hindsight="final", hindsight_k=1, hindsight_reward="shaped"), Goals),
    "shaping_power": Felt(0.5, 2.0, "reward", dict(hindsight="final", hindsight_k=1, hindsight_reward="shaped"), Goals),
    "clip_targets": Felt(False, True, "", dict(gamma=0.5)),
    "hidden": Felt((6,), (6, 6), "parameters"),
    "critic_hidden": Felt((5,), (5, 5), "parameters"),
    "activation": Felt("relu", "tanh"),
    "critic_normalization": Felt(None, "layer"),
    "critic_affine": Felt(False, True, "parameters", dict(critic_normalization="layer")),
    "critic_blocks": Felt((6,), (6, 6), "parameters", dict(block_width=5)),
    "block_width": Felt(4, 5, "parameters", dict(critic_blocks=(6,))),
    "critic_gain": Felt(0.5, 2.0),
    "actor_gain": Felt(0.01, 1.0),
    "critic_optimizer": Felt("adam", "sgd"),
    "targets": Felt(False, True),
    "asymmetry": Felt(0.1, 0.9),
    "error_limit": Felt(0.01, 1.0),
    "normalize_observations": Felt(False, True),
    "normalizer": Felt("standard", "min-max", "", dict(normalize_observations=True)),
    "observation_clip": Felt(0.5, 10.0, "", dict(normalize_observations=True)),
}
REPLAY = {f.name for f in fields(ReplayConfig)}
PREQN: dict[str, Felt] = {name: felt for name, felt in SHARED.items() if name in REPLAY} | {
    "lr": Felt(1e-4, 1e-2),
    "critic_step": Felt(0.01, 0.1),
    "exploration": Felt(0.0, 0.8, "spread of actions"),
    "alignment": Felt(-1.0, 0.9999),
    "shrink": Felt(0.3, 0.6, "", dict(critic_step=5.0)),
    "tries": Felt(1, 5, "", dict(critic_step=5.0)),
    "solver": Felt("ridge", "truncated"),
    "tolerance": Felt(1e-8, 1e-2),
    "hidden": Felt((6,), (6, 6), "parameters"),
    "activation": Felt("relu", "tanh"),
    "initialization": Felt("glorot", "orthogonal"),
}
SOFT: dict[str, Felt] = {
    "temperature": Felt(0.001, 2.0, "entropy"),
    "initial_temperature": Felt(0.1, 1.0, "alpha"),
    "target_entropy": Felt(-20.0, 20.0, "alpha"),
    "twin": Felt(False, True, "parameters"),
    "shared": Felt(False, True, "-parameters"),
    "actor": Felt("gaussian", "flow", "parameters"),
    "flow_layers": Felt(1, 2, "parameters", dict(actor="flow")),
    "latent": Felt(1, 2, "parameters", dict(actor="variational")),
}
OWN: dict[str, dict[str, Felt]] = {
    "DDPG": {"noise": Felt("gaussian", "ornstein-uhlenbeck"), "exploration": Felt(0.0, 0.8, "spread of actions")},
    "TD2": {
        "noise": Felt("gaussian", "ornstein-uhlenbeck"),
        "exploration": Felt(0.0, 0.8, "spread of actions"),
        "policy_noise": Felt(0.0, 0.5),
        "target_actor": Felt(False, True),
    },
    "TD3": {
        "exploration": Felt(0.0, 0.8, "spread of actions"),
        "smoothing": Felt(0.0, 0.9),
        "smoothing_clip": Felt(0.01, 0.9),
        "delay": Felt(1, 4, "-policy steps"),
    },
    "SAC": SOFT,
    "SACLite": SOFT,
    "SACValue": SOFT,
    "QAscent": {
        "ascent_steps": Felt(1, 5),
        "ascent_rate": Felt(0.01, 0.5),
        "exploration": Felt(0.0, 0.8, "spread of actions"),
    },
}
PPO: dict[str, Felt] = {
    **MEMORY,
    **ACTING,
    "num_envs": Felt(1, 3, "-iterations of the environment"),
    "steps": Felt(5, 20, "-updates"),
    "epochs": Felt(1, 3, "policy steps"),
    "batch_size": Felt(4, 10, "-policy steps"),
    "gamma": Felt(0.1, 0.99),
    "lam": Felt(0.0, 1.0),
    "gae_horizon": Felt(1, 4),
    "penalty": Felt("none", "clip", "", dict(epochs=4)),
    "clip": Felt(0.01, 0.5, "-clip_fraction", dict(epochs=4)),
    "kl_coef": Felt(0.01, 10.0, "-kl", dict(penalty="kl-fixed", epochs=4)),
    "kl_target": Felt(1e-6, 10.0, "-kl_coef", dict(penalty="kl-adaptive", epochs=4)),
    "value_clip": Felt(0.01, 1.0),
    "entropy_coef": Felt(0.0, 0.5, "entropy"),
    "value_coef": Felt(0.01, 10.0, "moved of the value", dict(adam_eps=0.1, max_grad_norm=1e3)),
    "max_grad_norm": Felt(0.01, 10.0, "moved", dict(adam_eps=0.1)),
    "lr": Felt(1e-4, 1e-2, "moved"),
    "value_lr": Felt(1e-4, 1e-2, "moved of the value"),
    "adam_eps": Felt(1e-8, 1.0, "-moved"),
    "anneal_lr": Felt(False, True, "-moved"),
    "anneal_clip": Felt(False, True, "clip_fraction", dict(epochs=4)),
    "anneal_entropy": Felt(False, True, "-entropy", dict(entropy_coef=0.5, anneal_lr=False)),
    "target_kl": Felt(1e-6, 10.0, "policy steps", dict(epochs=4)),
    "rollback": Felt(False, True, "-moved of the policy", dict(target_kl=1e-9, epochs=4)),
    "normalize_advantages": Felt(False, True),
    "normalize_observations": Felt(False, True),
    "normalizer": Felt("standard", "min-max"),
    "observation_clip": Felt(0.5, 10.0),
    "scale_rewards": Felt(False, True, "-value_loss"),
    "shared": Felt(False, True, "-parameters"),
    "mirror": Felt(False, True, "policy steps", env=Worlds),
    "hidden": Felt((6,), (6, 6), "parameters"),
    "value_hidden": Felt((5,), (5, 5), "parameters"),
    "activation": Felt("relu", "tanh"),
    "sigma": Felt("fixed", "vector", "parameters"),
    "initial_sigma": Felt(0.1, 1.0, "entropy"),
}
POLICY_GRADIENT: dict[str, Felt] = {
    "num_envs": Felt(1, 3, "-iterations of the environment"),
    "steps": Felt(5, 20, "-updates"),
    "gamma": Felt(0.1, 0.99),
    "entropy_coef": Felt(0.0, 0.5, "entropy"),
    "max_grad_norm": Felt(0.01, 10.0),
    "lr": Felt(1e-4, 1e-2, "moved"),
    "value_lr": Felt(1e-4, 1e-2, "moved of the value"),
    "anneal_lr": Felt(False, True, "-moved"),
    "normalize_advantages": Felt(False, True),
    "normalize_observations": Felt(False, True),
    "normalizer": Felt("standard", "min-max"),
    "observation_clip": Felt(0.5, 10.0),
    "scale_rewards": Felt(False, True, "-value_loss"),
    "hidden": Felt((6,), (6, 6), "parameters"),
    "value_hidden": Felt((5,), (5, 5), "parameters"),
    "activation": Felt("relu", "tanh"),
    "sigma": Felt("fixed", "vector", "parameters"),
    "initial_sigma": Felt(0.1, 1.0, "entropy"),
    **MEMORY,
    **ACTING,
}
REINFORCE: dict[str, Felt] = POLICY_GRADIENT | {
    "returns": Felt("to-go", "total"),
    "baseline": Felt("none", "value", "", dict(normalize_advantages=False)),
    "fragments": Felt("bootstrap", "drop"),
    "discount_steps": Felt(False, True),
    "epochs": Felt(1, 3, "moved of the value"),
    "batch_size": Felt(4, 10, "-moved of the value"),
}
A2C: dict[str, Felt] = POLICY_GRADIENT | {
    "estimator": Felt("td", "mc"),
    "lam": Felt(0.0, 1.0),
    "n_step": Felt(1, 3, "", dict(estimator="n-step")),
    "value_coef": Felt(0.01, 10.0, "moved of the value", dict(optimizer_eps=0.1, max_grad_norm=1e3)),
    "optimizer": Felt("adam", "rmsprop"),
    "optimizer_eps": Felt(1e-8, 1.0, "-moved"),
}
SHARED_ON_POLICY = {name: felt for name, felt in POLICY_GRADIENT.items() if name in {f.name for f in fields(OnPolicyConfig)}}
FAR = dict(max_kl=3.0, damping=1e-3)  # where the KL of a step is not what its second order says
TRPO: dict[str, Felt] = SHARED_ON_POLICY | {
    "method": Felt("trpo", "dual"),
    "lam": Felt(0.0, 1.0),
    "max_kl": Felt(1e-4, 0.1, "kl"),
    "step_size": Felt(0.01, 0.1, "kl", dict(method="npg")),
    "cg_steps": Felt(1, 8),
    "cg_tolerance": Felt(1e-10, 0.1, "-cg_steps"),
    "damping": Felt(1e-3, 10.0, "-kl"),
    "sub_sampling": Felt(1, 3),
    "shrink": Felt(0.3, 0.8, "", FAR),
    "backtracks": Felt(1, 10, "-rejected", FAR),
    "normalize_advantages": Felt(False, True),
    "scale_rewards": Felt(False, True, "-value_loss"),
    "epochs": Felt(1, 3, "moved of the value"),
    "batch_size": Felt(4, 10, "-moved of the value"),
    "lr": Felt(1e-4, 1e-2, "moved of the value"),
    "policy_steps": Felt(1, 10, "moved of the policy", dict(method="dual")),
    "policy_lr": Felt(1e-4, 3e-3, "moved of the policy", dict(method="dual")),
    "multiplier": Felt(0.0, 100.0, "-kl", dict(method="dual")),
    "multiplier_lr": Felt(0.0, 50.0, "", dict(method="dual")),
}
OFF_POLICY_PG: dict[str, Felt] = POLICY_GRADIENT | {
    "lam": Felt(0.0, 1.0),
    "reuse": Felt(0, 3, "rows"),
    "weights": Felt("step", "decision", "", dict(truncation=1e9)),
    "truncation": Felt(0.5, 1.0, "", dict(normalize_advantages=False)),
    "self_normalize": Felt(False, True, "", dict(truncation=0.5)),
    "policy_steps": Felt(1, 3, "policy steps"),
    "epochs": Felt(1, 3, "moved of the value"),
    "batch_size": Felt(4, 10, "-moved of the value"),
}
DPG: dict[str, Felt] = {name: POLICY_GRADIENT[name] for name in ("num_envs", "steps", "gamma", "activation", "hidden")} | {
    "next_action": Felt("policy", "taken"),
    "compatible": Felt(False, True, "parameters"),
    "exploration": Felt(0.0, 0.8),
    "lr": Felt(1e-4, 1e-2, "moved of the policy"),
    "critic_lr": Felt(1e-4, 1e-2, "moved of the value"),
    "optimizer": Felt("adam", "sgd"),
    "critic_hidden": Felt((5,), (5, 5), "parameters"),
    "normalize_observations": Felt(False, True),
    "normalizer": Felt("standard", "min-max"),
    "observation_clip": Felt(0.5, 10.0),
    "scale_rewards": Felt(False, True, "-critic_loss"),
}
ON_POLICY = {"DPG": DPG, "REINFORCE": REINFORCE, "A2C": A2C, "OffPolicyPG": OFF_POLICY_PG, "TRPO": TRPO, "PPO": PPO}
ON_POLICY |= {"OnPolicySAC": felt_values.ON_POLICY_SAC}
QASCENT = {name: felt for name, felt in SHARED.items() if name != "actor_gain"} | OWN["QAscent"]
TABLES = {name: SHARED | RECALL | OWN[name] for name in OFF_POLICY} | {"QAscent": QASCENT} | {"PreQN": PREQN} | ON_POLICY
TEMPERED = {name: SOFT[name] for name in ("temperature", "initial_temperature", "target_entropy")}
TABLES |= felt_values.tables({name: felt for name, felt in SHARED.items() if name in REPLAY}, TEMPERED)
TABLES |= felt_offline.tables({name: felt for name, felt in SHARED.items() if name in REPLAY}, TEMPERED)
ENTRIES = [(name, f) for name, table in TABLES.items() for f in table]
REFUSED = {
    ("SAC", "clip_targets"): True,  # with soft values: see test_updates for SACLite
    ("SACValue", "clip_targets"): True,
    ("A2C", "burn_in"): 1,
    ("OffPolicyPG", "memory"): "lstm",  # old rollouts are read row by row
    ("OffPolicyPG", "memory_size"): 3,
    ("OffPolicyPG", "memory_span"): 3,
    ("OffPolicyPG", "burn_in"): 1,
}


def train(name: str, felt: Felt, settings: dict) -> tuple[np.ndarray, Outcome]:
    """A short training: all parameters after it, and what was measured."""
    algorithm = getattr(rl, name)
    known = {f.name for f in fields(algorithm.Config)}
    base = {key: value for key, value in (ON_POLICY_BASE if algorithm.takes.on_policy else BASE).items() if key in known}
    agent = algorithm(
        felt.env() if felt.env is Worlds else felt.env, algorithm.Config(**{**base, **felt.besides, **settings}), seed=1
    )
    if getattr(agent.config, "offline_steps", None) is not None:
        agent.learn_from(rl.collect("random", felt.env(), 100, seed=2))
    start = [np.array(module.flat.data) for module in modules(agent)]
    metrics, batches, update = [], [], agent.update

    def recording(batch, *progress):
        batches.append(batch)
        result = update(batch, *progress)
        metrics.append(result if progress else result[0])
        return result

    agent.update = recording
    agent.learn(STEPS)
    end = [np.array(module.flat.data) for module in modules(agent)]
    named = {key: np.mean([m[key] for m in metrics if key in m]) for m in metrics for key in m}
    own = measured_on_policy(agent, start, end) if algorithm.takes.on_policy else measured(agent, batches)
    common = {
        "updates": len(metrics),
        "moved": np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(start, end, strict=True))),
        "parameters": sum(map(len, end)),
        "policy steps": agent.policy_optimizer.t if hasattr(agent, "policy_optimizer") else len(metrics),
        "iterations of the environment": agent.steps / agent.config.num_envs,
    }
    return np.concatenate(end), {**named, **own, **common}


def measured(agent, batches) -> Outcome:
    stored = len(agent.memory)
    actions = np.concatenate([batch.actions for batch in batches])
    distance = sum(
        np.abs(network.flat.data - target.flat.data).sum()
        for critics in critics_of(agent)[-1:]
        for network, target in zip(critics.networks, critics.targets, strict=True)
    )
    return {
        "rows": np.mean([len(batch.rewards) for batch in batches]),
        "discount": np.mean([batch.discounts.mean() for batch in batches]),
        "weight": np.mean([batch.weights.mean() for batch in batches]),
        "reward": np.mean([batch.rewards.mean() for batch in batches]),
        "spread of actions": actions.std(),
        "stored": stored,
        "distance to the targets": distance,
    }


def measured_on_policy(agent, start, end) -> Outcome:
    moved = [np.abs(a - b).sum() for a, b in zip(start, end, strict=True)]
    return {"moved of the policy": moved[0], "moved of the value": moved[-1]}


@pytest.mark.parametrize("name", TABLES)
def test_every_field_has_an_entry(name):
    config = getattr(rl, name).Config
    assert {f.name for f in fields(config)} - ELSEWHERE == set(TABLES[name])


@pytest.mark.parametrize(("name", "field"), [entry for entry in ENTRIES if entry not in REFUSED])
def test_field_is_felt(name, field):
    felt = TABLES[name][field]
    (low, low_measures), (high, high_measures) = (train(name, felt, {field: value}) for value in (felt.low, felt.high))
    assert low.shape != high.shape or not np.array_equal(low, high), f"{name}: {field} changes nothing"
    measure = felt.measure.removeprefix("-")
    if measure:
        sign = -1 if felt.measure.startswith("-") else 1
        assert sign * low_measures[measure] < sign * high_measures[measure], (
            f"{measure}: {low_measures[measure]}, {high_measures[measure]}"
        )


@pytest.mark.parametrize(("name", "field"), sorted(REFUSED))
def test_field_is_refused(name, field):
    with pytest.raises(ValueError, match=field):
        getattr(rl, name).Config(**{field: REFUSED[name, field]})


SCHEDULES = {
    "clip": (0.01, 0.5, dict(epochs=4)),
    "kl_coef": (0.01, 10.0, dict(penalty="kl-fixed", epochs=4)),
    "kl_target": (1e-6, 10.0, dict(penalty="kl-adaptive", epochs=4)),
    "max_grad_norm": (1.0, 0.01, dict(adam_eps=0.1)),
    "value_coef": (0.5, 5.0, dict(adam_eps=0.1, max_grad_norm=1e3)),
    "value_clip": (0.01, 1.0, {}),
    "target_kl": (1e-6, 10.0, dict(epochs=4)),
    "importance_exponent": (0.5, 0.0, dict(priority_exponent=0.8)),
    "critic_lr": (1e-2, 1e-4, {}),
    "value_lr": (1e-2, 1e-4, {}),
    "step_size": (0.1, 0.01, dict(method="npg")),
    "policy_lr": (1e-2, 1e-4, dict(method="dual")),
    "multiplier_lr": (10.0, 1.0, dict(method="dual")),
    "temperature": (0.5, 0.01, {}),
    "target_entropy": (-1.0, 20.0, {}),
}
RATES = [(name, f.name) for name in TABLES for f in fields(getattr(rl, name).Config) if f.metadata["rate"]]


@pytest.mark.parametrize(("name", "field"), RATES)
def test_every_rate_follows_a_schedule(name, field):
    """A schedule that stays is the number, but for what is annealed besides; one that moves is not."""
    start, end, besides = felt_values.SCHEDULES.get((name, field)) or SCHEDULES.get(field, (0.1, 0.01, {}))
    known = {f.name for f in fields(getattr(rl, name).Config)}
    env = next(iter(TABLES[name].values())).env
    felt = Felt(None, None, "", {key: value for key, value in besides.items() if key in known}, env)
    plain, stays, moves, function = (
        train(name, felt, {field: value})[0]
        for value in (start, schedules.Constant(start), schedules.Linear(start, end), lambda p: start + (end - start) * p)
    )
    annealed = ("importance_exponent", "value_lr") + (("lr",) if hasattr(getattr(rl, name).Config, "anneal_lr") else ())
    assert np.array_equal(plain, stays) == (field not in annealed)
    np.testing.assert_array_equal(moves, function)
    assert not np.array_equal(moves, stays)


def test_an_explicit_schedule_is_not_annealed_besides():
    by_flag, by_schedule = ({"lr": 1e-2, "anneal_lr": True}, {"lr": schedules.Linear(1e-2, 0.0), "anneal_lr": True})
    results = [train("PPO", Felt(None, None), settings)[0] for settings in (by_flag, by_schedule)]
    np.testing.assert_array_equal(*results)


def test_the_same_settings_give_the_same_outcome():
    """So what the tests above see is the field."""
    for name, env in (("SAC", World), ("TD3", Goals), ("PPO", Choices)):
        felt = Felt(None, None, "", dict(hindsight="final") if env is Goals else {}, env)
        (first, _), (second, _) = (train(name, felt, {}) for _ in range(2))
        np.testing.assert_array_equal(first, second)


def test_defaults_and_ranges_are_what_was_decided():
    """Who changes one on purpose runs `python -m tests.rl.defaults > tests/rl/defaults.csv`."""
    assert defaults.table() == defaults.FILE.read_text().splitlines()
