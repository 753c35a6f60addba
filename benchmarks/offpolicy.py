"""How fast are SAC, TD3 and DDPG?        python -m benchmarks.offpolicy [--sb3 PYTHON] [--sbx PYTHON] [--rltools PYTHON]

HalfCheetah-v5, 256-256 networks, batches of 256, one update a step, with one thread and with two. Each thread count runs in a
process of its own, held to as many processors. Printed are the steps a second, where the time of a step goes, and the ratio to
the floor: the same matrix products alone, with their real orientations and as many BLAS threads, and the environment alone.

Where a peer's Python is given, the peer runs in the same minutes: machines drift, and only ratios within one run count. Every
rate is the median of three windows: neighbours disturb.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import gymnasium
import numpy as np

import rl

ENV = "HalfCheetah-v5"
ROOT = Path(__file__).resolve().parents[1]
WARMUP, WINDOWS, STEPS = 500, 3, 1000
HIDDEN, BATCH = (256, 256), 256


def products(widths: list[int], params: bool, inputs: bool) -> list:
    """(A, B) of every matrix product of a pass through a network: forward, and backward as far as it is wanted."""
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(BATCH, w)).astype(np.float32) for w in widths]
    weights = [rng.normal(size=(o, i)).astype(np.float32) for i, o in pairwise(widths)]
    chain = [(x[i], w.T) for i, w in enumerate(weights)]
    for i in reversed(range(len(weights))) if params or inputs else ():
        chain += [(x[i + 1].T, x[i])] if params else []
        chain += [(x[i + 1], weights[i])] if i or inputs else []
    return chain


def floor(algorithm: str, observations: int, actions: int) -> float:
    """Seconds of one update's matrix products alone."""
    critic = [observations + actions, *HIDDEN, 1]
    actor = [observations, *HIDDEN, actions * (2 if algorithm == "SAC" else 1)]
    twins = 1 if algorithm == "DDPG" else 2
    always = products(actor, False, False) + twins * (products(critic, False, False) + products(critic, True, False))
    read = twins if algorithm == "SAC" else 1  # critics that the policy's gradient comes through
    policy = products(actor, True, False) + read * products(critic, False, True)

    def run(chain):
        best = float("inf")
        for _ in range(5):
            start = time.perf_counter()
            for _ in range(20):
                for a, b in chain:
                    np.matmul(a, b)
            best = min(best, (time.perf_counter() - start) / 20)
        return best

    return run(always) + run(policy) / (2 if algorithm == "TD3" else 1)


def environment_alone() -> float:
    """Seconds of one step of the single environment with random actions."""
    env = gymnasium.make(ENV)
    env.reset(seed=0)
    actions = np.random.default_rng(0).uniform(-1, 1, (STEPS, *env.action_space.shape)).astype(np.float32)
    start = time.perf_counter()
    for action in actions:
        if any(env.step(action)[2:4]):
            env.reset()
    return (time.perf_counter() - start) / STEPS


def split(agent) -> dict[str, float]:
    """Seconds a step of the parts of `agent`'s training, each including the calls around it."""
    spent: dict[str, float] = defaultdict(float)
    parts = {"environment": (agent.collector, "step"), "inference": (agent, "explore"), "sampling": (agent.memory, "batch")}
    parts |= {"update": (agent, "update"), "critics": (agent.critics, "fit"), "policy": (agent.halves, "step")}

    def timed(name, plain):
        def run(*arguments, **settings):
            start = time.perf_counter()
            result = plain(*arguments, **settings)
            spent[name] += time.perf_counter() - start
            return result

        return run

    plain = [getattr(owner, method) for owner, method in parts.values()]
    for (name, (owner, method)), function in zip(parts.items(), plain, strict=True):
        setattr(owner, method, timed(name, function))
    windows = []
    for _ in range(WINDOWS):
        spent.clear()
        steps = agent.steps
        agent.learn(steps + STEPS)
        spent["targets"] = spent["update"] - spent["critics"] - spent["policy"]
        windows.append({name: seconds / (agent.steps - steps) for name, seconds in spent.items()})
    for (owner, method), function in zip(parts.values(), plain, strict=True):
        setattr(owner, method, function)
    return {name: float(np.median([window[name] for window in windows])) for name in windows[0]}


def measure(algorithm: str) -> dict[str, float]:
    """Rates and times of our training, in this process."""
    cls = getattr(rl, algorithm)
    agent = cls(ENV, cls.Config(warmup=100, hidden=HIDDEN, batch_size=BATCH), seed=0)
    agent.learn(WARMUP)
    windows = []
    for _ in range(WINDOWS):
        steps, start = agent.steps, time.perf_counter()
        agent.learn(steps + STEPS)
        windows.append((time.perf_counter() - start) / (agent.steps - steps))
    parts = split(agent)
    return {
        "whole": float(np.median(windows)),
        **parts,
        "products": floor(algorithm, 17, 6),
        "environment alone": environment_alone(),
    }


def in_process(command: list[str], threads: int) -> dict | None:
    """The JSON that a command prints last, run on `threads` processors; None if it fails."""
    processors = sorted(os.sched_getaffinity(0))[:threads] if hasattr(os, "sched_getaffinity") else None
    hold = (lambda: os.sched_setaffinity(0, processors)) if processors else None
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, preexec_fn=hold)
    if result.returncode:
        print(f"   ({command[1:]} failed: {(result.stderr.strip().splitlines() or ['no message'])[-1]})")
        return None
    return json.loads(result.stdout.splitlines()[-1])


def report(algorithm: str, threads: int, peers: dict[str, str]) -> None:
    ours = in_process([sys.executable, "-m", "benchmarks.offpolicy", "--measure", algorithm], threads)
    if ours is None:
        return
    whole = ours.pop("whole")
    lowest = ours["products"] + ours["environment alone"]
    print(f"\n{algorithm}, {threads} thread{'s' * (threads > 1)}: {1 / whole:6.0f} steps/s, {1e3 * whole:.2f} ms a step")
    print("   " + ", ".join(f"{name} {1e3 * seconds:.2f}" for name, seconds in ours.items()) + " ms")
    print(
        f"   {ours['update'] / ours['products']:.2f} × the products alone, a step {whole / lowest:.2f} × products and environment"
    )
    script = str(ROOT / "benchmarks" / "peer_offpolicy.py")
    for name, python in peers.items():
        if name == "rltools" and (threads > 1 or algorithm == "DDPG"):
            continue
        theirs = in_process([python, script, name, algorithm, ENV, str(threads)], threads)
        if theirs:
            rate = theirs["steps_per_second"]
            print(f"   {name:8} {rate:6.0f} steps/s: ours is {1 / whole / rate:.2f} × as fast")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for peer in ("sb3", "sbx", "rltools"):
        parser.add_argument(f"--{peer}", metavar="PYTHON", help=f"an interpreter that has {peer}")
    parser.add_argument("--algorithms", nargs="+", default=["SAC", "TD3", "DDPG"])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--measure", metavar="ALGORITHM", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    peers = {name: vars(options)[name] for name in ("sb3", "sbx", "rltools") if vars(options)[name]}
    for algorithm in options.algorithms:
        for threads in options.threads:
            report(algorithm, threads, peers)


if __name__ == "__main__":
    main()
