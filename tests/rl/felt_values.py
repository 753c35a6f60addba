"""What test_settings.py says of the fields of value-based methods."""

from collections.abc import Mapping
from dataclasses import replace

from tests.rl.felt import Felt
from tests.rl.references.worlds import Choices, Goals, World
from tests.rl.toys import Steered


def steered_goals() -> Steered:
    """A task with goals, and two choices."""
    return Steered(Goals())


def of_choices(table: Mapping[str, Felt]) -> dict[str, Felt]:
    """The same entries, in environments with choices."""
    envs = {World: Choices, Goals: steered_goals}
    return {name: replace(felt, env=envs[felt.env]) for name, felt in table.items()}


NETWORK: dict[str, Felt] = {
    "lr": Felt(1e-4, 1e-2, "moved"),
    "hidden": Felt((6,), (6, 6), "parameters"),
    "activation": Felt("relu", "tanh"),
}
GREEDY = dict(random_share=0.0, random_steps=0)
Q: dict[str, Felt] = NETWORK | {
    "random_share": Felt(0.0, 0.9, "", dict(warmup=8, random_steps=0)),
    "random_steps": Felt(0, 500, "", dict(random_share=0.0)),
    "boltzmann": Felt(0.01, 10.0, "", GREEDY),
    "dueling": Felt(False, True, "parameters"),
    "double": Felt(False, True, "", dict(target_interval=30, lr=0.1)),
    "priority_offset": Felt(0.01, 10.0, "", dict(priority_exponent=0.8)),
    "targets": Felt("none", "polyak"),
    "target_interval": Felt(3, 50),
    "tau": Felt(0.01, 0.5, "", dict(targets="polyak")),
}


ON_POLICY_SAC: dict[str, Felt] = NETWORK | {
    "num_envs": Felt(1, 3, "-iterations of the environment"),
    "steps": Felt(5, 20, "-updates"),
    "epochs": Felt(1, 3, "policy steps"),
    "gamma": Felt(0.1, 0.99),
    "lr": Felt(1e-4, 1e-2, "moved of the policy"),
    "critic_lr": Felt(1e-4, 1e-2, "moved of the value"),
    "temperature": Felt(0.001, 2.0, "entropy", dict(epochs=20)),
    "initial_temperature": Felt(0.1, 1.0, "alpha"),
    "target_entropy": Felt(-20.0, 20.0, "alpha"),
    "normalize_observations": Felt(False, True),
    "normalizer": Felt("standard", "min-max"),
    "observation_clip": Felt(0.5, 10.0),
    "scale_rewards": Felt(False, True, "-critic_loss"),
}


def tables(replay: Mapping[str, Felt], soft: Mapping[str, Felt]) -> dict[str, dict[str, Felt]]:
    """By algorithm; `replay` holds the entries of `ReplayConfig`, `soft` those of a temperature."""
    limit, rate = {"error_limit": Felt(0.01, 1.0)}, {"tau": Felt(0.01, 0.5)}
    data = {name: replay[name] for name in ("num_envs", "gamma", "batch_size", "memory")}
    data |= {name: replay[name] for name in ("normalize_observations", "normalizer", "observation_clip")}
    shared = of_choices({**replay, **Q})
    own_soft = {**NETWORK, **limit, **rate, **soft, "critic_lr": Felt(1e-4, 1e-2, "moved", dict(lr=1e-4))}
    still = {  # its μ saturates within a few steps of 1e-2
        "random_share": Felt(0.0, 0.9, "spread of actions", dict(warmup=8, exploration=0.0, lr=1e-4)),
        "priority_offset": Felt(0.01, 10.0, "weight", dict(priority_exponent=0.8, lr=1e-4)),
    }
    noise = {"noise": Felt("gaussian", "shaped"), "exploration": Felt(0.0, 0.8, "spread of actions")}
    return {
        "DQN": shared | of_choices({**limit, "soft_target": Felt(False, True, "", dict(boltzmann=1.0))}),
        "C51": shared
        | of_choices({"atoms": Felt(5, 11, "parameters"), "lowest": Felt(-100.0, -50.0), "highest": Felt(50.0, 100.0)}),
        "QRDQN": shared | of_choices({"quantiles": Felt(2, 5, "parameters"), "quantile_limit": Felt(0.01, 1.0)}),
        "FQI": of_choices({**data, **NETWORK, **limit, "rounds": Felt(1, 3, "updates"), "round_steps": Felt(5, 10, "updates")}),
        "DiscreteSAC": of_choices({**replay, **own_soft, "random_share": Felt(0.0, 0.9, "", dict(warmup=8))}),
        "NAF": {**replay, **NETWORK, **limit, **rate, **noise, **still},
    }


SCHEDULES = {
    **{(name, "tau"): (0.1, 0.01, dict(targets="polyak")) for name in ("DQN", "C51", "QRDQN")},
    **{(name, "random_share"): (0.1, 0.9, dict(random_steps=0)) for name in ("DQN", "C51", "QRDQN")},
    **{(name, "boltzmann"): (10.0, 0.01, GREEDY) for name in ("DQN", "C51", "QRDQN")},
}
