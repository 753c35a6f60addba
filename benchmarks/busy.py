"""Do two threads survive a busy machine?        python -m benchmarks.busy [--rounds 8] [--steps 300] [--env HalfCheetah-v5]

SAC with 256-256 networks, batches of 256 and one update a step: with one thread and with two, on the machine as it is and while a
child process keeps one processor busy. Windows with one thread and with two take turns, so that what else happens on the
machine disturbs both alike. Printed are the steps a second of all windows together, and the ratio of two threads to one: of all
windows, and the median of the pairs.
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import deepnp
import rl

WARMUP = 500  # steps before anything is timed
BUSY = [sys.executable, "-c", "while True: pass"]


@contextlib.contextmanager
def one_processor_busy() -> Iterator[None]:
    """A child process that does nothing else, in a session of its own, as another user's."""
    child = subprocess.Popen(BUSY, start_new_session=True)
    try:
        yield
    finally:
        child.kill()
        child.wait()


def seconds(agent: rl.SAC, threads: int, steps: int) -> float:
    """Of so many steps of training with so many threads."""
    deepnp.set_num_threads(threads)
    start = time.perf_counter()
    agent.learn(agent.steps + steps)
    return time.perf_counter() - start


def compare(agent: rl.SAC, title: str, rounds: int, steps: int) -> None:
    """Rates with one thread and with two, a window of each in turn."""
    windows = [(seconds(agent, 1, steps), seconds(agent, 2, steps)) for _ in range(rounds)]
    one, two = (sum(times) for times in zip(*windows, strict=True))
    pairs = statistics.median(a / b for a, b in windows)
    rates = f"one thread {rounds * steps / one:6.1f} steps/s, two {rounds * steps / two:6.1f}"
    print(f"{title:20} {rates}: {one / two:.2f} × as many, median of pairs {pairs:.2f} ×", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8, help="windows of each kind (default 8)")
    parser.add_argument("--steps", type=int, default=300, help="of a window (default 300)")
    parser.add_argument("--env", default="HalfCheetah-v5", metavar="ID", help="the environment (default HalfCheetah-v5)")
    options = parser.parse_args()
    config = rl.SACConfig(warmup=100, hidden=(256, 256), batch_size=256)
    agent = rl.SAC(options.env, config, seed=0).learn(WARMUP)
    compare(agent, "as it is", options.rounds, options.steps)
    with one_processor_busy():
        compare(agent, "one processor busy", options.rounds, options.steps)


if __name__ == "__main__":
    main()
