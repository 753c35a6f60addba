"""Multilayer perceptron."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from deepnp.initializers import orthogonal
from deepnp.layers import ELU, GELU, SELU, LeakyReLU, Linear, Mish, ReLU, Sequential, SiLU, Sine, Tanh
from deepnp.module import Module


def mlp(
    sizes: Sequence[int],
    activation: Callable[[], Module] = Tanh,
    output_gain: float = 1.0,
    rng: np.random.Generator | None = None,
    dtype=np.float32,
    normalization: Callable[[int], Module] | None = None,
) -> Sequential:
    """Linear layers with activations between them, orthogonally initialised: what policies and
    critics are.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, hidden widths…, outputs: at least two.
    activation : callable returning a Module
        `Tanh` or `ReLU`, say.
    output_gain : float
        Gain of the last layer's orthogonal weights: 0.01 for a policy that starts undecided, 1 for
        a value.
    rng : numpy.random.Generator or None
        Source of the initial weights.
    normalization : callable, features -> Module, optional
        `LayerNorm`, say: between each hidden layer and its activation.
    """
    if len(sizes) < 2:
        raise ValueError(f"expected at least an input and an output size, given {list(sizes)}")
    rng = rng or np.random.default_rng()
    modules: list[Module] = []
    for i in range(1, len(sizes)):
        last = i == len(sizes) - 1
        weight = partial(orthogonal, gain=output_gain if last else math.sqrt(2))
        modules.append(Linear(sizes[i - 1], sizes[i], weight=weight, rng=rng, dtype=dtype))
        if not last:
            modules += [normalization(sizes[i])] if normalization else []
            modules.append(activation())
    return Sequential(*modules)


ACTIVATIONS: dict[str, Callable[[], Module]] = {
    "tanh": Tanh,
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "selu": SELU,
    "gelu": GELU,
    "silu": SiLU,
    "mish": Mish,
    "sine": Sine,
}
