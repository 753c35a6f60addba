"""Networks of critics, as the settings ask for them: perceptrons, normalised or not, or residual blocks.

    perceptron          Linear, N, activation, …, Linear
    "l2"                what the last layer reads is divided by its length: |Q| ≤ ‖w‖ + |b|, whatever the input
    "spectral"          every linear layer but the first and the last divides its weight by its largest singular value
    residual            h ← W₀[s, a];    for each block h ← h + W₂ relu(W₁ N(h));    Q = wᵀh

The residual critic is that of Bjorck et al. 2021 as the thesis on maximum entropy (§2.2) scales it:
1 to 5 blocks, W₁ (2048, 1024), W₂ (1024, 2048). N is what the settings name, or nothing.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from deepnp import BatchNorm1d, GroupNorm, L2Norm, LayerNorm, Linear, Module, ReLU, Residual, Sequential, SpectralNorm
from deepnp.initializers import orthogonal
from deepnp.models.mlp import ACTIVATIONS
from rl.experience.memory_limit import check_memory
from rl.experience.spaces import SpaceInfo
from rl.networks.encoders import BYTES, network

GROUPS = 16
HIDDEN_GAIN = math.sqrt(2)  # of hidden layers, as in deepnp.models.mlp
NORMALIZATIONS: dict[str, Callable[..., Module]] = {
    "layer": lambda features, affine=True: LayerNorm(features, elementwise_affine=affine),
    "group": lambda features, affine=True: GroupNorm(GROUPS, features, affine=affine),
    "batch": lambda features, affine=True: BatchNorm1d(features, affine=affine),
}


def critic_network(space: SpaceInfo, c: Any, actions: int, rng: np.random.Generator) -> Module:
    """One network [observations, actions] (B, …) -> (B, 1).

    Parameters
    ----------
    space : SpaceInfo
    c : CriticConfig
        With numbers in the place of schedules.
    actions : int
        Values that lie beside the observation: A, or 0 for V(s).
    rng : numpy.random.Generator
        Source of the initial weights.

    Raises
    ------
    ValueError
        If images are to be read by residual blocks.
    """
    between = None
    if c.critic_normalization in NORMALIZATIONS:
        between = partial(NORMALIZATIONS[c.critic_normalization], affine=c.critic_affine)
    made: Module
    if c.critic_blocks:
        if space.observation.images:
            raise ValueError("expected vectors as observations, for critics of residual blocks, given images")
        made = residual_network(space.observations + actions, c.block_width, c.critic_blocks, c.critic_gain, between, rng)
    else:
        of = ACTIVATIONS[c.activation]
        made = network(space.observation, c.critic_widths, 1, of, rng, c.critic_gain, beside=actions, normalization=between)
    if c.critic_normalization == "l2":
        return with_unit_features(made)
    return with_spectral_norm(made, rng) if c.critic_normalization == "spectral" else made


def residual_network(
    inputs: int,
    width: int,
    blocks: Sequence[int],
    gain: float,
    between: Callable[[int], Module] | None,
    rng: np.random.Generator,
) -> Sequential:
    """(B, inputs) -> (B, 1) through residual blocks.

    Parameters
    ----------
    inputs, width : int
        Of the first layer.
    blocks : sequence of int
        The inner width of each block.
    gain : float
        Of the last layer's orthogonal weights; the others have `HIDDEN_GAIN`.
    between : callable, optional
        N: features -> Module.
    rng : numpy.random.Generator
    """
    check_memory(BYTES * width * (inputs + 2 * sum(blocks)), f"a critic of blocks {tuple(blocks)} of width {width}")

    def linear(i, o, weight_gain=HIDDEN_GAIN):
        return Linear(i, o, weight=partial(orthogonal, gain=weight_gain), rng=rng)

    def block(inner):
        normal = [between(width)] if between else []
        return Residual(Sequential(*normal, linear(width, inner), ReLU(), linear(inner, width)))

    return Sequential(linear(inputs, width), *map(block, blocks), linear(width, 1, gain))


def with_unit_features(body: Module) -> Module:
    """The network, with features of length 1 before its last layer."""
    *layers, last = (layer for _, layer in body.children())
    if not isinstance(last, Linear):  # a perceptron behind an encoder
        return Sequential(*layers, with_unit_features(last))
    return Sequential(*layers, L2Norm(last.weight.shape[1]), last)


def with_spectral_norm(body: Module, rng: np.random.Generator) -> Sequential:
    """The perceptron, behind an encoder or not: its linear layers normalised, but for the first and the last."""
    layers = [layer for _, layer in body.children()]
    if isinstance(layers[-1], Sequential):
        return Sequential(*layers[:-1], with_spectral_norm(layers[-1], rng))
    *_, last = (i for i, layer in enumerate(layers) if isinstance(layer, Linear))
    first = next(i for i, layer in enumerate(layers) if isinstance(layer, Linear))
    inner = [i for i, layer in enumerate(layers) if isinstance(layer, Linear) and i not in (first, last)]
    return Sequential(*(SpectralNorm(layer, rng=rng) if i in inner else layer for i, layer in enumerate(layers)))
