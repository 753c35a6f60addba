"""Cores around cores, for many copies at once: decisions, memory and rewards as in chapter 3.4 of the thesis (docs/references.md).

>>> core = StackedInputs(DecisionPeriod(Walker(64), steps=2), frames=3)
>>> env = CoreVectorEnv(core, max_episode_steps=250, autoreset_mode="SameStep")

These wrap below the autoreset, so frames, actions and rewards never cross the end of an episode.
Where Gymnasium has a wrapper for vectors (observation and reward normalisation, clipping, transforms), use Gymnasium's.

Shapes: N copies, O observations.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces

from envs.checks import Bounds, check_whole, nest, nested
from envs.core import Core


class CoreWrapper(Core):
    """A core that delegates everything to another.

    Parameters
    ----------
    core : Core
    """

    def __init__(self, core: Core):
        self.core = core
        self.num_envs, self.render_fps = core.num_envs, core.render_fps
        self.observation_space, self.action_space = core.observation_space, core.action_space

    def offered(self, name) -> Callable:
        return self.core.offered(name)

    def reset(self, ids, rngs) -> None:
        self.core.reset(ids, rngs)

    def step(self, actions) -> tuple:
        return self.core.step(actions)

    def observe(self) -> Any:
        return self.core.observe()

    def info(self) -> dict:
        return self.core.info()

    def render(self, copy) -> np.ndarray:
        return self.core.render(copy)

    def state(self) -> dict[str, np.ndarray]:
        return {**nest("core", self.core.state()), **self.own_state()}

    def own_state(self) -> dict[str, np.ndarray]:
        """What the wrapper remembers, in new arrays."""
        return {}

    def state_bounds(self) -> Bounds:
        return nest("core", self.core.state_bounds())

    def restore(self, state) -> None:
        self.core.restore(nested("core", state))

    def close(self) -> None:
        self.core.close()


class DecisionPeriod(CoreWrapper):
    """One decision every few steps; rewards are summed.

    A copy whose episode ends within the period shows its last observation and info, and earns nothing more.

    Parameters
    ----------
    core : Core
    steps : int
        The period.
    repeat : bool
        Whether the action is held, or given once and then zero (for discrete ones, the first action).

    Raises
    ------
    ValueError
        If `steps` is no integer >= 1.
    """

    def __init__(self, core: Core, steps: int, repeat: bool = True):
        super().__init__(core)
        self.steps, self.repeat = check_whole("steps", steps, 1), repeat
        self.render_fps = core.render_fps / self.steps
        self._early = np.zeros(self.num_envs, bool)  # ended before the period did
        self._final_observations, self._final_infos = self._now()

    def reset(self, ids, rngs) -> None:
        self.core.reset(ids, rngs)
        self._early[ids] = False

    def step(self, actions) -> tuple[np.ndarray, np.ndarray]:
        total, ended = np.zeros(self.num_envs), np.zeros(self.num_envs, bool)
        self._early[:] = False
        for k in range(self.steps):
            rewards, terminated = self.core.step(actions if k == 0 or self.repeat else self._neutral(actions))
            total += np.where(ended, 0.0, rewards)
            fresh = terminated & ~ended
            ended |= fresh
            if fresh.any() and k < self.steps - 1:
                self._early |= fresh
                for final, now in zip((self._final_observations, self._final_infos), self._now(), strict=True):
                    for name, values in now.items():
                        final[name][fresh] = values[fresh]
        return total, ended

    def observe(self) -> Any:
        observations = self._overlay(_named(self.core.observe()), self._final_observations)
        return observations if isinstance(self.observation_space, spaces.Dict) else observations[""]

    def info(self) -> dict:
        return self._overlay(self.core.info(), self._final_infos)

    def own_state(self) -> dict[str, np.ndarray]:
        final = {**nest("observation", self._final_observations), **nest("info", self._final_infos)}
        return {"early": self._early.copy(), **{name: values.copy() for name, values in final.items()}}

    def restore(self, state) -> None:
        super().restore(state)
        self._early[:] = state["early"]
        for kind, arrays in (("observation", self._final_observations), ("info", self._final_infos)):
            for name, values in arrays.items():
                values[:] = state[f"{kind}.{name}"]

    def _now(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        return _named(self.core.observe()), self.core.info()

    def _overlay(self, now, final):
        if not self._early.any():
            return now
        for name, values in now.items():
            values[self._early] = final[name][self._early]
        return now

    def _neutral(self, actions: np.ndarray) -> np.ndarray:
        first = self.action_space.start if isinstance(self.action_space, spaces.Discrete) else 0
        return np.full_like(actions, first)


class StackedInputs(CoreWrapper):
    """The last observations, oldest first: exactly so many frames, zeros before an episode's start.

    Parameters
    ----------
    core : Core
        Its observations are vectors, or grey pictures.
    frames : int

    Raises
    ------
    ValueError
        If `frames` is no integer >= 1, or observations are others.
    """

    def __init__(self, core: Core, frames: int):
        super().__init__(core)
        if not isinstance(core.observation_space, spaces.Box) or len(core.observation_space.shape) > 2:
            raise ValueError(f"expected vectors, or pictures without a channel axis, to stack, given {core.observation_space}")
        box, frames = core.observation_space, check_whole("frames", frames, 1)
        low, high = (np.repeat(bound[None], frames, axis=0) for bound in (np.minimum(box.low, 0), np.maximum(box.high, 0)))
        self.observation_space = spaces.Box(low, high, dtype=box.dtype)
        self._frames = np.zeros((self.num_envs, *low.shape), box.dtype)  # (N, frames, O)

    def offered(self, name) -> Callable:
        """A reflection is one of each frame."""
        return self._mirror if name == "mirror" else self.core.offered(name)

    def _mirror(self) -> dict[str, np.ndarray]:
        mirror, frames, size = self.core.offered("mirror")(), self._frames.shape[1], self._frames.shape[2]
        index, sign = mirror["observation_index"], mirror["observation_sign"]
        frame = np.repeat(np.arange(frames), size)
        return {**mirror, "observation_index": np.tile(index, frames) + size * frame, "observation_sign": np.tile(sign, frames)}

    def reset(self, ids, rngs) -> None:
        self.core.reset(ids, rngs)
        self._frames[ids] = 0
        self._frames[ids, -1] = self.core.observe()[ids]

    def step(self, actions) -> tuple:
        result = self.core.step(actions)
        self._frames[:, :-1] = self._frames[:, 1:].copy()
        self._frames[:, -1] = self.core.observe()
        return result

    def observe(self) -> Any:
        return self._frames.copy()

    def own_state(self) -> dict[str, np.ndarray]:
        return {"frames": self._frames.copy()}

    def restore(self, state) -> None:
        super().restore(state)
        self._frames[:] = state["frames"]


class GeometricReward(CoreWrapper):
    """The product of several parts as the reward: r = scale · Π r_i.

    If one part is zero, so is the reward; in a sum the others could make up for it. A simulation that diverged
    earns nothing.

    Parameters
    ----------
    core : Core
    parts : sequence of str
        Names of infos, each best between 0 and 1.
    scale : float

    Raises
    ------
    ValueError
        If a part is no info of the core, or there is none.
    """

    def __init__(self, core: Core, parts: tuple[str, ...] | list[str], scale: float = 1.0):
        super().__init__(core)
        known = core.info()
        if not parts or not set(parts) <= set(known):
            raise ValueError(f"expected parts among the infos {sorted(known)}, given {list(parts)}")
        self.parts, self.scale = tuple(parts), scale

    def step(self, actions) -> tuple[np.ndarray, np.ndarray]:
        _, terminated = self.core.step(actions)
        info = self.core.info()
        rewards = self.scale * np.prod([info[name] for name in self.parts], axis=0, dtype=float)
        return np.where(info.get("diverged", False), 0.0, rewards), terminated


def _named(observations) -> dict[str, np.ndarray]:
    return observations if isinstance(observations, dict) else {"": observations}
