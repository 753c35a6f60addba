"""Recurrent layers: stacks, in one direction or both, over the operations of `deepnp.ops.recurrent`."""

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from deepnp.backend import array_module
from deepnp.checks import check_floats, check_upstream
from deepnp.layers.directions import apart, check_resets, checked_lengths, reversed_in_time, side_by_side
from deepnp.layers.regularization import Dropout
from deepnp.module import Module, zeros_if_none
from deepnp.ops import recurrent
from deepnp.ops.activation import relu, tanh
from deepnp.ops.recurrent import gru, lstm, rnn
from deepnp.parameters import Parameter

__all__ = ["GRU", "LSTM", "RNN", "RNNBase"]

NONLINEARITIES = {"tanh": tanh, "relu": relu}


class Kept(NamedTuple):
    """What `RNNBase.forward_state` keeps."""

    caches: list  # of the operation, for layer 0, its reverse direction if there is one, layer 1, …
    lengths: np.ndarray | None
    unbatched: bool
    shape: tuple[int, ...]  # of y


class RNNBase(Module):
    """Base of `RNN`, `LSTM` and `GRU`: recurrent layers one above the other, over whole sequences.

    As a module of a `Sequential` it maps x to y and begins with a zero state. Who carries the state from one stretch of a sequence
    to the next, or has sequences of several lengths, calls `forward_state` and `backward_state`.

    Parameters
    ----------
    input_size, hidden_size : int
        I and H.
    num_layers : int
        L; each layer reads the states of the one below.
    bias : bool
        Whether there are biases.
    batch_first : bool
        False, as in PyTorch: x is (T, B, I), y (T, B, D·H). True: x is (B, T, I), y (B, T, D·H). States are (D·L, B, H) either way.
        An x without the axis B is one sequence; y and states lack it then, too.
    dropout : float
        Probability p of dropping an element of what one layer hands to the next, in training.
    bidirectional : bool
        D = 2: a second stack of states runs from each sequence's end to its beginning; y holds both, one beside the other, and so
        does the input of the next layer. False: D = 1.
    returns : {"all", "last"}
        y is the top layer's state after every step, or after each sequence's last step: (B, D·H).
    span : int or None
        Truncated back-propagation: gradients flow through at most this many steps (see `deepnp.ops.recurrent`). None: all.
    rng : numpy.random.Generator or None
        Source of the initial weights, uniform on ±1/√H as PyTorch's, and of what is dropped; None draws fresh entropy.
    dtype
        float32 by default.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, … : Parameter (G·H, I), (G·H, H), (G·H,), (G·H,)
        Of layer 0, with the suffix `_reverse` its other direction's, then of layer 1, …, which has D·H in the place of I. G gates,
        one below the other: 1 (RNN), 4 (LSTM: i, f, g, o), 3 (GRU: r, u, n; PyTorch calls u z).
    """

    op: ModuleType  # an operation of `deepnp.ops.recurrent`

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        returns: str = "all",
        span: int | None = None,
        rng: np.random.Generator | None = None,
        dtype=np.float32,
    ):
        sizes = dict(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers, span=1 if span is None else span)
        for name, size in sizes.items():
            if size != int(size) or size < 1:
                raise ValueError(f"expected a positive {name}, given {size}")
        if returns not in ("all", "last"):
            raise ValueError(f'expected returns "all" or "last", given {returns!r}')
        rng = rng or np.random.default_rng()
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.bidirectional = bool(bias), bool(batch_first), bool(bidirectional)
        self.returns, self.span, self.dropout = returns, span, dropout
        self._drops = [Dropout(dropout, rng=rng) for _ in range(num_layers - 1 if dropout else 0)]
        for layer in range(num_layers):
            for suffix in self._suffixes(layer):
                self._add_parameters(suffix, input_size if layer == 0 else hidden_size * self._directions, rng, dtype)
        self._cache = None

    def forward(self, x, state=None, *, lengths=None, resets=None) -> np.ndarray:
        """y of x: `forward_state` without the final state."""
        return self.forward_state(x, state, lengths, resets)[0]

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        return self.backward_state(dy, None, params, inputs)[0]

    def predict(self, x, state=None, *, lengths=None, resets=None) -> np.ndarray:
        return self.predict_state(x, state, lengths, resets)[0]

    def forward_state(self, x, state=None, lengths=None, resets=None) -> tuple[np.ndarray, Any]:
        """y and the final state, remembering what `backward_state` needs.

        Parameters
        ----------
        x : array (T, B, I), or (B, T, I) with `batch_first`, or one sequence (T, I)
        state : array (D·L, B, H), for an LSTM a tuple of two, h and c
            Before the first step; None: zeros.
        lengths : integers (B,) or None
            Sequence b ends after lengths[b] steps, 1 … T: its state stays, its y is zero, its x is ignored.
        resets : Booleans (T, B), or (B, T) with `batch_first`, or (T,) for one sequence, or None
            Where true, a sequence begins anew with this step: the state before it counts as zeros.

        Returns
        -------
        y : array (T, B, D·H) or (B, T, D·H); (B, D·H) where only the last is returned
        state : array (D·L, B, H), for an LSTM a tuple of two

        Raises
        ------
        ValueError
            If a shape does not fit, T is 0, or a length lies outside 1 … T. For resets of a layer that reads in both directions.
        TypeError
            If the lengths are no whole numbers, the resets no Booleans, or x and the state no floating-point numbers.
        """
        y, state, self._cache = self._run(x, state, lengths, resets, training=True)
        return y, state

    def predict_state(self, x, state=None, lengths=None, resets=None) -> tuple[np.ndarray, Any]:
        """As `forward_state`, remembering and dropping nothing."""
        return self._run(x, state, lengths, resets, training=False)[:2]

    def predict_states(self, x, state=None, resets=None) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """As `predict_state`, with the states before and after every step: a tuple of h, for an LSTM of h and c.

        Each is (T + 1, D·L, B, H); where a sequence begins anew, the state before that step stands as the last step left it.
        """
        y, _, kept = self._run(x, state, None, resets, training=False)
        states = zip(*(self.op.states(cache) for cache in kept.caches), strict=True)
        return y, tuple(array_module(x).stack(of_layers, axis=1) for of_layers in states)

    def backward_state(self, dy, dstate=None, params: bool = True, inputs: bool = True) -> tuple[np.ndarray | None, Any]:
        """dx (None unless `inputs`) and the gradient of the initial state; adds to the parameters' gradients if `params`.

        dy is shaped as y, dstate as the final state; None says that nothing reads that state.
        """
        kept = self.cache
        check_upstream(dy, kept.shape)
        hidden = kept.caches[0].hidden
        xp, shape = array_module(hidden), (len(kept.caches), *hidden.shape[1:])
        parts = [xp.zeros(shape, hidden.dtype)] * self.op.STATES if dstate is None else self._parts(dstate, shape, kept.unbatched)
        dlast = [[part[i] for part in parts] for i in range(len(kept.caches))]
        dys = self._taken_apart(dy, dlast, kept)
        dfirst = []
        for layer in reversed(range(self.num_layers)):
            dx, dinitial = self._backward_layer(layer, dys, dlast, params, inputs or layer > 0)
            dfirst = dinitial + dfirst
            if layer:
                dx = self._drops[layer - 1].backward(dx) if self._drops else dx
                dys = apart(dx, self._directions)
        return self._outside(dx, kept.unbatched) if inputs else None, self._whole(dfirst, kept.unbatched)

    def _backward_layer(self, layer, dys, dlast, params, inputs):
        """dx of one layer (None unless `inputs`), and the gradients of its initial states, for each direction."""
        kept, dx, dinitials = self._cache, None, []
        for direction, suffix in enumerate(self._suffixes(layer)):
            i = layer * self._directions + direction
            cache = kept.caches[i]
            dy = reversed_in_time(dys[direction], kept.lengths) if direction else dys[direction]
            da, dm, *dinitial = self.op.backward_time((dy, *dlast[i]), cache)
            dinitials.append(dinitial)
            if params:
                gradients = recurrent.backward_parameters(da, dm, cache.x, cache.read)
                for p, gradient in zip(self._parameters(suffix), gradients, strict=False):  # the biases come last
                    p.grad += gradient
            if inputs:
                own = recurrent.backward_input(da, cache.weight_ih)
                dx = own if direction == 0 else dx + reversed_in_time(own, kept.lengths)
        return dx, dinitials

    def _tangent(self, v, vx):
        kept = self.cache
        caches, vlast = kept.caches, []
        x = caches[0].x
        vx = zeros_if_none(None, x) if vx is None else self._inside(vx, kept.unbatched)
        for layer in range(self.num_layers):
            vys = []
            for direction, suffix in enumerate(self._suffixes(layer)):
                cache = caches[layer * self._directions + direction]
                states = [zeros_if_none(None, cache.hidden[0])] * self.op.STATES
                weights = [v[p] for p in self._parameters(suffix)]
                own = reversed_in_time(vx, kept.lengths) if direction else vx
                vy, *last = self.op.jvp(own, *states, *weights, *self._missing(weights), cache)
                vys.append(reversed_in_time(vy, kept.lengths) if direction else vy)
                vlast.append(last)
            vx = side_by_side(vys)
            if self._drops and layer < self.num_layers - 1:
                vx = self._drops[layer].tangent(v, vx)
        return self._given_back(vx, vlast, kept.unbatched)

    def _run(self, x, state, lengths, resets, training):
        self._check_input(x)
        unbatched = x.ndim == 2
        x, xp = self._inside(x, unbatched), array_module(x)
        shape = (self.num_layers * self._directions, x.shape[1], self.hidden_size)
        if lengths is not None:
            lengths = checked_lengths(xp.asarray(lengths), *x.shape[:2])
        if resets is not None:
            if self.bidirectional:
                raise ValueError(
                    "expected no resets of a layer that reads in both directions, given some: each would forget its past"
                )
            resets = xp.asarray(resets)
            resets = resets[:, None] if unbatched else resets.swapaxes(0, 1) if self.batch_first else resets
            check_resets(resets, *x.shape[:2])
        dtype = self.weight_ih_l0.data.dtype
        states = [xp.zeros(shape, dtype)] * self.op.STATES if state is None else self._parts(state, shape, unbatched)
        caches, last = [], []
        for layer in range(self.num_layers):
            ys = []
            for direction, suffix in enumerate(self._suffixes(layer)):
                before = [part[len(caches)].astype(dtype, copy=False) for part in states]
                own = reversed_in_time(x, lengths) if direction else x
                (y, *after), cache = self._run_op(own, before, suffix, lengths, resets)
                ys.append(reversed_in_time(y, lengths) if direction else y)
                caches.append(cache)
                last.append(after)
            x = side_by_side(ys)
            if training and self._drops and layer < self.num_layers - 1:
                x = self._drops[layer].forward(x)
        y = self._given_back(x, last, unbatched)
        return y, self._whole(last, unbatched), Kept(caches, lengths, unbatched, y.shape)

    def _run_op(self, x, before, suffix, lengths, resets):
        """The operation, from x and the states before it."""
        weights = [p.data for p in self._parameters(suffix)]
        return self.op.forward(x, *before, *weights, *self._missing(weights), lengths=lengths, span=self.span, resets=resets)

    def _missing(self, weights) -> list:
        """Zeros in the place of the biases, where there are none."""
        return [array_module(weights[0]).zeros_like(weights[0][:, 0])] * (0 if self.bias else 2)

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _suffixes(self, layer: int) -> tuple[str, ...]:
        """What the names of one layer's parameters end with, for each direction."""
        return (f"_l{layer}", f"_l{layer}_reverse")[: self._directions]

    def _names(self, suffix: str) -> tuple[str, ...]:
        weights, biases = ("weight_ih", "weight_hh"), ("bias_ih", "bias_hh")
        return tuple(name + suffix for name in (weights + biases if self.bias else weights))

    def _parameters(self, suffix: str) -> list[Parameter]:
        return [getattr(self, name) for name in self._names(suffix)]

    def _add_parameters(self, suffix: str, inputs: int, rng, dtype) -> None:
        rows, bound = self.op.GATES * self.hidden_size, self.hidden_size**-0.5
        shapes = (rows, inputs), (rows, self.hidden_size), (rows,), (rows,)
        for name, shape in zip(self._names(suffix), shapes, strict=False):
            setattr(self, name, Parameter(rng.uniform(-bound, bound, shape).astype(dtype)))

    def _taken_apart(self, dy, dlast, kept) -> list:
        """dy as gradients of the top layer's y (T, B, H), one for each direction; where y is the last state, in dlast instead."""
        xp, hidden = array_module(dy), kept.caches[-1].hidden
        if self.returns == "all":
            return apart(self._inside(dy, kept.unbatched), self._directions)
        dy = dy[None] if kept.unbatched else dy
        for i, part in enumerate(apart(dy, self._directions), start=len(dlast) - self._directions):
            dlast[i][0] = dlast[i][0] + part
        return [xp.zeros(hidden[1:].shape, dy.dtype)] * self._directions

    def _given_back(self, y, last, unbatched):
        """What the layer gives, or its tangent: y (T, B, D·H) of the top layer, or the last h of both directions."""
        if self.returns == "all":
            return self._outside(y, unbatched)
        ends = side_by_side([after[0] for after in last[-self._directions :]])
        return ends[0] if unbatched else ends

    def _check_input(self, x) -> None:
        check_floats(x)
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            expected = f"({'B, T' if self.batch_first else 'T, B'}, {self.input_size})"
            raise ValueError(f"expected input of shape {expected}, or (T, {self.input_size}), given {x.shape}")
        if x.shape[1 if self.batch_first and x.ndim == 3 else 0] == 0:
            raise ValueError(f"expected sequences of at least one step, given {x.shape}")

    def _parts(self, state, shape, unbatched) -> tuple:
        """A state, or its gradient, as a tuple of its parts (D·L, B, H), h or h and c."""
        given = state if isinstance(state, tuple | list) else (state,)
        if len(given) != self.op.STATES:
            expected = "(h, c)" if self.op.STATES == 2 else "h, one array"
            raise ValueError(f"expected state {expected}, given {len(given)} arrays")
        for part in given:
            check_floats(part, "state")
        own = (shape[0], shape[2]) if unbatched else shape
        if any(part.shape != own for part in given):
            raise ValueError(f"expected state of shape {own}, given {', '.join(str(part.shape) for part in given)}")
        return tuple(part[:, None] for part in given) if unbatched else tuple(given)

    def _whole(self, states, unbatched):
        """What `_parts` takes apart: for each layer and direction a list of (B, H) -> (D·L, B, H), for an LSTM a tuple of two."""
        parts = tuple(array_module(of_all[0]).stack(of_all) for of_all in zip(*states, strict=True))
        parts = tuple(part[:, 0] for part in parts) if unbatched else parts
        return parts if len(parts) > 1 else parts[0]

    def _inside(self, x, unbatched):
        """x with axes T, B, features."""
        if unbatched:
            return x[:, None]
        return array_module(x).ascontiguousarray(x.swapaxes(0, 1)) if self.batch_first else x

    def _outside(self, x, unbatched):
        """x (T, B, features) with the axes that it has outside."""
        return x[:, 0] if unbatched else self._inside(x, False)

    def __repr__(self) -> str:
        named = ("num_layers", self.num_layers), *((("bidirectional", True),) if self.bidirectional else ())
        settings = ", ".join(f"{name}={value}" for name, value in named)
        return f"{type(self).__name__}({self.input_size}, {self.hidden_size}, {settings})"


