"""Policies of the off-policy algorithms: observation -> action in (−1, 1), through which gradients flow.

Shapes: B rows, O observation, A action dimensions.
"""

import copy
import math
from collections.abc import Callable, Sequence

import numpy as np

from deepnp import Module, NonFiniteError, Sequential, Tanh
from deepnp.models import mlp
from deepnp.optim import Adam
from rl.networks import squashed
from rl.networks.critics import Critics, Follower
from rl.networks.halves import in_halves
from rl.state import join, part


class SquashedGaussianPolicy(Module):
    """a = tanh(μ(s) + σ(s)ξ), ξ ~ N(0, I).

    Parameters
    ----------
    sizes : sequence of int
        O, hidden widths…, A.
    activation : callable returning a Module
    shared : bool
        One network for μ and ln σ, or one for each.
    rng : numpy.random.Generator
        Source of the initial weights.
    """

    def __init__(self, sizes: Sequence[int], activation: Callable[[], Module], shared: bool, rng: np.random.Generator):
        self.shared, self.actions = shared, sizes[-1]
        if shared:
            self.body = mlp((*sizes[:-1], 2 * self.actions), activation, output_gain=0.01, rng=rng)
        else:
            self.mean = mlp(sizes, activation, output_gain=0.01, rng=rng)
            self.log_sigma = mlp(sizes, activation, output_gain=0.01, rng=rng)
        self._cache = None

    def forward(self, x, noise) -> tuple[np.ndarray, np.ndarray]:
        """x (B, O), noise (B, A) -> actions (B, A), their log-probability (B,)."""
        y = self.body.forward(x) if self.shared else np.concatenate([self.mean.forward(x), self.log_sigma.forward(x)], axis=1)
        drawn, self._cache = squashed.forward(*self._halves(y), noise)
        return drawn

    def backward(self, dy: tuple, params: bool = True, inputs: bool = True):
        """dy = (dactions (B, A), dlog_prob (B,))."""
        dmean, dlog_sigma = squashed.backward(dy, self._cache)
        if self.shared:
            return self.body.backward(np.concatenate([dmean, dlog_sigma], axis=1), params, inputs)
        dx, dx_sigma = self.mean.backward(dmean, params, inputs), self.log_sigma.backward(dlog_sigma, params, inputs)
        return dx + dx_sigma if inputs else None

    def predict(self, x, noise=None) -> tuple[np.ndarray, np.ndarray | None]:
        """Like `forward`, remembering nothing; without noise the most probable action, tanh μ(s), and None."""
        if noise is not None:
            y = self.body.predict(x) if self.shared else np.concatenate([self.mean.predict(x), self.log_sigma.predict(x)], axis=1)
            return squashed.forward(*self._halves(y), noise)[0]
        mean = self.body.predict(x)[:, : self.actions] if self.shared else self.mean.predict(x)
        return np.tanh(mean), None

    def draw(self, x, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Random actions (B, A) for x (B, O), and their log-probability (B,)."""
        return self.predict(x, rng.standard_normal((len(x), self.actions), np.float32))

    def _halves(self, y):
        return np.ascontiguousarray(y[:, : self.actions]), np.ascontiguousarray(y[:, self.actions :])


class DeterministicActor:
    """μ(s) = tanh(…) ∈ (−1, 1), with its target and optimizer.

    Parameters
    ----------
    sizes : sequence of int
        O, hidden widths…, A.
    activation : callable returning a Module
    lr : float
        Of Adam.
    rng : numpy.random.Generator
        Source of the initial weights.
    """

    def __init__(self, sizes: Sequence[int], activation: Callable[[], Module], lr: float, rng: np.random.Generator):
        layers = mlp(sizes, activation, output_gain=0.01, rng=rng).children()
        self.network = Sequential(*(layer for _, layer in layers), Tanh())
        self.optimizer = Adam(self.network.flat, lr)
        self.vector = self.optimizer.vector
        self.target = copy.deepcopy(self.network)
        self.follow = Follower(self.target, self.network)

    def climb(self, critics: Critics, observations: np.ndarray, dvalue: float) -> np.ndarray:
        """Add the gradient of dvalue·Σ Q_1(s, μ(s)) to the network's; it comes through the critic's input. Returns Q_1 (B,)."""
        actions = self.network.forward(observations)
        q, dq_da = critics.climb(observations, actions, dvalue, count=1)
        self.network.backward(dq_da, inputs=False)
        return q

    def shadow(self) -> "DeterministicActor":
        """The same actor for another thread, without the optimizer: see `Module.shadow`."""
        shadow = copy.copy(self)
        shadow.network, shadow.target = self.network.shadow(), self.target.shadow()
        shadow.vector = shadow.network.flat
        return shadow

    def state_dict(self) -> dict[str, np.ndarray]:
        return join({name: thing.state_dict() for name, thing in self._parts().items()})

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        for name, thing in self._parts().items():
            thing.load_state_dict(part(state, name))

    def _parts(self):
        return {"network": self.network, "target": self.target, "optimizer": self.optimizer}


def improve(sides: Sequence[tuple[DeterministicActor, Critics]], observations: np.ndarray, tau: float) -> float:
    """One step of the actor on −(1/B) Σ Q_1(s, μ(s)), half of the rows on each side; then its target follows. Returns the loss."""
    (actor, _), (other, _) = sides
    for side in (actor, other):
        side.vector.zero_grad()
    dvalue = -1 / len(observations)
    (q,) = in_halves(lambda side, s: (side[0].climb(side[1], s, dvalue),), sides, observations)
    loss = -float(q.mean())
    if not math.isfinite(loss):
        raise NonFiniteError(f"the policy loss is {loss}")
    actor.vector.grad += other.vector.grad
    actor.optimizer.step()
    actor.follow(tau)
    return loss
