"""Optimizers over a flat vector, schedules, clipping."""

from deepnp.optim.adam import Adam
from deepnp.optim.clip import clip_grad_norm, clip_grad_value
from deepnp.optim.polyak import polyak
from deepnp.optim.schedules import linear

__all__ = ["Adam", "clip_grad_norm", "clip_grad_value", "linear", "polyak"]
