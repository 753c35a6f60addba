"""Residual network (He et al. 2016, arXiv:1512.03385), in the small form that the paper gives
CIFAR-10.
"""

from collections.abc import Sequence

import numpy as np

from deepnp.layers import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Flatten, Linear, ReLU, Residual, Sequential
from deepnp.module import Module


def resnet(
    in_channels: int,
    classes: int,
    channels: Sequence[int] = (16, 32, 64),
    blocks: int = 1,
    rng: np.random.Generator | None = None,
    dtype=np.float32,
) -> Sequential:
    """A convolution, stages of residual blocks, the mean over all places, and the logits of the
    classes.

    Each stage but the first halves the image with its first block. With 3 blocks a stage and images
    of 32 × 32 this is the paper's ResNet-20, except that a skip to more channels is projected here
    (its option B), not padded with zeros. The first stage's first block keeps the size and, as the
    first convolution has that stage's channels, needs no projection.

    Parameters
    ----------
    in_channels : int
        C of the images (B, C, H, W), of any size.
    classes : int
        Logits out: y is (B, classes).
    channels : sequence of int
        Of each stage.
    blocks : int
        In each stage.
    rng : numpy.random.Generator or None
        Source of the initial weights.

    Raises
    ------
    ValueError
        If there are no stages, or fewer than one block in each.
    """
    if not channels or blocks != int(blocks) or blocks < 1:
        raise ValueError(f"expected at least one stage of at least one block, given channels {list(channels)} and {blocks} blocks")
    rng = rng or np.random.default_rng()
    modules: list[Module] = [*convolution(in_channels, channels[0], 3, 1, rng, dtype), ReLU()]
    inputs = channels[0]
    for stage, outputs in enumerate(channels):
        for i in range(blocks):
            modules += [block(inputs, outputs, 2 if stage and not i else 1, rng, dtype), ReLU()]
            inputs = outputs
    return Sequential(*modules, AdaptiveAvgPool2d(1), Flatten(), Linear(inputs, classes, rng=rng, dtype=dtype))


def block(inputs: int, outputs: int, stride: int, rng: np.random.Generator, dtype=np.float32) -> Residual:
    """Two convolutions, to which x is added: as it is, or projected by a 1 × 1 convolution where
    its shape differs.
    """
    body = [*convolution(inputs, outputs, 3, stride, rng, dtype), ReLU(), *convolution(outputs, outputs, 3, 1, rng, dtype)]
    same = inputs == outputs and stride == 1
    return Residual(Sequential(*body), None if same else Sequential(*convolution(inputs, outputs, 1, stride, rng, dtype)))


def convolution(inputs: int, outputs: int, kernel: int, stride: int, rng: np.random.Generator, dtype) -> list[Module]:
    """A convolution and its normalisation, whose shift takes the place of a bias."""
    window = dict(kernel_size=kernel, stride=stride, padding=kernel // 2)
    return [Conv2d(inputs, outputs, **window, bias=False, rng=rng, dtype=dtype), BatchNorm2d(outputs, dtype=dtype)]
