"""A memory that looks back at the last k observations of the episode, itself among them.

    e_t = encoder(o_t)
    a_t = attention of norm(e_t) over norm(e_{t−k+1}), …, norm(e_t)        those of this episode
    z_t = e_t + a_t
    m_t = z_t + W₂ relu(W₁ norm₂(z_t))                                     a Transformer's block (Vaswani et al. 2017), pre-norm

The state is the window: the last k − 1 encodings, and how many of them belong to the episode. Queries and keys are turned by
their positions (rotary), so a weight depends on how many steps lie between the two, and not on where in the episode they are.

A sequence of T steps is read in blocks of k: the queries of one block look at the keys of this block and of the k − 1 steps
before it, so that time and memory grow with T·k. The encodings of the stored window are constants: no gradient flows into them.

Shapes: T steps, S sequences, N environments, B rows, E width, C = ⌈T/k⌉ blocks, w = k − 1, M ends.
"""

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np

from deepnp import LayerNorm, Linear, Module, MultiheadAttention, ReLU, Sequential
from deepnp.parameters import Tangents
from rl.experience.sequences import Sequences, State
from rl.experience.trees import Observations
from rl.networks.memory import initial_state

HEADS = 4


class Timeline(NamedTuple):
    """The window, and the steps after it, padded to whole blocks.

    Attributes
    ----------
    encoded : array (w + C·k, S, E)
    episodes : int array (w + C·k, S)
        Which episode of the sequence each belongs to: 0 that of the window; −1 for what belongs to none.
    """

    encoded: np.ndarray
    episodes: np.ndarray


