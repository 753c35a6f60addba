"""Asymmetric critic loss on BipedalWalker: is there a best weight α between caution and trust?

The thesis on maximum entropy, §3.4, Table 3.1: one critic, (Q − y)² weighted by α where Q is too high and by 1 − α where it is
too low. Printed for 1,000,000 steps, twelve seeds: the best of BipedalWalker-v3 is α = 0.6.
"""

from typing import Any

from benchmarks.experiments.drawing import COLOURS, line_of_curves, line_of_seeds, subplots
from benchmarks.experiments.experiment import Experiment, OneCritic, Task, Variant
from benchmarks.experiments.records import Table
from benchmarks.experiments.watchers import EPISODES, Alignment, Extremes

PRINTED = {0.1: -111, 0.2: -91.4, 0.4: 124, 0.5: 168, 0.6: 312, 0.7: 302, 0.9: 20.4, 0.99: -74.5}
WEIGHTS = 0.2, 0.5, 0.6, 0.9
EXPERIMENT = Experiment(
    "asymmetry",
    "asymmetric critic loss, one critic",
    {f"α = {weight}": Variant(OneCritic, {"asymmetry": weight}) for weight in WEIGHTS},
    {"BipedalWalker": Task("BipedalWalker-v3")},
    steps=300_000,
    seeds=3,
    shared=dict(critic_normalization="group", lr=1e-3, hidden=(128, 128), batch_size=64, warmup=10_000, memory=300_000, num_envs=4),
    watch=(Alignment, Extremes),
)


def draw(rows: Table, curves: Table) -> Any:
    """The final score against α beside the printed one, and the curves."""
    figure, (left, right) = subplots(2)
    (task,) = EXPERIMENT.tasks
    found = dict(zip(WEIGHTS, EXPERIMENT.variants, strict=True))
    scores = {weight: [measured["score"] for measured in rows.get((v, task), {}).values()] for weight, v in found.items()}
    left.plot(list(PRINTED), list(PRINTED.values()), "o--", color="#888888", label="printed: 1,000,000 steps")
    line_of_seeds(left, scores, f"here: {EXPERIMENT.steps:,} steps", COLOURS[0])
    left.set(xlabel="α: weight of values that are too high", ylabel="return of the final policy", title=task)
    for (weight, variant), colour in zip(found.items(), COLOURS, strict=True):
        line_of_curves(right, curves.get((variant, task), {}), "score", f"α = {weight}", colour)
    right.set(ylabel=f"return of {EPISODES} episodes", title="while learning (seeds)")
    left.legend(frameon=False, loc="lower center")
    right.legend(frameon=False)
    return figure
