"""What test_settings.py says of the fields of methods that learn from a data set."""

from collections.abc import Mapping

from tests.rl.felt import Felt
from tests.rl.felt_values import of_choices

GIVEN = dict(offline_steps=20)  # with it a data set is given; without, the environment is stepped from the start
NETWORK: dict[str, Felt] = {
    "offline_steps": Felt(10, 50, "-stored"),
    "lr": Felt(1e-4, 1e-2, "moved"),
    "hidden": Felt((6,), (6, 6), "parameters"),
    "activation": Felt("relu", "tanh"),
    "normalize_observations": Felt(False, True),
    "normalizer": Felt("standard", "min-max"),
    "observation_clip": Felt(0.5, 10.0),
}
REGRESSION: dict[str, Felt] = {
    "sigma": Felt("fixed", "vector", "parameters", GIVEN),
    "initial_sigma": Felt(0.1, 1.0, "", GIVEN),
    "max_grad_norm": Felt(0.01, 10.0, "", GIVEN),
}
WEIGHTS = {"beta": Felt(0.1, 10.0, "", GIVEN), "largest_weight": Felt(1.1, 20.0, "", dict(beta=0.1))}


def tables(replay: Mapping[str, Felt], soft: Mapping[str, Felt]) -> dict[str, dict[str, Felt]]:
    """By algorithm; `replay` holds the entries of `ReplayConfig`, `soft` those of a temperature."""
    data = {name: replay[name] for name in ("num_envs", "batch_size", "memory", "warmup")} | NETWORK
    values = data | {"gamma": replay["gamma"], "tau": Felt(0.01, 0.5)}
    smoothing = {"smoothing": Felt(0.0, 0.9, "", GIVEN), "smoothing_clip": Felt(0.01, 0.9, "", GIVEN)}
    exploration = {"delay": Felt(1, 4, "-policy steps"), "exploration": Felt(0.0, 0.8, "spread of actions")}
    penalty = {"conservatism": Felt(0.0, 10.0, "", GIVEN), "penalty": Felt("logsumexp", "uniform"), "draws": Felt(1, 4)}
    return {
        "BC": data | REGRESSION,
        "TD3BC": values | smoothing | exploration | {"value_weight": Felt(0.0, 10.0, "", GIVEN)},
        "SACBC": values
        | {"value_weight": Felt(0.0, 10.0, "", GIVEN)}
        | {name: soft[name] for name in ("temperature", "target_entropy")},
        "DDQNBC": of_choices(values | {"imitation": Felt(0.0, 10.0, "", GIVEN), "choice_temperature": Felt(0.1, 10.0, "", GIVEN)}),
        "FittedSARSA": of_choices(values | {"random_share": Felt(0.0, 0.9, "", dict(warmup=8))}),
        "AWR": data | REGRESSION | WEIGHTS | {"gamma": Felt(0.5, 0.99, "discount"), "lam": Felt(0.0, 1.0, "-discount")},
        "AWAC": values | REGRESSION | WEIGHTS | {"draws": Felt(1, 4, "", GIVEN)},
        **{name: values | REGRESSION | {"beta": Felt(0.0, 10.0, "", GIVEN)} for name in ("ForwardKL", "ReverseKL")},
        "IQL": values | REGRESSION | WEIGHTS | {"expectile": Felt(0.2, 0.9)},
        "CQL": values | penalty | {name: soft[name] for name in ("temperature", "target_entropy")},
    }
