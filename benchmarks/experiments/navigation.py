"""Navigation in n dimensions: TD2 with and without layer normalisation, and one critic without targets.

The thesis on maximum entropy, §3.3, Figures 3.1 and 3.2: 1e5 steps, twelve seeds; curves without numbers. In the text: TD2 fails
at n = 10, layer normalisation works to about 50, also with one critic and without target networks.
"""

import numpy as np

from benchmarks.experiments.experiment import Experiment, OneCritic, Played, Task, Variant
from benchmarks.experiments.watchers import Alignment, Dynamics, Extremes
from rl import TD2

DIMENSIONS = 2, 5, 10, 20, 50


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
    },
    {f"n = {n}": Task("deepnp/Navigation-v0", {"n": n}) for n in DIMENSIONS},
    steps=20_000,
    seeds=4,
    shared=dict(hidden=(64, 64), batch_size=64, warmup=1_000, memory=100_000),
    watch=(Alignment, Extremes, Dynamics),
    score=normalized,
)
