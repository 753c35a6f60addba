"""One update of PPO whose networks remember (GRU, LSTM), step by step; see ppo.py.

Pieces of L steps begin with the state that the networks had there before the update, or with the one b steps earlier, from where
they are read again without learning.

Shapes: T steps, N environments, S sequences, H state; a leading axis P where gradients are taken.
"""

import numpy as np

from tests.rl.references.networks import ACTIVATIONS, mlp
from tests.rl.references.off_policy import part
from tests.rl.references.ppo import PPO, Settings, Trajectories, distribution_of


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru(p: dict, x, state):
    (h,) = state
    (ar, au, an), (mr, mu, mn) = (np.split(y, 3, axis=-1) for y in products(p, x, h))
    r, u = sigmoid(ar + mr), sigmoid(au + mu)
    return ((1 - u) * np.tanh(an + r * mn) + u * h,)


def lstm(p: dict, x, state):
    h, c = state
    i, f, g, o = np.split(sum(products(p, x, h)), 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def products(p: dict, x, h):
    """What the input and the state give, with their biases."""
    pairs = ((x, "weight_ih_l0", "bias_ih_l0"), (h, "weight_hh_l0", "bias_hh_l0"))
    return [y @ np.swapaxes(p[weight], -1, -2) + p[bias][..., None, :] for y, weight, bias in pairs]


CELLS = {"gru": (gru, 1), "lstm": (lstm, 2)}


class Part:
    """Some pieces, by their numbers c·N + n, and their rows."""

    def __init__(self, numbers, rows):
        self.numbers, self.rows = numbers, rows

    def __len__(self):
        return len(self.rows)


class Rows:
    """In the place of all observations: the part that some rows are."""

    def __init__(self, known: dict):
        self.known = known

    def __getitem__(self, rows):
        return self.known[tuple(rows)]


class RememberingPPO(PPO):
    """As PPO; a network's arrays are "memory.encoder.0.…", "memory.layer.…" and "head.…"."""

    def __init__(self, settings: Settings, policy: dict, value: dict, kind: str, size: int, length: int, burn_in: int, copies: int):
        super().__init__(settings, policy, value)
        (self.cell, count), self.length, self.burn_in = CELLS[kind], length, burn_in
        self.carried = {name: (np.zeros((copies, size)),) * count for name in ("policy", "value")}
        self.starts = np.ones(copies, bool)

    def update(self, data: Trajectories, progress: float, policy_orders, value_orders) -> dict:
        """The orders are of those pieces in which something happened."""
        c, ended = self.settings, data.terminated | data.truncated
        self.data, self.resets = data, np.concatenate([self.starts[None], ended[:-1]])
        self.starts = ended[-1]
        networks = {"policy": self.policy, "value": self.value}
        self.states = {k: self.read(p, data.observations, self.resets, self.carried[k])[1] for k, p in networks.items()}
        values, advantages = self.advantages(data)
        a, advantages, values, targets = (x[data.valid] for x in (data.actions, advantages, values, advantages + values))
        self.known: dict = {}
        rows, left = Rows(self.known), 1 - progress
        self.policy_adam.lr = self.value_adam.lr = c.lr * left if c.anneal_lr else c.lr
        metrics = self.fit_policy(rows, a, advantages, values, targets, left, policy_orders)
        for _, order in zip(range(c.epochs), value_orders, strict=False):
            for own in self.minibatches(order):
                self.fit_value(rows[own], values[own], targets[own])
        self.carried = {name: states[-1] for name, states in self.states.items()}
        return metrics

    def read(self, p: dict, observations, resets, state):
        """What is remembered at each step, as the head reads it; and the states before every step, and after the last."""
        features, states, encoder, layer = [], [state], part(p, "memory.encoder.0"), part(p, "memory.layer")
        activation = self.settings.activation
        for x, begins in zip(observations, resets, strict=True):
            state = tuple(np.where(begins[:, None], 0, s) for s in state)
            state = self.cell(layer, ACTIVATIONS[activation](mlp(encoder, x, activation)), state)
            features.append(state[0])
            states.append(state)
        return features, states

    def rows_of(self, name: str, p: dict, s):
        """Features of the rows of a part, or of all: (…, B, H), step by step."""
        data = self.data
        if isinstance(s, Rows):
            features, _ = self.read(p, data.observations, self.resets, self.carried[name])
            return np.concatenate([f[..., on, :] for f, on in zip(features, data.valid, strict=True)], axis=-2)
        columns, own = [], self.policy if name == "policy" else self.value
        for number in s.numbers:
            first, n = self.length * (number // len(self.starts)), [number % len(self.starts)]
            early = max(0, first - self.burn_in)
            state = tuple(part[n] for part in self.states[name][early])
            _, before = self.read(own, data.observations[early:first, n], self.resets[early:first, n], state)
            stop = first + self.length
            columns.append(self.read(p, data.observations[first:stop, n], self.resets[first:stop, n], before[-1])[0])
        steps = [(t, i) for t in range(self.length) for i, column in enumerate(columns) if self.has(s.numbers[i], t)]
        return np.concatenate([columns[i][t] for t, i in steps], axis=-2)

    def has(self, number: int, t: int) -> bool:
        """Whether step t of a piece happened."""
        step, n = self.length * (number // len(self.starts)) + t, number % len(self.starts)
        return step < len(self.data.valid) and bool(self.data.valid[step, n])

    def distribution(self, policy: dict, s):
        return distribution_of(self.settings, part(policy, "head"), self.rows_of("policy", policy, s))

    def state_value(self, s, value=None):
        p = value or self.value
        return mlp(part(p, "head"), self.rows_of("value", p, s), self.settings.activation)[..., 0]

    def values(self, data: Trajectories):
        head, activation = part(self.value, "head"), self.settings.activation

        def after(t, n, observation):
            state = tuple(x[[n]] for x in self.states["value"][t + 1])
            features, _ = self.read(self.value, observation[None, None], np.zeros((1, 1), bool), state)
            return mlp(head, features[0], activation)[0, 0]

        features, _ = self.read(self.value, data.observations, self.resets, self.carried["value"])
        values = np.array([mlp(head, f, activation)[:, 0] for f in features])
        following = np.concatenate([values[1:], np.zeros((1, values.shape[1]))])
        for n, observation in enumerate(data.last):
            following[-1, n] = after(len(values) - 1, n, observation)
        for (t, n), observation in data.final.items():
            following[t, n] = after(t, n, observation)
        return values, following

    def minibatches(self, order):
        """The pieces in parts of about `batch_size` rows; known from here on."""
        count = min(max(1, round(self.data.valid.sum() / self.settings.batch_size)), len(order))
        row, found = np.cumsum(self.data.valid).reshape(self.data.valid.shape) - 1, []
        for numbers in (order[k * len(order) // count : (k + 1) * len(order) // count] for k in range(count)):
            steps = [(t, i) for t in range(self.length) for i in numbers if self.has(i, t)]
            rows = np.array([row[self.length * (i // len(self.starts)) + t, i % len(self.starts)] for t, i in steps])
            self.known[tuple(rows)] = Part(numbers, rows)
            found.append(rows)
        return found
