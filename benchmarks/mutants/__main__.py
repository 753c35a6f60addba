"""Would the tests notice?        python -m benchmarks.mutants [--sample 300] [--seed 0] [--jobs 2] [--files 'rl/losses/*']

A mutant is the source with one small fault: `<` for `<=`, a number one larger, a sign lost. Each lives in a scratch copy of the
tree while the tests of its file run there; a test that fails kills it. What survives is either a fault that no test would notice,
or no fault at all (a threshold from which two threads are faster). Two kinds are tried:

    named       mutants that once survived, each in a table; all of them must die
    sampled     places drawn from all of `rl` and `deepnp`, with a fault of Cosmic Ray's drawn for each; 90 % must die

The result is a table, one line a mutant, and the survivors as differences. It is written as it grows: a run that was stopped
goes on where it was, as long as the table is there (delete it when the sources have changed). `pip install .[mutants]` brings
Cosmic Ray.
"""

import argparse
import csv
import importlib.util
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby, islice
from pathlib import Path

if importlib.util.find_spec("cosmic_ray") is None:
    sys.exit('benchmarks.mutants needs Cosmic Ray: pip install -e ".[mutants]"')

from benchmarks.mutants.named import NAMED
from benchmarks.mutants.scratch import Outcome, Scratch
from benchmarks.mutants.selection import steps_of
from benchmarks.mutants.sources import Mutant, modules, sample

GOAL = 0.9
PART = 25  # mutants with the same tests that one scratch copy takes at a time
SLACK = 60.0  # seconds that a mutant may take beyond twice what the unchanged source takes


class Trial:
    """Tries mutants in as many scratch copies as jobs, and prints each outcome as it comes."""

    def __init__(self, mutants: list[Mutant], folder: Path, limit: float, table: Path):
        self.folder, self.limit, self.count, self.table = folder, limit, len(mutants), table
        self.groups: queue.Queue = queue.Queue()
        self.results: list[tuple[Mutant, Outcome]] = [(m, done) for m in mutants if (done := known(table, m)) is not None]
        tried = {id(m) for m, _ in self.results}
        mutants = [m for m in mutants if id(m) not in tried]
        for steps, group in groupby(sorted(mutants, key=lambda m: steps_of(m.path)), key=lambda m: steps_of(m.path)):
            for part in batched(group, PART):
                self.groups.put((steps, part))
        self.baselines: dict[tuple[Scratch, str], float | None] = {}
        self.broken: set[str] = set()
        self.lock, self.stopped = threading.Lock(), False

    def run(self, jobs: int) -> None:
        """Try all of them."""
        scratches = [Scratch(self.folder / str(i)) for i in range(min(jobs, self.groups.qsize()))]
        threads = [threading.Thread(target=self._work, args=(scratch,), daemon=True) for scratch in scratches]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:
            self.stopped = True
            for scratch in scratches:
                scratch.stop()
            for thread in threads:
                thread.join()

    def _work(self, scratch):
        while not self.stopped:
            try:
                steps, mutants = self.groups.get_nowait()
            except queue.Empty:
                return
            for mutant in mutants:
                outcome = self._try_out(scratch, mutant, steps)
                if self.stopped:
                    return
                self._tell(mutant, outcome)

    def _try_out(self, scratch, mutant, steps):
        """Step by step, so that the slow ones run for those only that the quick ones did not kill."""
        spent, outcome = 0.0, Outcome("survived", 0.0, "")
        for step in steps:
            seconds = self._baseline(scratch, step)
            if seconds is None:
                continue
            outcome = scratch.try_out(mutant, step, SLACK + 2 * seconds)
            spent += outcome.seconds
            if outcome.verdict != "survived" or self.stopped:
                break
        return replace(outcome, seconds=spent)

    def _baseline(self, scratch, step):
        """Seconds that a step takes without any mutant; None if it fails: then it says nothing about mutants."""
        if (scratch, step) not in self.baselines:
            outcome = scratch.baseline(step, self.limit)
            self.baselines[scratch, step] = outcome.seconds if outcome.verdict == "survived" else None
            if outcome.verdict != "survived":
                with self.lock:
                    self.broken.add(f"{step}: {outcome.verdict} without any mutant, by {outcome.killer}")
        return self.baselines[scratch, step]

    def _tell(self, mutant, outcome):
        with self.lock:
            self.results.append((mutant, outcome))
            write_table(self.results, self.table)
            place = f"{mutant.path}:{mutant.line}"
            print(
                f"{len(self.results):4}/{self.count}  {outcome.verdict:8} {outcome.seconds:6.1f} s  {place}  {mutant.what}",
                flush=True,
            )


