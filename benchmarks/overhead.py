"""What does it cost to write a training down?      python -m benchmarks.overhead [--rounds 40] [--transitions 1000000]

SAC and PPO at their default settings on HalfCheetah, in one training.

    rows          a row of progress.csv and TensorBoard's events after each iteration: the seconds inside these calls, against the
                  iteration's
    checkpoint    windows of steps with a checkpoint that is written meanwhile, and without, in turn, so that what else happens on
                  the machine disturbs both alike: the time that training loses to one, the median over the rounds

A window is one iteration (PPO), or 200 steps (SAC, with the replay memory filled before), and more until a checkpoint is written.
Printed is what both make of training at one checkpoint a minute, the default, and the longest that one step took. Evaluations are
off: they cost what they cost. Finite checks are part of both kinds of windows.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

import envs  # noqa: F401  (registers deepnp/…)
import rl
from rl.runs.run import Run

ENV = "deepnp/HalfCheetah-v5"
CHECKPOINT_SECONDS = 60.0
TARGET = 0.03
WARM, WINDOW = 1000, 200  # steps


class Rounds(rl.Callback):
    """Windows without and with a checkpoint, in turn: the seconds of each, and of the calls that write rows.

    Attributes
    ----------
    windows, steps, longest : list of float, twice
        Seconds of each window, its steps, and its longest step; without a checkpoint, and with one.
    stops : list of float
        Seconds that training stands still while a checkpoint is begun.
    rows, iterations : list of float
        Seconds of writing after an iteration, and of the iteration.
    """

    def __init__(self, folder: Path, agent: rl.Agent, rounds: int):
        self.run = Run(folder, agent, ENV, 10**9, tensorboard=True, checkpoint_seconds=None)
        self.windows: tuple[list[float], list[float]] = ([], [])
        self.steps: tuple[list[float], list[float]] = ([], [])
        self.longest: tuple[list[float], list[float]] = ([], [])
        self.stops: list[float] = []
        self.rows: list[float] = []
        self.iterations: list[float] = []
        self.last, self.end, self.size = 2 * rounds, 0, 0

    def on_start(self, agent):
        self.run.on_start(agent)
        self.size = agent.config.steps * agent.config.num_envs if agent.takes.on_policy else WINDOW
        self.number, self.end = -1, agent.steps + max(WARM, self.size)
        self.start = self.before = self.began = time.perf_counter()
        self.worst = 0.0

    def on_step(self, agent, step):
        now = time.perf_counter()
        self.worst, self.before = max(self.worst, now - self.before), now
        return agent.takes.on_policy or self._window(agent)

    def on_update(self, agent, metrics):
        before = time.perf_counter()
        self.run.on_update(agent, metrics)
        now = time.perf_counter()
        self.rows.append(now - before)
        self.iterations.append(now - self.began)
        self.began = now
        return not agent.takes.on_policy or self._window(agent)

    def _window(self, agent):
        """End a window, where it is over, and begin the next."""
        if agent.steps < self.end or self.run.writing:
            return True
        if self.number >= 0:
            self.windows[self.number % 2].append(time.perf_counter() - self.start)
            self.steps[self.number % 2].append(self.size + agent.steps - self.end)
            self.longest[self.number % 2].append(self.worst)
        self.number, self.end, self.worst = self.number + 1, agent.steps + self.size, 0.0
        self.start = self.before = time.perf_counter()
        if self.number % 2 and self.number < self.last:
            self.run.save_beside(agent)
            self.stops.append(time.perf_counter() - self.start)
        return self.number < self.last

    def on_end(self, agent, error):
        self.run.on_end(agent, error)


def fill(agent: rl.Agent, transitions: int) -> None:
    """Let an agent's replay memory hold so many transitions, whatever is in them."""
    memory, rng = agent.memory, np.random.default_rng(0)
    for column in (memory.observations, memory.next_observations, memory.actions):
        column[len(memory) : transitions] = rng.uniform(-1, 1, column[len(memory) : transitions].shape)
    memory.heads[:] = transitions % memory.slots
    memory.sizes[:] = transitions


def measure(name: str, rounds: int, transitions: int) -> float:
    """Train, print what writing it down costs, and return the share of the time."""
    cls = rl.ALGORITHMS[name].cls
    with tempfile.TemporaryDirectory() as folder, cls(ENV) as agent:
        agent.learn(500)
        if not cls.takes.on_policy:
            fill(agent, transitions)
        callback = Rounds(Path(folder), agent, rounds)
        agent.learn(10**9, callback)
        size = callback.run.checkpoint.stat().st_size
    (without, written), (steps, more) = (np.array(pair) for pair in (callback.windows, callback.steps))
    share = sum(callback.rows) / sum(callback.iterations)
    lost = float(np.median(written - without * (more / steps)))
    total = share + lost / CHECKPOINT_SECONDS
    print(f"{name}: {len(without)} rounds of windows of {callback.size} steps, {np.median(without):.1f} s")
    print(f"    rows and events             {100 * share:+.3f} %   {1e3 * np.median(callback.rows):.2f} ms an iteration")
    print(f"    a checkpoint of {size / 1e6:6.1f} MB   {lost:+.2f} s, {100 * lost / CHECKPOINT_SECONDS:+.2f} % at one a minute")
    print(f"    together                    {100 * total:+.2f} %   ratio {1 + total:.4f}   target {1 + TARGET}")
    middle, longest = ([f(times) for times in callback.longest] for f in (np.median, max))
    stops = 1e3 * np.array(callback.stops)
    print(f"    it stops training           {np.median(stops):.0f} ms (median), {stops.max():.0f} ms (longest), to be begun")
    print(f"    a window's longest step     {1e3 * middle[0]:.0f} ms without, {1e3 * middle[1]:.0f} ms with a checkpoint (medians)")
    print(
        f"    the longest of all          {1e3 * longest[0]:.0f} ms without, {1e3 * longest[1]:.0f} ms with a checkpoint",
        flush=True,
    )
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--transitions", type=int, default=1_000_000, help="in the replay memory (default 1,000,000)")
    parser.add_argument("--algorithms", nargs="+", default=["PPO", "SAC"])
    options = parser.parse_args()
    for name in options.algorithms:
        measure(name, options.rounds, options.transitions)


if __name__ == "__main__":
    main()
