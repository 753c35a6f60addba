"""The black-box table of Duan et al. 2016 in small: methods, tasks, seeds, and the order of the methods beside the printed one.

    python -m benchmarks.black_box                              # all of it, 1,000,000 steps a run
    python -m benchmarks.black_box --steps 200000 --seeds 2     # smaller
    python -m benchmarks.black_box --method CEM --task CartPole-v1
    python -m benchmarks.black_box --table                      # what runs/black_box.csv holds, nothing is run
    python -m benchmarks.black_box --speed                      # many candidates at once, against one after the other

A run's score is the mean return over all iterations, training included, as in the paper. Each run is a row of the CSV, and one
that is there is not run again: the benchmark goes on where it was interrupted.

The paper runs 500 iterations of 50,000 steps, a policy of 100-50-25 and the best settings of a grid for each method. Here a run
has `--steps` steps, the policy one layer of 32, and each method one row of settings below, the same for all tasks.
"""

import argparse
import csv
import time
import timeit
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces

import envs  # noqa: F401  (registers deepnp/…)
import rl
from rl.experience.environments import make_vector
from rl.networks.ensemble import act_by_row, act_one_by_one

TASKS = {
    "deepnp/CartPoleBalance-v0": "Cart-Pole",
    "deepnp/CartPoleSwingUp-v0": "Inverted Pendulum",
    "deepnp/MountainCar-v0": "Mountain Car",
    "deepnp/Acrobot-v0": "Acrobot",
    "deepnp/DoublePendulum-v0": "Double Pendulum",
}
PRINTED = {  # Duan et al. 2016, Table 1
    "Random": (77.1, -153.4, -415.4, -1904.5, 149.7),
    "REINFORCE": (4693.7, 13.4, -67.1, -508.1, 4116.5),
    "TNPG": (3986.4, 209.7, -66.5, -395.8, 4455.4),
    "RWR": (4861.5, 84.7, -79.4, -352.7, 3614.8),
    "REPS": (565.6, -113.3, -275.6, -1001.5, 446.7),
    "TRPO": (4869.8, 247.2, -61.7, -326.0, 4412.4),
    "CEM": (4815.4, 38.2, -66.0, -436.8, 2566.2),
    "CMAES": (2440.4, -40.1, -85.0, -785.6, 1576.1),
    "DDPG": (4634.4, 40.0, -288.4, -223.6, 2863.4),
}
ON_POLICY = dict(num_envs=10, steps=500, hidden=(32,))
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {  # the algorithm, and its settings
    "REINFORCE": ("REINFORCE", dict(ON_POLICY, steps=50)),  # it takes one step of the policy for each rollout
    "TNPG": ("TRPO", dict(ON_POLICY, method="tnpg", max_kl=0.05)),
    "RWR": ("RWR", dict(ON_POLICY, lr=3e-3)),
    "REPS": ("REPS", ON_POLICY),
    "TRPO": ("TRPO", dict(ON_POLICY, max_kl=0.05)),
    "CEM": ("CEM", dict(num_envs=5, population=20, extra_sigma=0.2, hidden=(32,))),
    "CMAES": ("CMAES", dict(num_envs=5, hidden=(32,))),
    "DDPG": ("DDPG", dict(num_envs=10, hidden=(64, 64), update_interval=10, updates=1)),
}
FIELDS = "method", "task", "seed", "steps", "score", "last", "seconds"


