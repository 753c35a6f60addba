"""How fast are the environments?    python -m benchmarks.envs [--only driver] [--copies 1 8 64 256] [--threads 1 2] [--gymnasium]

Environment steps a second of a vector environment of N copies, with random actions and automatic resets. Beside it the floor,
and the share of the floor's speed that is reached. The floor of a game is the bare loop of its kernels. The floor of a body is
MuJoCo's own loop over N copies, one C call, which starts each step from the same states.
With --gymnasium also Gymnasium's vector environments over N single ones, in one process (sync) and in N (async). The single ones
are ours where the task is ours, and Gymnasium's where the task is Gymnasium's.

Other programs disturb. So a game's figure is the best of several rounds, and a body's the median of single steps, taken in turn
with the floor's. With --cpu the processor's seconds are counted, not the clock's: that is meant for what
runs in one thread.
"""

import argparse
import time
from collections.abc import Callable

import gymnasium
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

import envs

ROUNDS = 5
PREPARED = 64  # actions drawn before the clock starts


def game_kernels(env, actions):
    """A game's two kernels, for the step and the observation, and nothing else."""
    core = env.core
    rewards, terminated, observations = np.zeros(core.num_envs), np.zeros(core.num_envs, bool), env.core.observe()
    everyone = np.arange(core.num_envs)

    def step(t):
        core.advance(actions[t % PREPARED], rewards, terminated)
        core.look(everyone, observations)
        if t % 100 == 99:  # a car that has driven through a wall senses nothing any more
            env.reset()

    return step


GAMES = [f"deepnp/{name}" for name in envs.GAMES]
BODIES = [f"deepnp/{name}" for name in envs.BODIES]


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


def make(task: str, copies: int, **settings) -> tuple[VectorEnv, list[np.ndarray]]:
    """A vector environment that was reset, and actions for it."""
    env = gymnasium.make_vec(task, copies, "vector_entry_point", autoreset_mode=AutoresetMode.SAME_STEP, **settings)
    env.reset(seed=0)
    env.action_space.seed(0)
    return env, [env.action_space.sample() for _ in range(PREPARED)]


def measure_game(task: str, copies: int, seconds: float, clock) -> tuple[float, float]:
    """Steps a second of ours, and of the floor."""
    env, actions = make(task, copies)
    ours = steps_a_second(lambda t: env.step(actions[t % PREPARED]), copies, seconds, clock)
    return ours, steps_a_second(game_kernels(env, actions), copies, seconds, clock)


def measure_body(task: str, copies: int, threads: int, seconds: float, clock) -> tuple[float, float]:
    """The same of a body: step by step in turns, because how long a step takes depends on what touches what."""
    (env, actions), (twin, _) = (make(task, copies, num_threads=threads) for _ in range(2))
    body, t, end = twin.unwrapped.core.body, 0, time.perf_counter() + 2 * seconds
    batch, ours, floor = body.batch, [], []
    while time.perf_counter() < end or t < PREPARED:
        batch.state[:] = env.unwrapped.core.body.batch.state
        start = clock()
        env.step(actions[t % PREPARED])
        middle = clock()
        batch.step(nstep=body.frame_skip)
        ours.append(middle - start)
        floor.append(clock() - middle)
        t += 1
    env.close()
    twin.close()
    return copies / np.median(ours), copies / np.median(floor)


def measure_gymnasium(task: str, copies: int, seconds: float, cls: type[VectorEnv]) -> float:
    """Steps a second of Gymnasium's vector environment over single ones."""
    id = task.removeprefix("deepnp/") if task.endswith("-v5") else task
    env = cls([lambda: gymnasium.make(id)] * copies, autoreset_mode=AutoresetMode.SAME_STEP)
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(PREPARED)]
    speed = steps_a_second(lambda t: env.step(actions[t % PREPARED]), copies, seconds, time.perf_counter)
    env.close()
    return speed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="PART", help="tasks whose id contains this")
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 8, 64, 256], metavar="N")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each figure (default 0.5)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1], metavar="T", help="of bodies; games run in one (default 1)")
    parser.add_argument("--cpu", action="store_true", help="count the processor's seconds")
    parser.add_argument("--gymnasium", action="store_true", help="Gymnasium's vector environments as well")
    options = parser.parse_args()
    tasks = [task for task in GAMES + BODIES if options.only.lower() in task.lower()]
    if not tasks:
        parser.error(f"no task's id contains {options.only!r}")
    if min(options.copies + options.threads) < 1:
        parser.error(f"expected copies and threads >= 1, given {options.copies} and {options.threads}")
    clock = time.thread_time if options.cpu else time.perf_counter
    peers = {"sync": SyncVectorEnv, "async": AsyncVectorEnv} if options.gymnasium else {}
    print(
        f"{'environment steps a second':26} {'N':>4} {'threads':>7} {'ours':>11} {'floor':>11} {'reached':>8}",
        *(f"{p:>10}" for p in peers),
    )
    for task in tasks:
        for copies in options.copies:
            others = [f"{measure_gymnasium(task, copies, options.seconds, cls):10,.0f}" for cls in peers.values()]
            for threads in options.threads if task in BODIES else [1]:
                settings = options.seconds, clock
                game = task in GAMES
                ours, floor = measure_game(task, copies, *settings) if game else measure_body(task, copies, threads, *settings)
                print(f"{task:26} {copies:4} {threads:7} {ours:11,.0f} {floor:11,.0f} {ours / floor:8.0%}", *others, flush=True)


if __name__ == "__main__":
    main()
