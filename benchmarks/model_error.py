"""How wrong a learned model of an environment is, one step ahead and many.        python -m benchmarks.model_error

Data: `--steps` steps of random actions in each environment, and as many episodes as hold `--test-steps` for testing.

    R^2          share of the variance that is explained: of s' - s and of r, the mean over numbers, one step ahead
    error k      || s_k - s^_k || / sqrt(O): what the model says k steps ahead of a state, with the actions that were
                 taken, in deviations of the states; the mean over states, at k = 1, 2, 5, 10, 20, 50
    distance     how far those s^_k are from the nearest state of the training data, in the same unit

The model is the mean of an ensemble that is fitted as in rl/networks/dynamics_fit.py. The figure goes to
docs/images/model_error.svg and .png; numbers are printed.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np

import rl
from deepnp.threads import one_blas_thread
from rl.experience.datasets import DataSet
from rl.experience.trees import vector
from rl.networks.dynamics_fit import Schedule, Transitions, fit
from rl.networks.learned_model import LearnedModel
from rl.training.curves import save_figure

ENVIRONMENTS = ("Pendulum-v1", "HalfCheetah-v5")
AHEAD = (1, 2, 5, 10, 20, 50)
STARTS, NEIGHBOURS = 200, 5000  # states to begin in; states of the training data to compare with
IMAGE = Path(__file__).resolve().parents[1] / "docs" / "images" / "model_error"


class Measured(NamedTuple):
    """What was measured of one environment."""

    r_squared: float  # of s′ − s
    reward: float  # R² of r
    errors: np.ndarray  # (50,)
    distances: np.ndarray  # (50,)


def measure(env: str, steps: int, test_steps: int, hidden: tuple[int, ...], epochs: int, seed: int = 0) -> Measured:
    """Fit a model to random actions, and compare it with others."""
    train, test = (rl.collect("random", env, n, seed=s) for n, s in ((steps, seed), (test_steps, seed + 1)))
    rng = np.random.default_rng(seed)
    model = LearnedModel(train.space, hidden, "silu", 3, 3, False, 1e-3, Schedule(256, epochs, 0.1, 5), False, rng)
    known, new = transitions(train), transitions(test)
    fit(model.network, model.optimizer, known, model.plan, rng)
    following, rewards, _ = model.mean_step(new.observations, new.actions)
    changes = explained(following - new.observations, new.following - new.observations)
    ends = test.terminated | test.truncated
    return Measured(changes, explained(rewards[:, None], new.rewards[:, None]), *ahead(model, known, new, ends, rng))


def transitions(data: DataSet) -> Transitions:
    """The columns that a model is fitted to."""
    before, after = vector(data.observations), vector(data.next_observations)
    return Transitions(before, data.actions, data.rewards, after, data.terminated)


def explained(given: np.ndarray, expected: np.ndarray) -> float:
    """R² of columns, the mean over those that change."""
    variance = expected.var(axis=0)
    changes = variance > 0
    return float(1 - (np.square(given - expected).mean(axis=0)[changes] / variance[changes]).mean())


def ahead(
    model: LearnedModel, known: Transitions, new: Transitions, ends: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Errors, and distances to what is known, 1 … 50 steps ahead of new states, whose episodes end at `ends` (R,): (50,) each."""
    last = AHEAD[-1]
    whole = [n for n in range(len(ends) - last) if not ends[n : n + last - 1].any()]
    starts = rng.choice(whole, min(STARTS, len(whole)), replace=False)
    scale = known.observations.std(axis=0) + 1e-8
    seen = known.observations[rng.choice(len(known.rewards), min(NEIGHBOURS, len(known.rewards)), replace=False)] / scale
    s, errors, distances = new.observations[starts], [], []
    for k in range(last):
        s, _, _ = model.mean_step(s, new.actions[starts + k])
        errors.append(size((s - new.following[starts + k]) / scale).mean())
        distances.append(np.mean([size(row / scale - seen).min() for row in s]))
    return np.array(errors), np.array(distances)


def size(rows: np.ndarray) -> np.ndarray:
    """Root of the mean square of each row (B, O): (B,)."""
    return np.sqrt(np.square(rows).mean(axis=1))


def draw(measured: dict[str, Measured]) -> None:
    """One panel an environment."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(measured), 3.2), layout="constrained")
    for panel, (env, m) in zip(figure.subplots(1, len(measured), squeeze=False)[0], measured.items(), strict=True):
        steps = np.arange(1, len(m.errors) + 1)
        panel.plot(steps, m.errors, label="error of the model")
        panel.plot(steps, m.distances, label="distance to the training data")
        panel.plot(steps, m.errors[0] * steps, ":", color="gray", label="k times the error of one step")
        panel.set(title=env, xlabel="steps ahead, k", ylabel="deviations", ylim=(0, 1.1 * max(m.errors.max(), m.distances.max())))
    panel.legend(fontsize=7)
    save_figure(figure, IMAGE, ("svg", "png"))


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--env", nargs="+", default=list(ENVIRONMENTS), help="ids of environments")
    parser.add_argument("--steps", type=int, default=50_000, help="steps to learn from")
    parser.add_argument("--test-steps", type=int, default=10_000, help="steps to test on")
    parser.add_argument("--hidden", type=int, nargs="+", default=[200, 200, 200], help="widths of the members' hidden layers")
    parser.add_argument("--epochs", type=int, default=30, help="passes over the data, at most")
    options = parser.parse_args()
    measured = {}
    with one_blas_thread():
        for env in options.env:
            m = measured[env] = measure(env, options.steps, options.test_steps, tuple(options.hidden), options.epochs)
            print(f"{env}: R^2 of changes {m.r_squared:.4f}, of rewards {m.reward:.4f}")
            for k in AHEAD:
                print(f"  {k:3d} ahead: error {m.errors[k - 1]:.4f}, distance {m.distances[k - 1]:.4f}", flush=True)
    draw(measured)


if __name__ == "__main__":
    main()
