"""CMA-ES: evolution strategy with covariance matrix adaptation (Hansen 2016), by the package cma.

    m ← θ_0,  σ ← σ_0,  C ← I
    repeat
        θ_p ← N(m, σ²C)       p = 1 … P
        R_p ← mean return of E episodes with π(·; θ_p)
        m ← Σ w_i θ_(i)       (1), (2), … by falling R: only the order counts
        σ ← longer where m moved on in one direction, shorter where it turned back
        C ← (1 − c_1 − c_μ)C + c_1 p pᵀ + c_μ Σ w_i y_i y_iᵀ       p the path of m, y = (θ − m)/σ

The lines below R are the package's; see rl/solvers/evolution.py. With many parameters only C's
diagonal is adapted. The policy acts with the mean m.

Shapes: P candidates of D parameters.
"""

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from rl.agent import Agent
from rl.algorithms.black_box.config import SearchConfig
from rl.algorithms.black_box.search import DETERMINISTIC, empty_generation, lone_policy, report
from rl.config import setting
from rl.loops import on_policy, population
from rl.names import explained_class
from rl.solvers.evolution import Evolution
from rl.state import Part, spawn_rngs
from rl.takes import STOCHASTIC_POLICY


@explained_class
@dataclass(frozen=True)
class CMAESConfig(SearchConfig):
    """Settings of CMA-ES."""

    algorithm: ClassVar[str] = "CMAES"

    population: int | None = setting(None, "candidates of a generation, P; None: 4 + ⌊3 ln D⌋", 4, 1_000_000)
    full_covariance: int = setting(500, "parameters up to which all of C is adapted; with more, its diagonal", 0)


class CMAES(Agent):
    """A CMA-ES agent: `CMAES(env, config, seed)`, see `Agent`; pip install "deepnp-rl[cma]".

    Its policy takes `networks={"policy": module}`, a network of one's own; see rl/networks/own.py.

    Examples
    --------
    >>> CMAES("CartPole-v1", CMAESConfig(num_envs=8), seed=0).learn(100_000)
    """

    Config = CMAESConfig
    takes = replace(STOCHASTIC_POLICY, value=False, transitions=False)
    iterate, act, learn_scale = population.iterate, on_policy.act, on_policy.learn_scale
    own_networks = ("policy",)

    def build(self) -> None:
        c = self.config
        self.rngs = spawn_rngs(self.seed, "weights", "candidates", "environment")
        self.policy = lone_policy(self.space, c, DETERMINISTIC, self.networks, self.rngs["weights"])
        start, seed = self.policy.flat.data, int(self.rngs["candidates"].integers(2**31))
        population = 4 + int(3 * math.log(len(start))) if c.population is None else c.population
        self.evolution = Evolution(start, c.initial_sigma, population, len(start) > c.full_covariance, seed)
        self.generation = empty_generation(self.policy, population, c)

    def parts(self) -> dict[str, Part]:
        return {"policy": self.policy, "evolution": self.evolution, "generation": self.generation}

    def draw(self) -> np.ndarray:
        """The next candidates (P, D)."""
        return self.evolution.ask()

    def update(self, candidates: np.ndarray, scores: np.ndarray) -> dict[str, float]:
        """Adapt the distribution to the candidates (P, D) that were drawn, by their returns (P,); returns metrics."""
        self.evolution.tell(-scores)
        self.policy.flat.data[...] = self.evolution.mean
        return {**report(scores), "sigma": self.evolution.sigma}
