"""Dueling heads (Wang et al. 2016): how good a state is, and how much better each choice is than the others.

    h = trunk(s)        v = value(h)        a = advantage(h)

Forward     q_j = v + a_j − (1/C) Σ_i a_i          Eq 9: without the mean, a constant could wander between v and a
Backward    dv = Σ_j dq_j                          every q_j holds v
            da_i = dq_i − (1/C) Σ_j dq_j           q_i holds a_i itself; every q_j holds −a_i/C
            dh = what both heads send back

Where each choice has Z numbers instead of one, this holds for each of them.

Shapes: B rows, H features, C choices, Z numbers of a choice.
"""

import numpy as np

from deepnp import Module
from deepnp.parameters import Tangents
from rl.experience.trees import Observations


class Dueling(Module):
    """Observations -> (B, C·Z), choice after choice.

    Parameters
    ----------
    trunk : Module
        Observations (B, …) -> features (B, H).
    value : Module
        (B, H) -> (B, Z).
    advantage : Module
        (B, H) -> (B, C·Z).
    choices : int
        C.
    """

    def __init__(self, trunk: Module, value: Module, advantage: Module, choices: int):
        self.trunk, self.value, self.advantage, self.choices = trunk, value, advantage, choices

    def forward(self, x: Observations) -> np.ndarray:
        h = self.trunk.forward(x)
        return self._joined(self.value.forward(h), self.advantage.forward(h))

    def backward(self, dy: np.ndarray, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        dq = self._by_choice(dy)
        total = dq.sum(axis=1)  # (B, Z)
        da = (dq - total[:, None] / dq.dtype.type(self.choices)).reshape(dy.shape)
        dh = self.value.backward(total, params) + self.advantage.backward(da, params)
        return self.trunk.backward(dh, params, inputs)

    def predict(self, x: Observations) -> np.ndarray:
        h = self.trunk.predict(x)
        return self._joined(self.value.predict(h), self.advantage.predict(h))

    def _tangent(self, v: Tangents, vx) -> np.ndarray:
        vh = self.trunk.tangent(v, vx)
        return self._joined(self.value.tangent(v, vh), self.advantage.tangent(v, vh))

    def _joined(self, v, a):
        by_choice = self._by_choice(a)
        return (by_choice - by_choice.mean(axis=1, keepdims=True) + v[:, None]).reshape(a.shape)

    def _by_choice(self, y):
        """(B, C·Z) -> (B, C, Z)."""
        return y.reshape(len(y), self.choices, -1)
