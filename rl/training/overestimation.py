"""Do the critics believe too much? Their value at one beginning, against what follows from it.

    bias = Q(s₀, π(s₀)) − Σ_t γ^t r_t            s₀ from one seed; the most probable actions, to the episode's end

Where an episode is truncated, γ^H times the smallest critic's value of its last observation
completes the sum. The discount of 1,000 steps at γ = 0.99 is 4e-5, so there it hardly matters.

The probe is §3.2 of the thesis on maximum entropy. SAC's critics hold entropy besides the return:
their bias is that of the soft value.

Shapes: E episodes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from deepnp.backend import to_device
from rl.agent import Agent
from rl.config import whole_number
from rl.experience.collector import Collector, EpisodeStatistics
from rl.experience.environments import EnvLike, is_made_here, make_vector, space_of
from rl.experience.trees import Observations
from rl.networks.chains import beside
from rl.networks.q_networks import QNetwork
from rl.runs.callbacks import Callback
from rl.runs.table import KEY, Table
from rl.training.playing import Clock

FILE = "overestimation.csv"


def overestimation(
    agent: Agent, env: EnvLike, episodes: int = 10, seed: int = 0, *, env_settings: Mapping[str, Any] | None = None
) -> dict[str, np.ndarray]:
    """Values at the beginning of episodes that all begin alike, and the discounted returns that follow.

    Parameters
    ----------
    agent : Agent
        With critics, an off-policy actor-critic; or with a network of Q(s, ·), as DQN.
    env : str, EnvSpec or a factory
        Made into one copy per episode.
    episodes, seed : int
        All copies are reset with this seed. One episode says it all where nothing is random.
    env_settings : mapping, optional
        Keyword arguments of an id's environment.

    Returns
    -------
    dict of str to array (E,)
        "return", discounted; "first" and "smallest", Q₁ and min_i Q_i; "bias" and "smallest_bias", these less the return.

    Raises
    ------
    TypeError
        For an agent without critics, or an environment that is made already.
    ValueError
        If the environment's spaces are not the agent's, or its critics know rewards in another scale.
    """
    if not (hasattr(agent, "critics") or isinstance(agent.parts().get("policy"), QNetwork)):
        raise TypeError(f"expected an agent with critics, given {type(agent).__name__}")
    if getattr(agent, "scaler", None) is not None:
        raise ValueError(f"expected critics of the rewards themselves, given {type(agent).__name__} with scale_rewards=True")
    if agent.recall is not None:
        raise ValueError(f"expected an agent without recall, given recall={agent.config.recall!r}")
    if not is_made_here(env):
        raise TypeError(f"expected an environment's id or a factory, as copies begin alike, given {type(env).__name__}")
    episodes = whole_number("episodes", episodes, 1)
    vector = make_vector(env, episodes, env_settings)
    try:
        agent.space.check(space_of(vector))
        dtype = agent.space.vector_dtype(agent.normalizer is not None)
        collector = Collector(vector, agent.space.observation, dtype, [whole_number("seed", seed, 0)] * episodes)
        first, smallest = values_at(agent, collector.observations)
        returns = _returns(agent, collector)
    finally:
        vector.close()
    values = {"return": returns, "first": first, "smallest": smallest}
    return {**values, "bias": first - returns, "smallest_bias": smallest - returns}


def _returns(agent, collector):
    copies = collector.env.num_envs
    totals, running, weight, clock = np.zeros(copies), np.ones(copies, bool), 1.0, Clock(collector.env)
    while clock.goes_on(running):
        actions = agent.act(agent.observe(collector.observations), None)
        step = collector.step(agent.space.action.to_environment(actions), EpisodeStatistics())
        totals += np.where(running, weight * step.rewards, 0)
        weight *= agent.config.gamma
        for n in np.flatnonzero(running & step.truncated):
            last = step.final[int(n)] if collector.same_step else row_of(collector.observations, n)
            totals[n] += weight * values_at(agent, last)[1][0]
        running &= ~step.ended
    return np.where(running, totals + weight * values_at(agent, collector.observations)[1], totals) if running.any() else totals


def values_at(agent: Any, observations: Observations) -> tuple[np.ndarray, np.ndarray]:
    """Q₁ and min_i Q_i at the most probable actions: (B,) each. Nothing of the critics moves."""
    observations = agent.observe(observations)
    actions = agent.act(observations, None)
    if agent.space.action.kind == "Box":
        x = beside((observations, to_device(actions, agent.device)))
        values = [to_device(q.predict(x)[:, 0], "cpu").astype(float) for q in agent.critics.networks]
    else:
        networks, rows = agent.critics.networks if hasattr(agent, "critics") else [agent.policy], np.arange(len(actions))
        values = [q.predict(observations)[rows, actions].astype(float) for q in networks]
    return values[0], np.minimum.reduce(values)


def row_of(observations: Observations, n: int) -> Observations:
    """One row, as a batch of one."""
    return tuple(part[n : n + 1] for part in observations) if isinstance(observations, tuple) else observations[n : n + 1]


class OverestimationProbe(Callback):
    """Measures the overestimation every `every` steps, and appends means to overestimation.csv.

    Parameters
    ----------
    folder : path or None
        Where the file goes; None: nothing is written.
    env, episodes, seed, env_settings
        See `overestimation`.
    every : int
        Steps.

    Attributes
    ----------
    rows : list of dict
        Steps, and the mean of everything that `overestimation` returns.
    """

    def __init__(
        self,
        folder: str | Path | None,
        env: EnvLike,
        every: int,
        episodes: int = 10,
        seed: int = 0,
        *,
        env_settings: Mapping[str, Any] | None = None,
    ):
        self.env, self.every, self.env_settings = env, whole_number("every", every, 1), env_settings
        self.episodes, self.seed = whole_number("episodes", episodes, 1), whole_number("seed", seed, 0)
        self.rows: list[dict[str, float]] = []
        self._table = None if folder is None else Table.read(Path(folder) / FILE)
        self._due: int | None = None

    def on_start(self, agent: Agent) -> None:
        self._due = (agent.steps // self.every + 1) * self.every
        if self._table is not None:
            self._table.keep_until(agent.steps)

    def on_update(self, agent: Agent, metrics: dict[str, float]) -> None:
        if self._due is None or agent.steps < self._due:
            return
        self._due = (agent.steps // self.every + 1) * self.every
        result = overestimation(agent, self.env, self.episodes, self.seed, env_settings=self.env_settings)
        self.rows.append({KEY: agent.steps, **{name: float(values.mean()) for name, values in result.items()}})
        if self._table is not None:
            self._table.append(self.rows[-1])
            self._table.sync()
