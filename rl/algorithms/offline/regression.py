"""What BC, AWR, AWAC and IQL share: a policy that is fitted to actions by their likelihood, each with a weight.

    θ ← Adam descent on  −(1/B) Σ w ln π(a|s)             dlnπ = −w/B

Nothing in it asks for a value of an action that is not in the data.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from deepnp.models.mlp import ACTIVATIONS
from deepnp.optim import Adam
from rl.algorithms.black_box.likelihood import likelihood_step
from rl.config import setting
from rl.experience.spaces import SpaceInfo
from rl.experience.trees import Observations
from rl.loops import on_policy
from rl.losses.advantage_weights import advantage_weights
from rl.networks.heads import HeadSettings
from rl.networks.policies import Policy, stochastic_policy

ACTIONS = ("Box", "Discrete", "MultiDiscrete", "MultiBinary")


@dataclass(frozen=True)
class RegressionConfig:
    """Settings of the policy. Each field: its default, its meaning with its symbol, its valid range."""

    sigma: str = setting("vector", "kind of σ, see GaussianPolicy; fixed: least squares", choices=("vector", "fixed", "network"))
    initial_sigma: float = setting(0.5, "σ at the start; actions live in [−1, 1]", 1e-6, 1e3)
    max_grad_norm: float = setting(1.0, "bound of the policy's gradient norm (L2)", 1e-6)


def regressed_policy(space: SpaceInfo, c: Any, rng: np.random.Generator) -> tuple[Policy, Adam]:
    """A Gaussian policy, or one of choices, and its optimizer."""
    head = HeadSettings(sigma=c.sigma, initial_sigma=c.initial_sigma)
    policy = stochastic_policy(space, c.hidden, ACTIVATIONS[c.activation], head, rng)
    return policy, Adam(policy.flat, c.lr)


def act(agent: Any, observations: Observations, rng: np.random.Generator | None) -> np.ndarray:
    """The policy's actions (N, …), numbers held in [−1, 1]: drawn with `rng`, or the most probable ones without."""
    actions = on_policy.act(agent, observations, rng)
    return actions.clip(-1, 1) if agent.space.action.kind == "Box" and agent.space.action.low is not None else actions


def regress(agent: Any, observations: Observations, actions: np.ndarray, advantages: np.ndarray) -> dict[str, float]:
    """One step on actions (B, …) that count by their advantages (B,); `agent.now` has β and the weights' bound.

    Returns metrics.
    """
    c = agent.now
    weights = advantage_weights(advantages, c.beta, c.largest_weight)
    agent.policy_optimizer.lr = c.lr
    loss = likelihood_step(agent.policy, agent.policy_optimizer, observations, actions, weights, c.max_grad_norm)
    return {"policy_loss": loss, "weight": float(weights.mean()), "advantage": float(advantages.mean())}
