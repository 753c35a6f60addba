"""Model-based value expansion on HalfCheetah: how far should targets look through a learned model?

Feinberg et al. 2018 on DDPG. H imagined steps after the real one; H = 0 is DDPG. A short look should learn faster, and a long one
bring the model's errors into the targets.
"""

from typing import Any

from benchmarks.experiments.drawing import figure_of_curves
from benchmarks.experiments.experiment import Experiment, Task, Variant
from benchmarks.experiments.records import Table
from benchmarks.experiments.watchers import Extremes
from rl import DDPG, MVE

FITTED = dict(model_hidden=(128, 128, 128), model_interval=2_000, model_epochs=10)
EXPERIMENT = Experiment(
    "expansion",
    "value expansion by H steps of a learned model",
    {"H = 0": Variant(DDPG, {})} | {f"H = {steps}": Variant(MVE, FITTED | {"expansion": steps}) for steps in (1, 3, 5)},
    {"HalfCheetah": Task("HalfCheetah-v5")},
    steps=100_000,
    seeds=3,
    shared=dict(hidden=(128, 128), batch_size=128, warmup=5_000, memory=100_000),
    watch=(Extremes,),
)


def draw(rows: Table, curves: Table) -> Any:
    """Curves of the return."""
    return figure_of_curves(EXPERIMENT, curves, "DDPG and MVE")
