"""Values against returns: what an agent believes of the states of some episodes, and what followed from them.

    G_t = r_t + γ G_{t+1}        the most probable actions, to the episode's end; where it is truncated, G is the value there

A point (G_t, V(s_t)) lies on the diagonal where the value was right. A network of V(s) tells it of the
policy that explores; of others it is the smallest critic's value of the most probable action. The scale
of rewards is taken out of both. SAC's critics hold entropy besides the return.

Shapes: E episodes, T steps, K points.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rl.agent import Agent
from rl.config import whole_number
from rl.experience.collector import Collector, EpisodeStatistics
from rl.experience.environments import EnvLike, is_made_here, make_vector, space_of
from rl.experience.trees import Observations
from rl.networks.q_networks import QNetwork
from rl.runs.callbacks import Callback
from rl.runs.failures import WriteFailures, check_on_write_error
from rl.runs.run import folder_of
from rl.runs.table import KEY, Table
from rl.training.overestimation import row_of, values_at
from rl.training.playing import Clock

FILE = "values.csv"
POINTS = 200  # of one measurement, at most


def values_and_returns(
    agent: Agent, env: EnvLike, episodes: int = 4, seed: int = 0, *, env_settings: Mapping[str, Any] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Values and discounted returns of every state of some episodes, in the scale of the rewards.

    Parameters
    ----------
    agent : Agent
        With critics, with a network of Q(s, ·), or on-policy with one of V(s). Not with memory.
    env : str, EnvSpec or a factory
        Made into one copy per episode.
    episodes, seed : int
        The copies are reset with this seed and those that follow.
    env_settings : mapping, optional
        Keyword arguments of an id's environment.

    Returns
    -------
    values, returns : arrays (K,)

    Raises
    ------
    TypeError
        For an agent without values, or an environment that is made already.
    ValueError
        If the environment's spaces are not the agent's, or the agent has memory.
    """
    check_values(agent, env)
    episodes = whole_number("episodes", episodes, 1)
    vector = make_vector(env, episodes, env_settings)
    try:
        agent.space.check(space_of(vector))
        dtype = agent.space.vector_dtype(agent.normalizer is not None)
        first = whole_number("seed", seed, 0)
        collector = Collector(vector, agent.space.observation, dtype, [first + i for i in range(episodes)])
        values, rewards, valid, last = _played(agent, collector)
    finally:
        vector.close()
    returns, following = np.empty_like(rewards), last
    for t in reversed(range(len(rewards))):
        following = returns[t] = np.where(valid[t], rewards[t] + agent.config.gamma * following, following)
    return values[valid], returns[valid]


def check_values(agent: Agent, env: EnvLike) -> None:
    """Raise TypeError or ValueError where an agent's values cannot be compared with returns in this environment."""
    name = type(agent).__name__
    if not (isinstance(agent, Agent) and _judges(agent)):
        raise TypeError(f"expected an agent with critics, with a network of Q(s, ·), or on-policy with one of V(s), given {name}")
    if agent.recall is not None:
        raise ValueError(f"expected an agent without memory, given {name} with memory")
    if not is_made_here(env):
        raise TypeError(f"expected an environment's id or a factory, given {type(env).__name__}")


def _judges(agent) -> bool:
    return _has_value(agent) or hasattr(agent, "critics") or isinstance(agent.parts().get("policy"), QNetwork)


def _has_value(agent) -> bool:
    return agent.takes.on_policy and getattr(agent, "value", None) is not None


def _value(agent, observations: Observations) -> np.ndarray:
    """(B,), in the scale of the rewards."""
    if _has_value(agent):
        values = agent.value.predict(agent.observe(observations))[:, 0].astype(float)
    else:
        values = values_at(agent, observations)[1]
    scaler = getattr(agent, "scaler", None)
    return values if scaler is None else values * (scaler.moments.sigma[0] + scaler.EPSILON)


def _played(agent, collector):
    """Values, rewards, and which steps are of the first episodes, (T, E) each; and the values (E,) that follow the last step."""
    copies = collector.env.num_envs
    values, rewards, valid = [], [], []
    running, last, clock = np.ones(copies, bool), np.zeros(copies), Clock(collector.env)
    while clock.goes_on(running):
        values.append(_value(agent, collector.observations))
        actions = agent.act(agent.observe(collector.observations), None)
        step = collector.step(agent.space.action.to_environment(actions), EpisodeStatistics())
        rewards.append(step.rewards.astype(float))
        valid.append(running)
        for n in np.flatnonzero(running & step.truncated):
            final = step.final[int(n)] if collector.same_step else row_of(collector.observations, n)
            last[n] = _value(agent, final)[0]
        running = running & ~step.ended
    if running.any():
        last[running] = _value(agent, collector.observations)[running]
    return np.array(values), np.array(rewards), np.array(valid), last


class ValueCheck(Callback):
    """Appends values and returns to values.csv every `every` steps; `deepnp explore` draws the last measurement.

    Parameters
    ----------
    folder : path or None
        Where the file goes; None: where `log` is.
    env, episodes, seed, env_settings
        See `values_and_returns`.
    every : int
        Steps. Off-policy agents report every 1,000 steps, and are not looked at more often.
    on_write_error : {"stop", "warn"}
        See `Run`.

    Attributes
    ----------
    values, returns : arrays (K,)
        The last measurement, 200 points of it at most.
    """

    def __init__(
        self,
        folder: str | os.PathLike | None,
        env: EnvLike,
        every: int,
        episodes: int = 4,
        seed: int = 0,
        *,
        env_settings: Mapping[str, Any] | None = None,
        on_write_error: str = "stop",
    ):
        self.on_write_error = check_on_write_error(on_write_error)
        self.folder, self.env, self.every, self.env_settings = folder, env, whole_number("every", every, 1), env_settings
        self.episodes, self.seed = whole_number("episodes", episodes, 1), whole_number("seed", seed, 0)
        self.values, self.returns = np.empty(0), np.empty(0)
        self._table: Table | None = None
        self._due: int | None = None

    def on_start(self, agent: Agent) -> None:
        check_values(agent, self.env)
        self._due = (agent.steps // self.every + 1) * self.every
        folder = folder_of(agent) if self.folder is None else self.folder
        if folder is not None:
            self._table, self._failures = Table.read(Path(folder) / FILE), WriteFailures(folder, self.on_write_error)
            self._table.keep_until(agent.steps)

    def on_update(self, agent: Agent, metrics: dict[str, float]) -> None:
        if self._due is None or agent.steps < self._due:
            return
        self._due = (agent.steps // self.every + 1) * self.every
        values, returns = values_and_returns(agent, self.env, self.episodes, self.seed, env_settings=self.env_settings)
        chosen = np.unique(np.linspace(0, len(values) - 1, min(POINTS, len(values))).astype(int))
        self.values, self.returns = values[chosen], returns[chosen]
        if self._table is not None:
            pairs = zip(self.values.tolist(), self.returns.tolist(), strict=True)
            with self._failures.handled(FILE):
                self._table.extend([{KEY: agent.steps, "value": value, "return": future} for value, future in pairs])
                self._table.sync()