class AttentionMemory(Module):
    """A Transformer's block over a window of past observations; see `rl.networks.memory.Memory`.

    Parameters
    ----------
    name : str
        Which of a `Sequences`' states are its own.
    encoder : Module
        Observations (B, …) -> (B, E).
    size, span : int
        E, a multiple of 8, and k ≥ 2.
    rng : numpy.random.Generator
        Source of the initial weights.
    """

    def __init__(self, name: str, encoder: Module, size: int, span: int, rng: np.random.Generator):
        self.name, self.size, self.span, self.encoder = name, size, span, encoder
        self.norm1, self.attention = LayerNorm(size), MultiheadAttention(size, HEADS, rotary=True, rng=rng)
        self.feed = Sequential(LayerNorm(size), Linear(size, 2 * size, rng=rng), ReLU(), Linear(2 * size, size, rng=rng))

    def zeros(self, copies: int) -> State:
        """The window (N, w, E) and the ages (N,) of environments that remember nothing."""
        window = np.zeros((copies, self.span - 1, self.size))
        return window.astype(self.attention.out_proj.weight.data.dtype), np.zeros(copies, np.int64)

    def forward(self, x: Sequences) -> np.ndarray:
        """m_t of the steps that happened: (B, E)."""
        line, self._cache = self._timeline(x, self.encoder.forward(x.flat)), x
        normed = self.norm1.forward(line.encoded.reshape(-1, self.size)).reshape(line.encoded.shape)
        queries, keys, hidden = self._blocks(line, normed)
        y = self._steps(self.attention.forward(queries, keys, attn_mask=hidden), x) + self._own(line.encoded, x)
        return x.rows(y + self.feed.forward(y.reshape(-1, self.size)).reshape(y.shape))

    def backward(self, dy, params: bool = True, inputs: bool = False) -> None:
        """dy (B, E)."""
        x, (steps, copies) = self.cache, self.cache.valid.shape
        d = x.column(dy).reshape(-1, self.size)
        d = (d + self.feed.backward(d, params)).reshape(steps, copies, self.size)
        dqueries, dkeys = cast(tuple[np.ndarray, ...], self.attention.backward(self._in_blocks(d), params))
        dnormed = self._add_up(dqueries, dkeys, copies)
        dencoded = self.norm1.backward(dnormed.reshape(-1, self.size), params).reshape(dnormed.shape)
        self.encoder.backward((d + self._own(dencoded, x)).reshape(-1, self.size), params, inputs=False)

    def predict(self, x: Sequences) -> np.ndarray:
        """As `forward`, with the rows of `x.ends` behind them: (B + M, E)."""
        line = self._timeline(x, self.encoder.predict(x.flat))
        queries, keys, hidden = self._blocks(
            line, self.norm1.predict(line.encoded.reshape(-1, self.size)).reshape(line.encoded.shape)
        )
        y = x.rows(self._steps(self.attention.predict(queries, keys, attn_mask=hidden), x) + self._own(line.encoded, x))
        y = y + self.feed.predict(y)
        if x.ends is None:
            return y
        after = self._state(line, x.ends.steps + 1, x.ends.sequences)
        return np.concatenate([y, self.step(x.ends.observations, after)[0]])

    def states(self, x: Sequences, steps: Sequence[int]) -> list[State]:
        """The windows before some steps."""
        line, every = self._timeline(x, self.encoder.predict(x.flat)), np.arange(x.valid.shape[1])
        return [self._state(line, np.full(len(every), t), every) for t in steps]

    def step(self, observations: Observations, state: State) -> tuple[np.ndarray, State]:
        """m_t (N, E) of observations (N, …), and the window after them."""
        (window, age), encoded = state, self.encoder.predict(observations)
        window = np.concatenate([window, encoded[:, None]], axis=1)
        normed = self.norm1.predict(window.reshape(-1, self.size)).reshape(window.shape)
        hidden = np.arange(self.span - 1, -1, -1) > age[:, None]  # steps back
        y = encoded + self.attention.predict(normed[:, -1:], normed, attn_mask=hidden[:, None, None])[:, 0]
        return y + self.feed.predict(y), (window[:, 1:], np.minimum(age + 1, self.span - 1))

    def _timeline(self, x, encoded) -> Timeline:
        (window, age), (steps, copies) = initial_state(x, self), x.valid.shape
        pad = -steps % self.span
        known = np.arange(self.span - 1, 0, -1)[:, None] <= age  # (w, S): steps back from the first one
        past, last = np.where(known, 0, -1), np.cumsum(x.resets, axis=0)
        encoded = encoded.reshape(steps, copies, self.size)
        parts = window.swapaxes(0, 1), encoded, np.zeros((pad, copies, self.size), encoded.dtype)
        return Timeline(np.concatenate(parts), np.concatenate([past, last, np.full((pad, copies), -1)]))

    def _state(self, line, steps, sequences) -> State:
        """The windows before step `steps[i]` of sequence `sequences[i]`."""
        rows = steps[:, None] + np.arange(self.span - 1)
        episodes = line.episodes[rows, sequences[:, None]]
        age = ((episodes == episodes[:, -1:]) & (episodes >= 0)).sum(axis=1)
        return line.encoded[rows, sequences[:, None]], age

    def _blocks(self, line, normed):
        """Queries (C·S, k, E), their keys (C·S, w + k, E), and which of these are hidden from which query."""
        k, w = self.span, self.span - 1
        keys, episodes = self._windows(normed), self._windows(line.episodes)
        back = np.arange(k)[:, None] + w - np.arange(w + k)  # steps between a query and a key
        seen = (episodes[:, w:, None] == episodes[:, None]) & (back >= 0) & (back < k)
        return keys[:, w:], keys, ~seen[:, None]

    def _windows(self, column):
        """What each block looks at: of a column (w + C·k, S, …) the steps of a block and the w before it, (C·S, w + k, …)."""
        rows = np.arange(0, len(column) - self.span + 1, self.span)[:, None] + np.arange(2 * self.span - 1)
        windows = column[rows].swapaxes(1, 2)
        return windows.reshape(-1, *windows.shape[2:])

    def _steps(self, y, x):
        """What the blocks give (C·S, k, E), step by step: (T, S, E)."""
        steps, copies = x.valid.shape
        y = y.reshape(-1, copies, self.span, self.size).swapaxes(1, 2)
        return y.reshape(-1, copies, self.size)[:steps]

    def _in_blocks(self, d):
        """The transpose of `_steps`."""
        steps, copies = d.shape[:2]
        d = np.concatenate([d, np.zeros((-steps % self.span, copies, self.size), d.dtype)])
        return d.reshape(-1, self.span, copies, self.size).swapaxes(1, 2).reshape(-1, self.span, self.size)

    def _add_up(self, dqueries, dkeys, copies):
        """The gradient of what queries and keys were taken from: (w + C·k, S, E). A step is a key of two blocks."""
        k, w = self.span, self.span - 1
        dkeys[:, w:] += dqueries
        dkeys = dkeys.reshape(-1, copies, w + k, self.size).swapaxes(1, 2)
        d = np.zeros((w + len(dkeys) * k, copies, self.size), dkeys.dtype)
        for block, own in enumerate(dkeys):
            d[block * k : block * k + w + k] += own
        return d

    def _own(self, column, x):
        """The steps of x in a column (w + C·k, S, …)."""
        return column[self.span - 1 :][: len(x.valid)]

    def _tangent(self, v: Tangents, vx):
        x = self.cache
        vencoded = self.encoder.tangent(v, None).reshape(*x.valid.shape, self.size)
        pad, copies = -len(vencoded) % self.span, vencoded.shape[1]
        room = [np.zeros((n, copies, self.size), vencoded.dtype) for n in (self.span - 1, pad)]
        vline = np.concatenate([room[0], vencoded, room[1]])
        vnormed = self.norm1.tangent(v, vline.reshape(-1, self.size)).reshape(vline.shape)
        vkeys = self._windows(vnormed)
        vy = self._steps(self.attention.tangent(v, (vkeys[:, self.span - 1 :], vkeys)), x) + vencoded
        return x.rows(vy + self.feed.tangent(v, vy.reshape(-1, self.size)).reshape(vy.shape))
