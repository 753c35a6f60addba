"""Three classes of policy for SACLite: a squashed Gaussian, a normalizing flow, and one with latent variables.

The thesis on maximum entropy, §2.3, Table 2.2. Its claim: no class differs significantly from the others.
"""

from typing import Any

from benchmarks.experiments.drawing import COLOURS, returns_of, subplots
from benchmarks.experiments.experiment import Experiment, Task, Variant
from benchmarks.experiments.records import Table
from benchmarks.experiments.watchers import Extremes
from rl import SACLite

PRINTED = {"gaussian": (12_200, 609), "flow": (12_300, 675), "variational": (11_500, 452)}  # the last is printed as 115
EXPERIMENT = Experiment(
    "actors",
    "classes of policy for SACLite",
    {actor: Variant(SACLite, {"actor": actor}) for actor in PRINTED},
    {"HalfCheetah": Task("deepnp/HalfCheetah-v5")},
    steps=200_000,
    seeds=3,
    shared=dict(hidden=(128, 128), batch_size=128, memory=200_000),
    watch=(Extremes,),
)


def draw(rows: Table, curves: Table) -> Any:
    """Curves of the return."""
    figure, (axis,) = subplots(1, width=5.5)
    lines = {actor: (actor, colour) for actor, colour in zip(PRINTED, COLOURS[: len(PRINTED)], strict=True)}
    returns_of(axis, curves, "HalfCheetah", lines, "SACLite, HalfCheetah")
    return figure
