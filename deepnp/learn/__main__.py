"""The command: list the exercises, begin one, check it, ask for a hint or for the solution."""

import argparse
import inspect
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from deepnp import learn
from deepnp.files import write_atomically
from deepnp.learn.child import check
from deepnp.learn.examination import Report
from deepnp.learn.exercise import Exercise
from deepnp.learn.pages import divide
from deepnp.learn.progress import Progress, load
from deepnp.learn.stub import stub
from deepnp.learn.variants import reachable


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what a command line asks; returns the exit code: 1 where an answer is not right yet."""
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal may lack Greek
    parser = argparse.ArgumentParser("python -m deepnp.learn", description="Write backward passes yourself, and have them checked.")
    parser.add_argument("name", nargs="?", help='e.g. "layer_norm": begins the exercise, then checks it; without it, the list')
    parser.add_argument("--hint", action="store_true", help="the next step of the derivation")
    parser.add_argument("--solution", action="store_true", help="the whole derivation and the code")
    parser.add_argument("--folder", type=Path, default=Path("exercises"), help="where your files are (%(default)s)")
    given = parser.parse_args(arguments)
    known = learn.exercises()
    try:
        progress = load(given.folder)
        exercise = learn.find(given.name, known) if given.name is not None else None
    except (ValueError, OSError) as error:
        parser.error(str(error))
    if exercise is None:
        return _list(known, progress)
    try:
        if given.hint:
            return _hint(exercise, progress)
        return _solution(exercise, progress) if given.solution else _work(exercise, progress, known)
    except BrokenPipeError:
        raise
    except OSError as error:
        parser.error(f"expected --folder as a folder to write in, given {given.folder}: {error}")


def path_of(exercise: Exercise, progress: Progress) -> Path:
    """The reader's file."""
    return progress.folder / f"{exercise.short}.py"


def _list(known: dict[str, Exercise], progress: Progress) -> int:
    states = {name: progress.of(name).state(path_of(exercise, progress)) for name, exercise in known.items()}
    chapter = ""
    for name, exercise in known.items():
        if exercise.chapter != chapter:
            chapter = exercise.chapter
            print(f"\n{chapter}")
        print(f"  {exercise.short:28} {states[name]:26} {exercise.title:.70}".rstrip())
    passed = sum(state.startswith("passed") for state in states.values())
    following = next((known[name].short for name, state in states.items() if not state.startswith("passed")), None)
    print(f"\n{passed} of {len(known)} passed." + (f" Next: python -m deepnp.learn {following}" if following else ""))
    return 0


def _work(exercise: Exercise, progress: Progress, known: dict[str, Exercise]) -> int:
    """Begin an exercise; check one that was begun."""
    path = path_of(exercise, progress)
    if not path.exists():
        write_atomically(path, lambda file: file.write(stub(exercise).encode()))
        print(f"Wrote {path}. Write `{exercise.asked}` there, then run this command again.")
        return 0
    text = path.read_bytes()
    report = check(exercise.name, path.resolve())
    if not report.written:
        print(f"{path}: `{exercise.asked}` is not written yet. --hint gives a first step.")
        return 1
    entry = progress.of(exercise.name)
    entry.attempts += 1
    if report.passed:
        entry.passes(text)
    progress.save()
    _print_report(exercise, report)
    if report.passed:
        print(f"\nRight. The derivation, as the library has it:\n\n{exercise.text}\n")
        return _list_next(exercise, progress, known)
    print("\nNot right yet. --hint shows the next step of the derivation.")
    return 1


def _print_report(exercise: Exercise, report: Report) -> None:
    for name, (right, cases) in report.right.items():
        print(f"{name:16} right in {right} of {cases} cases")
    for message in [*report.faults, *report.wrong.values()]:
        print(f"\n{exercise.asked}: {message}")


def _list_next(exercise: Exercise, progress: Progress, known: dict[str, Exercise]) -> int:
    names = list(known)
    later = names[names.index(exercise.name) + 1 :]
    left = [n for n in later if not progress.of(n).state(path_of(known[n], progress)).startswith("passed")]
    if left:
        print(f"Next: python -m deepnp.learn {known[left[0]].short}")
    return 0


def _hint(exercise: Exercise, progress: Progress) -> int:
    steps, entry = exercise.hints or divide(exercise.text).steps, progress.of(exercise.name)
    if not steps:
        print("There are no hints: the file has the equations. --solution shows the code.")
        return 0
    entry.hints = min(entry.hints + 1, len(steps))
    progress.save()
    for number, step in enumerate(steps[: entry.hints], 1):
        print(f"{number} of {len(steps)}   {step}")
    if entry.hints == len(steps):
        print("\nThese are all. --solution shows the code.")
    return 0


def _solution(exercise: Exercise, progress: Progress) -> int:
    entry = progress.of(exercise.name)
    entry.solution = entry.solution or not entry.passed
    progress.save()
    print(exercise.text, end="\n\n")
    for name in reversed(reachable(exercise.module, exercise.solution)):
        print(inspect.getsource(inspect.unwrap(getattr(exercise.module, name))))
    return 0


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except BrokenPipeError:  # `python -m deepnp.learn | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
