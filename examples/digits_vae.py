"""Teach a variational autoencoder what handwritten digits look like, then let it invent some.

    python examples/digits_vae.py                   scikit-learn's digits: 1,437 to learn from, 360 to test on
    python examples/digits_vae.py --mnist FOLDER    MNIST, from its four IDX files

Prints −ELBO of the test digits (nats an image, smaller is better) and its two parts, the error of the reconstruction and the
KL divergence from the prior. Writes picture.png (test digits over their reconstructions, and samples) and vae.safetensors to
runs/digits_vae/. Ctrl-C ends cleanly.
"""

import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

import numpy as np

from deepnp import Flatten, ReLU, Reshape, Sequential
from deepnp.data import minibatches
from deepnp.models import VAE, mlp, negative_elbo
from deepnp.ops.activation import sigmoid
from deepnp.optim import Adam, clip_grad_norm, cosine
from examples.common import Training, load_images, parse, run, save, show_tiles
from rl.training.curves import COLOURS, PALE, subplots

BATCH, LR, LATENT, HIDDEN = 64, 2e-3, 8, (256, 256)


def main() -> None:
    options = parse(__doc__, steps=3000, digits=True)
    x, _, test_x, _ = load_images(options.mnist)
    weights, order, noise = (np.random.default_rng(s) for s in np.random.SeedSequence(options.seed).spawn(3))
    network = autoencoder(x.shape[1:], weights, noise)
    optimizer = Adam(network.flat, LR)
    batches = minibatches(BATCH, x, rng=order)
    print(f"{len(x):,} digits to learn from, {len(test_x):,} to test on; {len(network.flat):,} parameters")

    shown = {"train": "−ELBO {:.2f} in training", "test": "{:.2f} in testing", "error": "= reconstruction {:.2f}"}
    training = Training(options.steps, {**shown, "kl": "+ KL {:.2f}"})
    for step in training:
        (images,) = next(batches)
        optimizer.lr = cosine(LR, 0.0, step / options.steps, warmup=0.05)
        loss, dy, _ = negative_elbo(network.forward(images), images)
        network.zero_grad()
        network.backward(dy, inputs=False)
        clip_grad_norm(network.flat, 100.0)
        optimizer.step()
        training.note(train=loss)
        if training.due:
            value, error, kl = score(network, test_x)
            training.report(test=value, error=error, kl=kl)

    value, error, kl = score(network, test_x)
    restored = sigmoid.forward(network.predict(test_x)[0])[0]
    picture(options.out, network, training, test_x, restored, noise)
    rms = math.sqrt(float(((restored - test_x) ** 2).mean()))
    print(f"test −ELBO {value:.2f} = reconstruction {error:.2f} + KL {kl:.2f} nats; a pixel is off by {rms:.3f} (RMS, of 1)")


def autoencoder(image: tuple[int, int, int], rng: np.random.Generator, noise: np.random.Generator) -> VAE:
    """Two perceptrons that mirror each other."""
    pixels = math.prod(image)
    encoder = Sequential(Flatten(), mlp([pixels, *HIDDEN, 2 * LATENT], ReLU, rng=rng))
    decoder = Sequential(mlp([LATENT, *reversed(HIDDEN), pixels], ReLU, rng=rng), Reshape(image))
    return VAE(encoder, decoder, noise)


def score(network: VAE, x: np.ndarray, draws: int = 8) -> tuple[float, float, float]:
    """−ELBO, reconstruction error and KL of images, the mean of several draws of the noise, which are the same each time."""
    rng, infos = np.random.default_rng(0), []
    for _ in range(draws):
        noise = rng.standard_normal((len(x), LATENT), np.float32)
        infos.append(negative_elbo(network.forward(x, noise), x)[2])
    error, kl = (float(np.mean([info[name] for info in infos])) for name in ("reconstruction", "kl"))
    return error + kl, error, kl


def picture(out: Path | None, network: VAE, training: Training, test_x, restored, rng: np.random.Generator) -> None:
    """The learning curve, test digits over their reconstructions, and samples."""
    figure, (curve, pairs, samples) = subplots(3)
    for name, label, colour in (("train", "training", PALE), ("test", "test", COLOURS[0])):
        curve.plot(training.history["step"], training.history[name], label=label, color=colour, linewidth=2)
    curve.set(xlabel="minibatches", title="−ELBO (nats an image)")
    curve.legend(frameon=False)
    rows = [part[start : start + 8] for start in (0, 8, 16, 24) for part in (test_x, restored)]
    show_tiles(pairs, np.concatenate(rows), 8, "test digits, each row over its reconstruction")
    z = rng.standard_normal((64, LATENT), np.float32)
    show_tiles(samples, sigmoid.forward(network.decoder.predict(z))[0], 8, "samples: decoded noise")
    save(out, figure, vae=network)


if __name__ == "__main__":
    run(main)
