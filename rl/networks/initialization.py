"""Other initial weights for networks that were made orthogonal."""

import numpy as np

from deepnp import Linear, Module
from deepnp.initializers import xavier_uniform


def glorot(body: Module, rng: np.random.Generator) -> None:
    """Draw the weights of all linear layers from U(±√(6/(in + out))), and set their biases to 0, in place."""
    for module in body.modules():
        if isinstance(module, Linear):
            module.weight.data[...] = xavier_uniform(module.weight.data.shape, rng)
            if module.bias is not None:
                module.bias.data[...] = 0
