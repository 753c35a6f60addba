"""The tangent kernel of a critic at initialisation, over width, depth and activation.        python -m benchmarks.ntk

As Achiam, Knight & Abbeel 2019, §5.1, measure it. Data: 1,000 steps of a policy that always acts at a bound, a = sgn(u) with u
uniform, in HalfCheetah, Walker2d and Ant (-v5; the paper -v2). Networks of [s, a], ten draws each (the paper: three): widths 32
to 256 with two hidden layers, and one to four hidden layers of width 64; tanh, ReLU and sine; Glorot's and orthogonal weights.

    diagonal     mean_i K_ii                       how far a step on a row moves its own value
    row ratio    mean_i Σ_{j≠i} |K_ij|/((n − 1) K_ii)      how far it moves the others, in this unit (the paper prints 1/n)

K_ij = ⟨∇Q(s_i, a_i), ∇Q(s_j, a_j)⟩ is exact (deepnp/tangents.py). The figure goes to docs/images/ntk.svg and ntk.png; numbers are
printed, and then whether the paper's four findings hold on HalfCheetah with Glorot's weights:

    1. the diagonal grows with width and falls with depth          as a trend: the slope of the logarithms, for each activation
    2. the row ratio grows with depth                               in the same sense
    3. ReLU has the largest diagonal and the largest row ratio
    4. sine's diagonal is near ReLU's (within a factor of three), and its row ratio the lowest, or within 10 % of it
"""

import argparse
from pathlib import Path

import gymnasium
import numpy as np

from deepnp import Module, threads
from deepnp.models import mlp
from deepnp.models.mlp import ACTIVATIONS
from deepnp.tangents import pairs, tangent_kernel
from rl.networks.initialization import glorot
from rl.training.curves import save_figure

TASKS = ("HalfCheetah-v5", "Walker2d-v5", "Ant-v5")
SHAPES = {f"width {w}": (w, w) for w in (32, 64, 128, 256)} | {f"depth {d}": (64,) * d for d in (1, 2, 3, 4)}
KINDS = ("tanh", "relu", "sine")
INITIALISATIONS = ("glorot", "orthogonal")
IMAGE = Path(__file__).resolve().parents[1] / "docs" / "images" / "ntk"


def data(task: str, rows: int, seed: int = 0) -> np.ndarray:
    """[s, a] of a policy that acts at the bounds: (rows, O + A) float32."""
    env, rng, seen = gymnasium.make(task), np.random.default_rng(seed), []
    observation, _ = env.reset(seed=seed)
    for _ in range(rows):
        action = np.sign(rng.uniform(-1, 1, env.action_space.shape)).astype(np.float32)
        seen.append(np.concatenate([observation, action]))
        observation, _, terminated, truncated, _ = env.step(action * env.action_space.high)
        if terminated or truncated:
            observation, _ = env.reset()
    env.close()
    return np.array(seen, np.float32)


def critic(inputs: int, hidden: tuple[int, ...], kind: str, initialisation: str, rng: np.random.Generator) -> Module:
    """An untrained critic."""
    network = mlp((inputs, *hidden, 1), ACTIVATIONS[kind], rng=rng)
    if initialisation == "glorot":
        glorot(network, rng)
    return network


def figures(kernel: np.ndarray) -> tuple[float, float]:
    """The diagonal and the row ratio of K (n, n)."""
    diagonal = np.diag(kernel)
    others = np.abs(kernel).sum(axis=1) - diagonal
    return float(diagonal.mean()), float((others / ((len(kernel) - 1) * diagonal)).mean())


def measure(x: np.ndarray, hidden: tuple[int, ...], kind: str, initialisation: str, draws: int) -> np.ndarray:
    """Diagonal and row ratio of several networks: (draws, 2)."""
    results = []
    for draw in range(draws):
        network = critic(x.shape[1], hidden, kind, initialisation, np.random.default_rng(draw))
        network.forward(x)
        results.append(figures(tangent_kernel(pairs(network, np.ones((len(x), 1), np.float32)))))
    return np.array(results)


