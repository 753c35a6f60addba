"""How far do MBPO and SAC get on Hopper-v5 in 60,000 steps?        python -m benchmarks.mbpo

The model is told when Hopper has fallen, as in the paper (Janner et al. 2019): a fall is one row of a hundred, and one that the
model misses is worth many rewards. All else is learned. Every 2,000 steps the return of five deterministic episodes is printed, and
of twenty in the end. On one core, beside another training, MBPO took 51 minutes and SAC three.
"""

import argparse
import time
from typing import Any

import numpy as np

import deepnp
import rl
from rl.schedules import Step

ENV, EVERY = "Hopper-v5", 2_000
SHARED = dict(lr=1e-3, warmup=2_500, hidden=(128, 128))
ENSEMBLE = dict(model_interval=1_000, members=5, elites=4)
BRANCHES = dict(updates=5, rollouts=50_000, imagined_memory=200_000, rollout_length=Step(1.0, 2.0, (0.5, 0.75)))


def falls(s: np.ndarray, a: np.ndarray, s_next: np.ndarray) -> np.ndarray:
    """The environment's rule, of rows: height, angle, and all numbers but the height within bounds."""
    return ~((s_next[:, 0] > 0.7) & (np.abs(s_next[:, 1]) < 0.2) & (np.abs(s_next[:, 1:]) < 100).all(axis=1))


def train(name: str, seed: int, steps: int) -> None:
    """Train one of them, and print what it is worth on the way."""
    start, shown = time.perf_counter(), 0

    def look(agent, metrics):
        nonlocal shown
        if agent.steps >= (shown + 1) * EVERY:
            shown += 1
            returns = rl.evaluate(agent, ENV, 5, seed=1000)
            minutes = (time.perf_counter() - start) / 60
            print(f"{name} seed {seed}  {agent.steps:7,} steps  {minutes:4.1f} min  return {returns.mean():7.1f}", flush=True)

    if name == "MBPO":
        agent: Any = rl.MBPO(ENV, rl.MBPOConfig(memory=steps, **SHARED, **ENSEMBLE, **BRANCHES), seed=seed)
        agent.model.ends = falls
    else:
        agent = rl.SAC(ENV, rl.SACConfig(memory=steps, batch_size=256, **SHARED), seed=seed)
    agent.learn(steps, look)
    returns = rl.evaluate(agent, ENV, 20, seed=1)
    print(f"{name} seed {seed}  the end: {returns.mean():.0f} ± {returns.std():.0f}", flush=True)


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
