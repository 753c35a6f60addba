"""Pictures of MuJoCo bodies: cameras, and the way of drawing that this machine has.

MuJoCo takes its OpenGL library from `MUJOCO_GL`, once, when it is imported; without that variable it takes GLFW, which needs a
display. Here the library is chosen when the first picture is asked for, so that a machine that cannot draw can still train.
"""

import copy
import ctypes
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import mujoco
from mujoco.rendering.classic import gl_context

SMALL = 128  # pixels of an edge, up to which pictures are drawn coarsely
LIBRARIES = "glfw", "egl", "osmesa"  # that MuJoCo can draw with on Linux
_DREW: dict[str, int] = {}  # the process that made the first renderer
OFF_SCREEN = {"egl": ("libEGL.so.1", "libEGL.so"), "osmesa": ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so")}


@dataclass(frozen=True)
class View:
    """A camera that stands still: the point it looks at (m), from how far (m), from which side and how high (degrees)."""

    lookat: tuple[float, float, float]
    distance: float
    azimuth: float = 90.0
    elevation: float = -30.0

    def camera(self) -> mujoco.MjvCamera:
        camera = mujoco.MjvCamera()
        camera.lookat[:] = self.lookat
        camera.distance, camera.azimuth, camera.elevation = self.distance, self.azimuth, self.elevation
        return camera


def make_renderer(model: mujoco.MjModel, height: int, width: int) -> mujoco.Renderer:
    """A renderer without reflections, on the first library that works here: GLFW with a display, else EGL, else OSMesa.

    `MUJOCO_GL`, where it is set, decides instead, also after MuJoCo was imported; so does MuJoCo itself on macOS and Windows.

    Raises
    ------
    RuntimeError
        If no library works, or in a fork of a process that drew: graphics drivers do not survive one.
    """
    if _DREW.setdefault("process", os.getpid()) != os.getpid():
        raise RuntimeError("expected to draw in a process of its own, given a fork of one that drew: start it by 'spawn'")
    failures = []
    for library in _candidates():
        try:
            if library is not None:
                gl_context.GLContext = import_module(f"mujoco.{library}").GLContext
            return _without_reflections(mujoco.Renderer(model, height, width))
        except Exception as error:  # drivers fail in many ways; the next library may not
            failures.append(f"{library or 'MuJoCo'}: {error}")
    reasons = "; ".join(failures) or "there is no display, no libEGL and no libOSMesa"
    raise RuntimeError(f"expected a way to draw, found none ({reasons}); without pictures everything else works")


def coarse(model: mujoco.MjModel) -> mujoco.MjModel:
    """A copy that small pictures are drawn from, seven times faster: round shapes of fewer faces, edges that are not smoothed."""
    model = copy.copy(model)
    model.vis.quality.offsamples, model.vis.quality.numslices, model.vis.quality.numstacks = 0, 12, 8
    return model


def _candidates() -> Sequence[str | None]:
    """What to try, in this order. None is the library that MuJoCo chose when it was imported."""
    chosen = os.environ.get("MUJOCO_GL", "").lower().strip()
    if not sys.platform.startswith("linux") or chosen not in ("", *LIBRARIES):
        return [None]
    if chosen:
        return [chosen]
    display = ["glfw"] if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") else []
    return display + [library for library, files in OFF_SCREEN.items() if any(map(_loads, files))]


def _loads(file: str) -> bool:
    try:
        ctypes.CDLL(file)
    except OSError:
        return False
    return True


def _without_reflections(renderer: mujoco.Renderer) -> mujoco.Renderer:
    renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
    return renderer
