"""Asymmetric critic loss on BipedalWalker: is there a best weight α between caution and trust?

The thesis on maximum entropy, §3.4, Table 3.1: one critic, (Q − y)² weighted by α where Q is too high and by 1 − α where it is
too low. Printed for 1,000,000 steps, twelve seeds: the best of BipedalWalker-v3 is α = 0.6.
"""

from benchmarks.experiments.experiment import Experiment, OneCritic, Task, Variant
from benchmarks.experiments.watchers import Alignment, Extremes

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
