"""What a tuning searches: which settings, and where.

The table below holds what is worth searching, by the names that Configs share; an algorithm
searches those that its Config has. The ranges follow RL Baselines3
Zoo (rl_zoo3/hyperparams_opt.py), narrowed to what two cores can pay for.

As text, for a command line: "1e-5:1e-2:log" or "0.8:1" for a range, "64,128,256" for a choice.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import Field, dataclass, fields
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from rl.config import WIDTHS
from rl.takes import Takes
from rl.training.recipes import config_of

LEAST: Mapping[str, int] = MappingProxyType({"warmup": 4, "steps": 4 * 8})  # a trial has at least 4, of 8 copies


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; with `log`, each factor is as probable as any other."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self):
        numbers = all(isinstance(x, int | float) and np.isfinite(x) for x in (self.low, self.high))
        if not numbers or not self.low <= self.high or (self.log and self.low <= 0):
            raise ValueError(f"expected a range of finite numbers, low <= high, above 0 with log, given {self}")

    def __contains__(self, value: Any) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    values: Sequence[Any]

    def __post_init__(self):
        object.__setattr__(self, "values", tuple(_tuple(value) for value in self.values))
        if not self.values:
            raise ValueError("expected at least one value to choose from, given none")

    def __contains__(self, value: Any) -> bool:
        return _tuple(value) in self.values


Domain = Range | Choice

NETWORKS = Choice(((64, 64), (128, 128), (256, 256)))
ON_POLICY: Mapping[str, Domain] = MappingProxyType(
    {
        "num_envs": Choice((4, 8, 16)),
        "steps": Choice((64, 128, 256, 512)),
        "epochs": Choice((4, 10, 20)),
        "batch_size": Choice((32, 64, 128, 256)),
        "gamma": Choice((0.9, 0.95, 0.98, 0.99, 0.995, 0.999)),
        "lam": Choice((0.8, 0.9, 0.95, 0.98, 1.0)),
        "lr": Range(1e-5, 1e-2, log=True),
        "clip": Choice((0.1, 0.2, 0.3)),
        "entropy_coef": Range(1e-6, 0.1, log=True),
        "initial_sigma": Choice((0.4, 0.6, 1.0)),
        "hidden": NETWORKS,
        "activation": Choice(("tanh", "relu")),
    }
)
OFF_POLICY: Mapping[str, Domain] = MappingProxyType(
    {
        "warmup": Choice((100, 500, 1_000, 5_000, 10_000)),
        "batch_size": Choice((64, 128, 256)),
        "gamma": Choice((0.9, 0.95, 0.98, 0.99, 0.995)),
        "tau": Choice((0.002, 0.005, 0.01, 0.02)),
        "lr": Range(3e-5, 3e-3, log=True),
        "exploration": Range(0.05, 0.4),
        "hidden": NETWORKS,
        "model_lr": Range(1e-4, 3e-3, log=True),
    }
)

TABLE: Mapping[str, Domain] = MappingProxyType(
    {
        "gamma": Choice((0.9, 0.95, 0.98, 0.99, 0.995)),
        "lr": Range(0.01, 1.0, log=True),
        "exploration": Range(0.01, 0.5),
        "planning": Choice((0, 5, 50)),
    }
)


class Suggests(Protocol):
    """What a trial of Optuna's offers."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int: ...

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...

    def suggest_categorical(self, name: str, choices: list[str]) -> Any: ...


def space_of(config: Any, takes: Takes, steps: int) -> dict[str, Domain]:
    """What is searched for an algorithm unless told: the settings of the table that its Config has.

    Parameters
    ----------
    config : type
        The algorithm's Config.
    takes : Takes
    steps : int
        Of a trial: what would leave too little of them to learn from is left out.
    """
    known = {f.name for f in fields(config)}
    table = TABLE if takes.tables else ON_POLICY if takes.on_policy else OFF_POLICY
    space = {name: domain for name, domain in table.items() if name in known}
    for name in LEAST.keys() & space.keys():
        values = space[name].values  # type: ignore[union-attr]
        space[name] = Choice([value for value in values if value * LEAST[name] <= steps] or values[:1])
    return space


