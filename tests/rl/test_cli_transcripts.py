"""The transcripts of docs/command_line.md: each command prints what the page says, "…" standing for anything."""

import re
import shlex
from pathlib import Path

import pytest

from rl.cli import main
from rl.cli.commands import TOP

PAGE = Path(__file__).resolve().parents[2] / "docs" / "command_line.md"


def transcripts() -> list[tuple[str, str]]:
    """Each command and what it is to print, in the page's order."""
    blocks = re.findall(r"^```text\n(\$ deepnp .*?)^```$", PAGE.read_text(), flags=re.M | re.S)
    parts = [part for block in blocks for part in block.split("$ deepnp ")[1:]]
    return [(command, printed) for command, _, printed in (part.partition("\n") for part in parts)]


def test_the_page_s_transcripts_are_true(tmp_path, monkeypatch, capsys):
    pytest.importorskip("optuna")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for command, expected in transcripts():
        code = main(shlex.split(command))
        captured = capsys.readouterr()
        assert (code == 0) == (captured.err == ""), captured.err
        pattern = re.escape(expected).replace("…\n", "…").replace("…", ".*?")
        printed = re.sub(r" +$", "", captured.out + captured.err, flags=re.M)
        assert re.fullmatch(pattern, printed, flags=re.S), f"deepnp {command}\n{printed}"


def test_every_command_has_a_transcript():
    elsewhere = {"book"}  # it builds for half a minute: tests/docs/test_command.py
    assert set(TOP.members) <= {command.split()[0] for command, _ in transcripts()} | elsewhere
