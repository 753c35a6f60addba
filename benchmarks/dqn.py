"""How fast is DQN?        python -m benchmarks.dqn [--sb3 PYTHON]

CartPole-v1 and LunarLander-v3, 128-128 networks, batches of 128, one update a step, a target that is copied every 500 steps. Where
an interpreter that has Stable-Baselines3 is given, both train in turn, each in a process of its own with one thread, and the ratio
of their medians is printed: machines drift, and only ratios within one run count.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import rl
from benchmarks.offpolicy import in_process

ENVS = "CartPole-v1", "LunarLander-v3"
WARMUP, WINDOWS, STEPS, ROUNDS = 1_000, 3, 1_000, 3


def measure(env: str) -> float:
    """Steps a second of our training, in this process."""
    agent = rl.DQN(env, rl.DQNConfig(warmup=100), seed=0).learn(WARMUP)
    rates = []
    for _ in range(WINDOWS):
        steps, start = agent.steps, time.perf_counter()
        agent.learn(steps + STEPS)
        rates.append((agent.steps - steps) / (time.perf_counter() - start))
    return statistics.median(rates)


def rate(command: list[str]) -> float:
    """What a command measures; NaN if it fails."""
    result = in_process(command, 1)
    return result["steps_per_second"] if result else float("nan")


def report(env: str, python: str | None) -> None:
    ours, theirs = [], []
    peer = str(Path(__file__).with_name("peer_dqn.py"))
    for _ in range(ROUNDS):
        ours.append(rate([sys.executable, "-m", "benchmarks.dqn", "--measure", env]))
        if python:
            theirs.append(rate([python, peer, env]))
    print(f"{env}: {statistics.median(ours):.0f} steps/s", end="")
    if python:
        ratio = statistics.median(ours) / statistics.median(theirs)
        print(f", Stable-Baselines3 {statistics.median(theirs):.0f}: ours is {ratio:.2f} x as fast", end="")
    print(flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sb3", metavar="PYTHON", help="an interpreter that has Stable-Baselines3")
    parser.add_argument("--envs", nargs="+", default=ENVS)
    parser.add_argument("--measure", metavar="ENV", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps({"steps_per_second": measure(options.measure)}))
        return
    for env in options.envs:
        report(env, options.sb3)


if __name__ == "__main__":
    main()
