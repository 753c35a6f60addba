"""What a camera sees of a body, as an observation beside its own: for learning from pictures.

Observation         a dictionary: what the body observes without, under its own names or as "observation", and
  camera (P, P, 3)  uint8, the picture that `render` takes, smaller

Every picture is drawn by MuJoCo's renderer, one copy after the other. With 48 pixels a step of one Walker takes 2.5 ms of one
processor, of an arm 1.0 ms, without a graphics card; without a camera 0.2 and 0.1 ms. Random actions let a Walker fall after a
few steps, and an end takes one picture more.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces

from envs.bodies.rendering import SMALL
from envs.checks import check_whole
from envs.core import Core
from envs.wrappers import CoreWrapper

SMALLEST, LARGEST = 16, SMALL


class CameraObservation(CoreWrapper):
    """A core over a body, with a picture among its observations.

    Parameters
    ----------
    core : Core
        With a `body`.
    pixels : int
        Of an edge of the square picture, P.

    Raises
    ------
    ValueError
        If the core has no body, or `pixels` is no integer in [16, 128].
    """

    def __init__(self, core: Core, pixels: int):
        super().__init__(core)
        body = getattr(core, "body", None)
        if body is None:
            raise ValueError(f"expected a body to be filmed, given {type(core).__name__}")
        if not SMALLEST <= check_whole("camera", pixels, 0) <= LARGEST:
            raise ValueError(f"expected a camera of {SMALLEST} to {LARGEST} pixels, given {pixels}")
        self.body, self.pixels = body, int(pixels)
        own = core.observation_space
        parts = dict(own.spaces) if isinstance(own, spaces.Dict) else {"observation": own}
        picture = spaces.Box(0, 255, (self.pixels, self.pixels, 3), np.uint8)
        self.observation_space = spaces.Dict({**parts, "camera": picture})

    def observe(self) -> dict[str, np.ndarray]:
        own: Any = self.core.observe()
        pictures = [self.body.render(i, self.pixels, self.pixels) for i in range(self.num_envs)]
        return {**(own if isinstance(own, dict) else {"observation": own}), "camera": np.stack(pictures)}


def filmable(core: type[Core]) -> Callable[..., Core]:
    """What makes `core`, with one setting more: `camera`, the pixels of an edge, or 0 for none."""

    def make(num_envs: int = 1, camera: int = 0, **settings) -> Core:
        made = core(num_envs, **settings)
        return CameraObservation(made, camera) if camera != 0 else made

    return make
