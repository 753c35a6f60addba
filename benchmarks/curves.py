"""Does every algorithm learn? A small curve for each:        python -m benchmarks.curves SAC PPO --seeds 0 1 2

Trains algorithms on a small task each (TASKS), and evaluates them before it and at up to twenty points of it: the mean return
of ten deterministic episodes, the same ones each time (seed 1). The last point is the final policy's, in twenty other episodes
(seed 100). FrozenLake has a hundred episodes each time; PETS, whose every step is planned, has five points of two episodes, and ten
at the end. A file a page: docs/curves/NAME.csv, with a row for each seed and point. Seeds that are there already are not trained
again, unless the settings have changed. Without names, all algorithms.

Offline methods learn from a data set of SAC's, half trained, that is gathered first (benchmarks/offline.py).
"""

import argparse
import csv
import io
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import deepnp
import rl
from benchmarks import cartpole, offline, tables
from deepnp.files import write_atomically
from envs.planar.table import copies_of
from rl.experience.data_files import load_data
from rl.experience.datasets import DataSet
from rl.experience.environments import EnvLike
from rl.schedules import Linear
from rl.training.recipes import recipe_of

FOLDER = Path(__file__).parents[1] / "docs" / "curves"
DATA = Path("runs") / "curves"  # data sets
COLUMNS = "seed", "steps", "return"
POINTS, EPISODES, LAST_EPISODES, LAST_SEED = 20, 10, 20, 100


@dataclass(frozen=True)
class Task:
    """What an algorithm is given: an environment, steps (of a data set: updates), settings beside its defaults."""

    env: str
    steps: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    made: Any = None  # what it learns in, where the id alone does not say it
    data: str = ""  # kind of data set, of an offline method
    points: int = POINTS
    episodes: int = EPISODES  # of an evaluation
    last_episodes: int = LAST_EPISODES

    def lines(self, name: str) -> list[str]:
        """What the file says of it."""
        own = ", ".join(f"{key}={value!r}" for key, value in self.settings.items()) or "defaults"
        unit = f"updates on the data set {self.data}" if self.data else "steps"
        episodes = f"{self.episodes} at each point, {self.last_episodes} others at the last"
        said = {"env": self.env, "length": f"{self.steps:,} {unit}", "settings": own, "episodes": episodes}
        return [f"{key}: {value}" for key, value in {**said, "command": f"python -m benchmarks.curves {name}"}.items()]


def recipe(algorithm: str, env: str, steps: int | None = None) -> Task:
    """A recipe's task."""
    own = recipe_of(algorithm, env)
    return Task(env, steps or own.steps, own.settings)


def pole(name: str, algorithm: str = "", made: EnvLike | None = None) -> Task:
    """A task of benchmarks/cartpole.py."""
    own = cartpole.TASKS[name]
    return Task(cartpole.ENV, own.steps, own.settings, own.env if own.env != cartpole.ENV else made)


SWING = MappingProxyType(dict(warmup=1000, lr=1e-3, hidden=(64, 64), batch_size=128))
FROM_DATA = MappingProxyType(dict(hidden=(64, 64), lr=1e-3))
PLANNED: Mapping[str, Any] = MappingProxyType(dict(points=5, episodes=2, last_episodes=10))  # to evaluate takes long
FEW = MappingProxyType(dict(warmup=500, random_steps=3_000, double=True, lr=Linear(5e-4, 0.0)))  # environment steps
LAKE = "FrozenLake-v1"


def swing(steps: int = 10_000, **settings: Any) -> Task:
    """Pendulum with the settings of SAC's recipe."""
    return Task("Pendulum-v1", steps, {**SWING, **settings})


def from_data(env: str = "Pendulum-v1", **settings: Any) -> Task:
    """A task from the data of a half-trained agent."""
    return Task(env, 4_000, {**FROM_DATA, **settings}, data="medium")


def lake(name: str) -> Task:
    """FrozenLake with a table."""
    settings = {"gamma": tables.GAMMA, **tables.LAKE[name]}
    return Task(LAKE, tables.LAKE_STEPS, settings, copies_of(LAKE, 64), episodes=100, last_episodes=100)


