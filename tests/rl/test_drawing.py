"""Pictures of Gymnasium's MuJoCo tasks, with and without something to draw with."""

import os
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from rl.training import drawing
from rl.training.drawing import off_screen_library, picture

ROOT = Path(__file__).resolve().parents[2]
NAMES = "MUJOCO_GL", "DISPLAY", "WAYLAND_DISPLAY", "PYOPENGL_PLATFORM"
FILM = """
import os, gymnasium
from rl import PPO
from rl.training.video import film
with gymnasium.make("InvertedPendulum-v5", render_mode="rgb_array") as env:
    frames = film(PPO(env), env, seed=0, seconds=0.2, fps=25)
print(frames[0].shape, frames[0].std() > 5, "MUJOCO_GL" in os.environ)
"""


class Drawn(gymnasium.Env):
    """Draws as Gymnasium's MuJoCo tasks do: with the library that the variable names when a picture is asked for."""

    render_mode = "rgb_array"
    mujoco_renderer: object = object()

    def __init__(self, works_with):
        self.works_with = works_with

    def render(self):
        if os.environ.get("MUJOCO_GL") not in self.works_with:
            raise OSError("no context")
        return np.zeros((4, 4, 3), np.uint8)


@pytest.fixture
def machine(monkeypatch):
    """Makes this process believe in another machine."""

    def make(platform, library, **variables):
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(drawing.sys, "platform", platform)
        monkeypatch.setattr(drawing, "find_library", lambda file: f"lib{file}.so" if file == library else None)
        off_screen_library.cache_clear()

    yield make
    off_screen_library.cache_clear()


@pytest.mark.parametrize(
    ("platform", "library", "variables", "expected"),
    [
        ("linux", "EGL", {}, "egl"),
        ("linux", "OSMesa", {}, "osmesa"),
        ("linux", "EGL", {"DISPLAY": ":0"}, None),
        ("linux", "EGL", {"WAYLAND_DISPLAY": "wayland-0"}, None),
        ("linux", "EGL", {"MUJOCO_GL": "osmesa"}, "osmesa"),
        ("darwin", "EGL", {}, None),
        ("win32", "EGL", {}, None),
    ],
)
def test_the_library_that_gymnasium_is_told_to_draw_with(machine, platform, library, variables, expected):
    machine(platform, library, **variables)
    before = os.environ.get("MUJOCO_GL")
    assert picture(Drawn([expected])).shape == (4, 4, 3)
    assert os.environ.get("MUJOCO_GL") == before


def test_a_machine_that_cannot_draw_says_why(machine):
    machine("linux", None)
    with pytest.raises(RuntimeError, match=r"expected a way to draw, found none \(there is no display, no libEGL"):
        picture(Drawn([]))


def test_other_errors_stay_what_they_are(machine):
    machine("linux", "EGL")
    with pytest.raises(OSError, match="no context"):
        picture(Drawn([]))


@pytest.mark.skipif(not sys.platform.startswith("linux") or off_screen_library() is None, reason="draws off screen on Linux")
def test_gymnasiums_own_task_is_filmed_without_a_display():
    environment = {name: value for name, value in os.environ.items() if name not in NAMES}
    done = subprocess.run([sys.executable, "-c", FILM], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "(480, 480, 3) True False", done.stderr[-2000:]
