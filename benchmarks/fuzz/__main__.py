"""Files that are damaged in every way that we can think of: python -m benchmarks.fuzz [--mutants 10000] [--seed 0] [--only N]

Mutants of agents' files, of config.json, progress.csv, evaluations.csv and recipes are loaded, each
with a timer, in a process that has little memory. What may come of a mutant:

    refused    ValueError, FileNotFoundError; MemoryError where it asks for more memory than is free
    the same   an agent equal to the one that was saved: the change was in what says nothing
    another    a whole file of other content: text that people write, agents' files signed anew

Anything else is a fault: another exception, a crash, a hang, more memory than the file holds, an
agent that is not the one that was saved. The number of each is printed, and `--only` repeats one.
"""

import argparse
import contextlib
import io
import json
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import envs  # noqa: F401  (registers deepnp/…)
import rl
from benchmarks.fuzz.mutations import changed_bytes, changed_tensors, changed_text
from deepnp.storage import load_tensors, save_tensors
from rl import checkpoint
from rl.experience import memory_limit
from rl.runs.record import environment_of, log_of, read_config
from rl.runs.run import Run, read_progress
from rl.state import state_of
from rl.training.evaluations import EVALUATIONS, read_evaluations
from rl.training.recipes import FOLDER, read_recipes

SECONDS = 5.0  # for one load
MEMORY = 2**30  # bytes that a load may take
ENV = "deepnp/Navigation-v0"


class HangError(BaseException):
    """A load took too long."""


class Target(NamedTuple):
    """A file, how it is loaded, and how it is changed.

    `same` says whether what was loaded is what was saved; None where it may be something else.
    """

    path: Path
    load: Callable[[], Any]
    change: Callable[[bytes, np.random.Generator], bytes]
    same: Callable[[Any], bool] | None = None


def targets(folder: Path) -> dict[str, Target]:
    """Everything that is loaded, with whole files in this folder."""
    found: dict[str, Target] = {}
    small = dict(hidden=(6,), batch_size=8, num_envs=2)
    replayed = dict(warmup=10, memory=60, priority_exponent=0.5)
    agents = {
        "SAC": rl.SAC(ENV, rl.SACConfig(**small, **replayed, normalize_observations=True)).learn(90),
        "PPO": rl.PPO(ENV, rl.PPOConfig(**small, steps=8, epochs=1, normalize_observations=True)).learn(40),
        "goals": rl.TD3("deepnp/ArmReach-v0", rl.TD3Config(**small, warmup=10, memory=60, hindsight="future")).learn(50),
    }
    for name, agent in agents.items():
        path, env = folder / f"{name}.safetensors", agent.env_name
        agent.save(path)
        for suffix, load in (("", lambda p=path: rl.load(p)), (" in its environment", lambda p=path, e=env: rl.load(p, e))):
            found[name + suffix] = Target(path, load, changed_bytes, lambda loaded, a=agent: is_equal(loaded, a))
            found[name + suffix + ", signed anew"] = Target(path, used(load), signed_anew(path))
    run = Run(folder / "run", agents["PPO"], ENV, 100)
    for steps in (16, 32, 48):
        run.on_update(agents["PPO"], {"steps": steps, "seconds": steps / 10, "episode_return": -1.5})
    run.close()
    (run.folder / EVALUATIONS).write_text(
        "steps,seconds,mean,iqm,return_0,return_1\n16,0.1,1.5,1.5,1.0,2.0\n32,0.1,2.5,2.5,2.0,3.0\n"
    )
    folders = {"config.json": read_config, "progress.csv": read_progress, EVALUATIONS: read_evaluations}
    for name, read in folders.items():
        found[name] = Target(run.folder / name, lambda read=read: read(run.folder), changed_text)
    found["config.json, its log"] = Target(run.folder / "config.json", lambda: log_of(run.folder), changed_text)
    found["config.json, its env"] = Target(run.folder / "config.json", lambda: environment_of(run.folder), changed_text)
    recipe = folder / "recipe.toml"
    recipe.write_bytes((FOLDER / "Pendulum-v1.toml").read_bytes())
    found["recipe"] = Target(recipe, lambda: read_recipes(recipe), changed_text)
    return found


def is_equal(loaded: Any, agent: Any) -> bool:
    """Whether two agents are the same, to the bit."""
    states, metadata = zip(*(checkpoint.snapshot(one, lambda thing: thing.state_dict()) for one in (loaded, agent)), strict=True)
    parts = [state_of(one.parts()) for one in (loaded, agent)]
    equal = parts[0].keys() == parts[1].keys() and all(np.array_equal(x, parts[1][name]) for name, x in parts[0].items())
    if loaded.env is not None:
        equal = equal and states[0].keys() == states[1].keys()
        equal = equal and all(np.array_equal(np.asarray(x), np.asarray(states[1][name])) for name, x in states[0].items())
    return equal and json.dumps(metadata[0], default=str) == json.dumps(metadata[1], default=str)


