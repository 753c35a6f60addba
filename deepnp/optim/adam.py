"""Adam and AdamW over a flat vector.

With gradient g at step t, and decay λ:

    g ← g + λθ                        Adam's coupled L2 (Kingma & Ba 2015, as PyTorch's Adam)
    m ← β₁m + (1 − β₁)g
    v ← β₂v + (1 − β₂)g²
    m̂ = m/(1 − β₁ᵗ)    v̂ = v/(1 − β₂ᵗ)                  m and v start at 0; without the division they would lag
    θ ← θ − α m̂/(√v̂ + ε) − αλθ       AdamW's decoupled decay (Loshchilov & Hutter 2019; the thesis forgets its α)

ε stands outside the root. One of the two decays is in force: `decoupled` says which.
"""

import numpy as np

from deepnp.backend import array_module, kernel, kernel_runs
from deepnp.parameters import ParameterVector


class Adam:
    """Adam, or AdamW with `decoupled=True`.

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
        λ.
    decoupled : bool
        AdamW's decay instead of coupled L2.
    """

    def __init__(
        self,
        vector: ParameterVector,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ):
        if not all(0 <= b < 1 for b in betas):
            raise ValueError(f"expected betas in [0, 1), given {betas}")
        if lr < 0 or eps < 0 or weight_decay < 0:
            raise ValueError(f"expected lr, eps, weight_decay >= 0, given {lr}, {eps}, {weight_decay}")
        xp = array_module(vector.data)
        self.vector = vector
        self.lr, self.betas, self.eps, self.weight_decay, self.decoupled = lr, betas, eps, weight_decay, decoupled
        self.m, self.v = xp.zeros_like(vector.data), xp.zeros_like(vector.data)
        self.t = 0

    def step(self) -> None:
        """One update from the gradient in `vector.grad`."""
        if self.vector.stale:
            raise RuntimeError(
                "the parameters have moved to another vector since (a larger model, a device): make the optimizer anew"
            )
        self.t += 1
        (b1, b2), theta, g = self.betas, self.vector.data, self.vector.grad
        alpha = self.lr / (1 - b1**self.t)  # α m̂ = (α/(1 − β₁ᵗ)) m
        root = (1 - b2**self.t) ** -0.5  # √v̂ = root·√v
        l2, decay = (0.0, self.lr * self.weight_decay) if self.decoupled else (self.weight_decay, 0.0)
        if kernel_runs(theta, g, self.m, self.v):
            _step(theta, g, self.m, self.v, *theta.dtype.type([alpha, b1, b2, root, self.eps, l2, decay]))
            return
        xp = array_module(theta)
        if l2:
            g = g + l2 * theta
        self.m[...] = b1 * self.m + (1 - b1) * g
        self.v[...] = b2 * self.v + (1 - b2) * g * g
        theta -= alpha * self.m / (root * xp.sqrt(self.v) + self.eps) + decay * theta

    def state_dict(self) -> dict[str, np.ndarray]:
        """m, v and t; with `load_state_dict`, training goes on bit for bit."""
        return {"m": self.m, "v": self.v, "t": np.array(self.t)}

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Restore a `state_dict()`."""
        for name in ("m", "v"):
            if state[name].shape != self.m.shape:
                raise ValueError(f'expected "{name}" of shape {self.m.shape}, given {state[name].shape}')
        xp = array_module(self.m)
        self.m[...], self.v[...], self.t = xp.asarray(state["m"]), xp.asarray(state["v"]), int(state["t"])


@kernel
def _step(theta, g, m, v, alpha, b1, b2, root, eps, l2, decay):
    one = b1 / b1 if b1 > 0 else b2 / b2  # 1 in the array's own precision
    for i in range(len(theta)):
        d = g[i] + l2 * theta[i]
        m[i] = b1 * m[i] + (one - b1) * d
        v[i] = b2 * v[i] + (one - b2) * d * d
        theta[i] -= alpha * m[i] / (root * np.sqrt(v[i]) + eps) + decay * theta[i]
