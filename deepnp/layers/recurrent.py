"""Recurrent layers: one class over the operations of `deepnp.ops.recurrent`."""

from types import ModuleType

import numpy as np

from deepnp.backend import array_module
from deepnp.module import Module
from deepnp.ops import recurrent
from deepnp.ops.activation import relu, tanh
from deepnp.ops.recurrent import gru, lstm, rnn
from deepnp.parameters import Parameter

__all__ = ["GRU", "LSTM", "RNN"]

NONLINEARITIES = {"tanh": tanh, "relu": relu}


class Recurrent(Module):
    """Recurrent layers one above the other, over whole sequences. `RNN`, `LSTM` and `GRU` make them.

    As a module of a `Sequential` it maps x to y and begins with a zero state. Who carries the state from one stretch of a sequence
    to the next, or has sequences of several lengths, calls `forward_state` and `backward_state`.

    Parameters
    ----------
    op : module
        An operation of `deepnp.ops.recurrent`.
    input_size, hidden_size : int
        I and H.
    num_layers : int
        L; each layer reads the states of the one below.
    batch_first : bool
        False, as in PyTorch: x is (T, B, I), y (T, B, H). True: x is (B, T, I), y (B, T, H). States are (L, B, H) either way.
    returns : {"all", "last"}
        y is the top layer's state after every step, or after each sequence's last step: (B, H).
    span : int or None
        Truncated back-propagation: gradients flow through at most this many steps (see `deepnp.ops.recurrent`). None: all.
    activation : module or None
        f of an RNN.
    rng : numpy.random.Generator or None
        Source of the initial weights, uniform on ±1/√H as PyTorch's; None draws fresh entropy.
    dtype
        float32 by default.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, … : Parameter (G·H, I), (G·H, H), (G·H,), (G·H,)
        Of layer 0, then of layer 1, …, which has H in the place of I. G gates, one below the other: 1 (RNN), 4 (LSTM: i, f, g, o),
        3 (GRU: r, u, n; PyTorch calls u z).
    """

    def __init__(
        self,
        op: ModuleType,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        batch_first: bool = False,
        returns: str = "all",
        span: int | None = None,
        activation: ModuleType | None = None,
        rng: np.random.Generator | None = None,
        dtype=np.float32,
    ):
        sizes = dict(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers, span=1 if span is None else span)
        for name, size in sizes.items():
            if size != int(size) or size < 1:
                raise ValueError(f"expected a positive {name}, given {size}")
        if returns not in ("all", "last"):
            raise ValueError(f'expected returns "all" or "last", given {returns!r}')
        rng, bound = rng or np.random.default_rng(), hidden_size**-0.5
        for layer in range(num_layers):
            rows, inputs = op.GATES * hidden_size, hidden_size if layer else input_size
            shapes = ((rows, inputs), (rows, hidden_size), (rows,), (rows,))
            for name, shape in zip(_names(layer), shapes, strict=True):
                setattr(self, name, Parameter(rng.uniform(-bound, bound, shape).astype(dtype)))
        self.op, self.activation = op, activation
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.batch_first, self.returns, self.span = batch_first, returns, span
        self._cache = None

    def forward(self, x, state=None, lengths=None):
        """y of x: `forward_state` without the final state."""
        return self.forward_state(x, state, lengths)[0]

    def backward(self, dy, params: bool = True, inputs: bool = True):
        return self.backward_state(dy, None, params, inputs)[0]

    def predict(self, x, state=None, lengths=None):
        return self.predict_state(x, state, lengths)[0]

    def forward_state(self, x, state=None, lengths=None):
        """y and the final state, remembering what `backward_state` needs.

        Parameters
        ----------
        x : array (T, B, I), or (B, T, I) with `batch_first`
        state : array (L, B, H), for an LSTM a tuple of two, h and c
            Before the first step; None: zeros.
        lengths : integers (B,) or None
            Sequence b ends after lengths[b] steps, 1 … T: its state stays, its y is zero, its x is ignored but must be finite.

        Returns
        -------
        y : array (T, B, H) or (B, T, H); (B, H) where only the last is returned
        state : array (L, B, H), for an LSTM a tuple of two

        Raises
        ------
        ValueError
            If a shape does not fit, T is 0, or a length lies outside 1 … T.
        TypeError
            If the lengths are no whole numbers.
        """
        y, state, self._cache = self._run(x, state, lengths)
        return y, state

    def predict_state(self, x, state=None, lengths=None):
        """As `forward_state`, remembering nothing."""
        return self._run(x, state, lengths)[:2]

    def backward_state(self, dy, dstate=None, params: bool = True, inputs: bool = True):
        """dx (None unless `inputs`) and the gradient of the initial state; adds to the parameters' gradients if `params`.

        dy is shaped as y, dstate as the final state; None says that nothing reads that state.
        """
        below, hidden = self._cache[-1][:2]  # of the top layer
        xp, (steps, batch) = array_module(hidden), below.shape[:2]
        zeros = xp.zeros((self.num_layers, batch, self.hidden_size), hidden.dtype)
        parts = [zeros] * self.op.STATES if dstate is None else self._parts(dstate)
        dlast = [[part[layer] for part in parts] for layer in range(self.num_layers)]
        if self.returns == "last":
            dlast[-1][0] = dlast[-1][0] + dy  # y is the top layer's final h
            dy = xp.zeros((steps, *dy.shape), dy.dtype)
        else:
            dy = self._swapped(dy)
        dfirst = []
        for layer in reversed(range(self.num_layers)):
            x, hidden, weight_ih = self._cache[layer][:3]
            da, dm, *dinitial = self.op.backward_time((dy, *dlast[layer]), self._cache[layer])
            dfirst.insert(0, dinitial)
            if params:
                gradients = recurrent.backward_parameters(da, dm, x, hidden)
                for name, gradient in zip(_names(layer), gradients, strict=True):
                    getattr(self, name).grad += gradient
            if layer or inputs:
                dy = recurrent.backward_input(da, weight_ih)
        return self._swapped(dy) if inputs else None, self._whole(dfirst)

    def _run(self, x, state, lengths):
        self._check_input(x)
        x, xp = self._swapped(x), array_module(x)
        shape = (self.num_layers, x.shape[1], self.hidden_size)
        if lengths is not None:
            lengths = _checked_lengths(xp.asarray(lengths), *x.shape[:2])
        dtype = self.weight_ih_l0.data.dtype
        states = [xp.zeros(shape, dtype)] * self.op.STATES if state is None else self._parts(state)
        if any(part.shape != shape for part in states):
            raise ValueError(f"expected state of shape {shape}, given {', '.join(str(part.shape) for part in states)}")
        settings = {} if self.activation is None else {"activation": self.activation}
        caches, last = [], []
        for layer in range(self.num_layers):
            weights = [getattr(self, name).data for name in _names(layer)]
            before = [part[layer].astype(dtype, copy=False) for part in states]
            (x, *after), cache = self.op.forward(x, *before, *weights, **settings, lengths=lengths, span=self.span)
            caches.append(cache)
            last.append(after)
        y = last[-1][0] if self.returns == "last" else self._swapped(x)
        return y, self._whole(last), caches

    def _check_input(self, x) -> None:
        if x.ndim != 3 or x.shape[-1] != self.input_size:
            expected = f"({'B, T' if self.batch_first else 'T, B'}, {self.input_size})"
            raise ValueError(f"expected input of shape {expected}, given {x.shape}")
        if x.shape[1 if self.batch_first else 0] == 0:
            raise ValueError(f"expected sequences of at least one step, given {x.shape}")

    def _parts(self, state) -> tuple:
        """A state as a tuple of its parts, h or h and c."""
        given = state if isinstance(state, tuple | list) else (state,)
        if len(given) != self.op.STATES:
            expected = "(h, c)" if self.op.STATES == 2 else "h, one array"
            raise ValueError(f"expected state {expected}, given {len(given)} arrays")
        return tuple(given)

    def _whole(self, layers):
        """What `_parts` takes apart: a list over layers of lists of (B, H) -> (L, B, H), for an LSTM a tuple of two."""
        parts = tuple(array_module(of_all[0]).stack(of_all) for of_all in zip(*layers, strict=True))
        return parts if len(parts) > 1 else parts[0]

    def _swapped(self, x):
        """x with time before batch, or back, if the batch is first outside."""
        return array_module(x).ascontiguousarray(x.swapaxes(0, 1)) if self.batch_first else x

    def __repr__(self) -> str:
        name = self.op.__name__.rsplit(".", 1)[-1].upper()
        return f"{name}({self.input_size}, {self.hidden_size}, num_layers={self.num_layers})"


