"""What a training shows: in a terminal, in a notebook, in a log file; and what it says of compiling."""

import io
import logging
import secrets
import sys
import types

import numpy as np
import pytest
from rich.console import Console

from jit import kernel
from rl import PPO, PPOConfig
from rl.runs import displays
from rl.runs.compilations import LOGGER, Compilations
from rl.runs.displays import NotebookCell, PlainLines, TerminalLine, display_here
from rl.runs.progress import ProgressBar
from tests.rl.toys import Target

QUICK = PPOConfig(num_envs=1, steps=32, epochs=1, batch_size=32)


class Cell:
    """A notebook's output that is written over."""

    def __init__(self):
        self.shown: list[str] = []

    def display(self, bundle, raw, display_id):
        assert raw
        assert display_id
        self.update(bundle, raw)
        return self

    def update(self, bundle, raw):
        assert raw
        self.shown.append(bundle["text/plain"])


@pytest.fixture
def cell(monkeypatch):
    """Python thinks that it runs in a notebook."""
    output = Cell()
    module = types.SimpleNamespace(display=output.display)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(display=module))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr(displays, "Console", lambda: Console(force_jupyter=True))
    return output


def test_a_notebook_shows_one_line_and_writes_it_over(cell, capsys):
    PPO(Target(), QUICK).learn(128, progress=True)
    assert cell.shown[0] == "starting"
    assert "━" * NotebookCell.WIDTH + " 100 %  128 steps" in cell.shown[-1]
    assert capsys.readouterr().out == ""


def test_a_notebook_shows_what_is_compiled(cell):
    display = display_here(10.0)
    display.start(100)
    display.note("compiling a kernel")
    display.show(25, "25 steps", 3.0)
    assert cell.shown == ["starting", "compiling a kernel", "━" * 6 + "╌" * 18 + "  25 %  25 steps  3 s left"]


def test_a_log_file_gets_the_last_line_of_a_short_training(capsys):
    PPO(Target(), QUICK).learn(128, progress=True)
    lines = [line for line in capsys.readouterr().out.splitlines() if "compiling" not in line]
    assert len(lines) == 1
    assert lines[0].startswith("100 %  128 steps")
    assert "left" not in lines[0]


@pytest.mark.parametrize(
    ("console", "expected"),
    [
        (dict(force_jupyter=True), NotebookCell),
        (dict(force_terminal=True), TerminalLine),
        (dict(file=io.StringIO()), PlainLines),
    ],
)
def test_the_display_is_that_of_the_place(monkeypatch, console, expected):
    monkeypatch.setattr(displays, "Console", lambda: Console(**console))
    assert type(display_here(10.0)) is expected


def test_a_terminal_shows_what_is_compiled():
    output = io.StringIO()
    line = TerminalLine(Console(file=output, force_terminal=True, width=100))
    line.start(100)
    line.note("compiling a kernel")
    line.show(50, "50 steps", None)
    line.stop()
    assert "compiling a kernel" in output.getvalue()
    assert "50 %  50 steps" in output.getvalue()


def compile_one():
    """Compile a kernel that no earlier process has kept: it adds a number of its own."""
    number = secrets.randbits(40)

    @kernel
    def added(x):
        return x + number

    assert added(np.int64(3)) == 3 + number


def test_a_log_file_says_once_that_kernels_are_compiled(capsys):
    bar, agent = ProgressBar(), PPO(Target(), QUICK)
    agent.total_steps = 32
    bar.on_start(agent)
    compile_one()
    compile_one()
    bar.on_end(agent, None)
    compile_one()
    assert capsys.readouterr().out == "compiling kernels: the first steps take longer\n"


def test_who_shows_no_such_records_goes_on_showing_none(caplog):
    heard, before = [], (LOGGER.level, LOGGER.propagate)
    compilations = Compilations(heard.append)
    compilations.open()
    compile_one()
    compilations.shut()
    assert len(heard) == 2
    assert not caplog.records
    assert (LOGGER.level, LOGGER.propagate) == before
    compilations.shut()  # twice does no harm


def test_who_shows_such_records_goes_on_showing_them(caplog):
    heard = []
    with caplog.at_level(logging.INFO, "deepnp"):
        compilations = Compilations(heard.append)
        compilations.open()
        compile_one()
        compilations.shut()
    assert [r.getMessage() for r in caplog.records] == heard
    assert len(heard) == 2


@pytest.mark.parametrize("text", ["KL {kl}", "KL {:q}", "KL {} {}", "KL {", 3])
def test_a_format_that_is_none_is_refused_before_the_training(text):
    with pytest.raises(ValueError, match=r"expected the format of kl with one placeholder, as in \"\{:.2f\}\", given"):
        ProgressBar({"kl": text})


def test_metrics_without_formats_are_refused():
    with pytest.raises(TypeError, match="expected shown as a mapping"):
        ProgressBar(["kl"])
