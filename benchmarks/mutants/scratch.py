"""Scratch copies of the tree in which mutants live, one at a time, while the tests run."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.mutants.sources import ROOT, Mutant

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

SECOND = 1_000_000_000
MEMORY = 16 * 2**30  # bytes of addresses: a mutant that takes memory without end is killed before the machine suffers
PASSED, NOTHING_TO_DO = 0, 5  # pytest's exit codes


@dataclass(frozen=True)
class Outcome:
    """How a run of the tests ended: "survived" (they pass), "killed" (they fail) or "timeout"."""

    verdict: str
    seconds: float
    output: str

    @property
    def killer(self) -> str:
        """The test that failed, or the file that could not be collected; "" if none did."""
        lines = [line for line in self.output.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        return lines[0].split(" ", 2)[1] if lines else ""


class Scratch:
    """A copy of the working tree, with caches of its own.

    Numba's cache is filled by the tests of the unchanged source. Each mutant works on a copy of it (hard links: Numba replaces
    files and never writes into them), so what it compiles is thrown away with it, and the next one finds the cache as it was.
    Python and Numba both know a file by its time and size. A mutant's time is one that no other text of the file ever had.

    Parameters
    ----------
    folder : Path
        Where; it must not exist.
    """

    def __init__(self, folder: Path):
        self.tree, self.warm, self.working = folder / "tree", folder / "numba", folder / "numba-of-mutant"
        listed = subprocess.run(["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True)
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.tree / name)
        self.warm.mkdir()
        self.mutants = 0
        self.process: subprocess.Popen | None = None

    def baseline(self, step: str, limit: float) -> Outcome:
        """Run tests on the unchanged source, and keep what Numba compiles for them."""
        return self._run(step, self.warm, limit)

    def try_out(self, mutant: Mutant, step: str, limit: float) -> Outcome:
        """Run tests on a mutant until one fails, for `limit` seconds at most."""
        path = self.tree / mutant.path
        original, stat = path.read_bytes(), path.stat()
        self.mutants += 1
        shutil.copytree(self.warm, self.working, copy_function=os.link)
        try:
            path.write_text(mutant.source)
            stamp = stat.st_mtime_ns + 10 * self.mutants * SECOND
            os.utime(path, ns=(stamp, stamp))
            return self._run(step, self.working, limit)
        finally:
            path.write_bytes(original)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
            shutil.rmtree(self.working)

    def _run(self, step, cache, limit):
        start = time.monotonic()
        verdict, output = self._pytest(shlex.split(step), cache, limit)
        return Outcome(verdict, time.monotonic() - start, output)

    def _pytest(self, arguments, cache, limit):
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--tb=line", "-rfE", *arguments]
        self.process = subprocess.Popen(
            command,
            cwd=self.tree,
            env={**os.environ, "NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(self.tree)},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if resource is not None:
            resource.prlimit(self.process.pid, resource.RLIMIT_AS, (MEMORY, MEMORY))
        try:
            output, _ = self.process.communicate(timeout=max(limit, 1))
        except subprocess.TimeoutExpired:
            self.stop()
            return "timeout", self.process.communicate()[0]
        return "survived" if self.process.returncode in (PASSED, NOTHING_TO_DO) else "killed", output

    def stop(self) -> None:
        """End the tests that are running, and what they started."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
