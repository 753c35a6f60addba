"""The cross-entropy method (Rubinstein & Kroese 2004), with extra variance (Szita & Lőrincz 2006).

    m ← θ_0,  v ← σ_0²
    repeat for k = 0, 1, …
        θ_p ← N(m, diag(v + v_extra))       p = 1 … P,  v_extra = σ_x² max(0, 1 − k/K)
        R_p ← mean return of E episodes with π(·; θ_p)
        elites ← the ρP candidates of the largest R
        m, v ← mean and variance of the elites, parameter by parameter

Without v_extra the variance shrinks too soon: only what the elites agree on by chance is left of it.
The policy acts with the mean m.

Shapes: P candidates of D parameters.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from deepnp.checks import check_shape
from rl.agent import Agent
from rl.algorithms.black_box.config import SearchConfig
from rl.algorithms.black_box.search import DETERMINISTIC, empty_generation, lone_policy, report
from rl.config import setting
from rl.loops import on_policy, population
from rl.names import explained_class
from rl.state import Counter, Part, spawn_rngs
from rl.takes import STOCHASTIC_POLICY


@explained_class
@dataclass(frozen=True)
class CEMConfig(SearchConfig):
    """Settings of the cross-entropy method."""

    algorithm: ClassVar[str] = "CEM"

    population: int = setting(64, "candidates of a generation, P", 3, 1_000_000)
    elite_share: float = setting(0.2, "share of the candidates that the next distribution is fitted to, ρ", 1e-6, 1)
    extra_sigma: float = setting(0.5, "σ that is added to the distribution's at first, σ_x", 0, 1e3)
    extra_generations: int = setting(100, "generations after which nothing is added, K", 1)

    @property
    def elites(self) -> int:
        """ρP, two at least: one alone has no variance, and all later candidates would be that one."""
        return max(2, round(self.elite_share * self.population))


class SearchDistribution:
    """N(m, diag v), a part of the agent.

    Parameters
    ----------
    mean : array (D,)
        At the start; copied.
    sigma : float
        √v at the start.
    """

    def __init__(self, mean: np.ndarray, sigma: float):
        self.mean, self.variance = mean.astype(np.float64), np.full(len(mean), sigma**2)

    def sample(self, count: int, extra_variance: float, rng: np.random.Generator) -> np.ndarray:
        """Draws (count, D) of N(m, diag(v + extra))."""
        return self.mean + np.sqrt(self.variance + extra_variance) * rng.standard_normal((count, len(self.mean)))

    def fit(self, elites: np.ndarray) -> None:
        """The mean and variance of rows (n, D)."""
        self.mean[...] = elites.mean(axis=0, dtype=np.float64)
        self.variance[...] = elites.var(axis=0, dtype=np.float64)

    def state_dict(self) -> dict[str, np.ndarray]:
        return {"mean": self.mean, "variance": self.variance}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        for name in ("mean", "variance"):
            check_shape(name, state[name], self.mean.shape)
        if (state["variance"] < 0).any():
            raise ValueError(f"expected variances >= 0, given {state['variance'].min()}")
        self.mean[...], self.variance[...] = state["mean"], state["variance"]


class CEM(Agent):
    """A CEM agent: `CEM(env, config, seed)`, see `Agent`.

    Its policy takes `networks={"policy": module}`, a network of one's own; see rl/networks/own.py.

    Examples
    --------
    >>> CEM("CartPole-v1", CEMConfig(num_envs=8), seed=0).learn(100_000)
    """

    Config = CEMConfig
    takes = replace(STOCHASTIC_POLICY, value=False, transitions=False)
    iterate, act, learn_scale = population.iterate, on_policy.act, on_policy.learn_scale
    own_networks = ("policy",)

    def build(self) -> None:
        c = self.config
        self.rngs = spawn_rngs(self.seed, "weights", "candidates", "environment")
        self.policy = lone_policy(self.space, c, DETERMINISTIC, self.networks, self.rngs["weights"])
        self.distribution = SearchDistribution(self.policy.flat.data, c.initial_sigma)
        self.generation = empty_generation(self.policy, c.population, c)
        self.generations = Counter()

    def parts(self) -> dict[str, Part]:
        search: dict[str, Part] = {"distribution": self.distribution, "generations": self.generations}
        return {"policy": self.policy, **search, "generation": self.generation}

    def draw(self) -> np.ndarray:
        """The next candidates (P, D)."""
        c = self.config
        extra = c.extra_sigma**2 * max(0.0, 1 - self.generations.count / c.extra_generations)
        return self.distribution.sample(c.population, extra, self.rngs["candidates"])

    def update(self, candidates: np.ndarray, scores: np.ndarray) -> dict[str, float]:
        """Fit the distribution to the best candidates (P, D) by their returns (P,); returns metrics."""
        elites = np.argsort(-scores, kind="stable")[: self.config.elites]
        self.distribution.fit(candidates[elites])
        self.policy.flat.data[...] = self.distribution.mean
        self.generations.count += 1
        sigma = float(np.sqrt(self.distribution.variance).mean())
        return {**report(scores), "elite_return": float(scores[elites].mean()), "sigma": sigma}
