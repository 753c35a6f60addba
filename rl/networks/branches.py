"""Distributions over several choices at once, with hand-written derivatives; see distributions.py for the convention.

Shapes: B rows, K branches, C choices in all, A switches.
"""

from dataclasses import dataclass

import numpy as np

from deepnp.ops.activation import sigmoid, softplus
from rl.networks.beta import Beta
from rl.networks.distributions import Categorical, DiagonalGaussian
from rl.networks.joint import Joint
from rl.networks.subset import Subset


@dataclass(frozen=True)
class MultiCategorical:
    """One choice in each of K branches, independent of one another.

    ln p(a) = Σ_k ln p_k(a_k)        H = Σ_k H_k        KL = Σ_k KL_k        so every gradient is that of its branch

    Attributes
    ----------
    logits : array (B, C)
        Of all branches side by side.
    choices : tuple of int
        How many choices each branch has; their sum is C.
    """

    logits: np.ndarray
    choices: tuple[int, ...]

    @property
    def branches(self) -> list[Categorical]:
        """The K distributions."""
        ends = np.cumsum(self.choices)
        return [Categorical(self.logits[:, end - size : end]) for end, size in zip(ends, self.choices, strict=True)]

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """Choices (B, K) int64."""
        return np.stack([branch.sample(rng) for branch in self.branches], axis=1)

    def mode(self) -> np.ndarray:
        """The most probable choices (B, K) int64."""
        return np.stack([branch.mode() for branch in self.branches], axis=1)

    def log_prob(self, actions: np.ndarray) -> np.ndarray:
        """ln p(a): actions (B, K) int -> (B,)."""
        return sum(branch.log_prob(a) for branch, a in zip(self.branches, actions.T, strict=True))

    def log_prob_backward(self, actions: np.ndarray, dlog_prob: np.ndarray) -> tuple[np.ndarray]:
        """dL/dln p(a) (B,) -> dlogits (B, C)."""
        pairs = zip(self.branches, actions.T, strict=True)
        return (np.concatenate([branch.log_prob_backward(a, dlog_prob)[0] for branch, a in pairs], axis=1),)

    def entropy(self) -> np.ndarray:
        """H: (B,)."""
        return sum(branch.entropy() for branch in self.branches)

    def entropy_backward(self, dentropy: np.ndarray) -> tuple[np.ndarray]:
        """dL/dH (B,) -> dlogits (B, C)."""
        return (np.concatenate([branch.entropy_backward(dentropy)[0] for branch in self.branches], axis=1),)

    def kl(self, other: "MultiCategorical") -> np.ndarray:
        """KL(self‖other): (B,)."""
        return sum(p.kl(q) for p, q in zip(self.branches, other.branches, strict=True))

    def kl_backward(self, other: "MultiCategorical", dkl: np.ndarray) -> tuple[np.ndarray, ...]:
        """dL/dKL (B,) -> dlogits of self, dlogits of other."""
        both = [p.kl_backward(q, dkl) for p, q in zip(self.branches, other.branches, strict=True)]
        return tuple(np.concatenate(gradients, axis=1) for gradients in zip(*both, strict=True))

    def take(self, rows: np.ndarray) -> "MultiCategorical":
        """The distribution of some rows."""
        return MultiCategorical(self.logits[rows], self.choices)


@dataclass(frozen=True)
class Bernoulli:
    """A switches that are on with probability p = σ(z), independent of one another.

    ln p(a) = Σ_j a_j z_j − softplus(z_j)                          ∂/∂z = a − p           (ln(1 − p) = −softplus(z))
    H       = Σ_j softplus(z_j) − p_j z_j                          ∂H/∂z = −z p(1 − p)
    KL(p‖q) = Σ_j p_j (z_j − w_j) − softplus(z_j) + softplus(w_j)  ∂/∂z = (z − w) p(1 − p),  ∂/∂w = q − p

    Attributes
    ----------
    logits : array (B, A)
        z.
    """

    logits: np.ndarray

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """Switches (B, A) int8."""
        return (rng.random(self.logits.shape, self.logits.dtype) < self._p()).astype(np.int8)

    def mode(self) -> np.ndarray:
        """The most probable switches (B, A) int8."""
        return (self.logits > 0).astype(np.int8)

    def log_prob(self, actions: np.ndarray) -> np.ndarray:
        """ln p(a): actions (B, A) of 0 and 1 -> (B,)."""
        return (actions.astype(self.logits.dtype) * self.logits - softplus.forward(self.logits)[0]).sum(axis=-1)

    def log_prob_backward(self, actions: np.ndarray, dlog_prob: np.ndarray) -> tuple[np.ndarray]:
        """dL/dln p(a) (B,) -> dlogits (B, A)."""
        return (dlog_prob[:, None] * (actions.astype(self.logits.dtype) - self._p()),)

    def entropy(self) -> np.ndarray:
        """H: (B,)."""
        return (softplus.forward(self.logits)[0] - self._p() * self.logits).sum(axis=-1)

    def entropy_backward(self, dentropy: np.ndarray) -> tuple[np.ndarray]:
        """dL/dH (B,) -> dlogits (B, A)."""
        p = self._p()
        return (-dentropy[:, None] * self.logits * p * (1 - p),)

    def kl(self, other: "Bernoulli") -> np.ndarray:
        """KL(self‖other): (B,)."""
        volume = softplus.forward(other.logits)[0] - softplus.forward(self.logits)[0]
        return (self._p() * (self.logits - other.logits) + volume).sum(axis=-1)

    def kl_backward(self, other: "Bernoulli", dkl: np.ndarray) -> tuple[np.ndarray, ...]:
        """dL/dKL (B,) -> dlogits of self, dlogits of other."""
        p, w = self._p(), dkl[:, None]
        return w * (self.logits - other.logits) * p * (1 - p), w * (other._p() - p)

    def take(self, rows: np.ndarray) -> "Bernoulli":
        """The distribution of some rows."""
        return Bernoulli(self.logits[rows])

    def _p(self):
        return sigmoid.forward(self.logits)[0]


Distribution = DiagonalGaussian | Categorical | MultiCategorical | Bernoulli | Beta | Subset | Joint
