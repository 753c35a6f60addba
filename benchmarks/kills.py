"""Does a run outlive kill -9?      python -m benchmarks.kills [--kills 30] [--algorithms PPO SAC] [--seed 0]

A process trains with a checkpoint after each iteration, TensorBoard's events, three checkpoints kept, and evaluations whose best
agent is kept. It is killed at a random moment, again and again; each time another process goes on with the same run. After each
kill, before anything is mended:

    every checkpoint loads whole, and is of the step that it says
    at most one interval is lost: the run goes on from the checkpoint that was begun last, or from the one before

and after the next checkpoint:

    there is no file that does not belong to a run
    the rows of progress.csv and of evaluations.csv come up to the checkpoint, without gaps or doubles
    TensorBoard shows the same steps, once each
"""

import argparse
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tensorboardX.proto.event_pb2 import Event, SessionLog

import envs  # noqa: F401  (registers deepnp/…)
import rl
from deepnp.storage import load_tensors
from rl.runs.retention import best_of, checkpoints_of, kept_of
from rl.runs.run import Run, read_progress
from rl.runs.table import KEY, Table
from rl.training.evaluations import EVALUATIONS, Evaluations
from rl.training.resume import resume

ROOT = Path(__file__).resolve().parents[1]
ENV, ENV_SETTINGS = "deepnp/Navigation-v0", dict(max_episode_steps=25)
SETTINGS = {
    "PPO": dict(num_envs=2, steps=16, batch_size=16, epochs=1, hidden=(8,)),
    "SAC": dict(warmup=8, batch_size=8, hidden=(8,), memory=20_000, update_interval=50),
    "CEM": dict(num_envs=2, hidden=(4,), population=4),
}
EVERY, KEEP = 500, 3
MOST, LONGEST = 6, 0.1  # checkpoints that a process begins, and seconds that it lives after the last of them, at most
OWN = re.compile(
    r"config\.json|progress\.csv|evaluations\.csv|\.lock|events\.out\.tfevents\.[^/]+"
    r"|checkpoints/(last|previous|best|step-\d+)\.safetensors|checkpoints/best\.json"
)
BREEDER = """
import os, sys
from benchmarks.kills import train

for line in sys.stdin:                # a fork is there at once: whatever a training needs is imported
    child = os.fork()
    if not child:
        train(*line.split())
    print(child, flush=True)
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


class Told(Run):
    """A run that notes the step of each checkpoint before it is begun."""

    notes: Path

    def save_beside(self, agent):
        with open(self.notes, "a") as file:
            file.write(f"{agent.steps}\n")
        super().save_beside(agent)


def train(folder: str, name: str, notes: str) -> None:
    """Begin the run of a folder, or go on with it, for ever."""
    if (Path(folder) / "config.json").exists():
        agent, run = resume(folder)
    else:
        agent, run = begun(Path(folder), name)
    run.__class__, run.notes = Told, Path(notes)
    agent.learn(10**9, Evaluations(None, ENV, EVERY, 2, env_settings=ENV_SETTINGS), log=run)


def begun(folder: Path, name: str) -> tuple[rl.Agent, Run]:
    """A new run."""
    algorithm = rl.ALGORITHMS[name]
    agent = algorithm.cls(ENV, algorithm.config(**SETTINGS[name]), env_settings=ENV_SETTINGS)
    return agent, Run(folder, agent, ENV, 10**9, checkpoint_seconds=0, keep=KEEP, tensorboard=True)


class Killer:
    """Makes trainings, and kills them: a `with` block.

    Parameters
    ----------
    folder : path
        Of the run.
    name : str
        The algorithm's.
    """

    def __init__(self, folder: Path, name: str):
        self.folder, self.name = folder, name
        self.notes = folder.with_name(f"{folder.name}.notes")

    def __enter__(self) -> "Killer":
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.breeder = subprocess.Popen([sys.executable, "-W", "ignore", "-c", BREEDER], cwd=ROOT, **pipes)
        return self

    def __exit__(self, *_) -> None:
        self.breeder.stdin.close()
        self.breeder.wait()
        self.breeder.stdout.close()

    def kill_after(self, checkpoints: int, seconds: float) -> list[int]:
        """Let the run go on until so many checkpoints were begun, and kill it so long after; the steps of all that were."""
        self.notes.write_text("")
        self.breeder.stdin.write(f"{self.folder} {self.name} {self.notes}\n")
        child = int(self.breeder.stdout.readline())
        deadline = time.monotonic() + 120
        while self.notes.read_text().count("\n") < checkpoints and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        assert self.breeder.stdout.readline() == "gone\n"
        return [int(line) for line in self.notes.read_text().splitlines()]


def examine(folder: Path, begun: list[int]) -> int:
    """Check what a kill left; returns the steps between the checkpoint that was begun last and the one that is there."""
    for path in [*checkpoints_of(folder), best_of(folder)]:
        if path.exists():
            load_tensors(path)
    for steps, path in kept_of(folder).items():
        assert load_tensors(path)[1]["steps"] == steps, path
    there = load_tensors(checkpoints_of(folder)[0])[1]["steps"]
    assert there in begun[-2:] or len(begun) == 1, f"expected a checkpoint of {begun[-2:]}, found {there}"
    return begun[-1] - there


def go_on(folder: Path, steps: int) -> None:
    """Go on for a few steps, and check that nothing of the kill is left."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no row is half, no checkpoint is missing, episodes go on
        agent, run = resume(folder)
    agent.learn(agent.steps + steps, Evaluations(None, ENV, EVERY, 2, env_settings=ENV_SETTINGS), log=run)
    run.close()
    agent.close()
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    strange = {name for name in names if not OWN.fullmatch(name)}
    assert not strange, strange
    assert len(kept_of(folder)) <= KEEP
    check_rows(folder, agent)


