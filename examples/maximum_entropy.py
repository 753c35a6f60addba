"""Of all distributions that keep to what is known, the one with the most entropy.

    python examples/maximum_entropy.py

Known are means of features f_k(x). What maximises H subject to Σ p f_k = F_k is

    p(x) ∝ e^{−Σ_k β_k f_k(x)}                            β_k: the multipliers
    J(β) = ln Z + Σ_k β_k F_k        ∂J/∂β_k = F_k − ⟨f_k⟩_p        ∂²J/∂β_k∂β_l = cov_p(f_k, f_l)

J is convex, and its least value is the entropy that was sought: −Σ q ln p for every q that keeps to the means. With the energy
E(x) as the one feature p is Boltzmann's; with x and x² it is the Gaussian of that mean and variance. Both are found here by
Newton's method, on a grid.

Prints what was found, and how much less entropy other distributions of the same means have. Writes picture.png to
runs/maximum_entropy/.
"""

import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

import numpy as np

from examples.common import parse, run, save
from rl.training.curves import COLOURS, PALE, subplots

X = np.linspace(-10, 10, 1001)  # the grid
ENERGY = (X**2 - 4) ** 2 / 16 + 0.15 * X  # two wells, of which the left one is deeper
MEANS = (0.2, 0.5, 1.0)  # of the energy, above its least value
MEAN, VARIANCE = 0.7, 1.5


def main() -> None:
    options = parse(__doc__, steps=100)
    rng = np.random.default_rng(options.seed)
    energy = ENERGY - ENERGY.min()
    figure, (boltzmann, dual, gaussian) = subplots(3)
    boltzmann.plot(X, energy / 8, color="0.6", linewidth=1, label="E/8")
    for mean, colour in zip(MEANS, COLOURS, strict=False):
        p, (beta,) = most_entropy(energy[None], np.array([mean]), options.steps)
        others = [entropy(moved(p, energy[None], rng)) for _ in range(1000)]
        print(f"mean energy {mean}: β {beta:6.3f}, entropy {entropy(p):.4f} nats; 1,000 others {max(others):.4f} at most")
        boltzmann.plot(X, p / p.max(), color=colour, linewidth=2, label=f"⟨E⟩ = {mean}: β = {beta:.2f}")
        betas = np.linspace(0.3, 6, 100)
        dual.plot(betas, [dual_value(energy[None], np.array([mean]), np.array([b])) for b in betas], color=colour, linewidth=2)
        dual.plot(beta, entropy(p), "o", color=colour)
    boltzmann.set(xlabel="x", title="Boltzmann's distribution, of height 1", ylim=(0, 1.6), xlim=(-4, 4))
    boltzmann.legend(frameon=False, fontsize=8)
    dual.set(xlabel="β", title="J(β), and the entropy at its least value")
    p, _ = most_entropy(np.stack([X, X**2]), np.array([MEAN, VARIANCE + MEAN**2]), options.steps)
    normal = np.exp(-((X - MEAN) ** 2) / (2 * VARIANCE))
    normal /= normal.sum()
    print(f"mean {MEAN} and variance {VARIANCE}: {np.abs(p / normal - 1).max():.1e} from the Gaussian, relative, at most")
    gaussian.plot(X, normal, color=PALE, linewidth=6, label="Gaussian")
    gaussian.plot(X, p, color=COLOURS[0], linewidth=1.5, label="most entropy")
    gaussian.set(xlabel="x", xlim=(-4, 5), title=f"mean {MEAN}, variance {VARIANCE}")
    gaussian.legend(frameon=False)
    save(options.out, figure)


def most_entropy(features: np.ndarray, means: np.ndarray, steps: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """The distribution of most entropy under which the features (K, N) have these means (K,): p (N,) and β (K,).

    Newton's method on J, each step halved until J is less.

    Raises
    ------
    ValueError
        If no distribution has these means.
    """
    beta = np.zeros(len(features))
    for _ in range(steps):
        p = boltzmann(features, beta)
        gradient = means - features @ p
        if np.abs(gradient).max() <= 1e-12 * (1 + np.abs(means).max()):
            return p, beta
        centred = features - (features @ p)[:, None]
        covariance, value = centred * p @ centred.T, dual_value(features, means, beta)
        if np.linalg.matrix_rank(covariance) < len(beta):  # p is at the rim of what there is
            break
        step = np.linalg.solve(covariance, gradient)
        shares = (0.5**i for i in range(40))
        share = next((s for s in shares if dual_value(features, means, beta - s * step) < value), None)
        if share is None:  # to rounding, as low as it gets
            break
        beta = beta - share * step
    p = boltzmann(features, beta)
    if np.abs(means - features @ p).max() > 1e-6 * (1 + np.abs(means).max()):
        raise ValueError(f"expected means that a distribution on the grid has, given {means.tolist()}")
    return p, beta


def boltzmann(features: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """p ∝ e^{−βf}: (N,)."""
    exponent = -beta @ features
    weights = np.exp(exponent - exponent.max())
    return weights / weights.sum()


def dual_value(features: np.ndarray, means: np.ndarray, beta: np.ndarray) -> float:
    """J(β)."""
    exponent = -beta @ features
    most = float(exponent.max())
    return most + math.log(np.exp(exponent - most).sum()) + float(beta @ means)


def entropy(p: np.ndarray) -> float:
    """−Σ p ln p, in nats."""
    return float(-(p[p > 0] * np.log(p[p > 0])).sum())


def moved(p: np.ndarray, features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another distribution (N,) under which the features have the same means.

    p(1 + tu) with ⟨u⟩ = ⟨uf⟩ = 0 under p, and u = 0 in p's tails, where little could move.
    """
    inside = p > 1e-3 * p.max()
    root = np.sqrt(p[inside])
    fixed, _ = np.linalg.qr((root * np.vstack([np.ones_like(root), features[:, inside]])).T)  # what must not change, of √p·u
    u = rng.standard_normal(len(root))
    u -= fixed @ (fixed.T @ (root * u)) / root
    other = p.copy()
    other[inside] *= 1 + rng.uniform(0.5, 1) * u / -u.min()
    return other


if __name__ == "__main__":
    run(main)
