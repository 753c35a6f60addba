"""Layers: thin modules over the operations. Each file lists its public names in `__all__`; here they come together."""

# ruff: noqa: F403
from typing import TYPE_CHECKING

from deepnp.layers import (
    activation,
    attention,
    batch_normalization,
    containers,
    convolution,
    embedding,
    linear,
    normalization,
    padding,
    pooling,
    recurrent,
    regularization,
    shape,
    soft_plus_plus,
    transformer,
)
from deepnp.layers.activation import *
from deepnp.layers.attention import *
from deepnp.layers.batch_normalization import *
from deepnp.layers.containers import *
from deepnp.layers.convolution import *
from deepnp.layers.embedding import *
from deepnp.layers.linear import *
from deepnp.layers.normalization import *
from deepnp.layers.padding import *
from deepnp.layers.pooling import *
from deepnp.layers.recurrent import *
from deepnp.layers.regularization import *
from deepnp.layers.shape import *
from deepnp.layers.soft_plus_plus import *
from deepnp.layers.transformer import *

if not TYPE_CHECKING:  # mypy does not follow sums of lists, and takes every name that is imported above
    __all__: list[str] = []
    __all__ += activation.__all__
    __all__ += attention.__all__
    __all__ += batch_normalization.__all__
    __all__ += containers.__all__
    __all__ += convolution.__all__
    __all__ += embedding.__all__
    __all__ += linear.__all__
    __all__ += normalization.__all__
    __all__ += padding.__all__
    __all__ += pooling.__all__
    __all__ += recurrent.__all__
    __all__ += regularization.__all__
    __all__ += shape.__all__
    __all__ += soft_plus_plus.__all__
    __all__ += transformer.__all__
