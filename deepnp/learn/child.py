"""Check a reader's file in a process of its own, which an endless loop or `exit()` may end.

    python -m deepnp.learn.child NAME FILE REPORT SECONDS

The report goes into the file REPORT. What the reader's code prints is seen.
"""

import faulthandler
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from deepnp.learn.catalogue import exercises
from deepnp.learn.examination import Report, examine
from deepnp.learn.exercise import Exercise

LIMIT = 20.0  # seconds; the slowest right answer takes one


def check(name: str, path: Path, limit: float = LIMIT) -> Report:
    """The report on a file, from another process.

    Parameters
    ----------
    name : str
        Of the exercise.
    path : Path
        Of the reader's file.
    limit : float
        Seconds that the reader's code may take.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "report.json"
        command = [sys.executable, "-m", "deepnp.learn.child", name, str(path), str(file), str(limit)]
        done = subprocess.run(command, check=False)
        if file.exists():
            return Report(**json.loads(file.read_text("utf-8")))
        trace = file.with_suffix(".trace")
        where = _line_of(path, trace.read_text("utf-8", "replace") if trace.exists() else "")
        if where:
            return Report(faults=[f"it did not end within {limit:g} seconds: the program was in line {where}"])
        return Report(faults=[f"Python ended while it ran, with exit code {done.returncode}"])


def _line_of(path: Path, trace: str) -> str:
    """The line of a file that a dump of a running program names, with what stands there."""
    found = re.search(rf'File "{re.escape(str(path))}", line (\d+)', trace)
    if not found:
        return ""
    lines = path.read_text("utf-8", "replace").splitlines()
    return f"{found[1]}: `{lines[int(found[1]) - 1].strip()}`"


def report_on(exercise: Exercise, path: Path) -> Report:
    """The report on a file, from this process."""
    try:
        function = _read(path, exercise.asked)
    except Unreadable as error:
        return Report(faults=[str(error)])
    return examine(exercise, function, str(path))


class Unreadable(Exception):
    """There is no function to check."""


def _read(path: Path, asked: str) -> Callable:
    """The function of that name in a reader's file."""
    spec = importlib.util.spec_from_file_location(f"exercise_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise Unreadable(f"the file is no Python: {error.msg}, in line {error.lineno}: `{(error.text or '').strip()}`") from error
    except Exception as error:
        raise Unreadable(f"the file raises {type(error).__name__} when it is imported: {error}") from error
    function = getattr(module, asked, None)
    if not callable(function):
        raise Unreadable(f"expected a function `{asked}` in the file, given none")
    return function


def main(arguments: list[str]) -> None:
    """Write a report."""
    name, path, file, limit = arguments
    exercise = exercises()[name]
    with Path(file).with_suffix(".trace").open("w") as trace:
        faulthandler.dump_traceback_later(float(limit), exit=True, file=trace)
        report = report_on(exercise, Path(path))
        faulthandler.cancel_dump_traceback_later()
    Path(file).write_text(json.dumps(asdict(report)), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
