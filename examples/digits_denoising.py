"""Teach a variational autoencoder to take noise out of handwritten digits.

    python examples/digits_denoising.py                   scikit-learn's digits: 1,437 to learn from, 360 to test on
    python examples/digits_denoising.py --mnist FOLDER    MNIST, from its four IDX files

Two autoencoders learn side by side from the same minibatches. The plain one restores what it is shown. The denoising one (Im et
al. 2017) is shown a noised image, and its loss asks for the clean one: −ELBO(x; q(z | x + σε)). Prints how far a pixel of a noised
test digit is from the clean one, and how far what each of the two makes of it. Writes picture.png (clean and noised test digits,
and what the two restore), denoising.safetensors and plain.safetensors to runs/digits_denoising/. Ctrl-C ends cleanly.
"""

import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

import numpy as np

from deepnp.data import minibatches
from deepnp.models import VAE, negative_elbo
from deepnp.ops.activation import sigmoid
from deepnp.optim import Adam, clip_grad_norm, cosine
from examples.common import Training, load_images, parse, run, save, show_tiles
from examples.digits_vae import BATCH, LR, autoencoder
from rl.training.curves import COLOURS, PALE, subplots

SIGMA = 0.4  # of the noise on a pixel, which lies in [0, 1]
NAMES = "plain", "denoising"


def main() -> None:
    options = parse(__doc__, steps=3000, digits=True)
    x, _, test_x, _ = load_images(options.mnist)
    weights, order, draws, corruption = (np.random.default_rng(s) for s in np.random.SeedSequence(options.seed).spawn(4))
    networks = {name: autoencoder(x.shape[1:], weights, draws) for name in NAMES}
    optimizers = {name: Adam(network.flat, LR) for name, network in networks.items()}
    batches = minibatches(BATCH, x, rng=order)
    noised_x = noised(test_x, corruption)
    print(f"{len(x):,} digits to learn from, {len(test_x):,} to test on")

    training = Training(options.steps, {"plain": "plain off by {:.3f}", "denoising": "denoising by {:.3f} (RMS)"})
    for step in training:
        (images,) = next(batches)
        given = {"plain": images, "denoising": noised(images, corruption)}
        for name, network in networks.items():
            optimizers[name].lr = cosine(LR, 0.0, step / options.steps, warmup=0.05)
            fit(network, optimizers[name], given[name], images)
        if training.due:
            training.report(**{name: rms(restored(network, noised_x), test_x) for name, network in networks.items()})

    made = {name: restored(network, noised_x) for name, network in networks.items()}
    picture(options.out, networks, training, (test_x, noised_x, *made.values()))
    print(f"noised test digits are off by {rms(noised_x, test_x):.3f} (RMS of a pixel, of 1)")
    for name, images in made.items():
        print(f"restored by the {name} autoencoder: {rms(images, test_x):.3f}")


def noised(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Images with N(0, σ²) on each pixel, cut off at black and white."""
    return np.clip(images + np.float32(SIGMA) * rng.standard_normal(images.shape, np.float32), 0, 1)


def fit(network: VAE, optimizer: Adam, given: np.ndarray, images: np.ndarray) -> None:
    """One step towards restoring the images from what is given."""
    _, dy, _ = negative_elbo(network.forward(given), images)
    network.zero_grad()
    network.backward(dy, inputs=False)
    clip_grad_norm(network.flat, 100.0)
    optimizer.step()


def restored(network: VAE, images: np.ndarray) -> np.ndarray:
    """What the network makes of images, of the mean of its latent variables."""
    return sigmoid.forward(network.predict(images)[0])[0]


def rms(images: np.ndarray, clean: np.ndarray) -> float:
    """How far a pixel is off."""
    return math.sqrt(float(((images - clean) ** 2).mean()))


def picture(out: Path | None, networks: dict[str, VAE], training: Training, rows: tuple[np.ndarray, ...]) -> None:
    """The learning curve, and test digits: clean, noised, restored by each."""
    figure, (curve, left, right) = subplots(3)
    for name, colour in zip(NAMES, (PALE, COLOURS[0]), strict=True):
        curve.plot(training.history["step"], training.history[name], label=name, color=colour, linewidth=2)
    curve.set(xlabel="minibatches", title="error of a pixel of noised test digits (RMS)", ylim=(0, None))
    curve.legend(frameon=False)
    for axis, start in ((left, 0), (right, 16)):
        tiles = np.concatenate([part[s : s + 8] for s in (start, start + 8) for part in rows])
        show_tiles(axis, tiles, 8, "clean, noised, plain, denoising; twice")
    save(out, figure, **networks)


if __name__ == "__main__":
    run(main)
