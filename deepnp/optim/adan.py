"""Adan: adaptive Nesterov momentum without a gradient at the look-ahead point (Xie et al. 2022, Algorithm 1).

    d = g − g_old                            how the gradient changed, 0 at t = 1
    m ← m + (1 − β₁)(g − m)                  m₁ = g₁
    v ← v + (1 − β₂)(d − v)                  v₁ = 0, v₂ = d₂
    n ← n + (1 − β₃)((g + β₂d)² − n)         n₁ = g₁²
    θ ← (θ − α(m + β₂v)/(√n + ε))/(1 + αλ)   g + β₂d is g extrapolated: where the momentum is about to lead
    g_old ← g

Our β is the share that is kept, the paper's one minus that. The averages begin with their first value, as the paper has it, so
they need no correction; the authors' code begins with 0 and corrects. With g_old = 0 at t = 1 the whole
of g₁ would count as a change. The decay is decoupled and proximal: it divides. There is no restart.
"""

import numpy as np

from deepnp.backend import array_module, ordered_kernel
from deepnp.optim.optimizer import Formula, Optimizer, check_amounts, check_shares
from deepnp.parameters import ParameterVector


class Adan(Optimizer):
    """Adan.

    Parameters
    ----------
    vector : ParameterVector
        What to optimise: `module.flat`.
    lr : float
        α; may be set anew at any time.
    betas : (float, float, float)
        β₁, β₂ and β₃, in [0, 1).
    eps : float
        ε, outside the root.
    weight_decay : float
        λ, decoupled, on weights only (two axes or more).
    """

    def __init__(
        self,
        vector: ParameterVector,
        lr: float = 1e-3,
        betas: tuple[float, float, float] = (0.98, 0.92, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ):
        if len(betas) != 3:
            raise ValueError(f"expected three betas, given {betas}")
        check_shares("betas", *betas)
        check_amounts(eps=eps)
        super().__init__(vector, lr, weight_decay, True, ADAN, ("m", "v", "n", "g_old"))
        self.betas, self.eps = betas, eps

    def step(self) -> None:
        if self.t == 0:
            self.state["g_old"][...] = self.vector.grad
        super().step()

    def constants(self) -> tuple[float, ...]:
        b1, b2, b3 = self.betas
        started, changed = self.t > 1, self.t > 2  # an average forgets its 0 when it meets its first value
        return self.lr, 1 - b1 * started, 1 - b2 * changed, 1 - b3 * started, b2, self.eps


def _plain(theta, g, m, v, n, g_old, lr, new1, new2, new3, ahead, eps, _, decay):
    d = g - g_old
    u = g + ahead * d
    m += new1 * (g - m)
    v += new2 * (d - v)
    n += new3 * (u * u - n)
    g_old[...] = g
    theta -= lr * (m + ahead * v) / (array_module(n).sqrt(n) + eps)
    theta /= 1 + decay


@ordered_kernel
def _step(theta, g, m, v, n, g_old, lr, new1, new2, new3, ahead, eps, _, decay):
    one = theta.dtype.type(1)
    shrink = one / (one + decay)
    for i in range(len(theta)):
        d = g[i] - g_old[i]
        u = g[i] + ahead * d
        mean, mean_change = m[i] + new1 * (g[i] - m[i]), v[i] + new2 * (d - v[i])
        m[i], v[i] = mean, mean_change
        square = n[i] + new3 * (u * u - n[i])
        n[i], g_old[i] = square, g[i]
        theta[i] = shrink * (theta[i] - lr * (mean + ahead * mean_change) / (np.sqrt(square) + eps))


ADAN = Formula(_plain, _step)
