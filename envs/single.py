"""One copy of a core as a `gymnasium.Env`."""

from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium
import numpy as np

from envs.checks import check_actions, check_state, nest, nested
from envs.core import RENDER_MODES, Core, OverCore
from envs.streams import pack_rngs, unpack_rngs


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

    def state(self) -> dict[str, np.ndarray]:
        """The situation, random generator included, as arrays: with `set_state`, it goes on bit for bit.

        How many steps an episode has had is known to the wrapper of the time limit, and not included.
        """
        return {"rng": pack_rngs([self.np_random], 1), **nest("core", self.core.state())}

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from a `state()` of such an environment.

        Raises
        ------
        ValueError
            If names, shapes, dtypes or values are not those of this environment; then nothing has changed.
        """
        check_state(state, self.state(), nest("core", self.core.state_bounds()))
        (self.np_random,) = unpack_rngs(state["rng"]) or [self.np_random]
        self.core.restore(nested("core", state))

    def _observation(self):
        observations = self._core.observe()
        return {name: part[0] for name, part in observations.items()} if isinstance(observations, dict) else observations[0]

    def _info(self) -> dict:
        return {name: values[0].item() for name, values in self._core.info().items()}
