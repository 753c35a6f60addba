"""Lion (Chen et al. 2023, Algorithm 2).

    c = m + (1 − β₁)(g − m)
    θ ← θ − α(sign c + λθ)                   every parameter moves by exactly α: take α 3 to 10 times smaller than Adam's
    m ← m + (1 − β₂)(g − m)                  remembered for longer than it is used for: β₂ > β₁

The decay is decoupled. sign 0 = 0: a parameter without gradient stays.
"""

from deepnp.backend import array_module, ordered_kernel
from deepnp.optim.optimizer import Formula, Optimizer, check_shares
from deepnp.parameters import ParameterVector


class Lion(Optimizer):
    """Lion: the sign of an interpolated momentum; half of Adam's state.

    Parameters
    ----------
    vector : ParameterVector
        What to optimise: `module.flat`.
    lr : float
        α; may be set anew at any time.
    betas : (float, float)
        β₁ and β₂, in [0, 1).
    weight_decay : float
        λ, decoupled, on weights only (two axes or more).
    """

    def __init__(
        self, vector: ParameterVector, lr: float = 1e-4, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0
    ):
        check_shares("betas", *betas)
        super().__init__(vector, lr, weight_decay, True, LION, ("m",))
        self.betas = betas

    def constants(self) -> tuple[float, ...]:
        return self.lr, *(1 - b for b in self.betas)


def _plain(theta, g, m, lr, new1, new2, _, decay):
    theta -= lr * array_module(m).sign(m + new1 * (g - m)) + decay * theta
    m += new2 * (g - m)


@ordered_kernel
def _step(theta, g, m, lr, new1, new2, _, decay):
    zero = theta.dtype.type(0)
    for i in range(len(theta)):
        c = m[i] + new1 * (g[i] - m[i])
        move = lr if c > zero else lr * c  # 0, or NaN
        move = -lr if c < zero else move
        theta[i] -= move + decay * theta[i]
        m[i] += new2 * (g[i] - m[i])


LION = Formula(_plain, _step)
