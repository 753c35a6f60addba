"""Two densities of two moons: a normalizing flow, and an energy model.

    python examples/two_moons.py

Both learn from the same 2,000 points by likelihood.

    flow      x → z = f(x), RealNVP        ln q(x) = ln N(z; 0, I) + ln |det ∂f/∂x|
    energy    p(x) = e^{−E(x)}/Z, E a perceptron; Z is a sum over the cells of a grid, so it is exact there
              ∂(−ln p)/∂θ = ∂E/∂θ at the data − ∂E/∂θ under p

Prints how surprised each is by points that it has not seen, in nats a point, and how surprised the density is that the points
come from. Writes picture.png, flow.safetensors and energy.safetensors to runs/two_moons/. Ctrl-C ends cleanly.
"""

import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

import numpy as np

from deepnp import Module, ReLU
from deepnp.data import minibatches
from deepnp.models import RealNVP, mlp
from deepnp.optim import Adam, clip_grad_norm, cosine
from examples.common import Training, parse, run, save
from rl.training.curves import subplots

NOISE = 0.1  # σ around the moons
POINTS, BATCH, LR = 2000, 200, 3e-3
CELLS, LOW, HIGH = 64, np.array([-2.0, -1.5]), np.array([3.0, 2.0])  # of the grid
AREA = float(np.prod((HIGH - LOW) / CELLS))  # of one cell


def main() -> None:
    options = parse(__doc__, steps=2000)
    data, weights, order = (np.random.default_rng(s) for s in np.random.SeedSequence(options.seed).spawn(3))
    x, unseen = moons(POINTS, data), moons(POINTS, data)
    models: dict[str, Module] = {"flow": RealNVP(2, layers=8, rng=weights), "energy": mlp((2, 64, 64, 1), ReLU, rng=weights)}
    optimizers = {name: Adam(model.flat, LR) for name, model in models.items()}
    grid, batches = centres().astype(np.float32), minibatches(BATCH, x, rng=order)
    training = Training(options.steps, {name: name + " {:.3f} nats" for name in models})
    for step in training:
        (batch,) = next(batches)
        losses = {"flow": flow_gradient(models["flow"], batch), "energy": energy_gradient(models["energy"], batch, grid)}
        for optimizer in optimizers.values():
            clip_grad_norm(optimizer.vector, 10.0)
            optimizer.lr = cosine(LR, 0.0, step / options.steps, warmup=0.05)
            optimizer.step()
        training.note(**losses)
        if training.due:
            training.report()
    densities = {"flow": flow_density(models["flow"], grid), "energy": energy_density(models["energy"], grid)}
    picture(options.out, models, densities, x, data)
    surprise = {
        "the flow": -flow_density(models["flow"], unseen),
        "the energy model": energy_surprise(models["energy"], unseen, grid),
        "the density itself": -log_density(unseen),
    }
    for name, nats in surprise.items():
        print(f"surprise of {name}: {nats.mean():.3f} nats a point")


def moons(points: int, rng: np.random.Generator) -> np.ndarray:
    """Points (N, 2) around two half circles, each inside the other's mouth."""
    middle = arcs(rng.uniform(0, math.pi, points), rng.integers(2, size=points))
    return (middle + NOISE * rng.standard_normal(middle.shape)).astype(np.float32)


def arcs(angle: np.ndarray, which: np.ndarray) -> np.ndarray:
    """The point at an angle in [0, π] on the upper (0) or the lower (1) half circle: (…, 2)."""
    sign = 1 - 2 * which
    return np.stack([which + sign * np.cos(angle), 0.5 * which + sign * np.sin(angle)], axis=-1)


