"""The notebooks run from top to bottom; their own assertions say whether the results are right."""

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "docs" / "notebooks").glob("*.ipynb"))


def cells(path: Path) -> list[dict]:
    return json.loads(path.read_text("utf-8"))["cells"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs_from_top_to_bottom(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict = {"__name__": "__main__"}
    code = [cell for cell in cells(path) if cell["cell_type"] == "code"]
    for number, cell in enumerate(code):
        exec(compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec"), names)
    assert any("assert" in "".join(cell["source"]) for cell in code)
    capsys.readouterr()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_kept_without_results(path):
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in cells(path))


def test_there_are_notebooks():
    assert NOTEBOOKS
