"""NAdam: Adam with Nesterov's momentum (Dozat 2016), as PyTorch's.

With gradient g at step t, and decay λ:

    g ← g + λθ                               coupled decay; decoupled, θ ← θ − αλθ
    μ_t = β₁(1 − ½·0.96^{tψ})                the momentum grows to β₁; Π_t = μ₁μ₂…μ_t takes the place of β₁ᵗ
    m ← m + (1 − β₁)(g − m)
    v ← v + (1 − β₂)(g² − v)    v̂ = v/(1 − β₂ᵗ)
    θ ← θ − α (μ_{t+1}/(1 − Π_{t+1}) · m + (1 − μ_t)/(1 − Π_t) · g)/(√v̂ + ε)       the next step's momentum, applied already
"""

import numpy as np

from deepnp.backend import array_module, ordered_kernel
from deepnp.optim.optimizer import Formula, Optimizer, check_amounts, check_shares
from deepnp.parameters import ParameterVector


class NAdam(Optimizer):
    """NAdam.

    Parameters
    ----------
    vector : ParameterVector
        What to optimise: `module.flat`.
    lr : float
        α; may be set anew at any time.
    betas : (float, float)
        β₁ and β₂, in [0, 1).
    eps : float
        ε, outside the root.
    momentum_decay : float
        ψ.
    weight_decay : float
        λ, on weights only (two axes or more).
    decoupled : bool
        Decoupled decay instead of coupled L2.

    Attributes
    ----------
    product : float
        Π_t.
    """

    def __init__(
        self,
        vector: ParameterVector,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        *,
        momentum_decay: float = 4e-3,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ):
        check_shares("betas", *betas)
        check_amounts(eps=eps, momentum_decay=momentum_decay)
        super().__init__(vector, lr, weight_decay, decoupled, NADAM, ("m", "v"))
        self.betas, self.eps, self.momentum_decay = betas, eps, momentum_decay
        self.product = 1.0

    def constants(self) -> tuple[float, ...]:
        (b1, b2), now, after = self.betas, self._momentum(self.t), self._momentum(self.t + 1)
        self.product *= now
        of_m, of_g = after / (1 - self.product * after), (1 - now) / (1 - self.product)
        return self.lr * of_m, self.lr * of_g, 1 - b1, 1 - b2, (1 - b2**self.t) ** -0.5, self.eps

    def state_dict(self) -> dict[str, np.ndarray]:
        return {**super().state_dict(), "product": np.array(self.product)}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        super().load_state_dict(state)
        self.product = float(state["product"])

    def _momentum(self, t: int) -> float:
        return self.betas[0] * (1 - 0.5 * 0.96 ** (t * self.momentum_decay))


def _plain(theta, g, m, v, of_m, of_g, new1, new2, root, eps, l2, decay):
    g = g + l2 * theta
    m += new1 * (g - m)
    v += new2 * (g * g - v)
    theta -= (of_m * m + of_g * g) / (root * array_module(v).sqrt(v) + eps) + decay * theta


@ordered_kernel
def _step(theta, g, m, v, of_m, of_g, new1, new2, root, eps, l2, decay):
    for i in range(len(theta)):
        d = g[i] + l2 * theta[i]
        mean = m[i] + new1 * (d - m[i])
        m[i] = mean
        v[i] += new2 * (d * d - v[i])
        theta[i] -= (of_m * mean + of_g * d) / (root * np.sqrt(v[i]) + eps) + decay * theta[i]


NADAM = Formula(_plain, _step)
