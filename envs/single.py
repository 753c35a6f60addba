"""One copy of a core as a `gymnasium.Env`."""

from typing import Any, ClassVar

import gymnasium
import numpy as np

from envs.core import Core, check_actions


class SingleEnv(gymnasium.Env):
    """A `gymnasium.Env` over a core with one copy; the time limit is Gymnasium's own wrapper.

    Parameters
    ----------
    core : Core
        With `num_envs == 1`.
    render_mode : {"rgb_array", None}
        What `render()` returns.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"]}

    def __init__(self, core: Core, render_mode: str | None = None):
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"expected render_mode None or one of {self.metadata['render_modes']}, given {render_mode!r}")
        self.core = core
        self.metadata = {**self.metadata, "render_fps": core.render_fps}
        self.render_mode = render_mode
        self.observation_space = core.observation_space
        self.action_space = core.action_space

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        super().reset(seed=seed)
        self.core.reset(np.zeros(1, int), [self.np_random])
        return self._observation(), self._info()

    def step(self, action):
        action = np.asarray(action)
        actions = check_actions(action[None], self.action_space, (1, *self.action_space.shape))
        rewards, terminated = self.core.step(actions)
        return self._observation(), float(rewards[0]), bool(terminated[0]), False, self._info()

    def render(self):
        return self.core.render(0) if self.render_mode == "rgb_array" else None

    def close(self):
        self.core.close()

    def _observation(self):
        observations = self.core.observe()
        return {name: part[0] for name, part in observations.items()} if isinstance(observations, dict) else observations[0]

    def _info(self) -> dict:
        return {name: values[0].item() for name, values in self.core.info().items()}
