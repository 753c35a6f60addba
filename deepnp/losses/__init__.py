"""Losses: `loss(y, target) -> (value, dy)` in one pass.

The mean over the batch is taken here, and nowhere else: layers sum. A loss of several outputs (`gaussian_nll`, `cosine`)
returns a tuple of gradients, one for each of its first arguments. CASES of each file holds what the checks run its losses on.
"""

from deepnp.losses import binary, classification, likelihood, regression, similarity
from deepnp.losses.binary import bce, bce_with_logits, hinge, hinge_embedding
from deepnp.losses.classification import cross_entropy, cross_entropy_probabilities
from deepnp.losses.likelihood import gaussian_nll, kl_divergence, poisson_nll
from deepnp.losses.regression import huber, l1, mse, rmse
from deepnp.losses.similarity import cosine

CASES = {**regression.CASES, **classification.CASES, **binary.CASES, **likelihood.CASES, **similarity.CASES}

__all__ = [
    "CASES",
    "bce",
    "bce_with_logits",
    "cosine",
    "cross_entropy",
    "cross_entropy_probabilities",
    "gaussian_nll",
    "hinge",
    "hinge_embedding",
    "huber",
    "kl_divergence",
    "l1",
    "mse",
    "poisson_nll",
    "rmse",
]
