"""deepnp: deep learning with every derivative written by hand, in NumPy and CuPy."""

# ruff: noqa: F403
from deepnp import layers
from deepnp.backend import get_num_threads, set_num_threads, use_kernels
from deepnp.layers import *
from deepnp.module import Module
from deepnp.parameters import Buffer, NonFiniteError, Parameter, ParameterVector

__version__ = "0.1.0"

__all__ = [
    "Buffer",
    "Module",
    "NonFiniteError",
    "Parameter",
    "ParameterVector",
    "get_num_threads",
    "set_num_threads",
    "use_kernels",
]
__all__ += layers.__all__
