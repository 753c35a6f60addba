"""Decisions every few steps, and stacked inputs, for an environment of any id (chapter 3.4 of the thesis).

    decision_period k    one decision, which is held for k steps; their rewards are summed; an episode's end ends the decision
    stacked_inputs n     the last n observations, oldest first; zeros before an episode's start

Both are settings of an id, beside those of the environment itself:

>>> PPO("Pendulum-v1", env_settings={"decision_period": 2, "stacked_inputs": 3})

Gymnasium's wrappers do it around each copy. A vector environment that knows these settings itself, as those of `envs` do, gets
them instead, and stays one of many copies at once.
"""

import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import FrameStackObservation, RepeatAction


@dataclass(frozen=True)
class Pace:
    """How often an agent decides, and how far back it sees.

    Raises
    ------
    ValueError
        If one of them is no integer >= 1.
    """

    decision_period: int = 1
    stacked_inputs: int = 1

    def __post_init__(self):
        for name, value in asdict(self).items():
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"expected an integer {name} >= 1, given {value!r}")

    @classmethod
    def taken_from(cls, *settings: dict[str, Any]) -> "Pace":
        """The pace among an environment's settings, taken out of them; later ones count."""
        return cls(**{name: some.pop(name) for some in settings for name in asdict(cls()) if name in some})

    @property
    def settings(self) -> dict[str, int]:
        """Those that change something."""
        return {name: int(value) for name, value in asdict(self).items() if value != 1}

    def is_known_to(self, creator: Callable) -> bool:
        """Whether what makes an environment takes these settings itself, as far as there are any."""
        return self.settings.keys() <= inspect.signature(creator).parameters.keys()

    def around(self, env: gymnasium.Env) -> gymnasium.Env:
        """A single environment, with this pace.

        Raises
        ------
        ValueError
            If inputs are to be stacked that are no vectors or grey pictures.
        """
        if self.decision_period > 1:
            env = RepeatAction(env, int(self.decision_period))
            if env.metadata.get("render_fps"):  # decisions a second
                env.metadata = {**env.metadata, "render_fps": env.metadata["render_fps"] / self.decision_period}
        if self.stacked_inputs > 1:
            space = env.observation_space
            if not isinstance(space, spaces.Box) or len(space.shape) > 2:
                raise ValueError(f"expected vectors, or pictures without a channel axis, to stack, given {space}")
            env = FrameStackObservation(env, int(self.stacked_inputs), padding_type="zero")
        return env
