"""N copies of a core as a `gymnasium.vector.VectorEnv`: time limit, autoreset, seeds, infos.

The result equals a `SyncVectorEnv` over N single environments, step for step.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envs.checks import check_actions, check_state, check_whole, nest, nested
from envs.core import RENDER_MODES, Core, OverCore
from envs.streams import pack_rngs, unpack_rngs


class CoreVectorEnv(OverCore, VectorEnv):
    """A `VectorEnv` over a core.

    Parameters
    ----------
    core : Core
        The N copies.
    max_episode_steps : int or None
        Decisions after which an episode is truncated.
    autoreset_mode : gymnasium.vector.AutoresetMode
        NEXT_STEP (Gymnasium's default), SAME_STEP (`final_obs` in the infos; what the learners use) or DISABLED.
    render_mode : {"rgb_array", None}
        With "rgb_array", `render()` returns one picture a copy.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": list(RENDER_MODES)}

    def __init__(
        self,
        core: Core,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
    ):
        if max_episode_steps is not None:
            check_whole("max_episode_steps", max_episode_steps, 1)
        super().__init__(core, render_mode)
        self.num_envs = core.num_envs
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "render_fps": core.render_fps, "autoreset_mode": self.autoreset_mode}
        self.max_episode_steps = max_episode_steps
        self.single_observation_space = core.observation_space
        self.single_action_space = core.action_space
        self.observation_space = batch_space(core.observation_space, self.num_envs)
        self.action_space = batch_space(core.action_space, self.num_envs)
        self._rngs: list[np.random.Generator] = []
        self._elapsed = np.zeros(self.num_envs, np.int64)
        self._ended = np.zeros(self.num_envs, bool)

    def reset(self, *, seed: int | list[int | None] | None = None, options: dict | None = None) -> tuple[Any, dict]:
        """Begin new episodes; `options={"reset_mask": (N,) bool}` restricts it to some copies.

        An integer seed gives copy i the seed `seed + i`, as in `SyncVectorEnv`.
        """
        mask = self._reset_mask(options)
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int | np.integer) else seed
        if seeds is not None and len(seeds) != self.num_envs:
            raise ValueError(f"expected {self.num_envs} seeds, given {len(seeds)}")
        if not self._rngs:
            self._rngs = [np_random(None if seeds is None else s)[0] for s in (seeds or [None] * self.num_envs)]
        elif seeds is not None:
            for i in np.flatnonzero(mask):
                if seeds[i] is not None:
                    self._rngs[i] = np_random(seeds[i])[0]
        self._begin(np.flatnonzero(mask))
        return self.core.observe(), self._infos(mask)

    def step(self, actions) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict]:
        if not self._rngs:
            raise RuntimeError("expected reset() before the first step()")
        actions = check_actions(actions, self.single_action_space, self.action_space.shape)
        resetting = self._ended if self.autoreset_mode is AutoresetMode.NEXT_STEP else np.zeros(self.num_envs, bool)
        if self.autoreset_mode is AutoresetMode.DISABLED and self._ended.any():
            raise RuntimeError(f"copies {np.flatnonzero(self._ended)} have ended: reset them with options={{'reset_mask': …}}")
        core = self.core
        rewards, terminated = core.step(actions)
        self._elapsed += 1
        limit = np.inf if self.max_episode_steps is None else self.max_episode_steps
        truncated = self._elapsed >= limit
        if resetting.any():  # their step was thrown away: they begin anew instead
            rewards[resetting], terminated[resetting], truncated[resetting] = 0.0, False, False
            self._begin(np.flatnonzero(resetting))
        ended = terminated | truncated
        infos = {}
        if self.autoreset_mode is AutoresetMode.SAME_STEP and ended.any():
            infos = {"final_obs": core.observe(), "final_info": self._infos(ended)}
            infos |= {"_final_obs": ended, "_final_info": ended.copy()}
            self._begin(np.flatnonzero(ended))
        self._ended = np.zeros(self.num_envs, bool) if self.autoreset_mode is AutoresetMode.SAME_STEP else ended
        infos |= self._infos()
        return core.observe(), rewards, terminated, truncated, infos

    def render(self) -> tuple[np.ndarray, ...] | None:
        if self.render_mode is None:
            return None
        return tuple(self.core.render(i) for i in range(self.num_envs))

    def close_extras(self, **kwargs) -> None:
        self._core.close()

    def state(self) -> dict[str, np.ndarray]:
        """Every copy's situation, random generator included, as arrays: with `set_state`, a run goes on bit for bit."""
        own = {"elapsed": self._elapsed.copy(), "ended": self._ended.copy(), "rngs": pack_rngs(self._rngs, self.num_envs)}
        return {**own, **nest("core", self.core.state())}

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from a `state()` of an environment with as many copies.

        Raises
        ------
        ValueError
            If names, shapes, dtypes or values are not those of this environment; then nothing has changed.
        """
        check_state(state, self.state(), {"elapsed": (0, np.inf), **nest("core", self.core.state_bounds())})
        rngs = unpack_rngs(state["rngs"])
        self._elapsed[:], self._ended[:], self._rngs = state["elapsed"], state["ended"], rngs
        self.core.restore(nested("core", state))

    def _begin(self, ids: np.ndarray) -> None:
        self._elapsed[ids] = 0
        self._ended[ids] = False
        if len(ids):
            self.core.reset(ids, self._rngs)

    def _infos(self, mask: np.ndarray | None = None) -> dict:
        """The core's infos, zero where the mask is; of all copies without one."""
        infos: dict[str, np.ndarray] = {}
        for name, values in self._core.info().items():
            infos[name] = values if mask is None else np.where(mask, values, np.zeros((), values.dtype))
            infos[f"_{name}"] = np.ones(self.num_envs, bool) if mask is None else mask.copy()
        return infos

    def _reset_mask(self, options: dict | None) -> np.ndarray:
        mask = (options or {}).get("reset_mask")
        if mask is None:
            return np.ones(self.num_envs, bool)
        if not isinstance(mask, np.ndarray) or mask.shape != (self.num_envs,) or mask.dtype != bool:
            raise ValueError(f"expected reset_mask as a bool array of shape ({self.num_envs},), given {mask!r}")
        return mask