def batched(items: Iterable, size: int) -> Iterator[list]:
    """Consecutive items in lists of `size`, the last one shorter."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def known(table: Path, mutant: Mutant) -> Outcome | None:
    """What an earlier run found of a mutant, if its table has it."""
    if not table.exists():
        return None
    with table.open(newline="") as file:
        for row in csv.DictReader(file):
            if (row["file"], row["line"], row["mutant"], row["difference"]) == (
                mutant.path,
                str(mutant.line),
                mutant.what,
                mutant.diff(),
            ):
                return Outcome(row["verdict"], float(row["seconds"]), f"FAILED {row['killed by']}")
    return None


def write_table(results: list[tuple[Mutant, Outcome]], path: Path) -> None:
    """One line a mutant: file, line, what was changed, verdict, seconds, which test failed, the difference."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("file", "line", "mutant", "verdict", "seconds", "killed by", "difference"))
        for m, outcome in sorted(results, key=lambda result: (result[0].path, result[0].line)):
            table.writerow((m.path, m.line, m.what, outcome.verdict, f"{outcome.seconds:.1f}", outcome.killer, m.diff()))


def summarize(kind: str, results: list[tuple[Mutant, Outcome]]) -> float:
    """Print who survived; returns the share that was killed."""
    survivors = [m for m, outcome in results if outcome.verdict == "survived"]
    share = 1 - len(survivors) / max(len(results), 1)
    print(f"\n{kind}: {len(results) - len(survivors)} of {len(results)} killed ({100 * share:.1f} %)")
    for m in sorted(survivors, key=lambda m: (m.path, m.line)):
        print(f"\n{m.path}:{m.line}  {m.what}\n{m.diff()}")
    return share


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=300, help="how many sampled mutants; 0: only the named ones")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="scratch copies that work side by side")
    parser.add_argument("--files", nargs="+", default=["rl/*", "deepnp/*"], help="patterns of source files")
    parser.add_argument("--no-named", action="store_true", help="only the sampled mutants")
    parser.add_argument("--limit", type=float, default=1800, help="seconds that one file's tests may take, compiling included")
    parser.add_argument("--table", type=Path, default=Path("runs/mutants.csv"), help="where the table is written")
    options = parser.parse_args()

    chosen = set(modules(tuple(options.files)))
    named = [] if options.no_named else [m for m in (entry.mutant() for entry in NAMED) if m.path in chosen]
    sampled = sample(tuple(options.files), options.sample, options.seed)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        trial = Trial([*named, *sampled], Path(folder), options.limit, options.table)
        trial.run(options.jobs)
    for text in sorted(trial.broken):
        print(f"\n{text}")
    is_named = set(map(id, named))
    shares = {
        "named": summarize("Named mutants", [r for r in trial.results if id(r[0]) in is_named]),
        "sampled": summarize("Sampled mutants", [r for r in trial.results if id(r[0]) not in is_named]),
    }
    print(f"\n{len(trial.results)} mutants in {(time.monotonic() - start) / 60:.0f} minutes; the table is in {options.table}")
    return 0 if not trial.broken and shares["named"] == 1 and shares["sampled"] >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
