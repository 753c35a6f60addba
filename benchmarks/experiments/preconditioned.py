"""PreQN beside TD3 with ReLU and with sine: returns, update alignment, and how large values grow.

Achiam, Knight & Abbeel 2019, Figures 2 and 3. They print curves without numbers.
"""

from typing import Any

from benchmarks.experiments.drawing import COLOURS, line_of_curves, subplots
from benchmarks.experiments.experiment import Experiment, Task, Variant
from benchmarks.experiments.records import Table
from benchmarks.experiments.watchers import EPISODES, Alignment, Extremes
from rl import TD3, PreQN

BURSTS: dict[str, Any] = dict(lr=1e-3, update_interval=50, updates=50)  # the paper's: 50 updates every 50 steps
EXPERIMENT = Experiment(
    "preqn",
    "PreQN beside TD3",
    {
        "PreQN-sine": Variant(PreQN, BURSTS),
        "TD3-relu": Variant(TD3, BURSTS),
        "TD3-sine": Variant(TD3, {**BURSTS, "activation": "sine"}),
    },
    {name: Task(f"deepnp/{name}-v5") for name in ("Swimmer", "HalfCheetah", "Hopper")},
    steps=300_000,
    seeds=3,
    shared=dict(hidden=(64, 64), batch_size=64, memory=300_000),
    watch=(Alignment, Extremes),
)


def draw(rows: Table, curves: Table) -> Any:
    """Curves of the return of the tasks that have one, and below them of the alignment."""
    tasks = [task for task in EXPERIMENT.tasks if any((variant, task) in rows for variant in EXPERIMENT.variants)]
    figure, axes = subplots(len(tasks), rows=2)
    for i, task in enumerate(tasks):
        above, below = axes[i], axes[i + len(tasks)]
        for variant, colour in zip(EXPERIMENT.variants, COLOURS, strict=False):
            seeds = curves.get((variant, task), {})
            line_of_curves(above, seeds, "score", variant, colour)
            line_of_curves(below, seeds, "alignment", variant, colour)
        above.set(title=task, ylabel=f"return of {EPISODES} episodes" if i == 0 else "")
        below.set(ylim=(-0.1, 1.05), ylabel="alignment cos(Q′ − Q, y − Q)" if i == 0 else "")
    axes[0].legend(frameon=False, title="(seeds)")
    return figure
