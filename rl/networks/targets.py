"""Target networks: copies that follow slowly, so that what is learned from does not move with every step."""

import copy
from collections.abc import Callable
from typing import TypeVar

from deepnp import Module
from deepnp.optim import polyak

Network = TypeVar("Network", bound=Module)


class TargetUpdater:
    """Moves a target towards its network: θ̄ ← (1 − τ)θ̄ + τθ, running statistics included.

    Parameters
    ----------
    target, network : Module
        Of the same layers.
    """

    def __init__(self, target: Module, network: Module):
        self._pairs = [(target.flat.data, network.flat.data)]
        for (_, slow), (_, fast) in zip(target.named_buffers(), network.named_buffers(), strict=True):
            if slow.data.dtype.kind == "f":
                self._pairs.append((slow.data, fast.data))

    def __call__(self, tau: float) -> None:
        """One move, by the share τ."""
        for slow, fast in self._pairs:
            polyak(slow, fast, tau)


def target_of(network: Network, follows: bool = True) -> tuple[Network, Callable[[float], None]]:
    """A copy of a network, and what moves it; the network itself, and what does nothing, unless it `follows`."""
    if not follows:
        return network, lambda tau: None
    target = copy.deepcopy(network)
    return target, TargetUpdater(target, network)
