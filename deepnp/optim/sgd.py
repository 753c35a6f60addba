"""Stochastic gradient descent, with momentum.

    g ← g + λθ                               coupled decay; decoupled, θ ← θ − αλθ (SGDW)
    v ← μv + (1 − d)g                        v₀ = 0; d dampens every step but the first, where v ← g
    θ ← θ − αv                               heavy ball (Polyak 1964)
    θ ← θ − α(g + μv)                        Nesterov (Sutskever et al. 2013): g as if at the place where μv will have led

This is PyTorch's variant: v holds gradients, and α multiplies it when it is used. With a constant α it equals the older
v ← μv − αg, θ ← θ + μv − αg. docs/errata.md has a form of it that
diverges.
"""

from deepnp.backend import ordered_kernel
from deepnp.optim.optimizer import Formula, Optimizer, check_amounts
from deepnp.parameters import ParameterVector


class SGD(Optimizer):
    """Gradient descent with momentum.

    Parameters
    ----------
    vector : ParameterVector
        What to optimise: `module.flat`.
    lr : float
        α; may be set anew at any time.
    momentum : float
        μ; 0 keeps no state.
    dampening : float
        d, in [0, 1].
    nesterov : bool
        Needs momentum, and no dampening.
    weight_decay : float
        λ, on weights only (two axes or more).
    decoupled : bool
        Decoupled decay instead of coupled L2.
    """

    def __init__(
        self,
        vector: ParameterVector,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        *,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ):
        check_amounts(momentum=momentum)
        if not 0 <= dampening <= 1:
            raise ValueError(f"expected dampening in [0, 1], given {dampening}")
        if nesterov and (momentum == 0 or dampening != 0):
            raise ValueError(f"expected momentum > 0 and no dampening with nesterov, given {momentum} and {dampening}")
        super().__init__(vector, lr, weight_decay, decoupled, *((MOMENTUM, ("v",)) if momentum else (DESCENT, ())))
        self.momentum, self.dampening, self.nesterov = momentum, dampening, nesterov

    def constants(self) -> tuple[float, ...]:
        if not self.momentum:
            return (self.lr,)
        share = 1.0 if self.t == 1 else 1 - self.dampening
        of_g, of_v = (1.0, self.momentum) if self.nesterov else (0.0, 1.0)
        return self.momentum, share, self.lr * of_g, self.lr * of_v


def _plain(theta, g, lr, l2, decay):
    theta -= lr * (g + l2 * theta) + decay * theta


def _plain_momentum(theta, g, v, momentum, share, lr_g, lr_v, l2, decay):
    g = g + l2 * theta
    v[...] = momentum * v + share * g
    theta -= lr_g * g + lr_v * v + decay * theta


@ordered_kernel
def _step(theta, g, lr, l2, decay):
    shrink = lr * l2 + decay
    for i in range(len(theta)):
        theta[i] -= lr * g[i] + shrink * theta[i]


@ordered_kernel
def _step_momentum(theta, g, v, momentum, share, lr_g, lr_v, l2, decay):
    for i in range(len(theta)):
        d = g[i] + l2 * theta[i]
        v[i] = momentum * v[i] + share * d
        theta[i] -= lr_g * d + lr_v * v[i] + decay * theta[i]


DESCENT = Formula(_plain, _step)
MOMENTUM = Formula(_plain_momentum, _step_momentum)