def play_at_random(task: str, seed: int, steps: int) -> list[float]:
    """Returns of the episodes of uniform actions: the mean of all, as one iteration."""
    copies = 10
    vector = make_vector(task, copies)
    vector.reset(seed=seed)
    vector.action_space.seed(seed)
    running, returns = np.zeros(copies), []
    for _ in range(steps // copies):
        _, rewards, terminated, truncated, _ = vector.step(vector.action_space.sample())
        running += rewards
        ended = terminated | truncated
        returns += running[ended].tolist()
        running[ended] = 0
    vector.close()
    return [float(np.mean(returns))]


def train(method: str, task: str, seed: int, steps: int) -> list[float]:
    """The mean return of each iteration in which an episode, or a generation, ended."""
    name, settings = SETTINGS[method]
    algorithm, returns = rl.ALGORITHMS[name], []
    key = "episode_return" if algorithm.takes.transitions else "candidate_return"

    def note(agent: rl.Agent, metrics: dict[str, float]) -> None:
        if key in metrics:
            returns.append(metrics[key])

    with algorithm.cls(task, algorithm.config(**settings), seed=seed) as agent:
        agent.learn(steps, note)
    return returns


def run(method: str, task: str, seed: int, steps: int) -> dict[str, Any]:
    """One row of the CSV."""
    start = time.perf_counter()
    returns = play_at_random(task, seed, steps) if method == "Random" else train(method, task, seed, steps)
    last = returns[-max(1, len(returns) // 10) :]
    score, seconds = round(float(np.mean(returns)), 2), round(time.perf_counter() - start, 1)
    return dict(zip(FIELDS, (method, task, seed, steps, score, round(float(np.mean(last)), 2), seconds), strict=True))


def rows_of(path: Path) -> list[dict[str, str]]:
    """What was measured before."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def append(path: Path, row: dict[str, Any]) -> None:
    """Write a row at the end, after the names of the columns where the file is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        if new:
            writer.writeheader()
        writer.writerow(row)


def ranks(values: np.ndarray) -> np.ndarray:
    """0 for the smallest; the mean of the places of equal ones."""
    return np.array([(values < v).sum() + ((values == v).sum() - 1) / 2 for v in values])


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two orders."""
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def show(rows: list[dict[str, str]], steps: int) -> None:
    """The table of one budget: score and printed score, and how alike the orders are."""
    orders = []
    for i, (task, title) in enumerate(TASKS.items()):
        here = [row for row in rows if row["task"] == task and int(row["steps"]) == steps]
        if not here:
            continue
        known = [method for method in PRINTED if any(row["method"] == method for row in here)]
        scores = {m: np.mean([float(row["score"]) for row in here if row["method"] == m]) for m in known}
        print(f"\n{title} ({task}), {len({row['seed'] for row in here})} seeds of {steps:,} steps")
        print(f"  {'method':<12}{'score':>10}{'at the end':>12}{'printed':>10}")
        for method, score in sorted(scores.items(), key=lambda pair: -pair[1]):
            last = np.mean([float(row["last"]) for row in here if row["method"] == method])
            print(f"  {method:<12}{score:>10.1f}{last:>12.1f}{PRINTED[method][i]:>10.1f}")
        if len(scores) > 2:
            orders.append(spearman(np.array([*scores.values()]), np.array([PRINTED[m][i] for m in scores])))
            print(f"  Spearman with the printed order: {orders[-1]:.2f}")
    if orders:
        print(f"\nMean over the tasks: {np.mean(orders):.2f}")


def speed() -> None:
    """Microseconds of one action in each of 64 copies, of as many candidates: one product, and one network after the other."""
    rng = np.random.default_rng(0)
    seen, done = spaces.Box(-1, 1, (17,), np.float32), spaces.Box(-1, 1, (6,), np.float32)
    for hidden in ((), (16,), (64, 64)):
        policy = rl.CEM.of_spaces(seen, done, rl.CEMConfig(hidden=hidden)).policy
        parameters = rng.standard_normal((64, len(policy.flat)), np.float32)
        x, seconds = rng.standard_normal((64, 17), np.float32), {}
        for act in (act_by_row, act_one_by_one):
            seconds[act] = min(timeit.repeat(partial(act, policy, parameters, x), number=20, repeat=20)) / 20
        at_once, one_by_one = (1e6 * s for s in seconds.values())
        print(f"hidden={hidden!s:<10} at once {at_once:6.0f} µs   one by one {one_by_one:6.0f} µs   {one_by_one / at_once:.0f} ×")


def main() -> None:
    """Run what is asked for and not measured yet, then show the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--task", nargs="+", default=list(TASKS))
    parser.add_argument("--method", nargs="+", default=list(PRINTED), choices=list(PRINTED))
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/black_box.csv"))
    parser.add_argument("--table", action="store_true", help="show what the CSV holds, and run nothing")
    parser.add_argument("--speed", action="store_true", help="time the candidates' actions, and run nothing")
    options = parser.parse_args()
    if options.speed:
        return speed()
    done = {(row["method"], row["task"], int(row["seed"]), int(row["steps"])) for row in rows_of(options.out)}
    wanted = product(range(options.seeds), options.task, options.method)
    for seed, task, method in wanted if not options.table else ():
        if (method, task, seed, options.steps) not in done:
            row = run(method, task, seed, options.steps)
            append(options.out, row)
            print(*(f"{name} {value}" for name, value in row.items()), flush=True)
    return show(rows_of(options.out), options.steps)


if __name__ == "__main__":
    main()
