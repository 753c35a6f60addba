"""Adam, AdamW and AMSGrad.

With gradient g at step t, and decay λ:

    g ← g + λθ                        Adam's coupled L2 (Kingma & Ba 2015, as PyTorch's Adam)
    m ← β₁m + (1 − β₁)g
    v ← β₂v + (1 − β₂)g²
    m̂ = m/(1 − β₁ᵗ)    v̂ = v/(1 − β₂ᵗ)                  m and v start at 0; without the division they would lag
    θ ← θ − α m̂/(√v̂ + ε) − αλθ       AdamW's decoupled decay (Loshchilov & Hutter 2019)

ε stands outside the root. One of the two decays is in force: `decoupled` says which.

AMSGrad (Reddi et al. 2018) divides by the largest v seen, so that the step of a parameter never grows again:

    w ← max(w, v)    θ ← θ − α m̂/(√(w/(1 − β₂ᵗ)) + ε)

Here the maximum is taken before the bias is corrected, as in PyTorch. Some correct v first and keep the maximum
of v̂: the first steps, where the correction is large, then bind all later ones.
"""

from functools import partial

import numpy as np

from deepnp.backend import array_module, ordered_kernel
from deepnp.optim.optimizer import Formula, Optimizer, check_amounts, check_shares
from deepnp.parameters import ParameterVector


class Adam(Optimizer):
    """Adam; AdamW with `decoupled=True`, AMSGrad with `amsgrad=True`.

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
        AdamW's decay instead of coupled L2.
    amsgrad : bool
        Divide by the largest v.

    Examples
    --------
    >>> optimizer = Adam(net.flat, lr=1e-3)
    >>> loss, dy = mse(net.forward(x), target)
    >>> net.zero_grad(); net.backward(dy); optimizer.step()
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
        amsgrad: bool = False,
    ):
        check_shares("betas", *betas)
        check_amounts(eps=eps)
        formula, state = (AMSGRAD, ("m", "v", "w")) if amsgrad else (ADAM, ("m", "v"))
        super().__init__(vector, lr, weight_decay, decoupled, formula, state)
        self.betas, self.eps = betas, eps

    def constants(self) -> tuple[float, ...]:
        return adam_constants(self.lr, self.betas, self.eps, self.t)


AdamW = partial(Adam, weight_decay=1e-2, decoupled=True)  # PyTorch's name and default


def adam_constants(lr: float, betas: tuple[float, float], eps: float, t: int) -> tuple[float, ...]:
    """α/(1 − β₁ᵗ), β₁, 1 − β₁, β₂, 1 − β₂, 1/√(1 − β₂ᵗ), ε: so that α m̂/(√v̂ + ε) = alpha·m/(root·√v + ε).

    In double precision: the float32 nearest to β = 1 − 10⁻⁸ is 1, and 1 − 1 is not 10⁻⁸.
    """
    b1, b2 = betas
    return lr / (1 - b1**t), b1, 1 - b1, b2, 1 - b2, (1 - b2**t) ** -0.5, eps


def _plain(theta, g, m, v, alpha, b1, new1, b2, new2, root, eps, l2, decay):
    g = g + l2 * theta
    m[...] = b1 * m + new1 * g
    v[...] = b2 * v + new2 * g * g
    theta -= alpha * m / (root * array_module(v).sqrt(v) + eps) + decay * theta


def _plain_amsgrad(theta, g, m, v, w, alpha, b1, new1, b2, new2, root, eps, l2, decay):
    xp = array_module(theta)
    g = g + l2 * theta
    m[...] = b1 * m + new1 * g
    v[...] = b2 * v + new2 * g * g
    xp.maximum(w, v, out=w)
    theta -= alpha * m / (root * xp.sqrt(w) + eps) + decay * theta


@ordered_kernel
def _step(theta, g, m, v, alpha, b1, new1, b2, new2, root, eps, l2, decay):
    for i in range(len(theta)):
        d = g[i] + l2 * theta[i]
        mean = b1 * m[i] + new1 * d  # in a local variable: to read m[i] again, after v[i] is written, may take twice as long
        m[i] = mean
        v[i] = b2 * v[i] + new2 * d * d
        theta[i] -= alpha * mean / (root * np.sqrt(v[i]) + eps) + decay * theta[i]


def _fast_amsgrad(theta, *rest):
    _amsgrad(theta, *rest, theta.dtype.type(1))


@ordered_kernel
def _amsgrad(theta, g, m, v, w, alpha, b1, new1, b2, new2, root, eps, l2, decay, one):
    for i in range(len(theta)):
        d = g[i] + l2 * theta[i]
        mean = b1 * m[i] + new1 * d
        m[i] = mean
        v[i] = b2 * v[i] + new2 * d * d
        largest = w[i] if w[i] > v[i] or w[i] != w[i] else v[i]  # a NaN stays
        w[i] = one * largest  # the product keeps LLVM from skipping stores that change nothing, which does not vectorise
        theta[i] -= alpha * mean / (root * np.sqrt(w[i]) + eps) + decay * theta[i]


ADAM = Formula(_plain, _step)
AMSGRAD = Formula(_plain_amsgrad, _fast_amsgrad)
