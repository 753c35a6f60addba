"""How long until it is good?        python -m benchmarks.time_to_return [TASK ...] [--sb3 PYTHON] [--sbx PYTHON]

Trains until the mean return of 10 deterministic episodes reaches a mark: SAC on Pendulum-v1 to -160 and on HalfCheetah-v5 to
5,000, PPO on CartPole-v1 to 475. Prints the minutes, ours beside those of the peers whose Python is given.

- Ours trains with its default settings, and with those of `benchmarks.learning`, which were chosen for the task. The peers train
  with their default settings.
- A policy is evaluated every 1,000 (Pendulum), 2,000 (CartPole) or 5,000 steps (HalfCheetah), in a separate environment, with the
  same episodes for all. One that reaches the mark is evaluated again in ten other episodes, and has to reach it there as well.
- The time is that of training alone, from the making of the agent on. It contains neither imports nor evaluations. It contains
  what is compiled in this process; ours keeps compiled kernels on disk, so run it once before you measure.
- Each training runs in a process of its own with all processors, one after another, seed by seed, so that neighbours that
  disturb disturb all. A peer that does not reach the mark within `--limit` minutes counts with the minutes it had.

All evaluations are written to runs/time_to_return/TASK-WHO-SEED.csv as they come.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import deepnp
import rl
from benchmarks import learning
from benchmarks.offpolicy import in_process
from benchmarks.peer_time_to_return import TASKS, Stopwatch

PEER = str(Path(__file__).with_name("peer_time_to_return.py"))
CURVES = Path("runs") / "time_to_return"
OURS = {"defaults": "ours, defaults", "learning": "ours, benchmarks.learning"}


def train(settings: str, name: str, watch: Stopwatch, seed: int) -> None:
    """Train ours to the end that the stopwatch finds."""
    cls = getattr(rl, watch.task.algorithm)
    config = cls.Config() if settings == "defaults" else learning.TASKS[name].config

    def goes_on(agent: rl.Agent, _: dict[str, float]) -> bool:
        return not watch.is_over(agent.steps, agent.predict)

    with cls(watch.task.env, config, seed=seed) as agent:
        agent.learn(watch.task.steps, goes_on)


def outcome(result: dict[str, Any]) -> str:
    """One training, in words."""
    if result["reached"]:
        return f"{result['minutes']:7.2f} min   {result['steps']:9,} steps"
    return f"      not in {result['minutes']:.2f} min, {result['steps']:,} steps; its best was {result['best']:,.1f}"


def comparison(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> str:
    """How many times as long theirs took, by medians over seeds."""
    if not ours or not theirs or not all(result["reached"] for result in ours):
        return "no ratio: a training failed, or ours did not reach the mark with every seed"
    own, other = (statistics.median(result["minutes"] for result in results) for results in (ours, theirs))
    bound = "" if all(result["reached"] for result in theirs) else "more than "
    return f"{bound}{other / own:.1f} × as long ({bound}{other:.2f} min, {own:.2f} min)"


def report(name: str, options: argparse.Namespace) -> None:
    """Train one task with all seeds, and print what came of it."""
    task, peers = TASKS[name], {peer: vars(options)[peer] for peer in ("sb3", "sbx") if vars(options)[peer]}
    mark = task.mark if options.mark is None else options.mark
    print(f"\n{task.env} to {mark:,g} with {task.algorithm}", flush=True)
    commands = {
        settings: [sys.executable, "-m", "benchmarks.time_to_return", "--measure", settings] for settings in options.settings
    }
    commands |= {peer: [python, PEER, peer] for peer, python in peers.items()}
    results: dict[str, list] = {who: [] for who in commands}
    for seed in options.seeds:
        for who, command in commands.items():
            curve = (CURVES / f"{name}-{who}-{seed}.csv").resolve()
            result = in_process([*command, name, *map(str, (seed, mark, options.limit, curve))], deepnp.get_num_threads())
            if result is not None:
                results[who].append(result)
                print(f"   {OURS.get(who, who):26} seed {seed}  {outcome(result)}", flush=True)
    for settings in options.settings:
        for peer in peers:
            print(f"   {peer} against {OURS[settings]}: {comparison(results[settings], results[peer])}", flush=True)


def measure(settings: str, name: str, seed: str, mark: str, minutes: str, curve: str) -> None:
    """Train ours in this process."""
    watch = Stopwatch(TASKS[name], float(mark), float(minutes), Path(curve))
    train(settings, name, watch, int(seed))
    print(json.dumps(watch.result()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", metavar="TASK", default=list(TASKS), help=", ".join(TASKS))
    for peer in ("sb3", "sbx"):
        parser.add_argument(f"--{peer}", metavar="PYTHON", help=f"an interpreter that has {peer}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--settings", nargs="+", choices=OURS, default=list(OURS), help="ours")
    parser.add_argument("--mark", type=float, help="instead of the tasks' own")
    parser.add_argument("--limit", type=float, default=60, help="minutes of each training (default 60)")
    parser.add_argument("--measure", nargs=6, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(*options.measure)
        return
    for name in options.tasks:
        report(name, options)


if __name__ == "__main__":
    main()
