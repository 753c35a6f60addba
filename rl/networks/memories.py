"""A memory of each kind, behind the encoder that its kind wants."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from deepnp import Module, Sequential
from rl.experience.spaces import ObservationLayout
from rl.networks.attention import AttentionMemory
from rl.networks.encoders import network
from rl.networks.recurrent import RecurrentMemory


def memory_of(
    name: str,
    kind: str,
    layout: ObservationLayout,
    hidden: Sequence[int],
    size: int,
    span: int,
    activation: Callable[[], Module],
    rng: np.random.Generator,
    beside: int = 0,
) -> AttentionMemory | RecurrentMemory:
    """What makes features (B, size) of observations, see `rl.networks.memory.Memory`.

    Parameters
    ----------
    name : str
        Which of a `Sequences`' states are its own.
    kind : {"rnn", "lstm", "gru", "attention"}
    layout : ObservationLayout
        What it reads.
    hidden : sequence of int
        Widths of the encoder's hidden layers.
    size, span : int
        Features, and the steps that a gradient flows through at most; with attention the window.
    activation : callable returning a Module
    rng : numpy.random.Generator
        Source of the initial weights.
    beside : int
        Values that lie beside the observation.
    """
    if kind == "attention":
        encoder = network(layout, hidden, size, activation, rng, beside=beside)
        return AttentionMemory(name, encoder, size, span, rng)
    *inner, width = hidden or (size,)
    read = network(layout, inner, width, activation, rng, output_gain=math.sqrt(2), beside=beside)
    return RecurrentMemory(name, kind, Sequential(read, activation()), width, size, span, rng)
