"""Layers: thin modules over the operations, with PyTorch's names and parameter shapes."""

from deepnp.layers.activation import Activation, ReLU, Sigmoid, Softmax, Softplus, Tanh
from deepnp.layers.linear import Linear
from deepnp.layers.normalization import LayerNorm

__all__ = ["Activation", "LayerNorm", "Linear", "ReLU", "Sigmoid", "Softmax", "Softplus", "Tanh"]