class RNN(RNNBase):
    """h_t = f(x_t Wᵀ + b + h_{t−1} Rᵀ + r), Elman's network.

    Parameters
    ----------
    nonlinearity : {"tanh", "relu"}
        f.
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, returns, span, rng, dtype
        As for `RNNBase`.
    """

    op = rnn

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        returns: str = "all",
        span: int | None = None,
        rng: np.random.Generator | None = None,
        dtype=np.float32,
    ):
        if nonlinearity not in NONLINEARITIES:
            raise ValueError(f'expected nonlinearity "tanh" or "relu", given {nonlinearity!r}')
        self.activation = NONLINEARITIES[nonlinearity]
        sizes, settings = (input_size, hidden_size, num_layers), (bias, batch_first, dropout, bidirectional)
        super().__init__(*sizes, *settings, returns=returns, span=span, rng=rng, dtype=dtype)

    def _run_op(self, x, before, suffix, lengths, resets):
        weights = [p.data for p in self._parameters(suffix)]
        return rnn.forward(x, *before, *weights, *self._missing(weights), self.activation, lengths, self.span, resets)


class LSTM(RNNBase):
    """Long short-term memory; its state is (h, c). The arguments are those of `RNNBase`."""

    op = lstm


class GRU(RNNBase):
    """Gated recurrent unit, in PyTorch's variant. The arguments are those of `RNNBase`."""

    op = gru
