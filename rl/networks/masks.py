"""Action masks in networks: nobody reads them, and a policy gives what they exclude probability 0.

    z_i ← −∞              for each choice i that is excluded: p_i = 0, ∂/∂z_i = 0, and 0·ln 0 is 0
    z_j ← −10⁹ or 10⁹     for a switch j that has to be off, or on: p_j = σ(z_j) is 0 or 1 to the last bit,
                          so p_j(1 − p_j) is 0

A branch whose choices are all excluded is left as it is: nobody acts there (rl/experience/masks.py).

Shapes: B rows, C choices of all branches, A switches.
"""

from typing import Any

import numpy as np

from deepnp import Module
from rl.experience.actions import ActionLayout
from rl.experience.masks import has_choice
from rl.experience.trees import Observations

HELD = 1e9  # a logit; softplus(10⁹) − 10⁹ is 0 in float32, too


def masked(action: ActionLayout, logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Logits (B, C), or (B, A) of switches, of which those that a mask (B, C) excludes are out of reach."""
    kind = logits.dtype.type
    if action.kind == "MultiBinary":
        off, on = mask[:, 0::2], mask[:, 1::2]
        return np.where(off == on, logits, np.where(on, kind(HELD), kind(-HELD)))
    some = np.repeat(has_choice(mask, action.choices), action.choices, axis=1)
    return np.where(mask | ~some, logits, kind(-np.inf))


class Unmasked(Module):
    """A network that reads observations without their mask.

    Parameters
    ----------
    network : Module
        It reads a vector, or a tuple of it and of images.
    """

    def __init__(self, network: Module):
        self.network = network

    def forward(self, x: tuple) -> np.ndarray:
        return self.network.forward(without_mask(x))

    def backward(self, dy: Any, params: bool = True, inputs: bool = True) -> Any:
        return self.network.backward(dy, params, inputs)

    def predict(self, x: tuple) -> np.ndarray:
        return self.network.predict(without_mask(x))

    def _tangent(self, v, vx):
        return self.network.tangent(v, vx)


def without_mask(x: tuple) -> Observations:
    """Observations whose last part, a mask, is left out."""
    return x[0] if len(x) == 2 else x[:-1]
