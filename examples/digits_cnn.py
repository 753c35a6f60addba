"""Read handwritten digits with a small convolutional network.

    python examples/digits_cnn.py                   scikit-learn's digits: 1,437 to learn from, 360 to test on, under a minute
    python examples/digits_cnn.py --mnist FOLDER    MNIST, from its four IDX files

Writes picture.png (learning curve, confusion matrix, some digits and all mistakes) and network.safetensors to
runs/digits_cnn/. Ctrl-C ends cleanly.
"""

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

import numpy as np

from deepnp.data import minibatches
from deepnp.losses import cross_entropy
from deepnp.metrics import accuracy, confusion_matrix
from deepnp.models import cnn
from deepnp.module import Module
from deepnp.optim import AdamW, clip_grad_norm, cosine
from examples.common import WRONG, Training, in_parts, load_images, parse, run, save, show_tiles
from rl.training.curves import COLOURS, subplots

BATCH, LR, DECAY = 64, 2e-3, 1e-2
CLASSES = 10


def main() -> None:
    learn(__doc__, 1000, lambda image, rng: cnn(image, CLASSES, rng=rng))


def learn(doc: str, steps: int, make: Callable[[tuple, np.random.Generator], Module]) -> None:
    """Teach a network to read, draw what it learned, and print how well it reads digits that it has not seen."""
    options = parse(doc, steps, digits=True)
    x, y, test_x, test_y = load_images(options.mnist)
    weights, order = (np.random.default_rng(s) for s in np.random.SeedSequence(options.seed).spawn(2))
    network = make(x.shape[1:], weights)
    optimizer = AdamW(network.flat, LR, weight_decay=DECAY)
    batches = minibatches(BATCH, x, y, rng=order)
    print(f"{len(x):,} digits to learn from, {len(test_x):,} to test on; {len(network.flat):,} parameters")

    training = Training(options.steps, {"loss": "loss {:.4f}", "accuracy": "test accuracy {:.2%}"})
    for step in training:
        images, labels = next(batches)
        optimizer.lr = cosine(LR, 0.0, step / options.steps, warmup=0.05)
        loss, dlogits = cross_entropy(network.forward(images), labels)
        network.zero_grad()
        network.backward(dlogits, inputs=False)
        clip_grad_norm(network.flat, 1.0)
        optimizer.step()
        training.note(loss=loss)
        if training.due:
            training.report(accuracy=accuracy(classify(network, test_x), test_y))

    predicted = classify(network, test_x)
    picture(options.out, network, training, test_x, test_y, predicted)
    wrong = int((predicted != test_y).sum())
    print(f"test accuracy {accuracy(predicted, test_y):.2%} ({wrong} of {len(test_y):,} wrong) after {training.seconds:.0f} s")


def classify(network: Module, images: np.ndarray) -> np.ndarray:
    """The most probable class of each image."""
    return in_parts(network.predict, images).argmax(axis=1)


def picture(out: Path | None, network: Module, training: Training, test_x, test_y, predicted) -> None:
    """The learning curve, what is read as what, and some digits: the mistakes first."""
    figure, (curve, matrix, digits) = subplots(3)
    curve.plot(training.history["step"], 100 * np.array(training.history["accuracy"]), color=COLOURS[0], linewidth=2)
    curve.set(xlabel="minibatches", title="test accuracy (%)")
    counts = confusion_matrix(predicted, test_y, CLASSES)
    mistakes = np.where(np.eye(CLASSES, dtype=bool), np.nan, counts)
    matrix.imshow(mistakes, cmap="Oranges", vmin=0, vmax=2 * max(1, np.nanmax(mistakes)))
    for i, j in zip(*counts.nonzero(), strict=True):
        matrix.text(j, i, counts[i, j], ha="center", va="center", fontsize=8, color="black" if i == j else WRONG)
    matrix.set(xticks=range(CLASSES), yticks=range(CLASSES), xlabel="read as", ylabel="is", title="all test digits")
    matrix.grid(False)
    shown = np.argsort(predicted == test_y, kind="stable")[:24]
    captions = [f"{a}" if a == b else f"{a}→{b}" for a, b in zip(test_y[shown], predicted[shown], strict=True)]
    show_tiles(digits, test_x[shown], 6, "test digits, mistakes first", captions)
    save(out, figure, network=network)


if __name__ == "__main__":
    run(main)
