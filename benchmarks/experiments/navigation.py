"""Navigation in n dimensions: TD2 with and without layer normalisation, and one critic without targets.

The thesis on maximum entropy, §3.3, Figures 3.1 and 3.2: 1e5 steps, twelve seeds; curves without numbers. In the text: TD2 fails
at n = 10, layer normalisation works to about 50, also with one critic and without target networks.

The thesis does not give γ. The rewards of a way home add up to the distance, whatever the way, so what an action is worth beside
another is 1 − γ of the difference that it makes: a hundredth with γ = 0.99, a tenth with 0.9.
"""

from typing import Any

import numpy as np

from benchmarks.experiments.drawing import COLOURS, dimensions, line_of_seeds, subplots
from benchmarks.experiments.experiment import Experiment, OneCritic, Played, Task, Variant
from benchmarks.experiments.records import Table
from benchmarks.experiments.watchers import Alignment, Dynamics, Extremes
from rl import TD2

DIMENSIONS = 10, 20, 50


def normalized(played: Played, task: Task) -> np.ndarray:
    """1 − last distance / first distance of each episode: the return is the difference of both in units of √n."""
    assert task.settings is not None
    nearer = played["return"] * np.sqrt(task.settings["n"])
    return nearer / (nearer + played["distance"])


EXPERIMENT = Experiment(
    "navigation",
    "TD2 in n dimensions",
    {
        "TD2": Variant(TD2, {}),
        "TD2, LN": Variant(TD2, {"critic_normalization": "layer"}),
        "one critic, LN, no targets": Variant(OneCritic, {"critic_normalization": "layer", "targets": False}),
        "TD2, γ = 0.9": Variant(TD2, {"gamma": 0.9}),
        "TD2, LN, γ = 0.9": Variant(TD2, {"gamma": 0.9, "critic_normalization": "layer"}),
    },
    {f"n = {n}": Task("deepnp/Navigation-v0", {"n": n}) for n in DIMENSIONS},
    steps=50_000,
    seeds=4,
    shared=dict(hidden=(256, 256), batch_size=64, warmup=10_000, memory=100_000),
    watch=(Alignment, Extremes, Dynamics),
    score=normalized,
)


def draw(rows: Table, curves: Table) -> Any:
    """Return and overestimation against n, with γ = 0.99."""
    figure, axes = subplots(2)
    for axis, name in zip(axes, ("score", "bias"), strict=True):
        for variant, colour in zip([name for name in EXPERIMENT.variants if "γ" not in name], COLOURS, strict=False):
            tasks = zip(DIMENSIONS, EXPERIMENT.tasks, strict=True)
            values = {n: [measured[name] for measured in rows.get((variant, task), {}).values()] for n, task in tasks}
            line_of_seeds(axis, values, variant, colour)
        dimensions(axis, DIMENSIONS)
        axis.set(xlabel="dimensions n")
    axes[0].set(ylabel="normalised return; 1 is the origin", yscale="symlog", ylim=(-3000, 3))
    axes[1].set(ylabel="Q₁(s₀, π(s₀)) less the return", yscale="symlog")
    axes[1].autoscale()  # margins of this scale, and not of the linear one before
    axes[1].legend(frameon=False, loc="upper left")
    return figure