def RNN(
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    nonlinearity: str = "tanh",
    batch_first: bool = False,
    returns: str = "all",
    span: int | None = None,
    rng: np.random.Generator | None = None,
    dtype=np.float32,
) -> Recurrent:
    """h_t = f(x_t Wᵀ + b + h_{t−1} Rᵀ + r), f "tanh" or "relu". The other arguments are those of `Recurrent`."""
    if nonlinearity not in NONLINEARITIES:
        raise ValueError(f'expected nonlinearity "tanh" or "relu", given {nonlinearity!r}')
    f = NONLINEARITIES[nonlinearity]
    return Recurrent(rnn, input_size, hidden_size, num_layers, batch_first, returns, span, f, rng, dtype)


def LSTM(
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    batch_first: bool = False,
    returns: str = "all",
    span: int | None = None,
    rng: np.random.Generator | None = None,
    dtype=np.float32,
) -> Recurrent:
    """Long short-term memory; its state is (h, c). The arguments are those of `Recurrent`."""
    return Recurrent(lstm, input_size, hidden_size, num_layers, batch_first, returns, span, None, rng, dtype)


def GRU(
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    batch_first: bool = False,
    returns: str = "all",
    span: int | None = None,
    rng: np.random.Generator | None = None,
    dtype=np.float32,
) -> Recurrent:
    """Gated recurrent unit, in PyTorch's variant. The arguments are those of `Recurrent`."""
    return Recurrent(gru, input_size, hidden_size, num_layers, batch_first, returns, span, None, rng, dtype)


def _names(layer: int) -> tuple[str, ...]:
    """Names of one layer's parameters."""
    return tuple(f"{name}_l{layer}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))


def _checked_lengths(lengths, steps: int, batch: int):
    if lengths.dtype.kind not in "iu":
        raise TypeError(f"expected whole numbers as lengths, given {lengths.dtype}")
    if lengths.shape != (batch,):
        raise ValueError(f"expected lengths of shape ({batch},), given {lengths.shape}")
    if batch and not 1 <= int(lengths.min()) <= int(lengths.max()) <= steps:
        raise ValueError(f"expected lengths from 1 to {steps}, given {int(lengths.min())} to {int(lengths.max())}")
    return lengths
