"""How fast are the environments?        python -m benchmarks.envs [--only driver] [--copies 1 8 64 256] [--cpu] [--sync]

Environment steps a second with random actions, and episodes that begin anew as they end, in a vector environment of N copies:
beside it the floor, which is the bare loop of the kernels (games), and the part of the floor's speed that is reached.
With --sync also Gymnasium's SyncVectorEnv over N single environments of ours.

Best of several rounds: machines drift and neighbours disturb. With --cpu seconds are the processor's, not the clock's: what
one core does undisturbed. That is meant for what runs in one thread.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

import envs  # noqa: F401  (registers deepnp/…)

ROUNDS = 5
PREPARED = 64  # actions drawn before the clock starts


@dataclass(frozen=True)
class Task:
    """An environment, and how its floor is stepped: `bare(env, actions)` makes a function that takes one step of all copies."""

    id: str
    bare: Callable[[VectorEnv, list[np.ndarray]], Callable[[int], None]]


def game_kernels(env, actions):
    """A game's two kernels, moving and looking, and nothing else."""
    core = env.core
    rewards, terminated, seen = np.zeros(core.num_envs), np.zeros(core.num_envs, bool), env.core.observe()
    everyone = np.arange(core.num_envs)

    def step(t):
        core.advance(actions[t % PREPARED], rewards, terminated)
        core.look(everyone, seen)
        if t % 100 == 99:  # a car that drives on through walls would see nothing any more
            env.reset()

    return step


TASKS = [Task(f"deepnp/{name}-v0", game_kernels) for name in ("Driver", "Sorter", "Dodger", "Survivor", "Navigation")]


def steps_a_second(step: Callable[[int], object], copies: int, seconds: float, clock: Callable[[], float]) -> float:
    """Environment steps a second of `step(t)`, which steps all copies: the best of a few rounds."""
    best, t = 0.0, 0
    for _ in range(3):
        step(t)  # compiled, and in the caches
        t += 1
    for _ in range(ROUNDS):
        start, count = clock(), 0
        while clock() - start < seconds / ROUNDS:
            for _ in range(10):
                step(t)
                t += 1
            count += 10
        best = max(best, copies * count / (clock() - start))
    return best


def measure(task: Task, copies: int, seconds: float, clock, sync: bool) -> dict[str, float]:
    env = gymnasium.make_vec(task.id, copies, "vector_entry_point", autoreset_mode=AutoresetMode.SAME_STEP)
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(PREPARED)]
    result = {"ours": steps_a_second(lambda t: env.step(actions[t % PREPARED]), copies, seconds, clock)}
    result["floor"] = steps_a_second(task.bare(env, actions), copies, seconds, clock)
    env.close()
    if sync:
        singles = SyncVectorEnv([lambda: gymnasium.make(task.id)] * copies, autoreset_mode=AutoresetMode.SAME_STEP)
        singles.reset(seed=0)
        result["sync"] = steps_a_second(lambda t: singles.step(actions[t % PREPARED]), copies, seconds, clock)
        singles.close()
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="PART", help="tasks whose id contains this")
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 8, 64, 256], metavar="N")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each figure (default 0.5)")
    parser.add_argument("--cpu", action="store_true", help="count the processor's seconds")
    parser.add_argument("--sync", action="store_true", help="SyncVectorEnv over singles as well")
    options = parser.parse_args()
    tasks = [task for task in TASKS if options.only.lower() in task.id.lower()]
    if not tasks:
        parser.error(f"no task's id contains {options.only!r}")
    if min(options.copies) < 1:
        parser.error(f"expected copies >= 1, given {min(options.copies)}")
    clock = time.thread_time if options.cpu else time.perf_counter
    print(f"{'environment steps a second':24} {'N':>4} {'ours':>11} {'floor':>11} {'reached':>8}" + options.sync * f" {'sync':>10}")
    for task in tasks:
        for copies in options.copies:
            found = measure(task, copies, options.seconds, clock, options.sync)
            line = f"{task.id:26} {copies:4} {found['ours']:11,.0f} {found['floor']:11,.0f} {found['ours'] / found['floor']:8.0%}"
            print(line + (f" {found['sync']:10,.0f}" if options.sync else ""), flush=True)


if __name__ == "__main__":
    main()
