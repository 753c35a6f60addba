"""Muon: momentum, orthogonalised (Jordan et al. 2024).                       weight W (O, I), gradient G

    M ← μM + (1 − μ)G
    U = (1 − μ)G + μM  (Nesterov), or M
    W ← W − αλW − α √max(1, O/I) · NS(U)

NS(U) replaces U = P S Qᵀ by about P Qᵀ: every direction that the matrix can act in is moved alike, not only the few that dominate
the gradient. It needs no SVD. With X = U/‖U‖, five times

    A = X Xᵀ        X ← aX + (bA + cA²)X                 each singular value s becomes as + bs³ + cs⁵

with (a, b, c) = (3.4445, −4.7750, 2.0315): so steep at 0 that small s rise fast, at the price that s ends in [0.7, 1.2] or so
instead of at 1. X is transposed when it is tall, so that A is the smaller Gram matrix.

It is PyTorch's variant (M an average; it scales U, which NS forgets), in the vector's own precision instead of bfloat16.
It is made for hidden matrices. Whatever has not two axes (biases, scales, convolutions) and the matrices named in `exclude`
(embeddings, the first and the last layer, which Jordan leaves out) follow AdamW.
"""

import math
from collections.abc import Collection

import numpy as np

from deepnp.backend import array_module
from deepnp.optim.adam import ADAM, adam_constants
from deepnp.optim.optimizer import Optimizer, check_amounts, check_shares, check_vector
from deepnp.parameters import ParameterVector

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


class Muon(Optimizer):
    """Muon for the matrices, AdamW for the rest.

    Parameters
    ----------
    vector : ParameterVector
        What to optimise: `module.flat`.
    lr : float
        α of the matrices; may be set anew at any time.
    momentum : float
        μ, in [0, 1).
    nesterov : bool
        Look ahead.
    iterations : int
        Of Newton and Schulz.
    weight_decay : float
        λ, decoupled, on weights only (two axes or more), with the learning rate of the group that the weight is in.
    exclude : collection of str
        Names of matrices that follow AdamW as well.
    adam_lr, adam_betas, adam_eps
        AdamW's settings.

    Attributes
    ----------
    state : dict
        "m" is either momentum; "v", AdamW's, lies idle under the matrices.

    Examples
    --------
    >>> optimizer = Muon(net.flat, exclude=("0.weight", "4.weight"))
    """

    def __init__(
        self,
        vector: ParameterVector,
        lr: float = 0.02,
        *,
        momentum: float = 0.95,
        nesterov: bool = True,
        iterations: int = 5,
        weight_decay: float = 0.0,
        exclude: Collection[str] = (),
        adam_lr: float = 3e-4,
        adam_betas: tuple[float, float] = (0.9, 0.95),
        adam_eps: float = 1e-10,
    ):
        check_vector(vector)
        check_shares("momentum", momentum)
        check_shares("adam_betas", *adam_betas)
        check_amounts(adam_lr=adam_lr, adam_eps=adam_eps)
        if iterations != int(iterations) or iterations < 1:
            raise ValueError(f"expected iterations as a positive integer, given {iterations}")
        if isinstance(exclude, str) or not set(exclude) <= vector.named.keys():
            raise ValueError(f"expected exclude as names among {list(vector.named)}, given {exclude!r}")
        super().__init__(vector, lr, weight_decay, True, ADAM, ("m", "v"))
        self.momentum, self.nesterov, self.iterations, self.exclude = momentum, nesterov, iterations, frozenset(exclude)
        self.adam_lr, self.adam_betas, self.adam_eps = adam_lr, adam_betas, adam_eps

    def constants(self) -> tuple[float, ...]:
        return adam_constants(self.adam_lr, self.adam_betas, self.adam_eps, self.t)

    def step(self) -> None:
        self._count()
        constants, start = self.constants(), 0
        for name, p in self.vector.named.items():
            part = slice(start, start + math.prod(p.shape))
            start = part.stop
            if len(p.shape) == 2 and name not in self.exclude:
                self._orthogonal(p, self.state["m"][part].reshape(p.shape))
            else:
                strength = self.weight_decay if len(p.shape) >= 2 else 0.0
                vectors = self.vector.data[part], self.vector.grad[part], self.state["m"][part], self.state["v"][part]
                self.formula(vectors, (*constants, 0.0, self.adam_lr * strength))

    def _orthogonal(self, p, m) -> None:
        mu, (rows, columns) = self.momentum, p.shape
        m[...] = mu * m + (1 - mu) * p.grad
        u = (1 - mu) * p.grad + mu * m if self.nesterov else m
        scale = self.lr * max(1.0, rows / columns) ** 0.5
        p.data -= self.lr * self.weight_decay * p.data + scale * orthogonalise(u, self.iterations)


def orthogonalise(u, iterations: int = 5) -> np.ndarray:
    """NS(u): u (O, I) with all of its singular values brought near 1; zeros stay zeros."""
    a, b, c = COEFFICIENTS
    tall = u.shape[0] > u.shape[1]
    x = u.T if tall else u
    x = x / array_module(x).maximum(array_module(x).linalg.norm(x), 1e-7)
    for _ in range(iterations):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if tall else x
