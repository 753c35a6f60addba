"""What an update inside a trust region maximises, what bounds it, and how far a step may go.

    L(θ) = (1/B) Σ ρA,  ρ = π(a|s)/π_old(a|s)        subject to  (1/B) Σ KL(π_old(·|s)‖π(·|s)) ≤ δ

KL is exact, of the two distributions, over all rows.

Shapes: B rows, P parameters of the policy.
"""

import math
from typing import NamedTuple

import numpy as np

from rl.experience.trees import Observations
from rl.losses.checks import check_finite, check_gradient
from rl.losses.surrogate import Divergent, clipped_surrogate, kl_penalty
from rl.networks.branches import Distribution
from rl.networks.policies import Policy
from rl.solvers.line_search import backtracking


class Outcome(NamedTuple):
    """Of a policy on the rows of an update: L, the mean KL(π_old‖π), and the mean entropy."""

    surrogate: float
    kl: float
    entropy: float


class TrustRegion(NamedTuple):
    """The rows of an update.

    Attributes
    ----------
    observations, actions : (B, …)
    advantages : array (B,)
    old : Distribution
        π_old at the observations.
    log_prob : array (B,)
        ln π_old(a|s).
    max_kl : float
        δ.
    """

    observations: Observations
    actions: np.ndarray
    advantages: np.ndarray
    old: Distribution
    log_prob: np.ndarray
    max_kl: float

    def gradient(self, policy: Policy, new: Distribution, price: float = 0.0) -> np.ndarray:
        """∇θ of −L + λ·KL (P,): the policy's own gradient, which the next backward pass writes over.

        Parameters
        ----------
        policy : Policy
        new : Distribution
            What the policy's last `forward` returned, at all rows.
        price : float
            λ.

        Raises
        ------
        NonFiniteError
            If L or the gradient is NaN or infinite.
        """
        loss, dlog_prob = self._loss(new)
        check_finite("policy loss", loss)
        gradient = new.log_prob_backward(self.actions, dlog_prob)
        if price:
            with np.errstate(over="ignore", invalid="ignore"):  # a gradient that is not finite is told below
                dkl = kl_penalty(self.old, new, price)[1]
            gradient = tuple(g + d for g, d in zip(gradient, dkl, strict=True))
        vector = policy.flat
        vector.zero_grad()
        policy.backward(gradient, inputs=False)
        check_gradient("policy's gradient", vector)
        return vector.grad

    def outcome(self, policy: Policy) -> Outcome:
        """Of the policy as it is now; NaN or infinite where the policy is beyond all bounds."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            old: Divergent = self.old
            new = policy.predict(self.observations)
            kl, entropy = (float(x.mean(dtype=np.float64)) for x in (old.kl(new), new.entropy()))
            return Outcome(-self._loss(new)[0], kl, entropy)

    def move(self, policy: Policy, step: np.ndarray) -> Outcome:
        """θ ← θ + step (P,).

        Raises
        ------
        NonFiniteError
            If KL is NaN or infinite there: then θ stays.
        """
        before = policy.flat.data.copy()
        outcome = self._at(policy, before + step)
        if not math.isfinite(outcome.kl):
            policy.flat.data[...] = before
        check_finite("KL of the policy's step", outcome.kl)
        return outcome

    def search(self, policy: Policy, step: np.ndarray, shrink: float, tries: int) -> tuple[Outcome, float]:
        """θ ← θ + ϱ^j·step, with the first j < `tries` that keeps KL ≤ δ and improves L; θ stays where none does.

        Returns the outcome, and ϱ^j or 0.
        """
        before, start = policy.flat.data.copy(), float(self.advantages.mean(dtype=np.float64))  # L(θ_old): ρ is 1

        def accepts(share):
            outcome = self._at(policy, before + share * step)
            return outcome.kl <= self.max_kl and outcome.surrogate > start

        share = backtracking(accepts, shrink, tries) or 0.0
        return self._at(policy, before + share * step if share else before), share

    def _at(self, policy, theta):
        """The outcome of θ (P,), where the policy is from now on."""
        with np.errstate(over="ignore"):
            policy.flat.data[...] = theta
        return self.outcome(policy)

    def _loss(self, new):
        """−L, and its gradient in ln π(a|s) (B,)."""
        return clipped_surrogate(new.log_prob(self.actions), self.log_prob, self.advantages, math.inf)[:2]
