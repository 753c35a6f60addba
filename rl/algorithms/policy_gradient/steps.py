"""One gradient step of a network, with everything that a step is held to."""

from typing import Any

from deepnp import Module
from deepnp.optim import Optimizer, clip_grad_norm
from rl.losses.checks import check_gradient


def gradient_step(name: str, module: Module, optimizer: Optimizer, dy: Any, max_norm: float) -> None:
    """A step along the gradient of a loss whose gradient with respect to the network's last outputs is dy.

    Parameters
    ----------
    name : str
        What errors call it.
    module : Module
    optimizer : Optimizer
        Of the module.
    dy
        What the module's `backward` takes.
    max_norm : float
        Longer gradients are shortened to it (L2).

    Raises
    ------
    NonFiniteError
        If the gradient is NaN or infinite: then the network stays as it is.
    """
    module.zero_grad()
    module.backward(dy, inputs=False)
    check_gradient(f"{name}'s gradient", module.flat)
    clip_grad_norm(module.flat, max_norm)
    optimizer.step()
