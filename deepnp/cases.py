"""How an operation's CASES describe its arguments, for the checks that run on every operation.

A tuple of ints is an array of standard normal values of that shape; `Kinked`, `Uniform` and `Integers` say otherwise; anything
else is passed as it is. Float arrays are differentiated, integer arrays are not.
"""

from dataclasses import dataclass

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


def draw(case: dict, rng: np.random.Generator, dtype=np.float64) -> dict:
    """Arguments for one case."""
    drawn = {}
    for name, spec in case.items():
        if isinstance(spec, Uniform):
            drawn[name] = rng.uniform(spec.low, spec.high, spec.shape).astype(dtype)
        elif isinstance(spec, Integers):
            drawn[name] = rng.integers(spec.high, size=spec.shape)
        elif isinstance(spec, Kinked):
            drawn[name] = _away_from(spec, rng.normal(size=spec.shape)).astype(dtype)
        else:
            drawn[name] = rng.normal(size=spec).astype(dtype) if is_shape(spec) else spec
    return drawn


def _away_from(spec: Kinked, x: np.ndarray) -> np.ndarray:
    for kink in spec.kinks:
        x = np.where(np.abs(x - kink) < spec.gap, kink + np.where(x >= kink, spec.gap, -spec.gap), x)
    return x


def is_shape(spec) -> bool:
    """Whether a case's entry is a shape: a tuple of ints."""
    return isinstance(spec, tuple) and all(type(n) is int for n in spec)


def differentiable(case: dict) -> list[str]:
    """Names of the arguments that get a gradient, in the order in which `backward` returns them."""
    return [name for name, spec in case.items() if is_shape(spec) or isinstance(spec, Uniform | Kinked)]
