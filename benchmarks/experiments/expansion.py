"""Model-based value expansion on HalfCheetah: how far should targets look through a learned model?

Feinberg et al. 2018 on DDPG. H imagined steps after the real one; H = 0 is DDPG. A short look should learn faster, and a long one
bring the model's errors into the targets: more so with a poor model, one layer of 32 units that is fitted in three passes.
"""

from typing import Any

from benchmarks.experiments.drawing import COLOURS, returns_of, subplots
from benchmarks.experiments.experiment import Experiment, Task, Variant
from benchmarks.experiments.records import Table
from benchmarks.experiments.watchers import Extremes, Fits
from rl import DDPG, MVE

FITTED = dict(model_hidden=(128, 128, 128), model_interval=2_000, model_epochs=10)
POOR = dict(model_hidden=(32,), model_interval=5_000, model_epochs=3)
VARIANTS = {"H = 0": Variant(DDPG, {})}
VARIANTS |= {f"H = {steps}": Variant(MVE, FITTED | {"expansion": steps}) for steps in (1, 3, 5)}
VARIANTS |= {f"H = {steps}, poor model": Variant(MVE, POOR | {"expansion": steps}) for steps in (1, 5)}
EXPERIMENT = Experiment(
    "expansion",
    "value expansion by H steps of a learned model",
    VARIANTS,
    {"HalfCheetah": Task("HalfCheetah-v5")},
    steps=100_000,
    seeds=3,
    shared=dict(hidden=(128, 128), batch_size=128, warmup=5_000, memory=100_000),
    watch=(Extremes, Fits),
)


def draw(rows: Table, curves: Table) -> Any:
    """Curves of the return, with a fitted model and with a poor one."""
    figure, axes = subplots(2)
    colours = dict(zip((0, 1, 3, 5), COLOURS, strict=True))
    for axis, model, horizons in zip(axes, ("", ", poor model"), ((0, 1, 3, 5), (0, 1, 5)), strict=True):
        lines = {f"H = {steps}" + (model if steps else ""): (f"H = {steps}", colours[steps]) for steps in horizons}
        returns_of(axis, curves, "HalfCheetah", lines, f"HalfCheetah{model}")
    return figure
