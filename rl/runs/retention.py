"""Which checkpoints of a run are kept.

    checkpoints/last.safetensors        the latest
               /previous.safetensors    the one before, in case the last is damaged
               /step-<n>.safetensors    the latest `keep` ones, the last among them
               /best.safetensors        of the best evaluation, without a replay memory
               /best.json               its step and its mean return

A checkpoint that has several names is stored once, where the file system knows hard links. Names
change only after a file is whole, so a kill at any moment leaves a whole checkpoint.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from deepnp.files import remove_leftovers, sync_folder
from deepnp.storage import save_json
from rl.runs.failures import check_there

Write = Callable[[Path], None]
NEXT, LINK = "next.safetensors", "link.safetensors"  # they exist while a checkpoint is written


def checkpoint_of(folder: str | os.PathLike) -> Path:
    """Where a run keeps its latest checkpoint."""
    return _checkpoints(folder) / "last.safetensors"


def previous_of(folder: str | os.PathLike) -> Path:
    """Where a run keeps the checkpoint before the latest."""
    return _checkpoints(folder) / "previous.safetensors"


def best_of(folder: str | os.PathLike) -> Path:
    """Where a run keeps the agent of its best evaluation."""
    return _checkpoints(folder) / "best.safetensors"


def kept_of(folder: str | os.PathLike) -> dict[int, Path]:
    """The checkpoints that a run keeps by their step, from the earliest."""
    names = {path.stem.removeprefix("step-"): path for path in _checkpoints(folder).glob("step-*.safetensors")}
    return {int(step): names[step] for step in sorted((n for n in names if n.isdecimal()), key=int)}


def checkpoints_of(folder: str | os.PathLike) -> list[Path]:
    """All checkpoints to go on from, the latest first."""
    return [checkpoint_of(folder), previous_of(folder), *reversed(kept_of(folder).values())]


class Retention:
    """Writes the checkpoints of a run, and removes those that are not to be kept.

    Parameters
    ----------
    folder : path
        Of the run.
    keep : int
        How many stay as step-<n>.safetensors.
    """

    def __init__(self, folder: str | os.PathLike, keep: int = 0):
        self.folder, self.keep = Path(folder), keep

    def write(self, write: Write, steps: int) -> None:
        """Make `write(path)` the latest checkpoint, of that step.

        Raises
        ------
        FileNotFoundError
            If the run's folder is gone: it is not made anew.
        """
        check_there(self.folder)
        last = checkpoint_of(self.folder)
        following = last.with_name(NEXT)
        write(following)
        if last.exists():
            _name_also(last, previous_of(self.folder), os.replace)
        os.replace(following, last)
        sync_folder(last.parent)
        if self.keep:
            _name_also(last, last.with_name(f"step-{steps}.safetensors"), shutil.copyfile)
            for path in list(kept_of(self.folder).values())[: -self.keep]:
                path.unlink()

    def write_best(self, write: Write, steps: int, mean_return: float) -> None:
        """Keep `write(path)` as the best agent so far."""
        check_there(self.folder)
        best = best_of(self.folder)
        write(best)
        save_json(best.with_suffix(".json"), {"steps": steps, "return": mean_return})

    def best_return(self) -> float:
        """The mean return of the best agent so far; −∞ if there is none."""
        try:
            return float(json.loads(best_of(self.folder).with_suffix(".json").read_bytes())["return"])
        except (OSError, ValueError, KeyError, TypeError):
            return float("-inf")

    def clean(self, steps: int) -> None:
        """Remove what a killed process left half written, and checkpoints beyond `steps`, which are to be taken again."""
        for folder in (self.folder, _checkpoints(self.folder)):
            remove_leftovers(folder)
        for name in (NEXT, LINK):
            (_checkpoints(self.folder) / name).unlink(missing_ok=True)
        for step, path in kept_of(self.folder).items():
            if step > steps:
                path.unlink()

    def forget(self) -> None:
        """Remove what another run left under the names of the kept ones."""
        self.clean(-1)
        for path in (best_of(self.folder), best_of(self.folder).with_suffix(".json")):
            path.unlink(missing_ok=True)


def _checkpoints(folder) -> Path:
    return Path(folder) / "checkpoints"


def _name_also(path: Path, name: Path, otherwise: Callable[[Path, Path], object]) -> None:
    """Give a file another name, which may have been another file's; do `otherwise` where files have one name only."""
    link = name.with_name(LINK)
    link.unlink(missing_ok=True)
    try:
        os.link(path, link)
    except OSError:
        otherwise(path, name)
        return
    os.replace(link, name)
    link.unlink(missing_ok=True)  # it stays where both are names of one file already
