"""Entropy collapse: how quickly a policy becomes certain while its critic stands still.

The thesis on maximum entropy, §2.4, Figure 2.8: from one batch of states, 1 to 20 gradient steps of the policy alone. The
average of ln π(a|s) for each of the A components of an action rises with the steps and with A. It prints a figure without numbers,
of the DeepMind Control suite. Here A is the dimension of Navigation.
"""

import copy
from typing import Any

import numpy as np

from benchmarks.experiments.drawing import COLOURS, dimensions, line_of_seeds, subplots
from benchmarks.experiments.experiment import Experiment, Point, Task, Variant
from benchmarks.experiments.records import Table, curve
from benchmarks.experiments.watchers import ROWS, Extremes
from rl import SACLite

DIMENSIONS = 2, 5, 10, 20, 50
STEPS = 20  # of the policy
TUNED = "β tuned"
SHOWN = 1, 5, 10, 20
BETAS = {"with the tuned β": None, "with β = 1e-7": 1e-7}  # of these steps


def policy_steps(agent: Any, seed: int) -> list[Point]:
    """Steps of the policy of a SACLite agent alone, on one batch: ln π/A before the first and after each, for each β."""
    rng = np.random.default_rng(seed)
    states = agent.observe(agent.memory.batch(agent.memory.draw(ROWS, rng), agent.config.gamma).observations)
    noise = rng.standard_normal((ROWS, agent.policy.noise_size), np.float32)
    points = []
    for name, beta in BETAS.items():
        one = copy.deepcopy(agent)
        one.temperature.fixed = agent.temperature.alpha if beta is None else beta
        for step in range(STEPS + 1):  # a step tells ln π from before it
            _, log_prob = one.halves.step(one.policy_loss_gradient, one.policy_optimizer, states, noise)
            points.append(Point(name, step, float(log_prob.mean()) / agent.space.actions))
    return points


EXPERIMENT = Experiment(
    "entropy",
    "steps of the policy while the critics stand still",
    {TUNED: Variant(SACLite, {}), "β = 1e-7": Variant(SACLite, {"temperature": 1e-7})},
    {f"n = {n}": Task("deepnp/Navigation-v0", {"n": n}) for n in DIMENSIONS},
    steps=5_000,
    seeds=4,
    shared=dict(initial_temperature=0.1, hidden=(64, 64), batch_size=64, warmup=1_000, memory=10_000),
    watch=(Extremes,),
    after=policy_steps,
)


def draw(rows: Table, curves: Table) -> Any:
    """The change of ln π/A against A, after 1 to 20 steps."""
    figure, axes = subplots(len(BETAS))
    for axis, name in zip(axes, BETAS, strict=True):
        for steps, colour in zip(SHOWN, COLOURS, strict=True):
            changes = {}
            for n, task in zip(DIMENSIONS, EXPERIMENT.tasks, strict=True):
                lines = [curve(points, name)[1] for points in curves.get((TUNED, task), {}).values()]
                changes[n] = [line[steps] - line[0] for line in lines]
            line_of_seeds(axis, changes, f"{steps} step{'s' * (steps > 1)}", colour)
        dimensions(axis, DIMENSIONS)
        axis.set(title=name, xlabel="action dimensions A", ylabel="change of ln π(a|s)/A")
        axis.legend(frameon=False)
    return figure
