"""RAdam: Adam that rectifies the variance of its first steps (Liu et al. 2020), as PyTorch's.

    g ← g + λθ                               coupled decay; decoupled, θ ← θ − αλθ
    m ← m + (1 − β₁)(g − m)        m̂ = m/(1 − β₁ᵗ)
    v ← v + (1 − β₂)(g² − v)
    ρ∞ = 2/(1 − β₂) − 1        ρ = ρ∞ − 2tβ₂ᵗ/(1 − β₂ᵗ)          how many gradients v has in effect averaged
    ρ > 5      θ ← θ − α r m̂ √(1 − β₂ᵗ)/(√v + ε)                r² = (ρ − 4)(ρ − 2)ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)ρ)
    otherwise  θ ← θ − α m̂                                       v is no more than noise yet: momentum alone

ε is added to √v, not to √v̂. The paper's bound is 4; PyTorch's and the authors' later code have 5.
"""

import numpy as np

from deepnp.backend import array_module, ordered_kernel
from deepnp.optim.optimizer import Formula, Optimizer, check_shares
from deepnp.parameters import ParameterVector


class RAdam(Optimizer):
    """RAdam: a warm-up of the learning rate that needs no setting.

    Parameters
    ----------
    vector : ParameterVector
        What to optimise: `module.flat`.
    lr : float
        α; may be set anew at any time.
    betas : (float, float)
        β₁ and β₂, in [0, 1).
    eps : float
        ε > 0.
    weight_decay : float
        λ, on weights only (two axes or more).
    decoupled : bool
        Decoupled decay instead of coupled L2.
    """

    def __init__(
        self,
        vector: ParameterVector,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        decoupled: bool = False,
    ):
        check_shares("betas", *betas)
        if not eps > 0:
            raise ValueError(f"expected eps > 0, given {eps}")
        super().__init__(vector, lr, weight_decay, decoupled, RADAM, ("m", "v"))
        self.betas, self.eps = betas, eps

    def constants(self) -> tuple[float, ...]:
        (b1, b2), t = self.betas, self.t
        alpha, limit = self.lr / (1 - b1**t), 2 / (1 - b2) - 1
        rho = limit - 2 * t * b2**t / (1 - b2**t)
        if rho <= 5:
            return alpha, 0.0, 1 - b1, 1 - b2, self.eps
        rectifier = ((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)) ** 0.5
        return 0.0, alpha * rectifier * (1 - b2**t) ** 0.5, 1 - b1, 1 - b2, self.eps


def _plain(theta, g, m, v, bare, scaled, new1, new2, eps, l2, decay):
    g = g + l2 * theta
    m += new1 * (g - m)
    v += new2 * (g * g - v)
    theta -= m * (bare + scaled / (array_module(v).sqrt(v) + eps)) + decay * theta


@ordered_kernel
def _step(theta, g, m, v, bare, scaled, new1, new2, eps, l2, decay):
    for i in range(len(theta)):
        d = g[i] + l2 * theta[i]
        mean = m[i] + new1 * (d - m[i])
        m[i] = mean
        v[i] += new2 * (d * d - v[i])
        theta[i] -= mean * (bare + scaled / (np.sqrt(v[i]) + eps)) + decay * theta[i]


RADAM = Formula(_plain, _step)
