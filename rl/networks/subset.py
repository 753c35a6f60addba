"""k of n without replacement, as a distribution with hand-written derivatives; see distributions.py for the convention.

Shapes: B rows, n things to choose from, k choices.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rl.networks.distributions import Categorical


@dataclass(frozen=True)
class Subset:
    """k different things of n, one after the other, each from p = softmax(z) over those that are left (Plackett 1975; Luce 1959).

    ln π(i_1 … i_k) = Σ_j z_{i_j} − ln Σ_{m left before draw j} e^{z_m}             ∂/∂z = Σ_j (e_{i_j} − p^{(j)}),
                                                                                    p^{(j)} softmax over what is left

    All at once, by the Gumbel-top-k trick (Kool, van Hoof & Welling 2019): the k largest of z + g, g ~ Gumbel(0, 1).

    Entropy and KL are those of the first draw. Those of all draws are sums over n!/(n − k)! orders. By the chain rule
    KL ≥ KL of the first draw, and some k times that for small changes; and the bonus on that draw's entropy pushes the same
    way, to equal logits.

    Attributes
    ----------
    logits : array (B, n)
    k : int
    """

    logits: np.ndarray
    k: int

    @property
    def first(self) -> Categorical:
        """The distribution of the first draw."""
        return Categorical(self.logits)

    def sample(self, rng: np.random.Generator) -> np.ndarray:
        """Numbers of what was drawn, in that order: (B, k) int64."""
        return _largest(self.logits + rng.gumbel(size=self.logits.shape), self.k)

    def mode(self) -> np.ndarray:
        """The k most probable, most probable first: (B, k) int64."""
        return _largest(self.logits, self.k)

    def log_prob(self, actions: np.ndarray) -> np.ndarray:
        """ln π of draws in this order: actions (B, k) int -> (B,)."""
        return np.sum([left.log_prob(a) for left, a in self._draws(actions)], axis=0)

    def log_prob_backward(self, actions: np.ndarray, dlog_prob: np.ndarray) -> tuple[np.ndarray]:
        """dL/dln π (B,) -> dlogits (B, n)."""
        return (np.sum([left.log_prob_backward(a, dlog_prob)[0] for left, a in self._draws(actions)], axis=0),)

    def entropy(self) -> np.ndarray:
        """H of the first draw: (B,)."""
        return self.first.entropy()

    def entropy_backward(self, dentropy: np.ndarray) -> tuple[np.ndarray]:
        """dL/dH (B,) -> dlogits (B, n)."""
        return self.first.entropy_backward(dentropy)

    def kl(self, other: "Subset") -> np.ndarray:
        """KL(self‖other) of the first draw: (B,)."""
        return self.first.kl(other.first)

    def kl_backward(self, other: "Subset", dkl: np.ndarray) -> tuple[np.ndarray, ...]:
        """dL/dKL (B,) -> dlogits of self, dlogits of other."""
        return self.first.kl_backward(other.first, dkl)

    def take(self, rows: np.ndarray) -> "Subset":
        """The distribution of some rows."""
        return Subset(self.logits[rows], self.k)

    def _draws(self, actions) -> Iterator[tuple[Categorical, np.ndarray]]:
        """Each draw's distribution over what is left, and what was drawn."""
        left, rows = self.logits.copy(), np.arange(len(actions))
        for a in actions.T:
            yield Categorical(left.copy()), a
            left[rows, a] = -np.inf


def _largest(keys, k):
    return np.argsort(-keys, axis=1, kind="stable")[:, :k]
