"""The greedy action of a critic, by gradient ascent.

    a_0 = 0        a_{k+1} = clip(a_k + η ∂Q(s, a_k)/∂a, ±1)        k < K

It ends at a local maximum of Q(s, ·), where K steps reach that far. A maximum at a bound stays there.

Shapes: B rows, O observation, A action dimensions.
"""

from typing import Any

import numpy as np

from deepnp import Module, SpectralNorm
from deepnp.backend import array_module
from deepnp.layers.batch_normalization import BatchNorm
from rl.experience.trees import Observations, vector
from rl.networks.chains import action_gradient


class AscentPolicy(Module):
    """Observations (B, …) -> actions (B, A) in [−1, 1], over the critic's own parameters.

    Parameters
    ----------
    critic : Module
        Q: [observations, actions] side by side (B, O + A) -> (B, 1).
    actions : int
        A.
    steps : int
        K.
    rate : float
        η.

    Raises
    ------
    ValueError
        For a critic with batch or spectral normalisation: each of the K passes would change it.
    """

    def __init__(self, critic: Module, actions: int, steps: int, rate: float):
        changing = [module for module in critic.modules() if isinstance(module, BatchNorm | SpectralNorm)]
        if changing:
            raise ValueError(f"expected a critic that passes leave as it is, for gradient ascent, given {changing[0]!r}")
        self.critic, self.actions, self.steps, self.rate = critic, actions, steps, rate

    def forward(self, x: Observations) -> np.ndarray:
        return self.predict(x)

    def backward(self, dy: Any, params: bool = True, inputs: bool = True) -> Any:
        """TypeError: nothing learns through the ascent, as the actions are targets and no function that is trained."""
        raise TypeError("expected no gradient through gradient ascent: train the critic, policy.critic")

    def predict(self, x: Observations) -> np.ndarray:
        rows = vector(x)
        actions = array_module(rows).zeros((len(rows), self.actions), rows.dtype)
        rate, one = rows.dtype.type(self.rate), rows.dtype.type(1)
        for _ in range(self.steps):
            actions = (actions + rate * action_gradient([self.critic], (x, actions), 1.0)[1]).clip(-one, one)
        return actions
