"""Networks that read observations as learners hold them (rl/experience/trees.py): vectors, and images beside them.

A vector goes straight into a multilayer perceptron. An image goes through convolutions first, and
what these find lies beside the vector:

    x = [vector, f_1(image_1), f_2(image_2), …]        y = mlp(x)

Large images get the three convolutions of Mnih et al. 2015 (32 8×8 by 4, 64 4×4 by 2, 64 3×3 by 1),
small ones two of 3×3 by 2. A byte counts as a share of 255. Every network has convolutions of its
own. An action mask is not read (masks.py).

Shapes: B rows, O vector, F values in all, C channels, H rows and W columns of an image.
"""

import math
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise

import numpy as np

from deepnp import Conv2d, Flatten, Linear, Module, ReLU, Sequential
from deepnp.backend import array_module
from deepnp.models import mlp
from deepnp.parameters import Tangents
from rl.experience.memory_limit import check_memory
from rl.experience.spaces import Leaf, ObservationLayout
from rl.networks.masks import Unmasked

LARGE = 36  # pixels along a side, from which the three convolutions fit
KERNELS = {
    True: ((32, 8, 4, 0), (64, 4, 2, 0), (64, 3, 1, 0)),
    False: ((16, 3, 2, 1), (32, 3, 2, 1)),
}  # channels, size, stride, padding
FEATURES = {True: 512, False: 128}
BYTES = 24  # for each weight: its float64 draw, itself, its gradient, and two moments of Adam


def network(
    layout: ObservationLayout,
    hidden: Sequence[int],
    outputs: int,
    activation: Callable[[], Module],
    rng: np.random.Generator,
    output_gain: float = 1.0,
    beside: int = 0,
    normalization: Callable[[int], Module] | None = None,
) -> Module:
    """A network from observations to `outputs` values.

    Parameters
    ----------
    layout : ObservationLayout
        What it reads.
    hidden : sequence of int
        Widths of the perceptron's hidden layers.
    outputs : int
    activation : callable returning a Module
    rng : numpy.random.Generator
        Source of the initial weights.
    output_gain : float
        Of the last layer.
    beside : int
        Values that lie beside the vector, such as a critic's actions.
    normalization : callable, optional
        See `deepnp.models.mlp`.

    Raises
    ------
    MemoryError
        If it needs more than is free.
    """
    width = layout.width + beside
    images = [convolutions(leaf, rng) for leaf in layout.images]
    features = [FEATURES[is_large(leaf)] for leaf in layout.images]
    widths = (width + sum(features), *hidden, outputs)
    check_memory(BYTES * sum(a * b for a, b in pairwise(widths)), f"a network of widths {widths}")
    head = mlp(widths, activation, output_gain, rng=rng, normalization=normalization)
    whole = Sequential(ImageEncoder(width, images, features), head) if images else head
    return Unmasked(whole) if layout.mask else whole


def is_large(leaf: Leaf) -> bool:
    """Whether an image is large enough for three convolutions."""
    return min(leaf.image_shape[1:]) >= LARGE


def convolutions(leaf: Leaf, rng: np.random.Generator) -> Sequential:
    """Image (B, C, H, W) -> features (B, 512) or, for a small image, (B, 128)."""
    channels, *sides = leaf.image_shape
    layers: list[Module] = []
    for out, size, stride, padding in KERNELS[is_large(leaf)]:
        layers += [Conv2d(channels, out, size, stride=stride, padding=padding, rng=rng), ReLU()]
        channels, sides = out, [(side + 2 * padding - size) // stride + 1 for side in sides]
    return Sequential(*layers, Flatten(), Linear(channels * math.prod(sides), FEATURES[is_large(leaf)], rng=rng), ReLU())


class ImageEncoder(Module):
    """(vector (B, O), image (B, C, H, W), …) -> (B, F). The gradient goes back to the vector alone.

    Parameters
    ----------
    width : int
        O.
    images : sequence of Module
        One for each image.
    features : sequence of int
        How many values each gives.
    """

    def __init__(self, width: int, images: Sequence[Module], features: Sequence[int]):
        self.width = width
        self.ends = tuple(accumulate(features, initial=width))  # where each image's values begin, and the last ones end
        for i, image in enumerate(images):
            setattr(self, f"image{i}", image)

    def forward(self, x: tuple) -> np.ndarray:
        return self._join(x, [image.forward(pixels(p)) for (_, image), p in zip(self.children(), x[1:], strict=True)])

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        if params:
            for (_, image), start, stop in zip(self.children(), self.ends, self.ends[1:], strict=False):
                image.backward(array_module(dy).ascontiguousarray(dy[:, start:stop]), inputs=False)
        return dy[:, : self.width] if inputs else None

    def predict(self, x: tuple) -> np.ndarray:
        return self._join(x, [image.predict(pixels(p)) for (_, image), p in zip(self.children(), x[1:], strict=True)])

    def _tangent(self, v: Tangents, vx) -> np.ndarray:
        """Images do not move: vx is that of the vector (B, O), or None."""
        parts = [image.tangent(v, None) for _, image in self.children()]
        xp = array_module(parts[0])
        vector = xp.zeros((len(parts[0]), self.width), parts[0].dtype) if vx is None else vx
        return xp.concatenate([vector, *parts], axis=1)

    def _join(self, x, features):
        return array_module(x[0]).concatenate([x[0].astype(features[0].dtype), *features], axis=1)


def pixels(image: np.ndarray) -> np.ndarray:
    """Bytes as shares of 255 in float32; other numbers as float32."""
    return image.astype(np.float32) / np.float32(255) if image.dtype == np.uint8 else image.astype(np.float32)
