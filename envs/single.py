"""One copy of a core as a `gymnasium.Env`."""

from typing import Any, ClassVar

import gymnasium
import numpy as np

from envs.checks import check_actions
from envs.core import RENDER_MODES, Core, OverCore


class SingleEnv(OverCore, gymnasium.Env):
    """A `gymnasium.Env` over a core with one copy; the time limit is Gymnasium's own wrapper.

    Parameters
    ----------
    core : Core
        With `num_envs == 1`.
    render_mode : {"rgb_array", None}
        What `render()` returns.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": list(RENDER_MODES)}

    def __init__(self, core: Core, render_mode: str | None = None):
        super().__init__(core, render_mode)
        self.metadata = {**self.metadata, "render_fps": core.render_fps}
        self.observation_space = core.observation_space
        self.action_space = core.action_space

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        self.core.reset(np.zeros(1, int), [self.np_random])
        return self._observation(), self._info()

    def step(self, action) -> tuple[Any, float, bool, bool, dict]:
        if self._np_random is None:
            raise RuntimeError("expected reset() before the first step()")
        actions = check_actions(np.asarray(action)[None], self.action_space, (1, *self.action_space.shape))
        rewards, terminated = self.core.step(actions)
        return self._observation(), float(rewards[0]), bool(terminated[0]), False, self._info()

    def render(self) -> np.ndarray | None:
        return self.core.render(0) if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        self._core.close()

    def _observation(self):
        observations = self._core.observe()
        return {name: part[0] for name, part in observations.items()} if isinstance(observations, dict) else observations[0]

    def _info(self) -> dict:
        return {name: values[0].item() for name, values in self._core.info().items()}
