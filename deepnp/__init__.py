"""deepnp: deep learning with every derivative written by hand, in NumPy and CuPy."""

# ruff: noqa: F403
from typing import TYPE_CHECKING

from deepnp import layers
from deepnp.backend import get_num_threads as get_num_threads
from deepnp.backend import set_num_threads as set_num_threads
from deepnp.backend import use_kernels as use_kernels
from deepnp.layers import *
from deepnp.module import Module as Module
from deepnp.parameters import Buffer as Buffer
from deepnp.parameters import NonFiniteError as NonFiniteError
from deepnp.parameters import Parameter as Parameter
from deepnp.parameters import ParameterVector as ParameterVector

__version__ = "0.1.0"

if not TYPE_CHECKING:  # as in deepnp/layers
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
