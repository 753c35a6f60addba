"""Critics: networks Q(s, a), or V(s), with targets that follow them.

The smaller of two critics that know nothing of each other is a cautious estimate (Fujimoto et al.
2018). Each reads [s, a] side by side in one array; the two learn at the same time.

Normalisation between a hidden layer and its activation bounds the features, and with them how far
the values can run away ("Algorithms for model-free reinforcement learning", §3: layer or group
normalisation, 16 groups). With batch normalisation only the critics' own step sees the batch's
statistics; targets and policies see the running ones. With spectral normalisation only that step
moves the singular vectors.

Shapes: B rows, O observation, A action dimensions.
"""

import copy
import math
from collections.abc import Callable, Sequence

import numpy as np

from deepnp import NonFiniteError, SpectralNorm
from deepnp.backend import device_of, to_device
from deepnp.layers.batch_normalization import BatchNorm
from deepnp.module import Module
from deepnp.optim import SGD, Adam, Optimizer
from rl.experience import trees
from rl.experience.trees import Observations
from rl.losses.checks import check_finite, check_gradient
from rl.networks.chains import action_gradient, add_td_gradient, beside, smallest
from rl.networks.followed import Followed
from rl.networks.parallel import independently
from rl.networks.targets import target_of
from rl.solvers.least_squares import cosine

OPTIMIZERS = {"adam": Adam, "sgd": SGD}


def fit_each(step: Callable, networks: Sequence[Module], optimizers: Sequence[Optimizer], rows: np.ndarray) -> tuple[tuple, tuple]:
    """Losses and errors of step(network, optimizer) for every network, side by side.

    A step returns its loss, its errors, and a NonFiniteError or None; the first of these is raised when all have stepped.
    """
    pairs = zip(networks, optimizers, strict=True)
    results = independently(*(lambda pair=pair: step(*pair) for pair in pairs), rows=rows)
    losses, errors, failures = zip(*results, strict=True)
    for failure in filter(None, failures):
        raise failure
    return losses, errors


class Values(Followed):
    """Several networks x -> (B, 1) that estimate the same value, with their targets and optimizers.

    Parameters
    ----------
    networks : sequence of Module
        Two for twins, one alone for DDPG or for V(s).
    lr : float
        Of the optimizer.
    bounds : (float, float), optional
        What values can be; the targets are held there.
    optimizer : {"adam", "sgd"}
    targets : bool
        Whether targets are copies that follow; otherwise the networks are their own targets.
    asymmetry, limit : float
        α and κ of the loss, see `rl.losses.td.td_loss`.

    Attributes
    ----------
    watched : bool
        Whether `fit` measures its alignment.
    alignment : float or None
        cos(V′ − V, y − V) of the last step that was watched: the mean over the networks.
    """

    def __init__(
        self,
        networks: Sequence[Module],
        lr: float,
        bounds: tuple[float, float] | None = None,
        *,
        optimizer: str = "adam",
        targets: bool = True,
        asymmetry: float = 0.5,
        limit: float = math.inf,
    ):
        optimizers = [OPTIMIZERS[optimizer](network.flat, lr) for network in networks]
        super().__init__(list(networks), optimizers, [target_of(network, targets) for network in networks])
        self.bounds, self._form = bounds, (float(asymmetry), float(limit))
        self._device = device_of(self.networks[0].flat.data)
        self.watched = False
        self.alignment: float | None = None

    def target(self, *inputs: Observations) -> np.ndarray:
        """The smallest target value min_i V̄_i(x) of x = (observations,), or (observations, actions): (B,)."""
        values = smallest(self.targets, inputs)
        return values if self.bounds is None else values.clip(*map(values.dtype.type, self.bounds))

    def fit(self, *inputs: Observations, targets: np.ndarray, weights: np.ndarray) -> tuple[float, np.ndarray]:
        """One step of each network on its TD loss, (1/B) Σ w (V_i(x) − y)² by default; inputs as in `target`.

        Returns the mean loss, and the networks' mean absolute error |V − y| of each row (B,), by
        which rows may be chosen again. Both are NumPy's, wherever the networks are.

        Raises
        ------
        NonFiniteError
            If a loss or a gradient is NaN or infinite: that network stays as it is.
        """

        def step(network, optimizer):
            optimizer.vector.zero_grad()
            loss, errors = add_td_gradient((network,), inputs, y, w, *self._form)
            try:
                check_finite("critic loss", loss)
                check_gradient("critic's gradient", optimizer.vector)
            except NonFiniteError as error:
                return loss, errors, error  # the other critic takes its step, whichever comes first
            optimizer.step()
            return loss, errors, None

        inputs = tuple(trees.on(x, self._device) for x in inputs)
        y, w = to_device(targets, self._device), to_device(weights, self._device)
        before = self._values(inputs) if self.watched else []
        losses, errors = fit_each(step, self.networks, self.optimizers, y)
        if before:
            moves = zip(self._values(inputs), before, strict=True)
            self.alignment = float(np.mean([cosine(new - old, targets - old) for new, old in moves]))
        return sum(losses) / len(losses), to_device(sum(map(abs, errors)) / errors[0].dtype.type(len(errors)), "cpu")

    def _values(self, inputs):
        x = beside(inputs)
        return [to_device(network.predict(x)[:, 0], "cpu").astype(np.float64) for network in self.networks]


class Critics(Values):
    """Several critics Q_1, Q_2, … that read (s, a); see `Values`."""

    def action_gradient(
        self, observations: Observations, actions: np.ndarray, dvalue: float = 1.0, count: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """min_i Q_i(s, a) (B,) over the first `count` critics or all, and its gradient with respect to the actions times `dvalue`.

        The gradient is (B, A); see `chains.action_gradient`.
        """
        return action_gradient(self.networks[:count], (observations, actions), dvalue)

    def twin(self) -> "Critics":
        """The same critics for another thread, to read and to take action gradients from: see `Module.twin`."""
        twin = copy.copy(self)
        twin.networks = [q.twin() for q in self.networks]
        twin.targets = twin.networks if self.targets[0] is self.networks[0] else [q.twin() for q in self.targets]
        for module in (m for q in twin.networks for m in q.modules()):
            if isinstance(module, BatchNorm | SpectralNorm):
                module.frozen = True
        return twin