def log_density(x: np.ndarray) -> np.ndarray:
    """ln p of the points that `moons` draws, an integral over the angle: (N,)."""
    angles = (np.arange(500) + 0.5) * math.pi / 500
    middle = np.concatenate([arcs(angles, np.full(500, which)) for which in (0, 1)])
    squares = ((x[:, None] - middle) ** 2).sum(axis=-1) / (2 * NOISE**2)
    least = squares.min(axis=1)
    return np.log(np.exp(least[:, None] - squares).mean(axis=1)) - least - math.log(2 * math.pi * NOISE**2)


def centres() -> np.ndarray:
    """Of the grid's cells, row by row from below: (CELLS², 2)."""
    along = (np.arange(CELLS) + 0.5) / CELLS
    y, x = np.meshgrid(along, along, indexing="ij")
    return LOW + np.stack([x.ravel(), y.ravel()], axis=1) * (HIGH - LOW)


def flow_gradient(flow: Module, x: np.ndarray) -> float:
    """Let the flow's gradient be that of the mean of −ln q(x); returns it."""
    z, log_det = flow.forward(x)
    flow.zero_grad()
    flow.backward((z / len(x), np.full(len(x), -1 / len(x), x.dtype)), inputs=False)
    return float((0.5 * z * z).sum(axis=1).mean() - log_det.mean()) + math.log(2 * math.pi)


def energy_gradient(energy: Module, x: np.ndarray, grid: np.ndarray) -> float:
    """Let the energy's gradient be that of the mean of −ln p(x); returns it."""
    values = energy.forward(np.concatenate([x, grid]))[:, 0]
    log_z, p = partition(values[len(x) :])
    energy.zero_grad()
    denergy = np.concatenate([np.full(len(x), 1 / len(x)), -p]).astype(x.dtype)
    energy.backward(denergy[:, None], inputs=False)
    return float(values[: len(x)].mean()) + log_z


def partition(energies: np.ndarray) -> tuple[float, np.ndarray]:
    """ln Z = ln Σ e^{−E}·area over the cells, and each cell's probability (CELLS²,)."""
    least = energies.min()
    weights = np.exp(np.float64(least) - energies)
    return math.log(weights.sum() * AREA) - float(least), weights / weights.sum()


def flow_density(flow: Module, x: np.ndarray) -> np.ndarray:
    """ln q(x): (N,)."""
    z, log_det = flow.predict(x)
    return log_det - (0.5 * z * z).sum(axis=1) - math.log(2 * math.pi)


def energy_density(energy: Module, grid: np.ndarray) -> np.ndarray:
    """ln p of the grid's cells: (CELLS²,)."""
    return -energy_surprise(energy, grid, grid)


def energy_surprise(energy: Module, x: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """−ln p(x): (N,)."""
    return energy.predict(x)[:, 0] + partition(energy.predict(grid)[:, 0])[0]


def picture(out: Path | None, models: dict[str, Module], densities: dict[str, np.ndarray], x: np.ndarray, rng) -> None:
    """The data, the flow's density and draws, and the energy model's density."""
    figure, (of_data, of_flow, of_draws, of_energy) = subplots(4, width=3.4, height=3.0)
    drawn, _ = models["flow"].invert(rng.standard_normal((POINTS, 2)).astype(np.float32))
    for axis, points, title in ((of_data, x, "2,000 points"), (of_draws, drawn, "2,000 draws of the flow")):
        axis.scatter(*points.T, s=2, alpha=0.4, linewidths=0)
        axis.set(title=title, xlim=(LOW[0], HIGH[0]), ylim=(LOW[1], HIGH[1]))
    for axis, name, title in ((of_flow, "flow", "density of the flow"), (of_energy, "energy", "density of the energy model")):
        extent = (LOW[0], HIGH[0], LOW[1], HIGH[1])
        axis.imshow(np.exp(densities[name]).reshape(CELLS, CELLS), origin="lower", extent=extent, cmap="Blues", vmin=0, vmax=0.6)
        axis.set(title=title)
        axis.grid(False)
    for axis in figure.axes:
        axis.set_aspect("equal")
    save(out, figure, **models)


if __name__ == "__main__":
    run(main)
