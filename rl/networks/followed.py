"""Networks that estimate the same thing, each with an optimizer of its own, and with a target that follows it."""

from collections.abc import Callable

import numpy as np

from deepnp.module import Module
from deepnp.optim import Optimizer
from rl.state import restore, state_of


class Followed:
    """Part of an agent: networks, optimizers, and targets.

    Parameters
    ----------
    networks : list of Module
    optimizers : list of Optimizer
        One for each network.
    followed : list of (Module, callable)
        The target of each network, and what moves it by a share τ: see `rl.networks.targets.target_of`.
        A network may be its own target.
    """

    def __init__(self, networks: list[Module], optimizers: list[Optimizer], followed: list[tuple[Module, Callable[[float], None]]]):
        self.networks, self.optimizers = networks, optimizers
        self.targets, self._updaters = [target for target, _ in followed], [updater for _, updater in followed]

    def set_lr(self, lr: float) -> None:
        """Let the optimizers take this learning rate from now on."""
        for optimizer in self.optimizers:
            optimizer.lr = lr

    def follow(self, tau: float) -> None:
        """θ̄_i ← (1 − τ)θ̄_i + τθ_i, where the targets are copies."""
        for update in self._updaters:
            update(tau)

    def state_dict(self) -> dict[str, np.ndarray]:
        return state_of(self._parts())

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        restore(self._parts(), state)

    def _parts(self):
        copies = [target for target, network in zip(self.targets, self.networks, strict=True) if target is not network]
        kinds = {"network": self.networks, "target": copies, "optimizer": self.optimizers}
        return {f"{kind}{i}": thing for kind, things in kinds.items() for i, thing in enumerate(things, 1)}