def used(load: Callable[[], Any]) -> Callable[[], Any]:
    """Load an agent, and let it act and go on learning for a step: what is loaded must be of use."""

    def load_and_use():
        agent = load()
        layout = agent.space.observation
        observation = {tuple(leaf.path): np.zeros(leaf.shape, leaf.dtype) for leaf in layout.leaves}
        action = agent.predict(next(iter(observation.values())) if len(observation) == 1 else observation)
        if not np.isfinite(np.asarray(action, float)).all():
            raise AssertionError(f"the agent's action is {action}")
        return agent

    return load_and_use


def signed_anew(path: Path) -> Callable[[bytes, np.random.Generator], bytes]:
    """Changes of arrays and metadata, with right checksums."""

    def change(whole: bytes, rng: np.random.Generator) -> bytes:
        path.write_bytes(whole)
        tensors, metadata = changed_tensors(*load_tensors(path), rng)
        save_tensors(path, tensors, metadata)
        return path.read_bytes()

    return change


@contextlib.contextmanager
def timer(seconds: float) -> Iterator[None]:
    """HangError in this block after so many seconds."""

    def ring(*_):
        raise HangError

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def outcome_of(target: Target, content: bytes, whole: bytes) -> str:
    """What comes of a changed file: "refused …", "the same", "another", or "FAULT …"."""
    target.path.write_bytes(content)
    try:
        with timer(SECONDS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = target.load()
            if target.same is None:
                return "another"
            return "the same" if target.same(loaded) else "FAULT another agent, in silence"
    except (ValueError, FileNotFoundError):
        return "refused"
    except MemoryError as error:
        return "refused for memory" if re.search(r"needs .* GiB, but only .* GiB are free", str(error)) else f"FAULT {error!r:.200}"
    except HangError:
        return "FAULT it hangs"
    except BaseException as error:
        return f"FAULT {type(error).__name__}: {error!s:.200}"
    finally:
        target.path.write_bytes(whole)


def work(first: int, last: int, seed: int) -> None:
    """The worker: mutants `first` to `last`, a line of JSON before and after each."""
    memory_limit.free_memory = lambda: MEMORY // 2  # type: ignore[assignment]  # the machine that it thinks it has
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = targets(Path(folder))
        names, whole = list(known), {name: target.path.read_bytes() for name, target in known.items()}
        for name, target in known.items():  # kernels are compiled, libraries loaded: the limit comes after that
            expected = "another" if target.same is None else "the same"
            if (given := outcome_of(target, whole[name], whole[name])) != expected:
                raise RuntimeError(f"expected {expected} of the whole {name}, given {given}")
        used_now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used_now + MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
        for index in range(first, last):
            name = names[index % len(names)]
            print(json.dumps([index, name]), flush=True)
            target, rng = known[name], np.random.default_rng([seed, index])
            content = target.change(whole[name], rng)
            begin = time.perf_counter()
            outcome = outcome_of(target, content, whole[name])
            print(json.dumps([outcome, time.perf_counter() - begin]), flush=True)


def run(mutants: int, seed: int, first: int = 0) -> tuple[Counter, list[str], float]:
    """Load mutants in workers; returns how many of each file came to what, the faults, and the longest load in seconds."""
    counts: Counter = Counter()
    faults: list[str] = []
    longest, index, last = 0.0, first, first + mutants
    while index < last:
        command = [sys.executable, "-m", "benchmarks.fuzz", "--worker", str(index), str(last), "--seed", str(seed)]
        errors = io.StringIO()
        with (
            tempfile.TemporaryFile("w+") as log,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as worker,
        ):
            begun: list | None = None
            for line in worker.stdout or ():
                content = json.loads(line)
                if begun is None:
                    begun = content
                    continue
                counts[begun[1], content[0].split(" ")[0] if content[0].startswith("FAULT") else content[0]] += 1
                longest = max(longest, content[1])
                if content[0].startswith("FAULT"):
                    faults.append(f"{begun[0]} {begun[1]}: {content[0]}")
                index, begun = begun[0] + 1, None
            worker.wait()
            log.seek(0)
            errors.write(log.read()[-2000:])
        if begun is not None:
            counts[begun[1], "FAULT"] += 1
            faults.append(f"{begun[0]} {begun[1]}: the process ended with {worker.returncode}: {errors.getvalue()}")
            index = begun[0] + 1
        elif worker.returncode:
            raise RuntimeError(f"the worker ended with {worker.returncode}: {errors.getvalue()}")
    return counts, faults, longest


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one mutant")
    parser.add_argument("--worker", type=int, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(*options.worker, options.seed)
        return 0
    begin = time.perf_counter()
    once = options.only is not None
    counts, faults, longest = run(1 if once else options.mutants, options.seed, options.only if once else 0)
    kinds = sorted({kind for _, kind in counts})
    print(f"{'file':34}" + "".join(f"{kind:>20}" for kind in kinds))
    for name in dict.fromkeys(name for name, _ in counts):
        print(f"{name:34}" + "".join(f"{counts[name, kind]:20,}" for kind in kinds))
    print(
        f"{counts.total():,} mutants in {time.perf_counter() - begin:.0f} s, the longest load {longest:.2f} s, {len(faults)} faults"
    )
    print("\n".join(faults))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
