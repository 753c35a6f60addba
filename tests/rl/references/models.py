"""A learned model of the dynamics, from the papers' formulas: its fit, its imagined steps, and the rows of Dyna, MBA and MVE.

PETS   Chua et al. 2018, Algorithm 1 and appendix A.1 (bounds of the variance)
MBPO   Janner et al. 2019, Algorithm 2: the likelihood, elites, stopping on held-out rows
MVE    Feinberg et al. 2018, equation 4, with the ends of docs/errata.md, E50

Draws are handed in, in their order. Shapes: E members, B rows, O observation, A action dimensions, D = O + 1.
"""

from dataclasses import dataclass, replace

import numpy as np

from tests.rl.references.networks import ACTIVATIONS, Adam, gradient
from tests.rl.references.off_policy import Data


def softplus(x):
    return np.log1p(np.exp(x))


@dataclass
class Model:
    """`p` holds all parameters, (E, …) but for the bounds "low" and "high" (D,); `c` is the Config."""

    c: object
    p: dict
    gaussian: bool

    def __post_init__(self):
        self.adam = Adam(self.p, self.c.model_lr)

    def network(self, p, part, x):
        numbers = sorted({int(name.split(".")[1]) for name in p if name.startswith(part)})
        for i in numbers:
            x = x @ p[f"{part}.{i}.weight"] + p[f"{part}.{i}.bias"]
            x = x if i == numbers[-1] else ACTIVATIONS[self.c.model_activation](x)
        return x

    def outputs(self, p, x):
        """Standardised x (E, B, O + A) -> μ, ln v (E, B, D) and z (E, B)."""
        y, z = self.network(p, "body", x), self.network(p, "ending", x)[..., 0]
        if not self.gaussian:
            return y, None, z
        mean, raw = y[..., : y.shape[-1] // 2], y[..., y.shape[-1] // 2 :]
        low, high = p["low"][..., None, None, :], p["high"][..., None, None, :]
        raw = high - softplus(high - raw)
        return mean, low + softplus(raw - low), z

    def columns(self, s, a):
        return np.concatenate([s, np.eye(self.choices)[a] if a.ndim == 1 else a], axis=1)

    def fit(self, data: Data, draws) -> None:
        """Rows with discounts of 0 terminated."""
        s, a, r, following, ended = (np.asarray(x, float) if x.dtype.kind == "f" else x for x in data)
        self.choices = None if a.ndim == 2 else self.p["body.0.weight"].shape[1] - s.shape[1]
        x, y = self.columns(s, a), np.concatenate([following - s, r[:, None]], axis=1)
        self.inputs, self.targets = (x.mean(0), x.std(0) + 1e-8), (y.mean(0), y.std(0) + 1e-8)
        reached = np.concatenate([following, r[:, None]], axis=1)
        self.low, self.high = 2 * reached.min(0) - reached.max(0), 2 * reached.max(0) - reached.min(0)
        x, y = (x - self.inputs[0]) / self.inputs[1], (y - self.targets[0]) / self.targets[1]
        order, held = next(draws), int(self.c.holdout * len(x))
        kept, rows = order[:held], order[held:]
        own = rows[next(draws)]  # (E, ·)
        best, saved, waited, self.worse = [np.inf] * len(own), [None] * len(own), 0, 0
        for _ in range(self.c.model_epochs):
            shuffled = next(draws)
            assert (np.sort(shuffled) == np.sort(own)).all()
            for start in range(0, shuffled.shape[1], self.c.model_batch_size):
                batch = shuffled[:, start : start + self.c.model_batch_size]
                self.adam.step(gradient(lambda p, b=batch: self.loss(p, x[b], y[b], ended[b]), self.p))
            waited += 1
            for e, loss in enumerate(self.held_out(x[kept], y[kept], ended[kept])):
                if loss < best[e] - 0.01:
                    best[e], waited = loss, 0
                    saved[e] = {name: p[e].copy() for name, p in self.p.items() if name not in ("low", "high")}
                else:
                    self.worse += 1
            if waited > self.c.model_patience:
                break
        for e, parameters in enumerate(saved):
            for name, p in parameters.items():
                self.p[name][e] = p
        count = len(own) if self.c.elites is None else self.c.elites
        self.elites = sorted(range(len(own)), key=lambda e: best[e])[:count]

    def loss(self, p, x, y, ended):
        """Σ_e of the rows' mean of ½ Σ_d [(t − μ)²/v + ln v], or Σ_d (t − μ)², and of the cross-entropy; 0.01 Σ (high − low)."""
        mean, log_v, z = self.outputs(p, x)
        square = (mean - y) ** 2
        numbers = square if log_v is None else 0.5 * (square * np.exp(-log_v) + log_v)
        rows = numbers.sum(-1) - ended * np.log(1 / (1 + np.exp(-z))) - (1 - ended) * np.log(1 / (1 + np.exp(z)))
        price = 0 if log_v is None else 0.01 * (p["high"] - p["low"]).sum(-1)
        return rows.sum(axis=(-1, -2)) / x.shape[-2] + price

    def held_out(self, x, y, ended):
        mean, log_v, z = self.outputs(self.p, np.broadcast_to(x, (len(self.p["body.0.weight"]), *x.shape)))
        square = (mean - y) ** 2
        if log_v is None:
            numbers = 0.5 * np.log(square.mean(axis=1) + 1e-6).sum(axis=1)
        else:
            numbers = 0.5 * (square / np.exp(log_v) + log_v).mean(axis=1).sum(axis=1)
        p = 1 / (1 + np.exp(-z))
        return (numbers - np.log(np.where(ended > 0, p, 1 - p)).mean(axis=1)) / (y.shape[1] + 1)

    def step(self, s, a, members, noise=None):
        """ŝ′, r̂ and the end of each row by its member."""
        x = (self.columns(s, a) - self.inputs[0]) / self.inputs[1]
        outputs = self.outputs(self.p, np.stack([x] * len(self.p["body.0.weight"])))
        mean, log_v, z = (None if y is None else y[members, range(len(x))] for y in outputs)
        change = mean if noise is None or log_v is None else mean + np.exp(log_v / 2) * noise
        change = change * self.targets[1] + self.targets[0]
        change[:, :-1] += s
        change = np.clip(change, self.low, self.high)
        return change[:, :-1], change[:, -1], z > 0

    def imagined(self, data: Data, draws) -> Data:
        """The rows' observations and actions, and what an elite drawn for each makes of them."""
        members = np.array(self.elites)[next(draws)]
        following, rewards, ended = self.step(data.observations, data.actions, members, next(draws) if self.gaussian else None)
        discounts = np.where(ended, 0.0, self.c.gamma)
        return replace(data, rewards=rewards, next_observations=following, discounts=discounts, weights=np.ones(len(rewards)))

    def expanded(self, data: Data, act) -> Data:
        """Targets that look H imagined steps further, by the elites' mean and majority."""
        s, rewards, discounts = data.next_observations, data.rewards, data.discounts
        for _ in range(self.c.expansion):
            a = act(s)
            steps = [self.step(s, a, np.full(len(s), e)) for e in self.elites]
            s, r = (sum(step[i] for step in steps) / len(steps) for i in (0, 1))
            rewards = rewards + discounts * r
            alive = 2 * sum(step[2].astype(int) for step in steps) <= len(steps)
            discounts = discounts * self.c.gamma * alive
        return replace(data, next_observations=s, rewards=rewards, discounts=discounts)


def joined(first: Data, second: Data) -> Data:
    """The rows of both."""
    return Data(*(np.concatenate([getattr(first, name), getattr(second, name)]) for name in Data.__dataclass_fields__))
