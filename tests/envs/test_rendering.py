"""Which library draws, on each system. What happens on this machine is in test_processes.py."""

import mujoco
import pytest
from mujoco.rendering.classic import gl_context

from envs.bodies import rendering

LINUX = "linux"


@pytest.fixture
def machine(monkeypatch):
    """Makes this process believe in another machine; returns which libraries were asked to draw there."""
    tried = []

    class Renderer:
        def __init__(self, model, height, width):
            tried.append(gl_context.GLContext)
            if tried[-1] in broken:
                raise mujoco.FatalError("no driver")
            self.scene = mujoco.MjvScene()

    def make(platform, libraries=(), broken_ones=(), **variables):
        for name in ("MUJOCO_GL", "DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        broken.extend(broken_ones)
        monkeypatch.setattr(rendering.sys, "platform", platform)
        monkeypatch.setattr(rendering, "_loads", lambda file: any(name in file.lower() for name in libraries))
        return tried

    broken: list = []
    monkeypatch.setattr(mujoco, "Renderer", Renderer)
    monkeypatch.setattr(gl_context, "GLContext", "MuJoCo's own")
    monkeypatch.setattr(rendering, "import_module", lambda name: Loaded(name.removeprefix("mujoco.")))
    return make


class Loaded:
    def __init__(self, name):
        self.GLContext = name


CASES = [
    (dict(platform=LINUX, libraries=["egl"]), ["egl"]),
    (dict(platform=LINUX, libraries=["osmesa"]), ["osmesa"]),
    (dict(platform=LINUX, libraries=["egl", "osmesa"], broken_ones=["egl"]), ["egl", "osmesa"]),
    (dict(platform=LINUX, libraries=["egl"], DISPLAY=":0"), ["glfw"]),
    (dict(platform=LINUX, libraries=["egl"], WAYLAND_DISPLAY="wayland-0", broken_ones=["glfw"]), ["glfw", "egl"]),
    (dict(platform=LINUX, libraries=["egl", "osmesa"], MUJOCO_GL="OSMesa", DISPLAY=":0"), ["osmesa"]),
    (dict(platform=LINUX, libraries=["egl"], MUJOCO_GL="on"), ["MuJoCo's own"]),
    (dict(platform="darwin"), ["MuJoCo's own"]),
    (dict(platform="darwin", MUJOCO_GL="glfw"), ["MuJoCo's own"]),
    (dict(platform="win32", libraries=["egl"]), ["MuJoCo's own"]),
]


@pytest.mark.parametrize(("given", "expected"), CASES)
def test_the_library_that_draws(machine, given, expected):
    tried = machine(**given)
    rendering.make_renderer(None, 4, 4)
    assert tried == expected


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (dict(platform=LINUX), "there is no display, no libEGL and no libOSMesa"),
        (dict(platform=LINUX, libraries=["egl"], broken_ones=["egl"]), "egl: no driver"),
        (dict(platform="win32", broken_ones=["MuJoCo's own"]), "MuJoCo: no driver"),
    ],
)
def test_a_machine_that_cannot_draw_says_why(machine, given, reason):
    machine(**given)
    with pytest.raises(RuntimeError, match="expected a way to draw, found none") as caught:
        rendering.make_renderer(None, 4, 4)
    assert reason in str(caught.value)
