"""Penalties on large weights, and their decay. On weights only: parameters of two axes or more, not biases, scales or shifts.

    L1           penalty λ Σ|w|         g ← g + λ sign w       the same pull on every weight: small ones end at 0
    L2           penalty ½λ Σ w²        g ← g + λw             pull in proportion: all weights are small, none is 0
    decoupled    w ← (1 − αλ)w                                 no gradient: an adaptive step size does not rescale it

L1 and L2 belong to the loss: call them after `backward` and before clipping. At w = 0, where |w| has a kink, sign w is 0.
With plain gradient descent L2 and the decoupled decay are one; with Adam and its kin they are not (Loshchilov & Hutter 2019).
The optimizers have both as `weight_decay`; these functions are for penalties apart from them.
"""

from collections.abc import Iterator

from deepnp.backend import array_module
from deepnp.optim.optimizer import check_amounts, check_vector, is_number, runs
from deepnp.parameters import ParameterVector


def l1(vector: ParameterVector, strength: float) -> float:
    """Add the gradient of λ Σ|w|, λ = strength >= 0, to `vector.grad`; returns the penalty."""
    check_amounts(strength=strength)
    penalty = 0.0
    for w, dw in weights(vector):
        xp = array_module(w)
        dw += strength * xp.sign(w)
        penalty += strength * float(xp.abs(w).sum())
    return penalty


def l2(vector: ParameterVector, strength: float) -> float:
    """Add the gradient of ½λ Σ w², λ = strength >= 0, to `vector.grad`; returns the penalty."""
    check_amounts(strength=strength)
    penalty = 0.0
    for w, dw in weights(vector):
        dw += strength * w
        penalty += 0.5 * strength * float(w @ w)
    return penalty


def decay_weights(vector: ParameterVector, factor: float) -> None:
    """Shorten every weight by the share `factor`, in [0, 1], in place: αλ, the learning rate times the decay.

    Call it before the optimizer's step: the gradient was taken at the weights as they were.
    """
    if not (is_number(factor) and 0 <= factor <= 1):
        raise ValueError(f"expected factor in [0, 1], given {factor!r}")
    for w, _ in weights(vector):
        w *= 1 - factor


def weights(vector: ParameterVector) -> Iterator[tuple]:
    """Flat views of the weights and of their gradients, neighbours as one."""
    check_vector(vector)
    for part, are_weights in runs(vector):
        if are_weights:
            yield vector.data[part], vector.grad[part]
