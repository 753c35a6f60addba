"""One update of SAC and TD3 whose networks remember (GRU, LSTM), step by step; see off_policy.py.

A sequence is L steps of what one copy lived, from step i on. The b steps before it are read first, by the network as it is:
no gradient goes through them. A network's arrays are "memory.encoder.0.…", "memory.layer.…" and "head.…".

Shapes: B rows, step by step over all sequences; a leading axis P where gradients are taken.
"""

from functools import reduce

import numpy as np

from tests.rl.references.distributions import squashed
from tests.rl.references.memory import CELLS
from tests.rl.references.networks import ACTIVATIONS, gradient, mlp, smaller
from tests.rl.references.off_policy import SAC, TD3, Critic, Data, asymmetric, part


class Lived:
    """Sequences in the place of observations: of s, or of s′.

    Parameters
    ----------
    starts : list of (steps, i)
        What a copy lived, with `s`, `a`, `s_next`, `ended` of each step, and the number of the first one.
    kind : {"gru", "lstm"}
    size, length, burn_in : int
        H, L and b.
    activation : str
    following : bool
        Of s′.
    """

    def __init__(self, starts, kind: str, size: int, length: int, burn_in: int, activation: str, following: bool = False):
        (self.cell, self.count), self.size, self.activation = CELLS[kind], size, activation
        self.starts, self.length, self.burn_in, self.following = starts, length, burn_in, following

    def __len__(self):
        return len(self.order)

    @property
    def order(self) -> list[tuple[int, int]]:
        """(sequence, step of it) of each row."""
        return [(k, t) for t in range(self.length) for k, (steps, i) in enumerate(self.starts) if i + t < len(steps)]

    def features(self, p: dict, own: dict | None = None):
        """What the head reads of a network p, (…, B, H); `own` are its arrays as they are, where p is moved along directions."""
        found = {}
        for k, (steps, i) in enumerate(self.starts):
            state = (np.zeros((1, self.size)),) * self.count
            for j in range(max(0, i - self.burn_in), min(i + self.length, len(steps))):
                network, begins = (own or p) if j < i else p, j == 0 or steps[j - 1].ended
                if begins:
                    state = (np.zeros((1, self.size)),) * self.count
                state = self.read(network, steps[j].s, np.zeros(2) if begins else steps[j - 1].a, state)
                after = self.read(network, steps[j].s_next, steps[j].a, state) if self.following else state
                found[k, j - i] = after[0]
        return np.concatenate([found[place] for place in self.order], axis=-2)

    def read(self, p: dict, observation, action, state):
        x = np.concatenate([observation, action]).astype(np.float64)[None]
        encoded = ACTIVATIONS[self.activation](mlp(part(p, "memory.encoder.0"), x, self.activation))
        return self.cell(part(p, "memory.layer"), encoded, state)


class RememberingCritic(Critic):
    """Q of sequences and actions."""

    def q(self, network, s: Lived, a, own=None):
        features = s.features(network, own)
        lead = np.broadcast_shapes(features.shape[:-2], a.shape[:-2])
        x = np.concatenate([np.broadcast_to(y, (*lead, *y.shape[-2:])) for y in (features, a)], axis=-1)
        return mlp(part(network, "head"), x, self.settings.activation)[..., 0]

    def fit_sequences(self, s: Lived, a, y):
        """One step on the mean of (Q − y)²; returns |Q − y| before it."""
        before, c = self.q(self.network, s, a), self.settings

        def loss(network):
            return asymmetric(self.q(network, s, a, self.network) - y, c.asymmetry, c.limit).sum(axis=-1) / len(y)

        self.adam.step(gradient(loss, self.network))
        return np.abs(before - y)


class Remembering:
    """What takes the place of `OffPolicy`'s reading."""

    def smallest_target(self, s: Lived, a):
        return reduce(np.minimum, [critic.q(critic.target, s, a) for critic in self.critics])

    def smallest(self, s: Lived, a):
        return reduce(smaller, [critic.q(critic.network, s, a) for critic in self.critics])

    def fit_critics(self, data: Data, y):
        errors = [critic.fit_sequences(data.observations, data.actions, y) for critic in self.critics]
        return sum(errors) / len(errors)


class RememberingSAC(Remembering, SAC):
    def draw(self, policy, s: Lived, noise):
        y = mlp(part(policy, "head.body"), s.features(policy, self.policy), self.settings.activation)
        return squashed(y[..., : noise.shape[-1]], y[..., noise.shape[-1] :], noise)


class RememberingTD3(Remembering, TD3):
    def act(self, policy, s: Lived):
        own = self.target_policy if policy is self.target_policy else self.policy
        return np.tanh(mlp(part(policy, "head"), s.features(policy, own), self.settings.activation))

    def fit_policy(self, s: Lived):
        """One step on −(1/B) Σ Q_1(s, μ(s))."""
        first = self.critics[0]
        loss = lambda policy: -first.q(first.network, s, self.act(policy, s)).sum(axis=-1) / len(s)  # noqa: E731
        self.policy_adam.step(gradient(loss, self.policy))


def of(reference, critics: list[Critic]):
    """The critics of a reference, remembering."""
    reference.critics = [RememberingCritic(**{f: getattr(c, f) for f in ("network", "target", "settings")}) for c in critics]
    return reference


def data_of(starts, gamma: float, **settings) -> Data:
    """Sequences as a batch."""
    s = Lived(starts, **settings)
    steps = [starts[k][0][starts[k][1] + t] for k, t in s.order]
    actions, rewards = (np.array([getattr(step, name) for step in steps], np.float64) for name in ("a", "r"))
    discounts = np.where([step.terminated for step in steps], 0.0, np.float64(np.float32(gamma)))
    following = Lived(starts, **settings, following=True)
    return Data(s, actions, rewards, following, discounts, np.ones(len(steps)))
