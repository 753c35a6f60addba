"""RMSprop (Hinton's lecture 6e, 2012; centered: Graves 2013), as PyTorch's.

    g ← g + λθ                               coupled decay; decoupled, θ ← θ − αλθ
    v ← v + (1 − ρ)(g² − v)
    m ← m + (1 − ρ)(g − m)                  centered only: v − m² estimates the variance of g, not its square
    b ← μb + g/(√(v − m²) + ε)               m = 0 if not centered
    θ ← θ − αb

v − m² is a variance, but its rounding may fall below 0 where g hardly changes: it is held at 0 there (PyTorch gets NaN).
"""

import numpy as np

from deepnp.backend import array_module, exact_kernel, ordered_kernel
from deepnp.optim.optimizer import Formula, Optimizer, check_amounts, check_shares
from deepnp.parameters import ParameterVector


class RMSprop(Optimizer):
    """RMSprop.

    Parameters
    ----------
    vector : ParameterVector
        What to optimise: `module.flat`.
    lr : float
        α; may be set anew at any time.
    rho : float
        ρ, in [0, 1). PyTorch calls it alpha.
    eps : float
        ε, outside the root.
    momentum : float
        μ.
    centered : bool
        Subtract the squared mean of g.
    weight_decay : float
        λ, on weights only (two axes or more).
    decoupled : bool
        Decoupled decay instead of coupled L2.
    """

    def __init__(
        self,
        vector: ParameterVector,
        lr: float = 1e-2,
        rho: float = 0.99,
        eps: float = 1e-8,
        *,
        momentum: float = 0.0,
        centered: bool = False,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ):
        check_shares("rho", rho)
        check_amounts(eps=eps, momentum=momentum)
        formula, state = (CENTERED, ("v", "b", "m")) if centered else (MOMENTUM, ("v", "b")) if momentum else (SCALED, ("v",))
        super().__init__(vector, lr, weight_decay, decoupled, formula, state)
        self.rho, self.eps, self.momentum, self.centered = rho, eps, momentum, centered

    def constants(self) -> tuple[float, ...]:
        if self.formula is SCALED:
            return self.lr, 1 - self.rho, self.eps
        return self.lr, 1 - self.rho, self.eps, self.momentum


def _plain(theta, g, v, lr, new, eps, l2, decay):
    g = g + l2 * theta
    v += new * (g * g - v)
    theta -= lr * g / (array_module(v).sqrt(v) + eps) + decay * theta


def _plain_momentum(theta, g, v, b, lr, new, eps, momentum, l2, decay):
    g = g + l2 * theta
    v += new * (g * g - v)
    b[...] = momentum * b + g / (array_module(v).sqrt(v) + eps)
    theta -= lr * b + decay * theta


def _plain_centered(theta, g, v, b, m, lr, new, eps, momentum, l2, decay):
    xp = array_module(theta)
    g = g + l2 * theta
    v += new * (g * g - v)
    m += new * (g - m)
    b[...] = momentum * b + g / (xp.sqrt(xp.maximum(v - m * m, 0)) + eps)
    theta -= lr * b + decay * theta


@ordered_kernel
def _step(theta, g, v, lr, new, eps, l2, decay):
    for i in range(len(theta)):
        d = g[i] + l2 * theta[i]
        v[i] += new * (d * d - v[i])
        theta[i] -= lr * d / (np.sqrt(v[i]) + eps) + decay * theta[i]


@ordered_kernel
def _step_momentum(theta, g, v, b, lr, new, eps, momentum, l2, decay):
    for i in range(len(theta)):
        d = g[i] + l2 * theta[i]
        v[i] += new * (d * d - v[i])
        b[i] = momentum * b[i] + d / (np.sqrt(v[i]) + eps)
        theta[i] -= lr * b[i] + decay * theta[i]


@exact_kernel  # m² is rounded before it is subtracted, so that it overflows where it does in the plain form
def _step_centered(theta, g, v, b, m, lr, new, eps, momentum, l2, decay):
    zero = theta.dtype.type(0)
    for i in range(len(theta)):
        d = g[i] + l2 * theta[i]
        square, mean = v[i] + new * (d * d - v[i]), m[i] + new * (d - m[i])
        v[i], m[i] = square, mean
        spread = square - mean * mean
        b[i] = momentum * b[i] + d / (np.sqrt(zero if spread < zero else spread) + eps)
        theta[i] -= lr * b[i] + decay * theta[i]


SCALED = Formula(_plain, _step)
MOMENTUM = Formula(_plain_momentum, _step_momentum)
CENTERED = Formula(_plain_centered, _step_centered)
