"""The command line: `deepnp train sac HalfCheetah-v5`, and what follows a training.

    __init__        main: exit codes, and errors in one line
    dispatch        from the words of a command line to the function that does it
    commands        the list of commands, one file each
    settings        an algorithm's Config as options
    names           options that other libraries call otherwise

Exit codes: 0 done, 1 an error, 2 a command line that makes no sense, 130 stopped by Ctrl-C.
"""

import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path

import gymnasium

import deepnp
from deepnp import NonFiniteError
from rl.cli.commands import TOP
from rl.cli.dispatch import dispatch
from rl.cli.terminal import complain, prepare, print_warning, say
from rl.cli.usage import FAILED, MISUSED, STOPPED, Usage

EXPECTED = (NonFiniteError, ImportError, ValueError, TypeError, OSError, MemoryError, RuntimeError, gymnasium.error.Error)
OURS = [Path(__file__).resolve().parents[2] / name for name in ("deepnp", "envs", "jit", "rl")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, by default this process's own.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the program's name.

    Returns
    -------
    int
        The exit code.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    prepare()
    if words == ["--version"]:
        say(f"deepnp {deepnp.__version__}")
        return 0
    with warnings.catch_warnings():
        warnings.showwarning = print_warning
        try:
            return dispatch(TOP, words, "deepnp") or 0
        except Usage as error:
            return _failed(f"error: {error}", error, MISUSED)
        except SystemExit as end:  # tyro's and argparse's, after their own words
            return end.code if isinstance(end.code, int) else FAILED if end.code else 0
        except BrokenPipeError:  # `deepnp envs | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except EXPECTED as error:
            return _failed(f"error: {str(error) or type(error).__name__}{_place(error)}", error, FAILED)
        except KeyboardInterrupt as error:
            return _failed("stopped", error, STOPPED)


def _place(error: BaseException) -> str:
    """Where in the person's own files, those of the current folder, an error came from; nothing where it is ours."""
    not_theirs = [*OURS, Path(sys.prefix).resolve()]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename).resolve()
        if path.is_relative_to(Path.cwd()) and not any(map(path.is_relative_to, not_theirs)):
            return f" ({type(error).__name__} in {path.name}, line {frame.lineno}, in {frame.name})"
    return ""


def _failed(text: str, error: BaseException, code: int) -> int:
    complain("; ".join([text, *getattr(error, "__notes__", ())]))
    return code
