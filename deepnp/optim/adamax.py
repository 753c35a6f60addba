"""Adamax: Adam with the largest |g| instead of a mean square (Kingma & Ba 2015, section 7), as PyTorch's.

With gradient g at step t, and decay λ:

    g ← g + λθ                               coupled decay; decoupled, θ ← θ − αλθ
    m ← m + (1 − β₁)(g − m)
    u ← max(β₂u, |g| + ε)                    needs no correction: a maximum does not lag
    θ ← θ − α/(1 − β₁ᵗ) · m/u
"""

from deepnp.backend import array_module, ordered_kernel
from deepnp.optim.optimizer import Formula, Optimizer, check_amounts, check_shares
from deepnp.parameters import ParameterVector


class Adamax(Optimizer):
    """Adamax.

    Parameters
    ----------
    vector : ParameterVector
        What to optimise: `module.flat`.
    lr : float
        α; may be set anew at any time.
    betas : (float, float)
        β₁ and β₂, in [0, 1).
    eps : float
        ε, added to |g|.
    weight_decay : float
        λ, on weights only (two axes or more).
    decoupled : bool
        Decoupled decay instead of coupled L2.
    """

    def __init__(
        self,
        vector: ParameterVector,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        decoupled: bool = False,
    ):
        check_shares("betas", *betas)
        check_amounts(eps=eps)
        super().__init__(vector, lr, weight_decay, decoupled, ADAMAX, ("m", "u"))
        self.betas, self.eps = betas, eps

    def constants(self) -> tuple[float, ...]:
        b1, b2 = self.betas
        return self.lr / (1 - b1**self.t), 1 - b1, b2, self.eps


def _plain(theta, g, m, u, alpha, new1, b2, eps, l2, decay):
    xp = array_module(theta)
    g = g + l2 * theta
    m += new1 * (g - m)
    xp.maximum(b2 * u, xp.abs(g) + eps, out=u)
    theta -= alpha * m / u + decay * theta


@ordered_kernel
def _step(theta, g, m, u, alpha, new1, b2, eps, l2, decay):
    for i in range(len(theta)):
        d = g[i] + l2 * theta[i]
        mean = m[i] + new1 * (d - m[i])
        m[i] = mean
        old, new = b2 * u[i], abs(d) + eps
        u[i] = old if old > new or old != old else new  # a NaN stays
        theta[i] -= alpha * mean / u[i] + decay * theta[i]


ADAMAX = Formula(_plain, _step)
