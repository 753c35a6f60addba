"""How an operation's CASES describe its arguments, for the checks that run on every operation.

A tuple of ints is an array of standard normal values of that shape; `Kinked`, `Uniform`, `Integers` and `Booleans` say
otherwise; anything else is passed as it is, a constant array included. Drawn float arrays are differentiated, nothing else is.

An operation's module has `forward`, `backward` and a list CASES. A module of losses has a dictionary CASES: each loss, a function
`loss(y, target, …) -> (value, dy)` or `(value, dy, info)`, with its list of cases; dy is one gradient, or a tuple of one for each
of the loss's first arguments.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Kinked:
    """Standard normal values, those within `gap` of a kink moved away from it to the side they were on."""

    shape: tuple[int, ...]
    kinks: tuple[float, ...]
    gap: float = 0.05


@dataclass(frozen=True)
class Uniform:
    """A float array with values in [low, high)."""

    shape: tuple[int, ...]
    low: float
    high: float


@dataclass(frozen=True)
class Integers:
    """An integer array with values in [0, high)."""

    shape: tuple[int, ...]
    high: int


@dataclass(frozen=True)
class Booleans:
    """A Boolean array; each value is True with probability `share`."""

    shape: tuple[int, ...]
    share: float = 0.5


def draw(case: dict, rng: np.random.Generator, dtype=np.float64) -> dict:
    """Arguments for one case."""
    drawn = {}
    for name, spec in case.items():
        if isinstance(spec, Uniform):
            drawn[name] = rng.uniform(spec.low, spec.high, spec.shape).astype(dtype)
        elif isinstance(spec, Integers):
            drawn[name] = rng.integers(spec.high, size=spec.shape)
        elif isinstance(spec, Booleans):
            drawn[name] = rng.random(spec.shape) < spec.share
        elif isinstance(spec, Kinked):
            drawn[name] = _away_from(spec, rng.normal(size=spec.shape)).astype(dtype)
        else:
            drawn[name] = rng.normal(size=spec).astype(dtype) if is_shape(spec) else spec
    return drawn


def _away_from(spec: Kinked, x: np.ndarray) -> np.ndarray:
    for kink in spec.kinks:
        x = np.where(np.abs(x - kink) < spec.gap, kink + np.where(x >= kink, spec.gap, -spec.gap), x)
    return x


def tupled(values) -> tuple:
    """One array as a tuple of one; a tuple as it is. For results and gradients, of which an operation may have several."""
    return values if isinstance(values, tuple) else (values,)


def upstream(y, rng: np.random.Generator) -> Any:
    """A random gradient for y: an array, or a tuple of them, of y's shapes and dtypes."""
    drawn = tuple(rng.normal(size=part.shape).astype(part.dtype) for part in tupled(y))
    return drawn if isinstance(y, tuple) else drawn[0]


def dot(a, b) -> float:
    """⟨a, b⟩ summed over all parts of two results, gradients or tangents."""
    return float(sum((x * y).sum() for x, y in zip(tupled(a), tupled(b), strict=True)))


def is_shape(spec) -> bool:
    """Whether a case's entry is a shape: a tuple of ints."""
    return isinstance(spec, tuple) and all(type(n) is int for n in spec)


def differentiable(case: dict) -> list[str]:
    """Names of the arguments that get a gradient, in the order in which `backward` returns them."""
    return [name for name, spec in case.items() if is_shape(spec) or isinstance(spec, Uniform | Kinked)]


def operations(*packages: str) -> dict[str, ModuleType]:
    """Every operation with CASES in these packages: its full name ("deepnp.ops.activation.tanh") -> its module."""
    return {name: module for name, module in _with_cases(packages) if isinstance(module.CASES, list)}


def losses(*packages: str) -> dict[str, tuple[Callable, list[dict]]]:
    """Every loss with CASES in these packages: its full name ("deepnp.losses.regression.mse") -> the function and its cases."""
    found = {}
    for name, module in _with_cases(packages):
        if isinstance(module.CASES, dict):
            found |= {f"{name}.{loss.__name__}": (loss, cases) for loss, cases in module.CASES.items()}
    return found


def _with_cases(packages: tuple[str, ...]):
    for package in map(importlib.import_module, packages):
        for info in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            module = importlib.import_module(info.name)
            if not info.ispkg and hasattr(module, "CASES"):
                yield info.name, module
