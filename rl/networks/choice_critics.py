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
from rl.networks.followed import Followed
from rl.networks.q_steps import choice_step
from rl.networks.targets import target_of


class ChoiceCritics(Followed):
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
        super().__init__(
            list(networks), [Adam(network.flat, lr) for network in networks], [target_of(network) for network in networks]
        )
        self.limit = limit

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
