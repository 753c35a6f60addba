"""deepnp: deep learning with every derivative written by hand, in NumPy and CuPy."""

from deepnp.backend import get_num_threads, set_num_threads, use_kernels
from deepnp.layers import LayerNorm, Linear, ReLU, Sigmoid, Softmax, Softplus, Tanh
from deepnp.module import Heads, Module, Sequential
from deepnp.parameters import NonFiniteError, Parameter, ParameterVector

__version__ = "0.1.0"

__all__ = [
    "Heads",
    "LayerNorm",
    "Linear",
    "Module",
    "NonFiniteError",
    "Parameter",
    "ParameterVector",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "get_num_threads",
    "set_num_threads",
    "use_kernels",
]
