"""Curves in a notebook: drawn now and then, without touching the notebook's own plots."""

import os
import sys
import types
from pathlib import Path

import matplotlib
import numpy as np
import pytest

from rl import PPO, PPOConfig
from rl.training import live
from rl.training.live import LiveCurves
from tests.rl.toys import Target

ROOT = Path(__file__).resolve().parents[2]
QUICK = PPOConfig(num_envs=1, steps=32, epochs=1, batch_size=32)


@pytest.fixture
def shown(monkeypatch):
    """The pictures that a notebook shows: (cell, PNG)."""
    pictures: list[tuple[int, bytes]] = []

    def display(picture, display_id):
        assert display_id
        cell = len({number for number, _ in pictures})
        pictures.append((cell, picture))
        return types.SimpleNamespace(update=lambda picture: pictures.append((cell, picture)))

    module = types.SimpleNamespace(display=display, Image=lambda png: png)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(display=module, version_info=(9, 0)))
    return pictures


def test_one_cell_is_drawn_over_and_another_training_gets_another(shown):
    agent, curves = PPO(Target(), QUICK), LiveCurves(seconds=0)
    agent.learn(128, curves)
    assert shown[0][0] == 0
    assert len(shown) >= 2  # when it was due, and at the end
    assert {cell for cell, _ in shown} == {0}
    assert all(png.startswith(b"\x89PNG") for _, png in shown)
    agent.learn(256, curves)
    assert {cell for cell, _ in shown} == {0, 1}


def test_drawing_takes_a_small_share_of_the_time(shown, monkeypatch):
    clock = types.SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(live, "time", clock)
    curves, agent = LiveCurves(seconds=1.0), types.SimpleNamespace(steps=1)
    monkeypatch.setattr(LiveCurves, "png", lambda self: setattr(clock, "now", clock.now + 0.5))
    curves.on_start(agent)
    for _ in range(1000):
        clock.now += 0.1
        curves.on_update(agent, {"episode_return": 1.0})
    assert len(shown) == 10  # half a second each: one in ten seconds and a half


def test_the_notebooks_own_plots_are_left_alone(shown):
    code_before = matplotlib.rcParams._get("backend"), "matplotlib.pyplot" in sys.modules
    PPO(Target(), QUICK).learn(64, LiveCurves(seconds=0))
    assert (matplotlib.rcParams._get("backend"), "matplotlib.pyplot" in sys.modules) == code_before


def test_evaluations_are_drawn_beside_the_returns(shown):
    curves, agent = LiveCurves({"episode_return": "return"}), types.SimpleNamespace(steps=5)
    curves.on_start(agent)
    curves.on_update(agent, {"episode_return": 1.0})
    before = curves.png()
    curves.on_evaluation(agent, {"return": np.array([2.0, 4.0])})
    assert curves.png() != before
    assert curves._evaluations == [(5, 3.0)]


def test_metrics_without_titles_are_refused(shown):
    with pytest.raises(TypeError, match="expected metrics as a mapping"):
        LiveCurves("episode_return")


def test_without_ipython_it_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", None)
    with pytest.raises(ImportError, match="LiveCurves draws in a notebook"):
        LiveCurves()


@pytest.mark.filterwarnings("ignore")  # of Jupyter's own
def test_the_notebook_runs(tmp_path):
    """Its cells, with fewer steps, and a cell that looks at what they left behind."""
    nbformat = pytest.importorskip("nbformat", reason="pip install .[notebook]")
    nbclient = pytest.importorskip("nbclient", reason="pip install .[notebook]")
    notebook = nbformat.read(ROOT / "examples" / "first_agent.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = cell.source.replace("200_000", "4_096").replace("210_000", "6_144").replace("seconds=5", "seconds=0.2")
    last = "print('matplotlib.pyplot' in sys.modules); import matplotlib; print(matplotlib.get_backend())"
    notebook.cells.append(nbformat.v4.new_code_cell(last))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    client = nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env=environment)
    training = [output.get("data", {}) for output in notebook.cells[3].outputs]
    assert any("100 %  4,096 steps" in data.get("text/plain", "") for data in training)
    assert any("image/png" in data for data in training)
    assert notebook.cells[-1].outputs[0].text.split() == ["False", "module://matplotlib_inline.backend_inline"]


def test_the_notebook_is_kept_with_its_pictures():
    nbformat = pytest.importorskip("nbformat", reason="pip install .[notebook]")
    notebook = nbformat.read(ROOT / "examples" / "first_agent.ipynb", as_version=4)
    kinds = {kind for cell in notebook.cells for output in cell.get("outputs", []) for kind in output.get("data", {})}
    assert {"image/png", "image/gif"} <= kinds
    assert not any(output.output_type == "error" for cell in notebook.cells for output in cell.get("outputs", []))
