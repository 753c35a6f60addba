"""Does memory solve what no single observation can, and how fast?        python -m benchmarks.memory

1. CartPole without velocities, and a cue recalled after 20 steps (examples/memory.py): PPO with each kind of memory and without,
   with each seed; the mean return of 20 deterministic episodes of the final policy.
2. With `--algorithm SAC` the same for SAC, to which choices are parts of [-1, 1], and Pendulum without velocity besides.
3. With `--peer`, a Python that has sb3-contrib: whole training of PPO with one LSTM against its RecurrentPPO on the same
   environments with the same rollouts, epochs, minibatches and widths, in turns.

`--kinds`, `--seeds` and `--tasks` choose; `--steps` cuts trainings short.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TransformObservation

import deepnp
from examples.memory import EPISODES, TASKS, Recall, blind_cartpole, settings
from rl import PPO, SAC, PPOConfig, SACConfig, evaluate
from rl.experience.partition import Partitioned

PEER = Path(__file__).with_name("peer_recurrent.py")
KINDS = ("none", "rnn", "lstm", "gru", "attention")
SPEED = dict(num_envs=8, steps=128, batch_size=256, epochs=10, hidden=(64, 64), memory_size=64)


def blind_pendulum() -> gymnasium.Env:
    """Pendulum-v1 without its velocity: where its end is, cos θ and sin θ."""
    return TransformObservation(gymnasium.make("Pendulum-v1"), lambda o: o[:2], spaces.Box(-1, 1, (2,), np.float32))


OFF_POLICY: dict[str, tuple[Callable[[], gymnasium.Env], int, dict]] = {  # environment, steps, settings
    "cartpole": (lambda: Partitioned(blind_cartpole()), 20_000, dict(update_interval=2, recall_span=16)),
    "recall": (
        lambda: Partitioned(Recall()),
        40_000,
        dict(num_envs=8, update_interval=8, batch_size=1024, hidden=(64,), temperature=0.01, gamma=0.95, warmup=2000),
    ),
    "pendulum": (blind_pendulum, 15_000, {}),
}
SHARED = dict(hidden=(64, 64), batch_size=512, lr=1e-3, warmup=1000, memory=100_000)


def off_policy_settings(task: str, recall: str | None) -> SACConfig:
    """SAC's settings for a task with a memory, or without."""
    return SACConfig(**{**SHARED, **OFF_POLICY[task][2]}, recall=recall)


def solve(algorithm: str, task: str, kind: str, seed: int, steps: int | None) -> float:
    """Train with one seed, print a line, and return the final policy's mean return."""
    cls, tasks, of = (PPO, TASKS, settings) if algorithm == "PPO" else (SAC, OFF_POLICY, off_policy_settings)
    make, enough, _ = tasks[task]
    config = of(task, None if kind == "none" else kind)
    agent, start = cls([make] * config.num_envs, config, seed=seed), time.perf_counter()
    agent.learn(steps or enough)
    seconds = time.perf_counter() - start
    returns = evaluate(agent, [make] * EPISODES, EPISODES)
    line = f"{algorithm} {task:9} {kind:9} seed {seed}  {agent.steps:8,} steps  {seconds:5.0f} s"
    print(f"{line}  return {returns.mean():7.2f} (worst {returns.min():.2f})", flush=True)
    return float(returns.mean())


def ours(iterations: int, **others) -> float:
    """Seconds for each environment step of a whole training with an LSTM."""
    config = PPOConfig(**SPEED, memory="lstm", memory_span=32, **others)
    agent, rollout = PPO([blind_cartpole] * config.num_envs, config, seed=0), config.num_envs * config.steps
    agent.learn(rollout)
    start = time.perf_counter()
    agent.learn((1 + iterations) * rollout)
    return (time.perf_counter() - start) / (iterations * rollout)


def theirs(python: str, iterations: int) -> float:
    """The same of sb3-contrib's RecurrentPPO."""
    given = json.dumps({**SPEED, "iterations": iterations, "threads": deepnp.get_num_threads()})
    result = subprocess.run([python, str(PEER), given], capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{PEER.name}: {result.stderr[-2000:]}")
    return float(json.loads(result.stdout.splitlines()[-1])["whole"])


def compare(python: str, rounds: int, iterations: int) -> None:
    """Both in turns, and the median of the ratios."""
    print("round   ours µs/step   sb3-contrib µs/step   ratio")
    ratios = []
    for i in range(rounds):
        own, other = ours(iterations), theirs(python, iterations)
        ratios.append(other / own)
        print(f"{i + 1:5}   {1e6 * own:12.1f}   {1e6 * other:19.1f}   {ratios[-1]:5.2f}", flush=True)
    print(f"median ratio {np.median(ratios):.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--algorithm", choices=("PPO", "SAC"), default="PPO")
    parser.add_argument("--tasks", nargs="*", choices=OFF_POLICY, help="default: all that the algorithm has")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, help="instead of the task's own")
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter that has sb3-contrib")
    parser.add_argument("--threads", type=int, default=deepnp.get_num_threads(), help="of both (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of the comparison (default 5)")
    parser.add_argument("--iterations", type=int, default=3, help="of each training in it (default 3)")
    options = parser.parse_args()
    deepnp.set_num_threads(options.threads)
    print(f"{options.threads} threads", flush=True)
    own = TASKS if options.algorithm == "PPO" else OFF_POLICY
    for task in own if options.tasks is None else [task for task in options.tasks if task in own]:
        for kind in options.kinds:
            for seed in options.seeds:
                solve(options.algorithm, task, kind, seed, options.steps)
    if options.peer:
        compare(options.peer, options.rounds, options.iterations)


if __name__ == "__main__":
    main()
