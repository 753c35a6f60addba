"""Tell what is no digit by how badly an autoencoder restores it.

    python examples/digits_anomaly.py                   scikit-learn's digits
    python examples/digits_anomaly.py --mnist FOLDER    MNIST, from its four IDX files

An autoencoder learns to restore eight of the ten classes through a few numbers. What it has learned to restore lies near the
digits it saw; of anything else it makes a digit, and is far off. Prints the area under the ROC curve (AUC), the chance that a
strange image has a larger error than a held-out digit, for noise and for the two classes that it never saw. Writes picture.png
and autoencoder.safetensors to runs/digits_anomaly/. Ctrl-C ends cleanly.
"""

import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

import numpy as np

from deepnp import Flatten, Module, ReLU, Reshape, Sequential, Sigmoid
from deepnp.data import minibatches
from deepnp.losses import mse
from deepnp.models import mlp
from deepnp.optim import Adam, cosine
from examples.common import Training, load_images, parse, run, save, show_tiles
from rl.training.curves import COLOURS, subplots

BATCH, LR, CODE, HIDDEN = 64, 2e-3, 8, (256, 128)
KNOWN = 8  # classes below this one are learned


def main() -> None:
    options = parse(__doc__, steps=4000, digits=True)
    x, y, test_x, test_y = load_images(options.mnist)
    weights, order, draws = (np.random.default_rng(s) for s in np.random.SeedSequence(options.seed).spawn(3))
    known = x[y < KNOWN]
    strange = {"noise": draws.permuted(test_x.reshape(len(test_x), -1), axis=1).reshape(test_x.shape)}
    strange["unseen classes"] = test_x[test_y >= KNOWN]
    network = autoencoder(x.shape[1:], weights)
    optimizer, batches = Adam(network.flat, LR), minibatches(BATCH, known, rng=order)
    print(f"{len(known):,} digits to learn from")
    training = Training(options.steps, {"train": "error {:.4f}", **{name: f"AUC of {name} {{:.3f}}" for name in strange}})
    for step in training:
        (images,) = next(batches)
        optimizer.lr = cosine(LR, 0.0, step / options.steps, warmup=0.05)
        loss, dy = mse(network.forward(images), images)
        network.zero_grad()
        network.backward(dy, inputs=False)
        optimizer.step()
        training.note(train=loss)
        if training.due:
            usual = errors(network, test_x[test_y < KNOWN])
            training.report(**{name: auc(errors(network, images), usual) for name, images in strange.items()})
    picture(options.out, network, {"held-out digits": test_x[test_y < KNOWN], **strange})
    for name, values in training.history.items():
        if name in strange:
            print(f"AUC of {name}: {values[-1]:.3f}")


def autoencoder(image: tuple[int, ...], rng: np.random.Generator) -> Sequential:
    """Two perceptrons that mirror each other, with CODE numbers between them."""
    pixels = math.prod(image)
    encoder, decoder = mlp([pixels, *HIDDEN, CODE], ReLU, rng=rng), mlp([CODE, *reversed(HIDDEN), pixels], ReLU, rng=rng)
    return Sequential(Flatten(), encoder, decoder, Sigmoid(), Reshape(image))


def errors(network: Module, images: np.ndarray) -> np.ndarray:
    """The mean squared error of a pixel, image by image: (N,)."""
    return ((network.predict(images) - images) ** 2).mean(axis=(1, 2, 3))


def auc(strange: np.ndarray, usual: np.ndarray) -> float:
    """The share of pairs in which the strange one is larger; equal ones count half."""
    below, up_to = (np.searchsorted(np.sort(usual), strange, side) for side in ("left", "right"))
    return float((below + up_to).mean() / (2 * len(usual)))


def picture(out: Path | None, network: Module, images: dict[str, np.ndarray]) -> None:
    """How often each error occurs, and images of each kind over what the network makes of them."""
    figure, (histogram, *tiles) = subplots(1 + len(images), width=3.6)
    bins = np.linspace(0, max(errors(network, part).max() for part in images.values()), 40)
    for axis, colour, (name, part) in zip(tiles, COLOURS, images.items(), strict=False):
        histogram.hist(errors(network, part), bins, density=True, alpha=0.6, color=colour, label=name)
        made = network.predict(part)
        rows = [some[start : start + 6] for start in (0, 6, 12) for some in (part, made)]
        show_tiles(axis, np.concatenate(rows), 6, f"{name}, each row over what is made of it")
    histogram.set(xlabel="error of a pixel (squared)", title="how often")
    histogram.legend(frameon=False)
    save(out, figure, autoencoder=network)


if __name__ == "__main__":
    run(main)
