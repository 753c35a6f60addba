"""Generative adversarial network (Goodfellow et al. 2014).         B images x, noise z, G(z) an image, D(x) a logit (B, 1)

The discriminator D learns to tell images from forgeries, the generator G to make forgeries that it
takes for images.

Discriminator   L_D = E[s(−D(x))] + E[s(D(G(z)))]             s(u) = ln(1 + e^u) = −ln σ(−u): cross-entropy, images 1, forgeries 0
                dD(x) = −σ(−D(x))/B    dD(G(z)) = σ(D(G(z)))/B        G is held: nothing flows back into it
Generator       L_G = E[s(−D(G(z)))]                          the non-saturating form: where D is sure, the slope is 1; the
                dD(G(z)) = −σ(−D(G(z)))/B                     minimax form −s(D(G(z))) has slope 0 there, and G would never start
                dG = backward of D with `params=False`        D is held, but its gradient to its input is the generator's teacher

D's convolutions can be spectrally normalised (Miyato et al. 2018): a D that is steep everywhere
gives no useful direction.
"""

import numpy as np

from deepnp.backend import array_module
from deepnp.layers import (
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Flatten,
    LeakyReLU,
    Linear,
    ReLU,
    Reshape,
    Sequential,
    Sigmoid,
    SpectralNorm,
)
from deepnp.losses import bce_with_logits
from deepnp.models.cnn import check_image_shape
from deepnp.module import Module


def discriminator_gradient(generator: Module, discriminator: Module, x, noise) -> float:
    """L_D of images x and as many forgeries; its gradient is added to the discriminator's, the
    generator is left alone.

    Images and forgeries go through D apart, in this order: each call leaves what its own backward
    needs.
    """
    fake = generator.forward(noise)
    if fake.shape != x.shape:
        raise ValueError(f"expected as many images as forgeries, of one shape, given {x.shape} and {fake.shape}")
    loss = 0.0
    for images, label in ((x, 1), (fake, 0)):
        logits = discriminator.forward(images)
        part, dlogits = bce_with_logits(logits, array_module(logits).full_like(logits, label))
        discriminator.backward(dlogits, inputs=False)
        loss += part
    return loss


def generator_gradient(generator: Module, discriminator: Module, noise) -> float:
    """L_G of as many forgeries as there is noise; its gradient is added to the generator's, the
    discriminator is left alone.
    """
    logits = discriminator.forward(generator.forward(noise))
    loss, dlogits = bce_with_logits(logits, array_module(logits).ones_like(logits))
    generator.backward(discriminator.backward(dlogits, params=False), inputs=False)
    return loss


def generator(
    latent: int, image: tuple[int, int, int], width: int = 32, rng: np.random.Generator | None = None, dtype=np.float32
) -> Sequential:
    """Noise (B, latent) -> images (B, C, H, W) in [0, 1]: a quarter of the size, doubled twice
    (after DCGAN, Radford et al. 2016).

    Parameters
    ----------
    latent : int
        Dimensions of the noise.
    image : (C, H, W)
        H and W divisible by 4.
    width : int
        Channels at the full size; twice and four times as many at the half and the quarter.
    rng : numpy.random.Generator or None
        Source of the initial weights.
    """
    channels, height, breadth = _quartered(image)
    kinds = dict(rng=rng or np.random.default_rng(), dtype=dtype)
    return Sequential(
        Linear(latent, 4 * width * height * breadth, **kinds),
        Reshape((4 * width, height, breadth)),
        BatchNorm2d(4 * width, dtype=dtype),
        ReLU(),
        ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1, bias=False, **kinds),
        BatchNorm2d(2 * width, dtype=dtype),
        ReLU(),
        ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False, **kinds),
        BatchNorm2d(width, dtype=dtype),
        ReLU(),
        Conv2d(width, channels, 3, padding=1, **kinds),
        Sigmoid(),
    )


def discriminator(
    image: tuple[int, int, int], width: int = 32, rng: np.random.Generator | None = None, dtype=np.float32
) -> Sequential:
    """Images (B, C, H, W) -> logits (B, 1), with every weight spectrally normalised. Arguments as
    for `generator`.
    """
    channels, height, breadth = _quartered(image)
    kinds = dict(rng=rng or np.random.default_rng(), dtype=dtype)
    layers = (
        Conv2d(channels, width, 3, padding=1, **kinds),
        Conv2d(width, 2 * width, 4, stride=2, padding=1, **kinds),
        Conv2d(2 * width, 4 * width, 4, stride=2, padding=1, **kinds),
    )
    modules = [module for layer in layers for module in (SpectralNorm(layer, rng=kinds["rng"]), LeakyReLU(0.2))]
    return Sequential(*modules, Flatten(), SpectralNorm(Linear(4 * width * height * breadth, 1, **kinds), rng=kinds["rng"]))


def _quartered(image: tuple[int, int, int]) -> tuple[int, int, int]:
    channels, height, width = check_image_shape(image)
    if height % 4 or width % 4:
        raise ValueError(f"expected images whose sizes are divisible by 4, given {image}")
    return channels, height // 4, width // 4
