"""A memory that a recurrent layer carries: RNN, LSTM or GRU.

    e_t = encoder(o_t)                          a perceptron, behind convolutions where there are images
    h_t = layer(e_t, h_{t−1})                   h_{t−1} = 0 where an episode begins with step t

The state is h_t, for an LSTM (h_t, c_t). Gradients flow back through at most `span` steps. The layer begins with memories of up to
that length: with the usual weights it would forget half of its state at every step, and twenty steps back no gradient is left.

Shapes: T steps, S sequences, N environments, B rows, E encoder's outputs, H state, M ends.
"""

from collections.abc import Sequence

import numpy as np

from deepnp import GRU, LSTM, RNN, Module, RNNBase
from deepnp.initializers import orthogonal
from deepnp.parameters import Tangents
from rl.experience.sequences import Sequences, State
from rl.experience.trees import Observations
from rl.networks.memory import initial_state

LAYERS = {"rnn": RNN, "lstm": LSTM, "gru": GRU}


class RecurrentMemory(Module):
    """A recurrent layer behind an encoder; see `rl.networks.memory.Memory`.

    Parameters
    ----------
    name : str
        Which of a `Sequences`' states are its own.
    kind : {"rnn", "lstm", "gru"}
    encoder : Module
        Observations (B, …) -> (B, E).
    inputs, size, span : int
        E, H, and the steps that a gradient flows through at most.
    rng : numpy.random.Generator
        Source of the initial weights.
    """

    def __init__(self, name: str, kind: str, encoder: Module, inputs: int, size: int, span: int, rng: np.random.Generator):
        self.name, self.size, self.encoder = name, size, encoder
        self.layer = LAYERS[kind](inputs, size, span=span, rng=rng)
        give_patience(self.layer, span, rng)

    def zeros(self, copies: int) -> State:
        """The state of so many environments that remember nothing: one or two arrays (N, H)."""
        dtype = self.layer.weight_ih_l0.data.dtype
        return tuple(np.zeros((copies, self.size), dtype) for _ in range(self.layer.op.STATES))

    def forward(self, x: Sequences) -> np.ndarray:
        """h_t of the steps that happened: (B, H)."""
        self._cache, encoded = x, self._in_time(self.encoder.forward(x.flat), x)
        return x.rows(self.layer.forward(encoded, self._inside(initial_state(x, self)), resets=x.resets))

    def backward(self, dy, params: bool = True, inputs: bool = False) -> None:
        """dy (B, H)."""
        dencoded = self.layer.backward(self.cache.column(dy), params)
        self.encoder.backward(dencoded.reshape(-1, dencoded.shape[-1]), params, inputs=False)

    def _tangent(self, v: Tangents, vx):
        vencoded = self.encoder.tangent(v, None)
        return self.cache.rows(self.layer.tangent(v, self._in_time(vencoded, self.cache)))

    def predict(self, x: Sequences) -> np.ndarray:
        """As `forward`, with the rows of `x.ends` behind them: (B + M, H)."""
        encoded, before = self._in_time(self.encoder.predict(x.flat), x), self._inside(initial_state(x, self))
        if x.ends is None:
            return x.rows(self.layer.predict(encoded, before, resets=x.resets))
        y, states = self.layer.predict_states(encoded, before, x.resets)
        after = tuple(part[x.ends.steps + 1, 0, x.ends.sequences] for part in states)
        return np.concatenate([x.rows(y), self.step(x.ends.observations, after)[0]])

    def states(self, x: Sequences, steps: Sequence[int]) -> list[State]:
        """The states before some steps."""
        encoded, before = self._in_time(self.encoder.predict(x.flat), x), self._inside(initial_state(x, self))
        _, states = self.layer.predict_states(encoded, before, x.resets)
        return [tuple(part[t, 0] for part in states) for t in steps]

    def step(self, observations: Observations, state: State) -> tuple[np.ndarray, State]:
        """h_t (N, H) of observations (N, …), and the state after them."""
        y, after = self.layer.predict_state(self.encoder.predict(observations)[None], self._inside(state))
        return y[0], tuple(part[0] for part in (after if isinstance(after, tuple) else (after,)))

    def _in_time(self, encoded, x):
        return encoded.reshape(*x.valid.shape, encoded.shape[-1])

    def _inside(self, state):
        """A state as the layer takes it, with an axis for its one layer."""
        parts = tuple(part[None] for part in state)
        return parts if len(parts) > 1 else parts[0]


def give_patience(layer: RNNBase, span: int, rng: np.random.Generator) -> None:
    """Initial weights of a layer that is to remember for up to `span` steps (Tallec & Ollivier 2018).

    A gate that keeps the share f of a unit's state at each step forgets in about n = 1/(1 − f) steps: f = σ(ln(n − 1)). So the
    gates' biases are drawn as ln(n − 1), n uniform up to `span`. An RNN has no gates: it gets an
    orthogonal matrix, which keeps lengths.
    """
    size, weights = layer.hidden_size, dict(layer.named_parameters())
    if not isinstance(layer, GRU | LSTM):
        weights["weight_hh_l0"].data[...] = orthogonal((size, size), rng)
        for name in ("bias_ih_l0", "bias_hh_l0"):  # near 0 tanh keeps what it is given
            weights[name].data[...] = 0
        return
    bias, keep = weights["bias_ih_l0"].data, np.log(rng.uniform(1, max(2, span - 1), size))
    bias[size : 2 * size] = keep  # gates lie one below the other: LSTM i, f, g, o; GRU r, u, n
    if isinstance(layer, LSTM):
        bias[:size] = -keep  # who keeps much takes in little; the GRU's one gate u does both
