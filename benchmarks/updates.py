"""What does an update cost?      python -m benchmarks.updates PreQN-sine TD3-sine PreQN-relu TD3-relu [--width 256]

An update is a minibatch from the replay memory, on HalfCheetah-v5, with each algorithm's default settings but for the
activation that follows its name, and for the width: that of two hidden layers, and the rows of the minibatch. The learners take
ten updates in turn, so that what else happens on the machine disturbs all alike. Printed is the processor time of one update, the
median over the rounds, and how many times as long it is as the last one's.
"""

import argparse
import time

import numpy as np

import rl
from deepnp import set_num_threads
from rl.loops.off_policy import draw_batch

ENV, WARMUP, UPDATES = "HalfCheetah-v5", 1000, 10


def learner(name: str, width: int) -> rl.Agent:
    """An agent of "ALGORITHM-activation" whose memory holds steps to learn from."""
    algorithm, _, activation = name.partition("-")
    cls = rl.ALGORITHMS[algorithm].cls
    settings = dict(warmup=WARMUP, batch_size=width, hidden=(width, width), memory=10 * WARMUP, update_interval=50)
    return cls(ENV, cls.Config(**settings, **({"activation": activation} if activation else {}))).learn(WARMUP + 100)


def measure(names: list[str], width: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of processor time of an update, in each round."""
    agents, times = {name: learner(name, width) for name in names}, {name: [] for name in names}
    for _ in range(rounds):
        for name, agent in agents.items():
            batches = [draw_batch(agent, 0.5) for _ in range(UPDATES)]
            start = time.process_time()
            for batch in batches:
                agent.update(batch)
            times[name].append(1e3 * (time.process_time() - start) / UPDATES)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", help="algorithms of continuous actions, each with an activation or none: TD3-sine")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=25)
    options = parser.parse_args()
    set_num_threads(options.threads)
    times = measure(options.names, options.width, options.rounds)
    last = np.array(times[options.names[-1]])
    for name, taken in times.items():
        print(f"{name:16} {np.median(taken):6.2f} ms   {np.median(np.array(taken) / last):5.2f} x {options.names[-1]}")


if __name__ == "__main__":
    main()
