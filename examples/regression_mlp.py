"""Regression with a multilayer perceptron, beside ordinary least squares.

    python examples/regression_mlp.py

Two data sets: how diabetes progressed in 442 patients a year after ten things had been measured (scikit-learn's bundled data;
small, noisy and nearly linear), and Friedman's function with noise (made, anything but linear). R² is on rows that were held
out, over ten splits of the data. Writes picture.png to runs/regression_mlp/. Ctrl-C ends cleanly.
"""

import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

import numpy as np

from deepnp import ReLU
from deepnp.data import minibatches
from deepnp.losses import mse
from deepnp.metrics import r2
from deepnp.models import mlp
from deepnp.optim import AdamW, cosine
from examples.common import Training, parse, run, save, scikit_learn
from rl.training.curves import COLOURS, subplots

SPLITS, BATCH, HIDDEN = 10, 64, (64, 64)
# Little data that is mostly noise wants few steps and a strong pull to small weights.
SETTINGS = {"diabetes": dict(lr=1e-3, decay=1.0, share=0.1), "Friedman": dict(lr=3e-3, decay=1e-2, share=1.0)}


def main() -> None:
    options = parse(__doc__, steps=1500)
    datasets, model_selection = scikit_learn()
    diabetes = datasets.load_diabetes(return_X_y=True, scaled=False)
    friedman = datasets.make_friedman1(1000, noise=1.0, random_state=0)
    figure, axes = subplots(2, width=4.6, height=4.2)
    for axis, (name, settings), (x, y) in zip(axes, SETTINGS.items(), (diabetes, friedman), strict=True):
        scores = []
        for i in Training(SPLITS, {}):
            x_known, x_new, y_known, y_new = model_selection.train_test_split(x, y, test_size=0.25, random_state=i)
            rng = np.random.default_rng([options.seed, i])
            known = x_known, y_known, x_new
            guesses = perceptron(*known, rng, options.steps, **settings), least_squares(*known)
            scores.append([r2(guess, y_new) for guess in guesses])
            print(f"{name}, split {i:2}: R² {scores[-1][0]:.3f}, least squares {scores[-1][1]:.3f}", flush=True)
        scores = np.array(scores)
        (ours, plain), better = scores.mean(axis=0), int((scores[:, 0] > scores[:, 1]).sum())
        print(f"{name}: mean R² {ours:.3f}, least squares {plain:.3f}; better on {better} of {len(scores)} splits")
        for guess, label, colour in zip(guesses, ("perceptron", "least squares"), COLOURS, strict=False):
            axis.scatter(y_new, guess, s=9, alpha=0.6, color=colour, linewidths=0, label=f"{label}, R² {r2(guess, y_new):.2f}")
        axis.axline((y_new.mean(), y_new.mean()), slope=1, color="0.5", linewidth=1)
        axis.set(xlabel="true", ylabel="predicted", title=f"{name}, held-out rows of the last split")
        axis.legend(frameon=False)
    save(options.out, figure)


def perceptron(x, y, x_new, rng: np.random.Generator, steps: int, lr: float, decay: float, share: float) -> np.ndarray:
    """Predictions for x_new by an MLP that learned from x and y, everything standardised by what is known."""
    steps = math.ceil(share * steps)
    centre, scale = x.mean(axis=0), x.std(axis=0)
    inputs, targets = ((x - centre) / scale).astype(np.float32), ((y - y.mean()) / y.std()).astype(np.float32)[:, None]
    network = mlp([x.shape[1], *HIDDEN, 1], ReLU, rng=rng)
    optimizer = AdamW(network.flat, lr, weight_decay=decay)
    batches = minibatches(BATCH, inputs, targets, rng=rng)
    for step in range(steps):
        rows, truth = next(batches)
        optimizer.lr = cosine(lr, 0.0, step / steps)
        _, dy = mse(network.forward(rows), truth)
        network.zero_grad()
        network.backward(dy, inputs=False)
        optimizer.step()
    return network.predict(((x_new - centre) / scale).astype(np.float32))[:, 0] * y.std() + y.mean()


def least_squares(x, y, x_new) -> np.ndarray:
    """Predictions for x_new by the best straight line, through QR and not the normal equations."""
    weights = np.linalg.lstsq(np.column_stack((x, np.ones(len(x)))), y)[0]
    return np.column_stack((x_new, np.ones(len(x_new)))) @ weights


if __name__ == "__main__":
    run(main)