def findings(table: dict[tuple[str, str], np.ndarray]) -> dict[str, bool]:
    """Whether the paper's findings hold: (shape, kind) -> figures (draws, 2)."""
    mean = {key: values.mean(axis=0) for key, values in table.items()}
    widths, depths = ([s for s in SHAPES if s.startswith(word)] for word in ("width", "depth"))

    def slope(names: list[str], kind: str, which: int) -> float:
        sizes = [float(name.split()[1]) for name in names]
        return float(np.polyfit(np.log(sizes), np.log([mean[name, kind][which] for name in names]), 1)[0])

    def order(which: int) -> list[dict[str, float]]:
        return [{kind: mean[shape, kind][which] for kind in KINDS} for shape in ("width 64", "width 256", "depth 3")]

    return {
        "the diagonal grows with width": all(slope(widths, kind, 0) > 0 for kind in KINDS),
        "the diagonal falls with depth": all(slope(depths, kind, 0) < 0 for kind in KINDS),
        "the row ratio grows with depth": all(slope(depths, kind, 1) > 0 for kind in KINDS),
        "ReLU's diagonal and row ratio are the largest": all(max(x, key=x.get) == "relu" for w in (0, 1) for x in order(w)),
        "sine's diagonal is near ReLU's": all(x["relu"] / x["sine"] < 3 for x in order(0)),
        "sine's row ratio is the lowest, or near it": all(x["sine"] <= 1.1 * min(x.values()) for x in order(1)),
    }


def draw(tables: dict[str, dict[tuple[str, str], np.ndarray]]) -> None:
    """Bars of all tasks, with the standard deviation over draws."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 8), layout="constrained")
    axes = figure.subplots(2, len(tables), sharex=True)
    for column, (task, table) in enumerate(tables.items()):
        for row, name in enumerate(("mean diagonal of K", "row ratio")):
            axis = axes[row][column]
            for i, kind in enumerate(KINDS):
                values = np.array([table[shape, kind][:, row] for shape in SHAPES])
                places = np.arange(len(SHAPES)) + 0.27 * (i - 1)
                axis.bar(places, values.mean(axis=1), 0.25, yerr=values.std(axis=1), label=kind, capsize=2)
            axis.set_title(task if row == 0 else "")
            axis.set_ylabel(name if column == 0 else "")
            axis.set_xticks(range(len(SHAPES)), list(SHAPES), rotation=45, ha="right")
            if row == 0:
                axis.set_yscale("log")
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside upper right", ncols=len(KINDS))
    figure.suptitle("Tangent kernel of critics with Glorot's initial weights")
    save_figure(figure, IMAGE, ("svg", "png"))


def main() -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1000, help="steps of data, n")
    parser.add_argument("--draws", type=int, default=10, help="networks of each kind")
    options = parser.parse_args()
    drawn = {}
    with threads.one_blas_thread():
        for task in TASKS:
            x = data(task, options.rows)
            for initialisation in INITIALISATIONS:
                table = {(s, k): measure(x, SHAPES[s], k, initialisation, options.draws) for s in SHAPES for k in KINDS}
                print(f"\n{task}, {initialisation}: diagonal / row ratio")
                for shape in SHAPES:
                    cells = (f"{k} {d:9.2f} / {r:.3f}" for k, (d, r) in ((k, table[shape, k].mean(axis=0)) for k in KINDS))
                    print(f"  {shape:10s}", "   ".join(cells))
                if initialisation == "glorot":
                    drawn[task] = table
    print("\nOn HalfCheetah-v5, with Glorot's weights:")
    for finding, holds in findings(drawn["HalfCheetah-v5"]).items():
        print(f"  {'holds' if holds else 'does NOT hold':13s} {finding}")
    draw(drawn)


if __name__ == "__main__":
    main()
