"""How long does an iteration of TRPO take?        python -m benchmarks.trpo [--peer /path/to/venv/bin/python]

HalfCheetah-v5, rollouts of 4,096 steps in 8 copies, 64-64 networks, 10 products with the Fisher information, 10 epochs of the
value in minibatches of 128. Printed are milliseconds of a whole iteration and of its update alone:

1. TRPO on Gymnasium's HalfCheetah-v5 and on deepnp/HalfCheetah-v5, which steps all copies in one native call
2. PPO on both, with the same rollouts, networks, epochs and minibatches
3. with `--peer`, sb3-contrib's TRPO on Gymnasium's, in a DummyVecEnv of as many copies

All take turns, round after round, so that what else happens on the machine disturbs all alike. Medians of the rounds, and
medians of the ratios to TRPO on Gymnasium's environment. At the end: what the parts of one update take.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import deepnp
import envs  # noqa: F401  (registers deepnp/…)
from deepnp.backend import one_blas_thread
from rl import PPO, TRPO, PPOConfig, TRPOConfig
from rl.agent import Agent
from rl.networks.fisher import Fisher

ENV = "HalfCheetah-v5"
SHARED = dict(num_envs=8, steps=512, hidden=(64, 64), lam=0.97, batch_size=128, epochs=10)
CG_STEPS = 10
PEER = Path(__file__).with_name("peer_trpo.py")
Timings = dict[str, float]


def timed(agent: Agent, iterations: int) -> Timings:
    """Seconds of one iteration of an agent that has learned before, and of its update."""
    spent, update = 0.0, agent.update
    rollout = agent.config.num_envs * agent.config.steps

    def timed_update(*arguments):
        nonlocal spent
        start = time.perf_counter()
        result = update(*arguments)
        spent += time.perf_counter() - start
        return result

    agent.update = timed_update
    start = time.perf_counter()
    agent.learn(agent.steps + iterations * rollout)
    whole = time.perf_counter() - start
    agent.update = update
    return {"whole": whole / iterations, "update": spent / iterations}


def theirs(python: str, iterations: int) -> Timings:
    """The same of sb3-contrib's TRPO."""
    given = {**SHARED, "env": ENV, "cg_steps": CG_STEPS, "iterations": iterations, "threads": deepnp.get_num_threads()}
    result = subprocess.run([python, str(PEER), json.dumps(given)], capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{PEER.name}: {result.stderr[-2000:]}")
    return json.loads(result.stdout.splitlines()[-1])


def compare(python: str | None, rounds: int, iterations: int) -> None:
    """All in turns."""
    runs: dict[str, Callable[[], Timings]] = {}
    for env in (ENV, f"deepnp/{ENV}"):
        agents = TRPO(env, TRPOConfig(**SHARED, cg_steps=CG_STEPS)), PPO(env, PPOConfig(**SHARED))
        for agent in agents:
            agent.learn(agent.config.num_envs * agent.config.steps)  # compiles, fills caches
            runs[f"{type(agent).__name__}, {env}"] = lambda agent=agent: timed(agent, iterations)
    if python:
        runs[f"sb3-contrib's TRPO, {ENV}"] = lambda: theirs(python, iterations)
    table = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            table[name].append(run())
    first = table[f"TRPO, {ENV}"]
    print(f"{'':36} whole, ms   update, ms   ratio of whole   of update")
    for name, rows in table.items():
        times = [1e3 * np.median([row[part] for row in rows]) for part in ("whole", "update")]
        ratios = [np.median([a[part] / b[part] for a, b in zip(rows, first, strict=True)]) for part in ("whole", "update")]
        print(f"{name:36} {times[0]:9.1f}   {times[1]:10.1f}   {ratios[0]:14.2f}   {ratios[1]:9.2f}", flush=True)


def parts(repeats: int) -> None:
    """What one update is made of."""
    agent, rng = TRPO(ENV, TRPOConfig(**SHARED)), np.random.default_rng(0)
    observations = rng.normal(size=(SHARED["num_envs"] * SHARED["steps"], agent.space.observations)).astype(np.float32)
    v = rng.normal(size=len(agent.policy.flat))
    fisher = Fisher(agent.policy, agent.policy.forward(observations), 0.1)
    pieces = {
        "forward of the policy": lambda: agent.policy.forward(observations),
        "J v": lambda: agent.policy.jvp(v.astype(np.float32)),
        "F v": lambda: fisher(v),
    }
    with one_blas_thread():
        for name, piece in pieces.items():
            times = []
            for _ in range(repeats):
                start = time.perf_counter()
                piece()
                times.append(time.perf_counter() - start)
            print(f"   {name:24} {1e3 * min(times):6.2f} ms, the fastest of {repeats}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter that has sb3-contrib")
    parser.add_argument("--threads", type=int, default=deepnp.get_num_threads(), help="of both (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of all in turns (default 5)")
    parser.add_argument("--iterations", type=int, default=3, help="of each in a round (default 3)")
    options = parser.parse_args()
    deepnp.set_num_threads(options.threads)
    print(f"{options.threads} threads, {ENV}, rollouts of {SHARED['num_envs']} × {SHARED['steps']} steps")
    compare(options.peer, options.rounds, options.iterations)
    parts(50)


if __name__ == "__main__":
    main()
