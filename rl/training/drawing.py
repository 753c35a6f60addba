"""One picture of an environment, also of Gymnasium's MuJoCo tasks on a machine without a display.

Those draw with the library that `MUJOCO_GL` names, and without that variable with GLFW, which needs
a display. So it names another one while they draw, if there is one. This project's own environments
choose for themselves; see envs/bodies/rendering.py.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from functools import cache

import gymnasium
import numpy as np

VARIABLE = "MUJOCO_GL"


def picture(env: gymnasium.Env) -> np.ndarray:
    """What an environment of render mode "rgb_array" shows: (H, W, 3).

    Raises
    ------
    RuntimeError
        If there is nothing here to draw with.
    """
    if not draws_with_mujoco(env) or not sys.platform.startswith("linux") or _decided():
        return env.render()
    library = off_screen_library()
    try:
        with _library(library):
            return env.render()
    except Exception as error:
        if library is not None:
            raise
        cause = "there is no display, no libEGL and no libOSMesa"
        raise RuntimeError(f"expected a way to draw, found none ({cause}); without pictures everything else works") from error


def draws_with_mujoco(env: gymnasium.Env) -> bool:
    """Whether Gymnasium's own MuJoCo renderer draws this environment."""
    return getattr(env.unwrapped, "mujoco_renderer", None) is not None


@cache
def off_screen_library() -> str | None:
    """What draws here without a display, as `MUJOCO_GL` calls it."""
    libraries = {"egl": "EGL", "osmesa": "OSMesa"}
    return next((name for name, file in libraries.items() if find_library(file)), None)


def _decided() -> bool:
    return any(os.environ.get(name) for name in (VARIABLE, "DISPLAY", "WAYLAND_DISPLAY"))


@contextmanager
def _library(name: str | None) -> Iterator[None]:
    if name is None:
        yield
        return
    os.environ[VARIABLE] = name
    try:
        yield
    finally:
        del os.environ[VARIABLE]
