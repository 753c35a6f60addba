"""Relative entropy policy search (Peters, Mülling & Altün 2010).

    repeat
        collect T steps in N environments with π
        δ ← r + ν·(φ(s′) − φ(s))                    φ(s) = (1, s, s²); φ(s′) = 0 after a terminal step
        η, ν ← argmin  ηε + η ln (1/B) Σ e^{δ/η}     the dual: rl/solvers/relative_entropy.py
        w ← e^{(δ − max δ)/η}
        θ ← K steps of ascent on  Σ w ln π(a|s) / Σ w

Among all distributions over steps that stay within KL ε of those collected, w is the one of most reward whose steps lead where
its steps begin. The policy is fitted to it; V(s) = ν·φ(s) is what the first line subtracts.

Rewards are not discounted: it is the mean reward of a step that counts. So where every step pays the same until an episode
ends, as in CartPole, there is little to learn from, and REPS is known to fail there (Duan et al. 2016).

Deviations: the fit is by Adam's steps on all rows. A small penalty on ν keeps it finite where no weights satisfy the
constraint, as with terminal steps. A truncated step has its own s′.

Shapes: T steps, N environments, B = T·N rows (fewer where steps never happened), F features, O observation.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from deepnp.optim import Adam
from rl.agent import Agent
from rl.algorithms.black_box.likelihood import fit_by_likelihood
from rl.algorithms.black_box.search import lone_policy
from rl.algorithms.policy_gradient.config import OnPolicyConfig
from rl.algorithms.policy_gradient.gradient_config import MEMORY, refuse
from rl.config import rate, setting
from rl.experience import trees
from rl.experience.rollout import Rollout
from rl.experience.trees import Observations
from rl.loops import on_policy
from rl.names import explained_class
from rl.networks.heads import HeadSettings
from rl.schedules import Rate
from rl.solvers.relative_entropy import solve
from rl.state import Part, spawn_rngs
from rl.takes import STOCHASTIC_POLICY


@explained_class
@dataclass(frozen=True)
class REPSConfig(OnPolicyConfig):
    """Settings of REPS: each field's default, its meaning with its symbol, its range."""

    algorithm: ClassVar[str] = "REPS"
    gamma: ClassVar[float] = 1.0  # type: ignore[misc]  # no setting here: nothing is discounted, and there is no value
    value_hidden: ClassVar[None] = None  # type: ignore[misc]

    epsilon: Rate = rate(0.2, "bound of the KL between weighted and collected steps, ε", 1e-9, 1e3)
    penalty: float = setting(1e-4, "κ of ½κ‖ν‖², ν in units of the rewards' spread", 0, 1e6)
    updates: int = setting(50, "steps of the policy in an iteration, K", 1, 100_000)
    lr: Rate = rate(1e-2, "Adam's learning rate", 0, 10)
    max_grad_norm: Rate = rate(1.0, "bound of the gradient's norm (L2)", 1e-6)

    def __post_init__(self):
        super().__post_init__()
        refuse(self, MEMORY, "features are of single observations")


class REPS(Agent):
    """A REPS agent: `REPS(env, config, seed)`, see `Agent`.

    It takes `networks={"policy": module}`, a network of one's own; see rl/networks/own.py.

    Examples
    --------
    >>> REPS("Pendulum-v1", REPSConfig(num_envs=8, steps=256), seed=0).learn(200_000)
    """

    Config = REPSConfig
    takes = replace(STOCHASTIC_POLICY, images=False, value=False)
    iterate, act, learn_scale = on_policy.iterate, on_policy.act, on_policy.learn_scale
    own_networks = ("policy",)

    def build(self) -> None:
        c = self.now
        self.rngs = spawn_rngs(self.seed, "weights", "actions", "environment")
        self.policy = lone_policy(self.space, c, HeadSettings.of(c), self.networks, self.rngs["weights"])
        self.policy_optimizer = Adam(self.policy.flat, c.lr)
        self.scaler = None  # the dual is solved in the rewards' own scale

    def parts(self) -> dict[str, Part]:
        return {"policy": self.policy, "policy_optimizer": self.policy_optimizer}

    def update(self, rollout: Rollout, progress: float) -> dict[str, float]:
        """Solve the dual on one rollout and fit the policy, with the settings of `progress`; returns metrics."""
        c = self.at(progress)
        self.policy_optimizer.lr = c.lr
        now, following = rollout.values(features)  # (T, N, F)
        rewards, change, actions = map(rollout.rows, (rollout.rewards, following - now, rollout.actions))
        dual = solve(np.asarray(rewards, np.float64), np.asarray(change), c.epsilon, c.penalty)
        rows = rollout.inputs(), np.asarray(actions), dual.weights
        metrics = fit_by_likelihood(self.policy, self.policy_optimizer, self.guard, *rows, c)
        return {**metrics, "eta": dual.eta, "kl_of_weights": dual.divergence, "dual_steps": dual.steps}


def features(observations: Observations) -> np.ndarray:
    """φ(s) = (1, s, s²) of observations (B, …), in float64: (B, 1 + 2·O)."""
    s = trees.vector(observations).astype(np.float64)
    return np.concatenate([np.ones((len(s), 1)), s, s * s], axis=1)
