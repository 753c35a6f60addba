"""A distribution over actions of several parts, such as a Box and a Discrete one at once (Fan et al. 2019; Neunert et al. 2019).

Shapes: B rows, W numbers of an action (rl/experience/actions.py).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rl.experience.actions import ActionLayout


@dataclass(frozen=True)
class Joint:
    """Parts that are independent of one another.

    ln π(a) = Σ_p ln π_p(a_p)        H = Σ_p H_p        KL = Σ_p KL_p        so every gradient is that of its part

    Gradients are those of the first part's parameters, then those of the second's, and so on.

    Attributes
    ----------
    action : ActionLayout
        It says where each part lies in a row.
    parts : tuple of distributions
    """

    action: ActionLayout
    parts: tuple[Any, ...]

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """Rows (B, W) float32."""
        return self.action.join([part.sample(rng) for part in self.parts])

    def mode(self) -> np.ndarray:
        """The most probable rows (B, W) float32."""
        return self.action.join([part.mode() for part in self.parts])

    def log_prob(self, actions: np.ndarray) -> np.ndarray:
        """ln π(a): actions (B, W) -> (B,)."""
        return sum(part.log_prob(own) for part, own in self._pairs(actions))

    def log_prob_backward(self, actions: np.ndarray, dlog_prob: np.ndarray) -> tuple[np.ndarray, ...]:
        """dL/dln π(a) (B,) -> the gradient of each parameter."""
        return _all(part.log_prob_backward(own, dlog_prob) for part, own in self._pairs(actions))

    def entropy(self) -> np.ndarray:
        """H: (B,)."""
        return sum(part.entropy() for part in self.parts)

    def entropy_backward(self, dentropy: np.ndarray) -> tuple[np.ndarray, ...]:
        """dL/dH (B,) -> the gradient of each parameter."""
        return _all(part.entropy_backward(dentropy) for part in self.parts)

    def kl(self, other: "Joint") -> np.ndarray:
        """KL(self‖other): (B,)."""
        return sum(p.kl(q) for p, q in zip(self.parts, other.parts, strict=True))

    def kl_backward(self, other: "Joint", dkl: np.ndarray) -> tuple[np.ndarray, ...]:
        """dL/dKL (B,) -> the gradient of each parameter of self, then of other."""
        both = [p.kl_backward(q, dkl) for p, q in zip(self.parts, other.parts, strict=True)]
        halves = [(gradients[: len(gradients) // 2], gradients[len(gradients) // 2 :]) for gradients in both]
        return _all(own for own, _ in halves) + _all(theirs for _, theirs in halves)

    def take(self, rows: np.ndarray) -> "Joint":
        """The distribution of some rows."""
        return Joint(self.action, tuple(part.take(rows) for part in self.parts))

    def _pairs(self, actions):
        return zip(self.parts, self.action.split(actions), strict=True)


def _all(gradients) -> tuple[np.ndarray, ...]:
    return tuple(g for own in gradients for g in own)
