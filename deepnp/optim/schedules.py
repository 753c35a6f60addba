"""Schedules: how a hyperparameter moves with training's progress.

Each is a pure function of progress p = t/T, held in [0, 1]: there is no state to save, and a resumed run cannot differ.

    linear        start + (end − start)p
    step          start · factorᵏ               k = how many of the given places lie at or before p
    exponential   start · (end/start)ᵖ          the same factor at every step: γᵗ with γ = (end/start)^(1/T)
    cosine        start · p/w while p < w, then end + ½(start − end)(1 + cos πq)       q = (p − w)/(1 − w)
    one_cycle     half a cosine from start up to peak while p < w, then another down to end

The cosine is Loshchilov & Hutter's (2017, no restarts); the one cycle is Smith & Topin's (2018), with cosines as in PyTorch.

Examples
--------
>>> for t in range(steps):
...     optimizer.lr = cosine(3e-4, 0.0, t / steps, warmup=0.05)
...     optimizer.step()
"""

import math
from collections.abc import Iterable


def linear(start: float, end: float, progress: float) -> float:
    """start + (end − start)·progress, with progress in [0, 1] held at its ends."""
    return start + (end - start) * min(max(progress, 0.0), 1.0)


def step(start: float, factor: float, at: Iterable[float], progress: float) -> float:
    """`start`, multiplied by `factor` at each place of `at` that progress has reached."""
    return start * factor ** sum(place <= progress for place in at)


def exponential(start: float, end: float, progress: float) -> float:
    """From `start` to `end`, both > 0, by the same factor over every equal stretch of progress."""
    if not (start > 0 and end > 0):
        raise ValueError(f"expected start > 0 and end > 0, given {start} and {end}")
    return start * (end / start) ** min(max(progress, 0.0), 1.0)


def cosine(start: float, end: float, progress: float, warmup: float = 0.0) -> float:
    """From 0 to `start` in a straight line over the share `warmup` of training, then to `end` along half a cosine."""
    if not 0 <= warmup < 1:
        raise ValueError(f"expected warmup in [0, 1), given {warmup}")
    if warmup > 0 and progress < warmup:
        return linear(0.0, start, progress / warmup)
    return _half_wave(start, end, (progress - warmup) / (1 - warmup))


def one_cycle(start: float, peak: float, end: float, progress: float, warmup: float = 0.3) -> float:
    """From `start` to `peak` over the share `warmup` of training, then to `end`, along half a cosine each."""
    if not 0 < warmup < 1:
        raise ValueError(f"expected warmup in (0, 1), given {warmup}")
    if progress < warmup:
        return _half_wave(start, peak, progress / warmup)
    return _half_wave(peak, end, (progress - warmup) / (1 - warmup))


def _half_wave(start: float, end: float, progress: float) -> float:
    return linear(end, start, 0.5 * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0))))
