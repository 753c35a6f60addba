"""Optimizers over a flat vector, schedules, clipping, decay."""

from deepnp.optim.adabelief import AdaBelief
from deepnp.optim.adadelta import Adadelta
from deepnp.optim.adagrad import Adagrad
from deepnp.optim.adam import Adam, AdamW
from deepnp.optim.adamax import Adamax
from deepnp.optim.adan import Adan
from deepnp.optim.clip import clip_grad_norm, clip_grad_value
from deepnp.optim.decay import decay_weights, l1, l2
from deepnp.optim.lion import Lion
from deepnp.optim.muon import Muon
from deepnp.optim.nadam import NAdam
from deepnp.optim.optimizer import Optimizer
from deepnp.optim.polyak import polyak
from deepnp.optim.radam import RAdam
from deepnp.optim.rmsprop import RMSprop
from deepnp.optim.schedules import cosine, exponential, linear, one_cycle, step
from deepnp.optim.sgd import SGD

__all__ = [
    "SGD",
    "AdaBelief",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Adan",
    "Lion",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "clip_grad_norm",
    "clip_grad_value",
    "cosine",
    "decay_weights",
    "exponential",
    "l1",
    "l2",
    "linear",
    "one_cycle",
    "polyak",
    "step",
]
