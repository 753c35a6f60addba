"""Twin critics: two networks Q(s, a) that know nothing of each other.

The smaller of the two is a cautious estimate (Fujimoto et al. 2018). Each reads [s, a] side by side in one array; with two
cores the two run on a thread each.

Shapes: B rows, O observation, A action dimensions.
"""

import copy
from collections.abc import Callable, Sequence

import numpy as np

from deepnp import NonFiniteError
from deepnp.backend import side_by_side
from deepnp.models import mlp
from deepnp.module import Module
from deepnp.optim import Adam, polyak
from rl.parts.state import join, part


class Critics:
    """Several critics Q_1, Q_2, … with their targets and optimizers.

    Parameters
    ----------
    count : int
        2 for twins, 1 for DDPG.
    sizes : sequence of int
        O + A, hidden widths…, 1.
    activation : callable returning a Module
    lr : float
        Of Adam.
    rng : numpy.random.Generator
        Source of the initial weights.
    bounds : (float, float), optional
        What values can be; the targets are held there.
    """

    def __init__(
        self,
        count: int,
        sizes: Sequence[int],
        activation: Callable[[], Module],
        lr: float,
        rng: np.random.Generator,
        bounds: tuple[float, float] | None = None,
    ):
        self.bounds = bounds
        self.networks = [mlp(sizes, activation, rng=rng) for _ in range(count)]
        self.optimizers = [Adam(q.flat, lr) for q in self.networks]
        self.targets = copy.deepcopy(self.networks)
        for target in self.targets:
            target.flat  # noqa: B018  (laid out as one vector now, not in the first update)

    @property
    def first(self) -> Module:
        """Q_1, the critic that deterministic policies climb."""
        return self.networks[0]

    def target(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """The smallest target value min_i Q̄_i(s, a): (B,)."""
        x = np.concatenate([observations, actions], axis=1)
        values = np.minimum.reduce(side_by_side(*(lambda q=q: q.predict(x)[:, 0] for q in self.targets)))
        return values if self.bounds is None else np.clip(values, *map(np.float32, self.bounds))

    def descend(self, observations, actions, targets, weights) -> tuple[float, np.ndarray]:
        """One step of each critic on (1/B) Σ w (Q_i(s, a) − y)²; dQ_i = (2/B) w (Q_i − y).

        Returns the mean loss, and the critics' mean absolute error |Q − y| of each row (B,), by which rows may be chosen again.
        """
        x = np.concatenate([observations, actions], axis=1)
        scale = weights * np.float32(2 / len(x))

        def one(q, optimizer):
            error = q.forward(x)[:, 0] - targets
            optimizer.vector.zero_grad()
            q.backward((scale * error)[:, None], inputs=False)
            optimizer.step()
            return error

        errors = side_by_side(*(lambda q=q, o=o: one(q, o) for q, o in zip(self.networks, self.optimizers, strict=True)))
        loss = sum(float((weights * error * error).mean()) for error in errors) / len(errors)
        if not np.isfinite(loss):
            raise NonFiniteError(f"the critic loss is {loss}")
        return loss, sum(np.abs(error) for error in errors) / np.float32(len(errors))

    def climb(self, observations, actions, dvalue: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """min_i Q_i(s, a) (B,), and its gradient with respect to the actions times `dvalue` (B, A).

        The gradient flows through the smaller critic of each row, through the first where they are equal; the critics'
        parameters stay out of it.
        """
        x = np.concatenate([observations, actions], axis=1)
        values = side_by_side(*(lambda q=q: q.forward(x)[:, 0] for q in self.networks))
        smallest = np.argmin(values, axis=0)

        def one(i):
            dq = np.where(smallest == i, np.float32(dvalue), np.float32(0))[:, None]
            return self.networks[i].backward(dq, params=False)[:, observations.shape[1] :]

        gradients = side_by_side(*(lambda i=i: one(i) for i in range(len(values))))
        return np.minimum.reduce(values), sum(gradients)

    def follow(self, tau: float) -> None:
        """Move the targets towards the networks: Q̄ ← (1 − τ)Q̄ + τQ."""
        for target, q in zip(self.targets, self.networks, strict=True):
            polyak(target.flat.data, q.flat.data, tau)

    def state_dict(self) -> dict[str, np.ndarray]:
        return join({name: thing.state_dict() for name, thing in self._named()})

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        for name, thing in self._named():
            thing.load_state_dict(part(state, name))

    def _named(self):
        for kind, things in (("network", self.networks), ("target", self.targets), ("optimizer", self.optimizers)):
            yield from ((f"{kind}{i}", thing) for i, thing in enumerate(things, 1))
