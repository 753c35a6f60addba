"""Trust Region Policy Optimization (Schulman et al. 2015), and the natural policy gradient that it grew from (Kakade 2001).

    repeat
        collect T steps in N environments with π_old
        A ← GAE(λ)                      cut at every episode's end, bootstrapped with V where it was truncated
        R ← A + V_old
        g ← ∇θ L(θ),  L = (1/B) Σ ρA    ρ = π(a|s)/π_old(a|s), which is 1 here
        x ≈ F⁻¹g                        k steps of conjugate gradients on products v ↦ Fv + cv
        α ← √(2δ/xᵀFx)                  then ½(αx)ᵀF(αx) = δ, where ½ΔᵀFΔ is KL(π_old‖π) to second order
        θ ← θ + ϱ^j αx                  the first j < 10 with mean KL(π_old‖π) ≤ δ and L(θ) > L(θ_old); if none is, θ stays
        ω ← Adam descent on (V(s) − R)²

F is the policy's Fisher information: rl/networks/fisher.py. The page has four methods:

    trpo    as above
    tnpg    truncated natural policy gradient (Duan et al. 2016): the whole step, α as above or fixed, no line search
    npg     the same with conjugate gradients until they converge
    dual    θ ← a few steps of Adam ascent on L − λ_KL·(KL − δ);  λ_KL ← max(0, λ_KL + α_λ(KL − δ));  then the line search
            from θ_old to θ

Deviations. Schulman et al. take one path's returns or a vine of rollouts as Q; here and in most code since, A is GAE's. The papers
print α = √(2δ/gᵀFg), which is for a step along g, not along F⁻¹g. KL has the policy that collected the data first. Of k-of-n
choices, F and KL are those of the first draw, so δ bounds less than all draws: rl/networks/subset.py.

Shapes: T steps, N environments, B = T·N rows (fewer where steps never happened), P parameters of the policy.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from deepnp import Module
from deepnp.optim import Adam
from rl.agent import Agent
from rl.algorithms.policy_gradient.descent import value_epochs
from rl.algorithms.policy_gradient.networks import policy_and_value, recall_of
from rl.algorithms.policy_gradient.ppo_epochs import value_epoch
from rl.algorithms.policy_gradient.trpo_config import TRPOConfig
from rl.algorithms.policy_gradient.trust_region import TrustRegion
from rl.experience.environments import EnvLike
from rl.experience.normalize import RewardScaler
from rl.experience.rollout import Rollout
from rl.experience.samples import Samples, samples_of
from rl.loops import on_policy
from rl.losses.checks import check_finite
from rl.losses.surrogate import standardize
from rl.names import explained
from rl.networks.branches import Distribution
from rl.networks.fisher import Fisher
from rl.networks.parallel import independently
from rl.solvers.conjugate_gradient import conjugate_gradient
from rl.solvers.multiplier import Multiplier
from rl.state import Part, spawn_rngs
from rl.takes import STOCHASTIC_POLICY


class TRPO(Agent):
    """A TRPO agent: `TRPO(env, config, seed)`, see `Agent`.

    Parameters
    ----------
    policy : Module, optional
        A network of one's own for μ(s), or for the logits of choices: observations (B, …) -> (B, A). It needs a `jvp`.
    value : Module, optional
        One for V(s): (B, …) -> (B, 1). See rl/networks/own.py.

    Examples
    --------
    >>> TRPO("Pendulum-v1", TRPOConfig(num_envs=8, steps=256), seed=0).learn(200_000)
    """

    Config = TRPOConfig
    takes = STOCHASTIC_POLICY
    iterate, act, learn_scale = on_policy.iterate, on_policy.act, on_policy.learn_scale
    own_networks = ("policy", "value")

    @explained
    def __init__(
        self,
        env: EnvLike,
        config: TRPOConfig | None = None,
        seed: int = 0,
        *,
        env_settings: Mapping[str, Any] | None = None,
        policy: Module | None = None,
        value: Module | None = None,
    ):
        super().__init__(env, config, seed, env_settings=env_settings, networks={"policy": policy, "value": value})

    def build(self) -> None:
        space, c = self.space, self.now
        self.rngs = spawn_rngs(self.seed, "weights", "actions", "policy", "value", "environment")
        self.policy, self.value = policy_and_value(space, c, self.networks, self.rngs["weights"])
        self.recall = recall_of(self.config, self.policy, self.value)
        self.value_optimizer = Adam(self.value.flat, c.lr)
        self.multiplier = Multiplier(c.multiplier)
        self.scaler = RewardScaler(c.gamma) if c.scale_rewards else None

    def parts(self) -> dict[str, Part]:
        learned: dict[str, Part] = {"policy": self.policy, "value": self.value, "value_optimizer": self.value_optimizer}
        optional = {"multiplier": self.multiplier, "recall": self.recall, "scaler": self.scaler}
        return {**learned, **{name: part for name, part in optional.items() if part is not None}}

    def update(self, rollout: Rollout, progress: float) -> dict[str, float]:
        """Learn from one rollout, with the settings of `progress` in [0, 1] of the training; returns metrics."""
        c = self.at(progress)
        samples = samples_of(rollout, lambda s: self.value.predict(s)[:, 0], c.gamma, c.lam, None)
        self.value_optimizer.lr = c.lr
        fits = independently(
            lambda: self.guard.attempt(self.policy_step, samples, c),
            lambda: value_epochs(self, samples, c, epoch=value_epoch),
        )
        return {**(fits[0] or {}), **fits[1], "explained_variance": samples.explained_variance()}

    def policy_step(self, samples: Samples, c: Any) -> dict[str, float]:
        """One step of the policy, as `method` says; returns metrics."""
        several = len(samples.advantages) > 1  # one alone would be 0
        advantages = standardize(samples.advantages) if c.normalize_advantages and several else samples.advantages
        old = self.policy.forward(samples.observations)
        log_prob = old.log_prob(samples.actions)
        region = TrustRegion(samples.observations, samples.actions, advantages, old, log_prob, c.max_kl)
        step, metrics = self.dual_step(region, c) if c.method == "dual" else self.natural_step(region, samples, c)
        if c.method in ("npg", "tnpg"):
            outcome, share = region.move(self.policy, step), 1.0
        else:
            outcome, share = region.search(self.policy, step, c.shrink, c.backtracks)
        moved = {"policy_loss": -outcome.surrogate, "kl": outcome.kl, "entropy": outcome.entropy}
        return {**metrics, **moved, "step": share, "rejected": float(share == 0)}

    def natural_step(self, region: TrustRegion, samples: Samples, c: Any) -> tuple[np.ndarray, dict[str, float]]:
        """αx (P,), and metrics."""
        g = -region.gradient(self.policy, region.old).astype(np.float64)
        fisher = Fisher(self.policy, self.rows_of_fisher(region, samples, c), c.damping)
        x, residual, steps = conjugate_gradient(fisher, g, len(g) if c.method == "npg" else c.cg_steps, c.cg_tolerance)
        square = float(x @ (g - residual))  # xᵀFx, as Fx = g − residual
        longest = math.sqrt(2 * c.max_kl / square) if square > 0 else 0.0
        alpha = longest if c.step_size is None else c.step_size
        return alpha * x, {"cg_steps": steps, "gradient_norm": float(np.linalg.norm(g)), "step_size": alpha}

    def rows_of_fisher(self, region: TrustRegion, samples: Samples, c: Any) -> Distribution:
        """π_old at the rows that F is taken over. The policy's last `forward` went through these."""
        if c.sub_sampling == 1:
            return region.old
        shuffled = samples.shuffle(max(1, len(samples.values) // c.sub_sampling), self.rngs["policy"])
        return self.policy.forward(shuffled.last_of(samples.observations))

    def dual_step(self, region: TrustRegion, c: Any) -> tuple[np.ndarray, dict[str, float]]:
        """θ after a few steps of Adam, less θ_old (P,), and metrics. The policy is at θ_old again."""
        theta, price = self.policy.flat.data, self.multiplier
        before, optimizer = theta.copy(), Adam(self.policy.flat, c.policy_lr)  # moments of another θ_old would not help
        try:
            for _ in range(c.policy_steps):
                region.gradient(self.policy, self.policy.forward(region.observations), price.value)
                optimizer.step()
            step, kl = theta - before, region.outcome(self.policy).kl
        finally:
            theta[...] = before
        check_finite("KL of the policy's steps", kl)
        price.ascend(kl - c.max_kl, c.multiplier_lr)
        return step, {"multiplier": price.value}
