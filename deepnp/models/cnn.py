"""Convolutional classifier."""

from collections.abc import Sequence

import numpy as np

from deepnp.layers import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from deepnp.module import Module


def cnn(
    image: tuple[int, int, int],
    classes: int,
    channels: Sequence[int] = (32, 64),
    hidden: int = 128,
    dropout: float = 0.5,
    rng: np.random.Generator | None = None,
    dtype=np.float32,
) -> Sequential:
    """Stages of 3 × 3 convolution, ReLU and pooling by two; then a hidden layer and the logits of
    the classes.

    Parameters
    ----------
    image : (C, H, W)
        Shape of one image. Each stage halves H and W.
    classes : int
        Logits out: y is (B, classes).
    channels : sequence of int
        Of each stage.
    hidden : int
        Width of the hidden layer.
    dropout : float
        Probability of dropping a hidden unit in training.
    rng : numpy.random.Generator or None
        Source of the initial weights, and of what is dropped.

    Raises
    ------
    ValueError
        If there are no stages, or too many for the image to be halved so often.
    """
    inputs, height, width = check_image_shape(image)
    if not channels or min(height, width) < 2 ** len(channels):
        raise ValueError(f"expected at least one stage, and an image that can be halved for each, given {list(channels)}, {image}")
    rng = rng or np.random.default_rng()
    modules: list[Module] = []
    for outputs in channels:
        modules += [Conv2d(inputs, outputs, 3, padding="same", rng=rng, dtype=dtype), ReLU(), MaxPool2d(2)]
        inputs, height, width = outputs, height // 2, width // 2
    modules += [Flatten(), Linear(inputs * height * width, hidden, rng=rng, dtype=dtype), ReLU(), Dropout(dropout, rng=rng)]
    return Sequential(*modules, Linear(hidden, classes, rng=rng, dtype=dtype))


def check_image_shape(image: tuple[int, int, int]) -> tuple[int, int, int]:
    """Its channels, height and width; ValueError unless these are three positive integers."""
    if len(image) != 3 or any(n != int(n) or n < 1 for n in image):
        raise ValueError(f"expected the shape of an image, (C, H, W), given {image}")
    return image
