"""Assembled networks."""

from deepnp.models.mlp import mlp

__all__ = ["mlp"]
