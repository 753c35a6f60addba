"""Adadelta (Zeiler 2012), as PyTorch's.

With gradient g at step t, and decay λ:

    g ← g + λθ                               coupled decay; decoupled, θ ← θ − αλθ
    v ← v + (1 − ρ)(g² − v)
    Δ = g·√(u + ε)/√(v + ε)                  in θ's own unit: the root of past squared steps over that of squared gradients
    u ← u + (1 − ρ)(Δ² − u)
    θ ← θ − αΔ                               the paper has no α: α = 1
"""

import numpy as np

from deepnp.backend import array_module, ordered_kernel
from deepnp.optim.optimizer import Formula, Optimizer, check_amounts, check_shares
from deepnp.parameters import ParameterVector


class Adadelta(Optimizer):
    """Adadelta.

    Parameters
    ----------
    vector : ParameterVector
        What to optimise: `module.flat`.
    lr : float
        α; may be set anew at any time.
    rho : float
        ρ, in [0, 1).
    eps : float
        ε, inside both roots; it also starts the movement, since u is 0 at first.
    weight_decay : float
        λ, on weights only (two axes or more).
    decoupled : bool
        Decoupled decay instead of coupled L2.
    """

    def __init__(
        self,
        vector: ParameterVector,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        decoupled: bool = False,
    ):
        check_shares("rho", rho)
        check_amounts(eps=eps)
        super().__init__(vector, lr, weight_decay, decoupled, ADADELTA, ("v", "u"))
        self.rho, self.eps = rho, eps

    def constants(self) -> tuple[float, ...]:
        return self.lr, 1 - self.rho, self.eps


def _plain(theta, g, v, u, lr, new, eps, l2, decay):
    xp = array_module(theta)
    g = g + l2 * theta
    v += new * (g * g - v)
    delta = g * (xp.sqrt(u + eps) / xp.sqrt(v + eps))
    u += new * (delta * delta - u)
    theta -= lr * delta + decay * theta


@ordered_kernel
def _step(theta, g, v, u, lr, new, eps, l2, decay):
    for i in range(len(theta)):
        d = g[i] + l2 * theta[i]
        v[i] += new * (d * d - v[i])
        delta = d * np.sqrt((u[i] + eps) / (v[i] + eps))
        u[i] += new * (delta * delta - u[i])
        theta[i] -= lr * delta + decay * theta[i]


ADADELTA = Formula(_plain, _step)
