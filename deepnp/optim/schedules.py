"""Schedules: how a hyperparameter moves with training's progress."""


def linear(start: float, end: float, progress: float) -> float:
    """start + (end − start)·progress, with progress in [0, 1] held at its ends."""
    return start + (end - start) * min(max(progress, 0.0), 1.0)