TASKS: dict[str, Task] = {
    **{name: pole(name) for name in ("REINFORCE", "A2C", "OffPolicyPG", "TRPO", "DQN", "C51", "QRDQN", "DiscreteSAC")},
    **{name: pole(name) for name in ("RWR", "CEM", "CMAES")},
    "REPS": Task("CartPole-v1", 200_000, dict(num_envs=8)),
    "FQI": pole("FQI-anywhere"),
    "PPO": recipe("PPO", "CartPole-v1"),
    "DPG": Task("deepnp/Navigation-v0", 200_000, dict(compatible=False, exploration=0.3)),
    **{name: recipe(name, "Pendulum-v1", 10_000) for name in ("DDPG", "TD3", "SAC")},
    **{name: swing() for name in ("TD2", "SACLite", "SACValue", "QAscent")},
    "PreQN": swing(10_000, batch_size=256),
    "NAF": Task("Pendulum-v1", 20_000, dict(lr=Linear(1e-3, 0.0))),
    "OnPolicySAC": Task("deepnp/Navigation-v0", 200_000),
    "PETS": replace(recipe("PETS", "Pendulum-v1"), **PLANNED),
    "MBPO": recipe("MBPO", "InvertedPendulum-v5"),
    "MVE": swing(5_000, model_hidden=(64, 64)),
    "MBA": Task("Pendulum-v1", 10_000, dict(model_hidden=(64, 64))),
    "Dyna": Task("CartPole-v1", 5_000, {**FEW, "model_hidden": (64, 64)}),
    **{name: from_data() for name in ("BC", "AWR", "AWAC", "IQL", "ForwardKL", "ReverseKL")},
    **{name: from_data("CartPole-v1") for name in ("DDQNBC", "FittedSARSA")},
    "TD3BC": from_data(tau=0.01, value_weight=10.0),
    "SACBC": from_data(tau=0.01, value_weight=10.0),
    "CQL": from_data(tau=0.01, draws=4),
    **{name: lake(name) for name in tables.LAKE},
}


def data_set(task: Task) -> DataSet:
    """The task's data set; gathered where it is not there yet."""
    folder = DATA / task.env
    if not (folder / f"{task.data}.safetensors").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        offline.gather(task.env, folder, steps=8_000, rows=10_000, hidden=(64, 64), seed=0)
    return load_data(folder / f"{task.data}.safetensors")


class Points:
    """Evaluates an agent at even distances, while it learns."""

    def __init__(self, task: Task):
        self.task, self.rows = task, list[tuple[int, float]]()

    def __call__(self, agent: rl.Agent, metrics: Mapping[str, float]) -> None:
        if agent.steps >= len(self.rows) * self.task.steps / self.task.points:
            self.rows.append((agent.steps, float(rl.evaluate(agent, self.task.env, self.task.episodes).mean())))


def curve(name: str, seed: int) -> list[tuple[int, float]]:
    """Steps and mean return at each point."""
    task, algorithm = TASKS[name], rl.ALGORITHMS[name]
    config = algorithm.config(**task.settings)
    cls: Any = algorithm.cls
    made = cls.of_data(data_set(task), config, seed) if task.data else cls(task.made or task.env, config, seed=seed)
    points = Points(task)
    with made as agent:
        points(agent, {})  # before it has learned anything
        agent.learn(task.steps, points)
        last = float(rl.evaluate(agent, task.env, task.last_episodes, seed=LAST_SEED).mean())
        return [*(row for row in points.rows if row[0] < agent.steps), (agent.steps, last)]


def read(file: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The comments and the rows of a file; none where there is no file."""
    if not file.is_file():
        return [], []
    lines = file.read_text().splitlines()
    comments = [line.removeprefix("# ") for line in lines if line.startswith("#")]
    return comments, list(csv.DictReader(line for line in lines if not line.startswith("#")))


def write(file: Path, comments: list[str], rows: list[dict[str, str]]) -> None:
    """Write a file that `read` reads."""
    text = io.StringIO()
    text.writelines(f"# {line}\n" for line in comments)
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(file, lambda file: file.write(text.getvalue().encode()))


def measure(name: str, seeds: list[int]) -> None:
    """Train what is missing, and write the file anew after each seed."""
    file, said = FOLDER / f"{name}.csv", TASKS[name].lines(name)
    comments, rows = read(file)
    rows = rows if comments == said else []
    known = {int(row["seed"]) for row in rows}
    for seed in (seed for seed in seeds if seed not in known):
        start = time.perf_counter()
        points = curve(name, seed)
        rows += [{"seed": str(seed), "steps": str(steps), "return": f"{mean:.4g}"} for steps, mean in points]
        write(file, said, rows)
        print(f"{name:20} seed {seed}  {points[-1][1]:9.1f}  {time.perf_counter() - start:6.1f} s", flush=True)


def table() -> str:
    """What all files end with, as a table in Markdown."""
    lines = ["| algorithm | task | length | return at the end, a seed each |", "|---|---|---|---|"]
    for name in TASKS:
        comments, rows = read(FOLDER / f"{name}.csv")
        said = dict(line.split(": ", 1) for line in comments)
        ends = {row["seed"]: float(row["return"]) for row in rows}
        if ends:
            returns = ", ".join(f"{ends[seed]:,.4g}" for seed in sorted(ends)).replace("-", "−")
            lines.append(f"| {name} | {said['env']} | {said['length']} | {returns} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("algorithm", nargs="*", help=", ".join(TASKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--table", action="store_true", help="show what the files end with, and train nothing")
    options = parser.parse_args()
    if options.table:
        print(table())
        return
    unknown = [name for name in options.algorithm if name not in TASKS]
    if unknown:
        parser.error(f"expected algorithms among {', '.join(TASKS)}, given {', '.join(unknown)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    print(f"{deepnp.get_num_threads()} threads", flush=True)
    for name in options.algorithm or TASKS:
        measure(name, options.seeds)


if __name__ == "__main__":
    main()