def completed(space: Mapping[str, Domain | None] | Iterable[str], config: Any, default: Mapping[str, Domain]) -> dict[str, Domain]:
    """A user's space, with domains where it only names a setting: the table's, or else all that the field allows.

    Raises
    ------
    ValueError
        For a setting that the Config has not, values that it does not allow, or a field without
        bounds and without a domain.
    """
    given = dict(space) if isinstance(space, Mapping) else dict.fromkeys(space)
    known = {f.name: f for f in fields(config)}
    if not given:
        raise ValueError("expected settings to search, given none")
    result: dict[str, Domain] = {}
    for name, domain in given.items():
        if name not in known:
            raise ValueError(f"expected settings of {config.__name__} to search, given {name!r:.80}")
        chosen = domain if domain is not None else default.get(name) or _allowed(known[name])
        if not isinstance(chosen, Range | Choice):
            raise ValueError(f"expected a Range or a Choice for {name}, given {chosen!r:.80}")
        for value in chosen.values if isinstance(chosen, Choice) else _ends(known[name], chosen):
            config_of(config.algorithm, {name: value})
        result[name] = chosen
    return result


def suggest(trial: Suggests, space: Mapping[str, Domain], config: Any) -> dict[str, Any]:
    """The settings that a trial is to try."""
    whole = {f.name: _is_whole(f) for f in fields(config)}
    return {name: _suggest(trial, name, domain, whole[name]) for name, domain in space.items()}


def settings_of(params: Mapping[str, Any], space: Mapping[str, Domain]) -> dict[str, Any]:
    """The settings that a trial tried, from its parameters."""
    return {name: _value(space[name], value) for name, value in params.items()}


def label(domain: Domain, value: Any) -> Any:
    """A value as a trial's parameter holds it: choices are JSON, because lists of widths are no choice to Optuna."""
    return json.dumps(value) if isinstance(domain, Choice) else value


def space_to_json(space: Mapping[str, Domain]) -> dict[str, Any]:
    """A space as JSON holds it."""
    return {name: [d.low, d.high, d.log] if isinstance(d, Range) else {"choices": d.values} for name, d in space.items()}


def space_from_json(content: Mapping[str, Any]) -> dict[str, Domain]:
    """What `space_to_json` made."""
    return {name: Range(*d) if isinstance(d, list) else Choice(d["choices"]) for name, d in content.items()}


def domain_of(text: str) -> Domain:
    """A domain from text: "1e-5:1e-2:log", "0.8:1", "64,128,256", "tanh,relu", "[64,64],[256,256]".

    Raises
    ------
    ValueError
        For any other text.
    """
    try:
        if ":" in text:
            low, high, *rest = text.split(":")
            if rest not in ([], ["log"]):
                raise ValueError(f"{rest[0]!r} is not log")
            return Range(_number(low), _number(high), bool(rest))
        try:
            return Choice(json.loads(f"[{text}]"))
        except json.JSONDecodeError:
            return Choice([word.strip() for word in text.split(",") if word.strip()])
    except ValueError as error:
        raise ValueError(f"expected LOW:HIGH, LOW:HIGH:log or VALUE,VALUE,…, given {text!r:.80}: {error}") from None


def _suggest(trial: Suggests, name: str, domain: Domain, whole: bool) -> Any:
    if isinstance(domain, Choice):
        return _value(domain, trial.suggest_categorical(name, [label(domain, value) for value in domain.values]))
    if whole:
        return trial.suggest_int(name, int(domain.low), int(domain.high), log=domain.log)
    return trial.suggest_float(name, domain.low, domain.high, log=domain.log)


def _value(domain: Domain, param: Any) -> Any:
    return _tuple(json.loads(param)) if isinstance(domain, Choice) else param


def _allowed(f: Field) -> Domain:
    """All that a field allows."""
    low, high, choices = (f.metadata[name] for name in ("low", "high", "choices"))
    if choices:
        return Choice(tuple(choices))
    if f.type is bool:
        return Choice((False, True))
    if f.type in WIDTHS or low is None or not np.isfinite([low, high]).all():
        raise ValueError(f"expected a Range or a Choice for {f.name}, whose own range has no end")
    return Range(low, high)


def _ends(f: Field, domain: Range) -> tuple[float, float]:
    if not _is_whole(f):
        return domain.low, domain.high
    if int(domain.low) != domain.low or int(domain.high) != domain.high:
        raise ValueError(f"expected whole numbers for {f.name}, given {domain}")
    return int(domain.low), int(domain.high)


def _is_whole(f: Field) -> bool:
    return f.type in (int, int | None)


def _number(text: str) -> float:
    return int(text) if text.strip().lstrip("-").isdecimal() else float(text)
