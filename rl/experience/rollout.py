"""Collecting trajectories from any vector environment.

Shapes: T steps, N environments, O observation, A action dimensions.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from gymnasium.vector import VectorEnv

from deepnp import NonFiniteError
from rl.experience.environments import same_step


@dataclass
class Rollout:
    """T steps of N environments.

    Attributes
    ----------
    observations : array (T, N, O)
        As the policy saw them.
    actions : array (T, N, A) or (T, N)
        As the policy drew them: not clipped, not stretched.
    rewards : array (T, N)
        As the learner wants them.
    terminated, truncated : bool arrays (T, N)
    alive : bool array (T, N)
        False for steps that never happened: after an episode's end, a NEXT_STEP environment ignores one action.
    last : array (N, O)
        Observations after the last step.
    final : dict of (int, int) to array (O,)
        Of each truncated (t, n) in SAME_STEP mode: the observation that the reset replaced.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    alive: np.ndarray
    last: np.ndarray
    final: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)

    @property
    def ended(self) -> np.ndarray:
        """Last steps of episodes, however they ended, and steps that never happened: (T, N)."""
        return self.terminated | self.truncated | ~self.alive

    def values(self, value: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """V(s_t), and V(s_{t+1}) of the same episode (0 where it terminated): two arrays (T, N).

        `value` maps observations (B, O) to (B,).
        """
        steps, copies, size = self.observations.shape
        rows = [self.observations.reshape(-1, size), self.last, *(x[None] for x in self.final.values())]
        out = value(np.concatenate(rows))
        values = out[: steps * copies].reshape(steps, copies)
        following = np.concatenate([values[1:], out[None, steps * copies : (steps + 1) * copies]])
        for (t, n), v in zip(self.final, out[(steps + 1) * copies :], strict=True):
            following[t, n] = v
        return values, np.where(self.terminated, 0, following).astype(values.dtype)


@dataclass
class EpisodeStatistics:
    """Episodes that ended in a rollout.

    Attributes
    ----------
    returns, lengths : list
        Undiscounted return and steps of each.
    infos : dict of str to list
        Numbers that the environment told at each episode's end.
    """

    returns: list[float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    infos: dict[str, list[float]] = field(default_factory=dict)

    def means(self) -> dict[str, float]:
        """Mean of everything, by name; empty when no episode ended."""
        if not self.returns:
            return {}
        named = {**self.infos, "return": self.returns, "length": self.lengths}
        return {f"episode_{name}": float(np.mean(values)) for name, values in named.items() if values}


class Step(NamedTuple):
    """One step of N environments, as the attributes of `Rollout`; `final` by copy, wherever a reset replaced an observation."""

    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    alive: np.ndarray
    final: dict[int, np.ndarray]


def is_number_per_copy(name: str, values) -> bool:
    """Whether an entry of a vector environment's infos is a number for each copy, and not a mask of Gymnasium's."""
    return not name.startswith("_") and isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "fiub"


class Collector:
    """Steps an environment with a policy and remembers where it stands between rollouts.

    Parameters
    ----------
    env : VectorEnv
        In SAME_STEP or NEXT_STEP mode.
    seed : int
        Of the environment's first reset.
    """

    def __init__(self, env: VectorEnv, seed: int):
        self.env = env
        self.same_step = same_step(env)
        self.observations = self._checked(env.reset(seed=seed)[0], "observation")
        self.ended = np.zeros(env.num_envs, bool)
        self.returns, self.lengths = np.zeros(env.num_envs), np.zeros(env.num_envs, int)

    def collect(self, steps: int, act: Callable, scale_rewards: Callable, normalize: Callable) -> tuple[Rollout, EpisodeStatistics]:
        """T more steps.

        Parameters
        ----------
        steps : int
            T.
        act : callable
            Raw observations (N, …) -> (policy's observations (N, O), policy's actions, environment's actions).
        scale_rewards : callable
            (rewards (N,), ended (N,), alive (N,)) -> rewards (N,) as the learner wants them.
        normalize : callable
            Raw observations (n, …) -> policy's observations (n, O), without learning from them.

        Raises
        ------
        NonFiniteError
            If an observation or a reward is NaN or infinite.
        """
        statistics, rows, final = EpisodeStatistics(), [], {}
        for t in range(steps):
            seen, actions, env_actions = act(self.observations)
            step = self.step(env_actions, statistics)
            final |= {(t, n): normalize(x[None])[0] for n, x in step.final.items() if step.truncated[n]}
            scaled = scale_rewards(step.rewards, step.terminated | step.truncated, step.alive)
            rows.append((seen, actions, scaled, step.terminated, step.truncated, step.alive))
        stacked = [np.stack(column) for column in zip(*rows, strict=True)]
        stacked[2] = stacked[2].astype(np.float32)
        return Rollout(*stacked, last=normalize(self.observations), final=final), statistics

    def step(self, actions: np.ndarray, statistics: EpisodeStatistics) -> Step:
        """One step with the environment's actions; episodes that end are entered into `statistics`.

        Raises
        ------
        NonFiniteError
            If an observation or a reward is NaN or infinite.
        """
        alive = np.ones_like(self.ended) if self.same_step else ~self.ended
        following, rewards, terminated, truncated, infos = self.env.step(actions)
        rewards, terminated = np.array(self._checked(rewards, "reward")), np.array(terminated)  # the environment's buffers
        ended, final = terminated | truncated, {}
        self.returns += rewards
        self.lengths += alive
        if ended.any():
            self._close_episodes(ended, infos, statistics)
            if self.same_step:
                final = {int(n): self._checked(infos["final_obs"][n], "final observation") for n in np.flatnonzero(ended)}
        self.observations, self.ended = self._checked(following, "observation"), ended
        return Step(rewards, terminated, truncated & ~terminated, alive, final)

    def _close_episodes(self, ended, infos, statistics):
        statistics.returns += self.returns[ended].tolist()
        statistics.lengths += self.lengths[ended].tolist()
        told = infos.get("final_info", {}) if self.same_step else infos
        for name, values in told.items():
            if is_number_per_copy(name, values):
                told_by = ended & told.get(f"_{name}", True)
                statistics.infos.setdefault(name, []).extend(values[told_by].tolist())
        self.returns[ended], self.lengths[ended] = 0, 0

    def _checked(self, array, what):
        array = np.asarray(array)
        if not np.isfinite(array.sum()) and not np.isfinite(array).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise NonFiniteError(f"the environment returned {what} {array[where]} at index {where}")
        return array

    def state(self) -> dict[str, np.ndarray]:
        """Where the collector stands, as arrays."""
        return {"observations": self.observations, "ended": self.ended, "returns": self.returns, "lengths": self.lengths}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Continue from a `state()`; the environment must continue from its own."""
        self.observations, self.ended = state["observations"].copy(), state["ended"].copy()
        self.returns, self.lengths = state["returns"].copy(), state["lengths"].copy()
