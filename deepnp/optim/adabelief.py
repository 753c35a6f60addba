"""AdaBelief (Zhuang et al. 2020, Algorithm 2).

    g ← g + λθ                               coupled decay; decoupled, θ ← θ − αλθ
    m ← m + (1 − β₁)(g − m)
    s ← s + (1 − β₂)((g − m)² − s) + ε       how far g is from what m believes: large steps where they agree
    θ ← θ − α m̂/(√ŝ + ε)                     m̂ = m/(1 − β₁ᵗ), ŝ = s/(1 − β₂ᵗ)

ε stands twice, as in the paper. The first one adds up to ε/(1 − β₂) in s, so it is far smaller than Adam's: 1e-16, as in the
authors' code.
"""

import numpy as np

from deepnp.backend import array_module, ordered_kernel
from deepnp.optim.optimizer import Formula, Optimizer, check_amounts, check_shares
from deepnp.parameters import ParameterVector


class AdaBelief(Optimizer):
    """AdaBelief.

    Parameters
    ----------
    vector : ParameterVector
        What to optimise: `module.flat`.
    lr : float
        α; may be set anew at any time.
    betas : (float, float)
        β₁ and β₂, in [0, 1).
    eps : float
        ε.
    weight_decay : float
        λ, on weights only (two axes or more).
    decoupled : bool
        Decoupled decay, the authors' default in later versions, instead of coupled L2.
    """

    def __init__(
        self,
        vector: ParameterVector,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-16,
        weight_decay: float = 0.0,
        *,
        decoupled: bool = False,
    ):
        check_shares("betas", *betas)
        check_amounts(eps=eps)
        super().__init__(vector, lr, weight_decay, decoupled, ADABELIEF, ("m", "s"))
        self.betas, self.eps = betas, eps

    def constants(self) -> tuple[float, ...]:
        (b1, b2), t = self.betas, self.t
        return self.lr / (1 - b1**t), 1 - b1, 1 - b2, (1 - b2**t) ** -0.5, self.eps


def _plain(theta, g, m, s, alpha, new1, new2, root, eps, l2, decay):
    g = g + l2 * theta
    m += new1 * (g - m)
    s += new2 * ((g - m) * (g - m) - s) + eps
    theta -= alpha * m / (root * array_module(s).sqrt(s) + eps) + decay * theta


@ordered_kernel
def _step(theta, g, m, s, alpha, new1, new2, root, eps, l2, decay):
    for i in range(len(theta)):
        d = g[i] + l2 * theta[i]
        mean = m[i] + new1 * (d - m[i])
        m[i] = mean
        s[i] += new2 * ((d - mean) * (d - mean) - s[i]) + eps
        theta[i] -= alpha * mean / (root * np.sqrt(s[i]) + eps) + decay * theta[i]


ADABELIEF = Formula(_plain, _step)
