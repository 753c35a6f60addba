"""Who remembers? The first of 51 tokens has to be named at the end.

    python examples/recall.py

A sequence begins with one of eight tokens; fifty others follow, at random, that are of no account. An RNN, an LSTM, a GRU and
attention read it and say which the first one was; guessing is right one time in eight. Each learns from fresh sequences, with
the same number of units, learning rate and minibatches, and is tested on 1,000 that it has not seen.

What a gated cell does at first decides how soon it learns: one that forgets within a few steps gets hardly a gradient from
fifty steps ago. So the gates' biases are drawn for memories of up to 50 steps (Tallec & Ollivier 2018), and the RNN's recurrent
weights are orthogonal. `--default-weights` leaves the usual ones, uniform on ±1/√H: then none of the three learns in this time.

Writes picture.png to runs/recall/. Ctrl-C ends the one that is learning, and goes on with the next.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

import numpy as np

from deepnp import GRU, LSTM, RNN, Embedding, Linear, Module, MultiheadAttention, Sequential, SinusoidalPositions
from deepnp.initializers import orthogonal
from deepnp.losses import cross_entropy
from deepnp.metrics import accuracy
from deepnp.optim import Adam, clip_grad_norm
from examples.common import Training, parse, run, save
from rl.training.curves import COLOURS, subplots

TOKENS, OTHERS, DELAY = 8, 8, 50
WIDTH, BATCH, LR, CLIP = 64, 64, 2e-3, 1.0


class Last(Module):
    """The last step of a sequence: (B, T, D) -> (B, D)."""

    def forward(self, x):
        self._cache = x
        return x[:, -1]

    def backward(self, dy, params: bool = True, inputs: bool = True):
        dx = np.zeros_like(self._cache)
        dx[:, -1] = dy
        return dx

    def predict(self, x):
        return x[:, -1]


CELLS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}


def reader(name: str, patient: bool, rng: np.random.Generator) -> Sequential:
    """Tokens (B, T) -> logits (B, TOKENS) of what the first token was."""
    if name == "attention":
        steps = [SinusoidalPositions(), MultiheadAttention(WIDTH, 4, causal=True, rng=rng), Last()]
    else:
        steps = [CELLS[name](WIDTH, WIDTH, batch_first=True, returns="last", rng=rng)]
        if patient:
            give_patience(name, steps[0], rng)
    return Sequential(Embedding(TOKENS + OTHERS, WIDTH, rng=rng), *steps, Linear(WIDTH, TOKENS, rng=rng))


def give_patience(name: str, cell: Module, rng: np.random.Generator) -> None:
    """A gate that keeps the share f of a unit's state at each step forgets in about 1/(1 − f) steps: f = σ(ln(n − 1)) for n."""
    if name == "RNN":
        cell.weight_hh_l0.data[...] = orthogonal((WIDTH, WIDTH), rng)
        return
    bias, keep = cell.bias_ih_l0.data, np.log(rng.uniform(1, DELAY, WIDTH))
    bias[WIDTH : 2 * WIDTH] = keep  # gates lie one below the other: LSTM i, f, g, o; GRU r, u, n
    if name == "LSTM":
        bias[:WIDTH] = -keep  # who keeps much takes in little; the GRU's one gate u does both


def main() -> None:
    options = parse(__doc__, 300, default_weights="leave the recurrent layers' usual initial weights")
    figure, (axis,) = subplots(1, width=6, height=3.6)
    results = {}
    for name, colour in zip((*CELLS, "attention"), COLOURS, strict=True):
        print(f"{name}:")
        weights, drawn = (np.random.default_rng(s) for s in np.random.SeedSequence(options.seed).spawn(2))
        training = learn(reader(name, not options.default_weights, weights), options.steps, drawn)
        results[name] = training.history["accuracy"][-1], training.seconds
        axis.plot(training.history["step"], 100 * np.array(training.history["accuracy"]), color=colour, linewidth=2, label=name)
    axis.axhline(100 / TOKENS, color="0.5", linewidth=1, linestyle=":", label="guessing")
    axis.set(xlabel=f"minibatches of {BATCH} sequences", ylim=(0, 103), title=f"recalls a token seen {DELAY} steps ago (%)")
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    save(options.out, figure)
    for name, (share, seconds) in results.items():
        print(f"{name:>10}: {share:.1%} in {seconds:.0f} s")


def learn(network: Sequential, steps: int, rng: np.random.Generator) -> Training:
    """Teach a network to recall."""
    test_x, test_y = sequences(1000, np.random.default_rng(1))
    optimizer = Adam(network.flat, LR)
    training = Training(steps, {"loss": "loss {:.4f}", "accuracy": "recalls {:.1%}"})
    for _ in training:
        x, y = sequences(BATCH, rng)
        loss, dlogits = cross_entropy(network.forward(x), y)
        network.zero_grad()
        network.backward(dlogits, inputs=False)
        clip_grad_norm(network.flat, CLIP)
        optimizer.step()
        training.note(loss=loss)
        if training.due:
            training.report(accuracy=accuracy(network.predict(test_x).argmax(axis=1), test_y))
    return training


def sequences(rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Tokens (rows, 1 + DELAY), the first from 0 to TOKENS − 1, the rest from beyond; and what the first was."""
    x = rng.integers(TOKENS, TOKENS + OTHERS, (rows, 1 + DELAY))
    x[:, 0] = y = rng.integers(TOKENS, size=rows)
    return x, y


if __name__ == "__main__":
    run(main)
