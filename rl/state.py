"""Checkpoints are flat: "part.name" -> array. Taking parts together and apart."""

import numpy as np


def join(parts: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """State dictionaries by the names of their parts, as one."""
    return {f"{name}.{key}": array for name, state in parts.items() for key, array in state.items()}


def part(state: dict, name: str) -> dict:
    """The entries of one part, under their own names."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): array for key, array in state.items() if key.startswith(prefix)}
