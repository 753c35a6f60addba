"""Fusion: `Linear`s and the activations between them as one operation."""

from collections.abc import Iterator, Sequence
from types import ModuleType

import numpy as np

from deepnp.backend import array_module
from deepnp.checks import check_floats
from deepnp.layers.activation import Activation
from deepnp.layers.linear import Linear
from deepnp.module import Module, zeros_if_none
from deepnp.ops import mlp
from deepnp.ops.activation import relu, sigmoid, sine, tanh
from deepnp.parameters import Parameter, consecutive

FUSED = {tanh: (), relu: (), sigmoid: (), sine: (1.0,)}  # that offer add_bias and backward_bias, with these settings


class DenseStack(Module):
    """`Linear` layers, each with the activation after it, as one operation (`ops.mlp`) over the
    `Linear`s' own parameters.

    `Sequential` builds these; there is no need to write one.

    Parameters
    ----------
    layers : sequence of Linear
        Each reads what the one before gives. All have a bias.
    activations : sequence of modules or None
        Operations that can be fused, one for each layer.
    """

    transient = ("_cache", "_located")

    def __init__(self, layers: Sequence[Linear], activations: Sequence[ModuleType | None]):
        self.layers = list(layers)
        widths = layers[0].weight.shape[1], *(layer.weight.shape[0] for layer in layers)
        self.layout = mlp.Layout(widths, tuple(activations))
        self._cache = None
        self._located = None

    def children(self) -> Iterator[tuple[str, Module]]:
        for i, layer in enumerate(self.layers):
            yield str(i), layer

    def forward(self, x) -> np.ndarray:
        check_floats(x)
        y, self._cache = mlp.forward(x, self._flat()[0], self.layout)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        gradient = self._flat()[1] if params else None
        if not params or gradient is not None:
            return mlp.accumulate(dy, self.cache, gradient, inputs)
        gathered = array_module(self.cache.x).zeros_like(self._flat()[0])
        dx = mlp.accumulate(dy, self.cache, gathered, inputs)
        for layer, (dweight, dbias) in zip(self.layers, self.layout.layers(gathered), strict=True):
            layer.weight.grad += dweight
            layer.bias.grad += dbias
        return dx

    def predict(self, x) -> np.ndarray:
        check_floats(x)
        return mlp.forward(x, self._flat()[0], self.layout)[0]

    def _tangent(self, v, vx):
        together = array_module(self.cache.x).concatenate([v[p].ravel() for p in self._parameters()])
        return mlp.jvp(zeros_if_none(vx, self.cache.x), together, self.cache)

    def _parameters(self) -> list[Parameter]:
        return [p for layer in self.layers for p in (layer.weight, layer.bias) if p is not None]

    def _flat(self):
        """Our parameters as one vector, and its gradient; None for that where they do not lie
        together and had to be copied.
        """
        owner = self.layers[0].weight.vector
        if self._located is None or owner is not self._located[0] or owner is None or owner.stale:  # another vector took them
            parameters = self._parameters()
            pieces = consecutive(parameters)
            if pieces is None:
                arrays = [p.data.ravel() for p in parameters]
                return array_module(arrays[0]).concatenate(arrays), None
            self._located = self.layers[0].weight.vector, pieces
        return self._located[1]

    @property
    def vector(self) -> np.ndarray:
        """The parameters (P,), as `ops.mlp` wants them."""
        return self._flat()[0]

    @property
    def gradient(self) -> np.ndarray | None:
        """The gradient (P,); None where the parameters do not lie together."""
        return self._flat()[1]

    def kernels_run(self, x) -> bool:
        """Whether kernels may run over these layers and the array x."""
        vector, gradient = self._flat()
        return gradient is not None and mlp.kernels_run(self.layout, x, vector)

    def __repr__(self) -> str:
        return f"DenseStack{self.layout.widths}"


def shape_of(stack: DenseStack) -> tuple[np.ndarray, np.ndarray]:
    """A stack's widths and activations, as the kernels of `ops.mlp` take them.

    Raises
    ------
    ValueError
        For activations that they do not know.
    """
    shape = stack.layout.for_kernels
    if shape is None:
        raise ValueError(f"expected activations that the kernels of ops.mlp know, given {stack.layout.activations}")
    return shape


def fuse(modules: Sequence[Module]) -> list[Module]:
    """The same modules, with each run of `Linear`s and fusable activations as one `DenseStack`.

    A `Linear` without bias stays by itself: `ops.mlp` knows none.
    """
    steps: list[Module] = []
    run: list[tuple[Linear, ModuleType | None]] = []

    def close():
        if run:
            steps.append(DenseStack(*zip(*run, strict=True)))
            run.clear()

    for module in modules:
        if isinstance(module, Linear) and module.bias is not None:
            if run and run[-1][0].weight.shape[0] != module.weight.shape[1]:
                close()  # does not fit: its own check says so
            run.append((module, None))
        elif isinstance(module, Activation) and FUSED.get(module.op) == module.settings and run and run[-1][1] is None:
            run[-1] = (run[-1][0], module.op)
        else:
            close()
            steps.append(module)
    close()
    return steps
