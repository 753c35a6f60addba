"""The normalisers of observations: the standardiser of normalize.py, and the one by the range that was seen.

    "standard"    x̂ = (x − μ)/(σ + ε)
    "min-max"     x̂ = (x − min)/(max − min)                in [0, 1] where something like x was seen before (Eq. 39 of the thesis)

Both are (x − shift)/scale, held in ±clip. A single outlier moves the range for good, and the mean and the deviation hardly; so the
thesis prefers the standardiser.

Shapes: N environments, O observation.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from rl.experience.normalize import ObservationNormalizer


class Normalizer(Protocol):
    """What normalises observations, and learns from them how."""

    clip: float

    @property
    def shift(self) -> np.ndarray: ...

    @property
    def scale(self) -> np.ndarray: ...

    def update(self, observations: np.ndarray) -> None: ...

    def __call__(self, observations: np.ndarray) -> np.ndarray: ...

    def state_dict(self) -> dict[str, np.ndarray]: ...

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None: ...


class MinMaxNormalizer:
    """x̂ = clip((x − min)/(max − min), ±clip), with the smallest and the largest value seen so far.

    A feature that was always the same gets x − min, which is 0. Frozen in evaluation: only `update` learns.

    Parameters
    ----------
    size : int
        O.
    clip : float
        Bound of the result.
    """

    def __init__(self, size: int, clip: float = 10.0):
        self.count = 0.0
        self.low, self.high = np.zeros(size), np.zeros(size)
        self.clip = clip

    @property
    def shift(self) -> np.ndarray:
        """What is subtracted (O,)."""
        return self.low

    @property
    def scale(self) -> np.ndarray:
        """What is divided by (O,)."""
        return np.where(self.high > self.low, self.high - self.low, 1.0)

    def update(self, observations: np.ndarray) -> None:
        """Take in observations (N, O)."""
        if len(observations) == 0:
            return
        low, high = observations.min(axis=0), observations.max(axis=0)
        self.low[:] = np.minimum(self.low, low) if self.count else low
        self.high[:] = np.maximum(self.high, high) if self.count else high
        self.count += len(observations)

    def __call__(self, observations: np.ndarray) -> np.ndarray:
        """Normalise (…, O) into a new float32 array; learns nothing."""
        return np.clip((observations - self.shift) / self.scale, -self.clip, self.clip).astype(np.float32)

    def state_dict(self) -> dict[str, np.ndarray]:
        return {"count": np.array(self.count), "low": self.low, "high": self.high}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        low, high, count = state["low"], state["high"], float(state["count"])
        for name, array in (("low", low), ("high", high)):
            if array.shape != self.low.shape or not np.isfinite(array).all():
                raise ValueError(f"expected finite bounds of {len(self.low)} features, given {name} of shape {array.shape}")
        if (low > high).any() or not 0 <= count < np.inf:
            raise ValueError(f"expected bounds low <= high of 0 or more values, given {low}, {high} of {count}")
        self.low[:], self.high[:], self.count = low, high, count


NORMALIZERS: Mapping[str, type] = MappingProxyType({"standard": ObservationNormalizer, "min-max": MinMaxNormalizer})


def normalizer_of(config: Any, size: int) -> Normalizer | None:
    """The normaliser that the settings ask for; None where they ask for none, or there is nothing to normalise.

    Parameters
    ----------
    config : dataclass
        With `normalize_observations`, `normalizer` and `observation_clip`, where it has them.
    size : int
        O.
    """
    if not getattr(config, "normalize_observations", False) or size == 0:
        return None
    return NORMALIZERS[getattr(config, "normalizer", "standard")](size, getattr(config, "observation_clip", 10.0))
