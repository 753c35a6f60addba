"""Twin critics: two networks Q(s, a) that know nothing of each other.

The smaller of the two is a cautious estimate (Fujimoto et al. 2018). Each reads [s, a] side by side in one array; with two
cores the two learn on a thread each.

Normalisation between a hidden layer and its activation bounds the features, and with them how far the values can run away
("Algorithms for model-free reinforcement learning", §3: layer or group normalisation, 16 groups). With batch normalisation only
the critics' own step sees the batch's statistics; targets and policies see the running ones.

Shapes: B rows, O observation, A action dimensions.
"""

import copy
from collections.abc import Callable, Sequence

import numpy as np

from deepnp import BatchNorm1d, GroupNorm, LayerNorm, NonFiniteError
from deepnp.layers.batch_normalization import BatchNorm
from deepnp.models import mlp
from deepnp.module import Module
from deepnp.optim import Adam, polyak
from deepnp.threads import side_by_side
from rl.networks.halves import WORTHWHILE
from rl.state import join, part

GROUPS = 16
NORMALIZATIONS: dict[str, Callable[[int], Module]] = {
    "layer": LayerNorm,
    "group": lambda features: GroupNorm(GROUPS, features),
    "batch": BatchNorm1d,
}


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
    normalization : {None, "layer", "group", "batch"}
        Between each hidden layer and its activation.
    """

    def __init__(
        self,
        count: int,
        sizes: Sequence[int],
        activation: Callable[[], Module],
        lr: float,
        rng: np.random.Generator,
        bounds: tuple[float, float] | None = None,
        normalization: str | None = None,
    ):
        self.bounds = bounds
        between = NORMALIZATIONS[normalization] if normalization else None
        self.networks = [mlp(sizes, activation, rng=rng, normalization=between) for _ in range(count)]
        self.optimizers = [Adam(q.flat, lr) for q in self.networks]
        self.targets = copy.deepcopy(self.networks)
        self.followers = [Follower(target, q) for target, q in zip(self.targets, self.networks, strict=True)]

    def target(self, observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """The smallest target value min_i Q̄_i(s, a): (B,)."""
        x = np.concatenate([observations, actions], axis=1)
        values = np.minimum.reduce([q.predict(x)[:, 0] for q in self.targets])
        return values if self.bounds is None else np.clip(values, *map(np.float32, self.bounds))

    def descend(self, observations, actions, targets, weights, tau: float = 0.0) -> tuple[float, np.ndarray]:
        """One step of each critic on (1/B) Σ w (Q_i(s, a) − y)²; dQ_i = (2/B) w (Q_i − y). Then its target follows, where τ > 0.

        Returns the mean loss, and the critics' mean absolute error |Q − y| of each row (B,), by which rows may be chosen again.
        """
        x = np.concatenate([observations, actions], axis=1)
        scale = weights * np.float32(2 / len(x))

        def one(q, optimizer, follow):
            error = q.forward(x)[:, 0] - targets
            optimizer.vector.zero_grad()
            q.backward((scale * error)[:, None], inputs=False)
            optimizer.step()
            if tau:
                follow(tau)
            return error

        trios = zip(self.networks, self.optimizers, self.followers, strict=True)
        errors = side_by_side(*(lambda trio=trio: one(*trio) for trio in trios), worthwhile=len(x) >= WORTHWHILE)
        loss = sum(float((weights * error * error).mean()) for error in errors) / len(errors)
        if not np.isfinite(loss):
            raise NonFiniteError(f"the critic loss is {loss}")
        return loss, sum(np.abs(error) for error in errors) / np.float32(len(errors))

    def climb(self, observations, actions, dvalue: float = 1.0, count: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """min_i Q_i(s, a) (B,) over the first `count` critics or all, and its gradient with respect to the actions times `dvalue`.

        The gradient (B, A) flows through the smaller critic of each row, through the first where they are equal; the critics'
        parameters stay out of it.
        """
        x = np.concatenate([observations, actions], axis=1)
        values = [q.forward(x)[:, 0] for q in self.networks[:count]]
        smallest, gradient = np.argmin(values, axis=0), np.float32(0)
        for i, q in enumerate(self.networks[:count]):
            dq = np.where(smallest == i, np.float32(dvalue), np.float32(0))[:, None]
            gradient = gradient + q.backward(dq, params=False)[:, observations.shape[1] :]
        return np.minimum.reduce(values), gradient

    def shadow(self) -> "Critics":
        """The same critics for another thread, to read and to climb: see `Module.shadow`."""
        shadow = copy.copy(self)
        shadow.networks, shadow.targets = ([q.shadow() for q in networks] for networks in (self.networks, self.targets))
        for q in shadow.networks:
            for _, layer in q.children():
                if isinstance(layer, BatchNorm):
                    layer.frozen = True
        return shadow

    def state_dict(self) -> dict[str, np.ndarray]:
        return join({name: thing.state_dict() for name, thing in self._named()})

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        for name, thing in self._named():
            thing.load_state_dict(part(state, name))

    def _named(self):
        for kind, things in (("network", self.networks), ("target", self.targets), ("optimizer", self.optimizers)):
            yield from ((f"{kind}{i}", thing) for i, thing in enumerate(things, 1))


class Follower:
    """Moves a target towards its network: θ̄ ← (1 − τ)θ̄ + τθ, running statistics included."""

    def __init__(self, target: Module, network: Module):
        self._pairs = [(target.flat.data, network.flat.data)]
        for (_, slow), (_, fast) in zip(target.named_buffers(), network.named_buffers(), strict=True):
            if slow.data.dtype.kind == "f":
                self._pairs.append((slow.data, fast.data))

    def __call__(self, tau: float) -> None:
        for slow, fast in self._pairs:
            polyak(slow, fast, tau)
