"""A policy and a value on one trunk: what both find useful in an observation is found once.

    h = trunk(s)        π(·|s) = policy(h)        V(s) = value(h)
    dh = the sum of what both heads send back, and one pass through the trunk with it

It pays where the trunk is expensive, as with images. The price: one loss, L_π + c_v L_V, whose weight c_v matters now, and one
learning rate.

Shapes: B rows, H features.
"""

from typing import Any

import numpy as np

from deepnp import Module
from rl.experience.trees import Observations


class SharedPolicy(Module):
    """π and V, trained together; as a policy, where it predicts, it gives π alone.

    Parameters
    ----------
    trunk : Module
        Observations (B, …) -> features (B, H).
    policy : Module
        A policy that reads features, and the mask behind them where there is one.
    value : Module
        The same for V: -> (B, 1).
    masked : bool
        Whether observations end in an action mask, which goes past the trunk to the heads.
    """

    def __init__(self, trunk: Module, policy: Module, value: Module, masked: bool = False):
        self.trunk, self.policy, self.value, self.masked = trunk, policy, value, masked

    def forward(self, x: Observations) -> tuple[Any, np.ndarray]:
        """x (B, …) -> π(·|s), and V (B, 1)."""
        h = self._features(self.trunk.forward(x), x)
        return self.policy.forward(h), self.value.forward(h)

    def backward(self, dy: tuple, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        """dy = (what the policy's `backward` takes, dV (B, 1))."""
        dpolicy, dvalue = dy
        dh = self.policy.backward(dpolicy, params) + self.value.backward(dvalue, params)
        return self.trunk.backward(dh, params, inputs)

    def predict(self, x: Observations) -> Any:
        """π(·|s) alone, remembering nothing."""
        return self.policy.predict(self._features(self.trunk.predict(x), x))

    def predict_value(self, x: Observations) -> np.ndarray:
        """V alone (B, 1)."""
        return self.value.predict(self._features(self.trunk.predict(x), x))

    def _features(self, h, x):
        return (h, x[-1]) if self.masked else h


class SharedValue:
    """The value of a `SharedPolicy`, to be asked like a network of its own.

    Parameters
    ----------
    shared : SharedPolicy
        It owns the parameters.
    """

    def __init__(self, shared: SharedPolicy):
        self._shared = shared

    def predict(self, x: Observations) -> np.ndarray:
        """Observations (B, …) -> V (B, 1)."""
        return self._shared.predict_value(x)