def longest_iteration(agent: rl.Agent) -> int:
    """Steps between two rows, at most."""
    c = agent.config
    if hasattr(c, "population"):  # an episode each, in copies that may wait for the last one
        return (c.population + c.num_envs) * ENV_SETTINGS["max_episode_steps"]
    return c.steps * c.num_envs if agent.takes.on_policy else 1000


def check_rows(folder: Path, agent: rl.Agent) -> None:
    """Rows and events up to the agent's step, each once, and none missing."""
    progress = np.array(read_progress(folder)["steps"])
    gaps = np.diff(progress, prepend=0)
    assert progress[-1] == agent.steps
    assert ((gaps > 0) & (gaps <= longest_iteration(agent))).all(), progress
    evaluated = np.array(Table.read(folder / EVALUATIONS).columns().get(KEY, []), int) // EVERY  # none, where all were dropped
    assert (np.diff(evaluated) >= 1).all(), evaluated
    shown = [rows[:, 0] for rows in shown_by_tensorboard(folder).values()]
    assert all((np.diff(steps) > 0).all() for steps in shown)
    there = set(np.concatenate(shown))
    assert there == set(progress) if agent.takes.on_policy else there <= set(progress)


def events_of(folder: Path) -> Iterator[Event]:
    """TensorBoard's events, file by file in the order of their names; half an event at a file's end is left out."""
    for path in sorted(folder.glob("events.out.tfevents.*")):
        blob, end = path.read_bytes(), 0
        while end + 12 <= len(blob):
            start = end + 12
            end = start + struct.unpack_from("<Q", blob, end)[0] + 4
            if end <= len(blob):
                yield Event.FromString(blob[start : end - 4])


def shown_by_tensorboard(folder: Path) -> dict[str, np.ndarray]:
    """Name -> steps and values (K, 2) that TensorBoard shows: what a later session takes again is hidden."""
    shown: dict[str, list[tuple[int, float]]] = {}
    for event in events_of(folder):
        if event.session_log.status == SessionLog.START:
            shown = {name: [row for row in rows if row[0] < event.step] for name, rows in shown.items()}
        for value in event.summary.value:
            shown.setdefault(value.tag, []).append((event.step, value.simple_value))
    return {name: np.reshape(rows, (-1, 2)) for name, rows in shown.items()}


def kill(name: str, kills: int, seed: int) -> None:
    """Kill one run again and again, and check it each time; AssertionError where something is lost."""
    rng, lost = np.random.default_rng(seed), []
    with tempfile.TemporaryDirectory() as place, Killer(Path(place) / "run", name) as killer:
        for _ in range(kills):
            begun = killer.kill_after(int(rng.integers(1, MOST + 1)), rng.uniform(0, LONGEST))
            lost.append(examine(killer.folder, begun))
            go_on(killer.folder, int(rng.integers(1, 100)))
        steps = read_progress(killer.folder)["steps"][-1]
    again = sum(steps > 0 for steps in lost)
    print(f"{name}: {kills} kills, all resumed, {steps:,.0f} steps; {again} lost the checkpoint that was being written", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--algorithms", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for name in options.algorithms:
        kill(name, options.kills, options.seed)


if __name__ == "__main__":
    main()
