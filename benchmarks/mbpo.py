"""How far do MBPO and SAC get on Hopper-v5 in 60,000 steps?        python -m benchmarks.mbpo

The model is told when Hopper has fallen, as in the paper (Janner et al. 2019): a fall is one row of a hundred, and one that the
model misses changes a value by many rewards. All else is learned. Every 2,000 steps the return of five deterministic episodes is
printed, and of twenty in the end. On one core, beside another training, MBPO took 51 minutes and SAC three.
"""

import argparse
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

import deepnp
import rl
from rl.runs.callbacks import Callback
from rl.schedules import Step
from rl.training.evaluations import Evaluations

ENV, EVERY = "Hopper-v5", 2_000
SHARED = dict(lr=1e-3, warmup=2_500, hidden=(128, 128))
ENSEMBLE = dict(model_interval=1_000, members=5, elites=4)
BRANCHES = dict(updates=5, rollouts=50_000, imagined_memory=200_000, rollout_length=Step(1.0, 2.0, (0.5, 0.75)))


def falls(s: np.ndarray, a: np.ndarray, s_next: np.ndarray) -> np.ndarray:
    """The environment's rule, of rows: height, angle, and all numbers but the height within bounds."""
    return ~((s_next[:, 0] > 0.7) & (np.abs(s_next[:, 1]) < 0.2) & (np.abs(s_next[:, 1:]) < 100).all(axis=1))


class Shown(Callback):
    """Prints the evaluations of a training."""

    def __init__(self, title: str):
        self.title, self.start = title, time.perf_counter()

    def on_evaluation(self, agent: rl.Agent, result: Mapping[str, np.ndarray]) -> None:
        minutes = (time.perf_counter() - self.start) / 60
        print(f"{self.title}  {agent.steps:7,} steps  {minutes:4.1f} min  return {result['return'].mean():7.1f}", flush=True)


def train(name: str, seed: int, steps: int) -> None:
    """Train one of them, and print what it is worth on the way and in the end."""
    title = f"{name} seed {seed}"
    if name == "MBPO":
        agent: Any = rl.MBPO(ENV, rl.MBPOConfig(memory=steps, **SHARED, **ENSEMBLE, **BRANCHES), seed=seed)
        agent.model.ends = falls
    else:
        agent = rl.SAC(ENV, rl.SACConfig(memory=steps, batch_size=256, **SHARED), seed=seed)
    with agent:
        agent.learn(steps, [Evaluations(None, ENV, EVERY, 5, seed=1000), Shown(title)])
        returns = rl.evaluate(agent, ENV, 20, seed=1)
    print(f"{title}  the end: {returns.mean():.0f} ± {returns.std():.0f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", nargs="+", choices=("MBPO", "SAC"), default=("MBPO", "SAC"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=60_000)
    options = parser.parse_args()
    deepnp.set_num_threads(1)
    for name in options.agents:
        for seed in options.seeds:
            train(name, seed, options.steps)


if __name__ == "__main__":
    main()
