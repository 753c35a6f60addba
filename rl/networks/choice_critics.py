"""Several networks of Q(s, ·) that know nothing of each other, with targets that follow; the smallest value counts.

Shapes: B rows, C choices.
"""

import math
from collections.abc import Sequence

import numpy as np

from deepnp import Module, NonFiniteError
from deepnp.optim import Adam
from rl.experience.trees import Observations
from rl.networks.critics import fit_each
from rl.networks.q_steps import choice_step
from rl.networks.targets import target_of
from rl.state import restore, state_of


class ChoiceCritics:
    """Critics of choices.

    Parameters
    ----------
    networks : sequence of Module
        Observations (B, …) -> (B, C).
    lr : float
        Of Adam.
    limit : float
        κ of the loss, see `rl.losses.choices.choice_loss`.
    """

    def __init__(self, networks: Sequence[Module], lr: float, limit: float = math.inf):
        self.networks, self.limit = list(networks), limit
        self.optimizers = [Adam(network.flat, lr) for network in self.networks]
        self.targets, self._updaters = map(list, zip(*map(target_of, self.networks), strict=True))

    def smallest(self, observations: Observations) -> np.ndarray:
        """min_i Q_i(s, ·): (B, C)."""
        return np.minimum.reduce([network.predict(observations) for network in self.networks])

    def target(self, observations: Observations) -> np.ndarray:
        """min_i Q̄_i(s, ·): (B, C)."""
        return np.minimum.reduce([network.predict(observations) for network in self.targets])

    def fit(
        self, observations: Observations, choices: np.ndarray, targets: np.ndarray, weights: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """One step of each network towards the targets (B,) for the choices (B,) that were made.

        Returns the mean loss, and the networks' mean error |Q_i(s, a) − y| of each row (B,).

        Raises
        ------
        NonFiniteError
            If a loss or a gradient is NaN or infinite: that network stays as it is.
        """

        def fit(network, optimizer):
            try:
                return *choice_step(network, optimizer, observations, choices, targets, weights, self.limit), None
            except NonFiniteError as error:
                return math.nan, targets, error  # the other critic takes its step, whichever comes first

        losses, errors = fit_each(fit, self.networks, self.optimizers, targets)
        return sum(losses) / len(losses), sum(np.abs(e) for e in errors) / targets.dtype.type(len(errors))

    def set_lr(self, lr: float) -> None:
        """Let the optimizers take this learning rate from now on."""
        for optimizer in self.optimizers:
            optimizer.lr = lr

    def follow(self, tau: float) -> None:
        """Q̄_i ← (1 − τ)Q̄_i + τQ_i."""
        for update in self._updaters:
            update(tau)

    def state_dict(self) -> dict[str, np.ndarray]:
        return state_of(self._parts())

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        restore(self._parts(), state)

    def _parts(self):
        kinds = {"network": self.networks, "target": self.targets, "optimizer": self.optimizers}
        return {f"{kind}{i}": thing for kind, things in kinds.items() for i, thing in enumerate(things, 1)}
