"""Networks of one shape with parameters of their own, as one: every array has a leading axis of members.

Forward    y_e = x_e W_e + b_e                for all members e in one batched product
Backward   dx_e = dy_e W_eᵀ                   members share nothing, so each line is that of one linear layer
           dW_e = x_eᵀ dy_e
           db_e = Σ_b dy_e

Shapes: E members, B rows, I inputs, O outputs.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from deepnp import Module, Sequential
from deepnp.checks import check_shape
from deepnp.initializers import orthogonal
from deepnp.parameters import Parameter


class MemberLinear(Module):
    """A linear layer for each member.

    Parameters
    ----------
    members, in_features, out_features : int
        E, I and O.
    gain : float
        Of the orthogonal weights, drawn member by member.
    rng : numpy.random.Generator

    Attributes
    ----------
    weight : Parameter (E, I, O)
    bias : Parameter (E, 1, O)
    """

    def __init__(self, members: int, in_features: int, out_features: int, gain: float, rng: np.random.Generator):
        weights = [orthogonal((out_features, in_features), rng, gain).T for _ in range(members)]
        self.weight = Parameter(np.stack(weights).astype(np.float32))
        self.bias = Parameter(np.zeros((members, 1, out_features), np.float32))
        self._cache = None

    def forward(self, x) -> np.ndarray:
        """x (E, B, I) -> y (E, B, O). Rows that all members read may come once, (1, B, I): then there is no dx."""
        y = self.predict(x)
        self._cache = x
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        x, weight = self.cache, self.weight.data
        check_shape("dy", dy, (len(weight), x.shape[1], weight.shape[2]))
        if params:
            self.weight.grad += x.transpose(0, 2, 1) @ dy
            self.bias.grad += dy.sum(axis=1, keepdims=True)
        return dy @ weight.transpose(0, 2, 1) if inputs else None

    def predict(self, x) -> np.ndarray:
        weight = self.weight.data
        if x.ndim != 3 or len(x) not in (1, len(weight)) or x.shape[2] != weight.shape[1]:
            raise ValueError(f"expected input of shape ({len(weight)} or 1, B, {weight.shape[1]}), given {x.shape}")
        y = x @ weight
        y += self.bias.data
        return y

    def predict_one(self, x, member: int) -> np.ndarray:
        """x (B, I) -> y (B, O) of one member."""
        y = x @ self.weight.data[member]
        y += self.bias.data[member]
        return y


def members_mlp(members: int, sizes: Sequence[int], activation: Callable[[], Module], rng: np.random.Generator) -> Sequential:
    """A perceptron for each of E members, orthogonally initialised like `deepnp.models.mlp`: x (E, B, I) -> y (E, B, O).

    Parameters
    ----------
    members : int
        E.
    sizes : sequence of int
        Inputs, hidden widths…, outputs.
    activation : callable returning a Module
        Between the layers.
    rng : numpy.random.Generator
        Source of the initial weights.
    """
    layers: list[Module] = []
    for i in range(1, len(sizes)):
        last = i == len(sizes) - 1
        layers.append(MemberLinear(members, sizes[i - 1], sizes[i], 1.0 if last else math.sqrt(2), rng))
        layers += [] if last else [activation()]
    return Sequential(*layers)


def predict_one(body: Sequential, x: np.ndarray, member: int) -> np.ndarray:
    """What one member of a `members_mlp` says: x (B, I) -> (B, O)."""
    for layer in body.steps:
        x = layer.predict_one(x, member) if isinstance(layer, MemberLinear) else layer.predict(x)
    return x
