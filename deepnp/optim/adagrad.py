"""Adagrad (Duchi, Hazan & Singer 2011), as PyTorch's.

With gradient g at step t, and decay λ:

    g ← g + λθ                               coupled decay; decoupled, θ ← θ − αλθ
    s ← s + g²                               a sum, not an average: the step only ever shrinks
    θ ← θ − α/(1 + (t − 1)η) · g/(√s + ε)
"""

import numpy as np

from deepnp.backend import array_module, ordered_kernel
from deepnp.optim.optimizer import Formula, Optimizer, check_amounts
from deepnp.parameters import ParameterVector


class Adagrad(Optimizer):
    """Adagrad: large steps for parameters whose gradient is seldom or small.

    Parameters
    ----------
    vector : ParameterVector
        What to optimise: `module.flat`.
    lr : float
        α; may be set anew at any time.
    lr_decay : float
        η.
    eps : float
        ε, outside the root.
    initial : float
        What every s starts at.
    weight_decay : float
        λ, on weights only (two axes or more).
    decoupled : bool
        Decoupled decay instead of coupled L2.
    """

    def __init__(
        self,
        vector: ParameterVector,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        *,
        eps: float = 1e-10,
        initial: float = 0.0,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ):
        check_amounts(lr_decay=lr_decay, eps=eps, initial=initial)
        super().__init__(vector, lr, weight_decay, decoupled, ADAGRAD, ("s",))
        self.lr_decay, self.eps = lr_decay, eps
        self.state["s"].fill(initial)

    def constants(self) -> tuple[float, ...]:
        return self.lr / (1 + (self.t - 1) * self.lr_decay), self.eps


def _plain(theta, g, s, alpha, eps, l2, decay):
    g = g + l2 * theta
    s += g * g
    theta -= alpha * g / (array_module(s).sqrt(s) + eps) + decay * theta


@ordered_kernel
def _step(theta, g, s, alpha, eps, l2, decay):
    for i in range(len(theta)):
        d = g[i] + l2 * theta[i]
        s[i] += d * d
        theta[i] -= alpha * d / (np.sqrt(s[i]) + eps) + decay * theta[i]


ADAGRAD = Formula(_plain, _step)
