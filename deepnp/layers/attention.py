"""Attention layers: `MultiheadAttention`, and the Transformer's encoder block over it."""

from collections.abc import Callable

import numpy as np

from deepnp.backend import array_module
from deepnp.initializers import Initializer, xavier_uniform, zeros
from deepnp.layers.activation import ReLU
from deepnp.layers.containers import Identity
from deepnp.layers.fusion import fuse
from deepnp.layers.linear import Linear
from deepnp.layers.normalization import LayerNorm
from deepnp.layers.regularization import Dropout
from deepnp.module import Module
from deepnp.ops import linear
from deepnp.ops.attention import block_scaled_dot_product, padding_mask, scaled_dot_product
from deepnp.ops.embedding import rotary
from deepnp.parameters import Parameter

__all__ = ["MultiheadAttention", "TransformerEncoderBlock"]


class MultiheadAttention(Module):
    """Attention by several heads side by side, each in its own E/H columns of projected queries, keys and values.

    Self-attention: `forward(x)`, `backward(dy) -> dx`. Cross-attention: `forward(x, memory)`, where queries come from x and both
    keys and values from memory; then `backward(dy) -> (dx, dmemory)`. All sequences are batch-first.

    Parameters
    ----------
    embed_dim : int
        Size E of the last axis of x, of memory and of y.
    num_heads : int
        H, a divisor of E.
    causal : bool
        Position i sees the positions 0 … i only.
    block : int or None
        Compute the scores in blocks of so many keys, so that memory does not grow with their number squared; None keeps the whole
        matrix of scores, which is faster for short sequences.
    rotary : bool
        Turn queries and keys by their positions (`deepnp.ops.embedding.rotary`); needs an even E/H.
    weight, bias : Initializer
        Called as `initializer(shape, rng)`; Xavier-uniform and zeros by default.
    rng : numpy.random.Generator or None
        Source of the initial weights; None draws fresh entropy.

    Attributes
    ----------
    in_proj_weight : Parameter (3E, E)
        The projections of queries, keys and values, one below the other.
    in_proj_bias : Parameter (3E,)
    out_proj : Linear
        Over the heads' joined columns.

    Raises
    ------
    ValueError
        If H does not divide E, or in `forward` for x or memory that are not (B, L, E) with L ≥ 1, or a padding that is not
        (B, L of the keys).
    TypeError
        For a padding that is not Boolean.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        causal: bool = False,
        block: int | None = None,
        rotary: bool = False,
        weight: Initializer = xavier_uniform,
        bias: Initializer = zeros,
        rng: np.random.Generator | None = None,
        dtype=np.float32,
    ):
        for name, size in (("embed_dim", embed_dim), ("num_heads", num_heads), ("block", 1 if block is None else block)):
            if size != int(size) or size < 1:
                raise ValueError(f"expected a positive {name}, given {size}")
        if embed_dim % num_heads:
            raise ValueError(f"expected embed_dim to be a multiple of num_heads, given {embed_dim} and {num_heads}")
        if rotary and embed_dim // num_heads % 2:
            raise ValueError(f"expected an even embed_dim / num_heads for rotary positions, given {embed_dim // num_heads}")
        rng = rng or np.random.default_rng()
        self.in_proj_weight = Parameter(weight((3 * embed_dim, embed_dim), rng).astype(dtype))
        self.in_proj_bias = Parameter(bias((3 * embed_dim,), rng).astype(dtype))
        self.out_proj = Linear(embed_dim, embed_dim, bias, weight=weight, rng=rng, dtype=dtype)
        self.embed_dim, self.num_heads, self.causal, self.block, self.rotary = embed_dim, num_heads, causal, block, rotary
        self._op, self._settings = (scaled_dot_product, ()) if block is None else (block_scaled_dot_product, (block,))
        self._cache = None

    def forward(self, x, memory=None, padding=None):
        """x (B, L, E), memory (B, Lk, E) or None, padding (B, keys) Booleans, True where a key is padding -> y (B, L, E).

        Where every key of a sequence is padding, the heads give zeros: y is the output projection's bias.
        """
        heads, self._cache = self._attend(x, memory, padding)
        return self.out_proj.forward(heads).reshape(x.shape)

    def backward(self, dy, params: bool = True, inputs: bool = True):
        """dy (B, L, E) -> dx (B, L, E), after cross-attention dx and dmemory (B, Lk, E)."""
        sources, turns, cache = self._cache
        dheads = self.out_proj.backward(dy.reshape(-1, self.embed_dim), params)
        gradients = [self._room(source, columns) for source, columns in sources]
        parts = [part for gradient in gradients for part in self._split(gradient)]
        self._op.backward(self._split(dheads.reshape(dy.shape))[0], cache, parts)
        for part, turn in zip(parts, turns, strict=False):  # queries and keys; values have not been turned
            part[...] = rotary.backward(part, turn)
        dx = []
        for (source, columns), gradient in zip(sources, gradients, strict=True):
            rows = gradient.reshape(-1, gradient.shape[-1])
            projection = linear.Cache(source.reshape(-1, self.embed_dim), self.in_proj_weight.data[columns])
            if params:
                dweight, dbias = linear.backward_parameters(rows, projection)
                self.in_proj_weight.grad[columns] += dweight
                self.in_proj_bias.grad[columns] += dbias
            if inputs:
                dx.append(linear.backward_input(rows, projection).reshape(source.shape))
        if not inputs:
            return None
        return dx[0] if len(dx) == 1 else tuple(dx)

    def predict(self, x, memory=None, padding=None):
        return self.out_proj.predict(self._attend(x, memory, padding)[0]).reshape(x.shape)

    def _attend(self, x, memory, padding):
        """Joined heads (B·L, E), and what backward needs."""
        self._check(x, memory, padding)
        size = self.embed_dim
        sources = [(x, slice(0, 3 * size))] if memory is None else [(x, slice(0, size)), (memory, slice(size, 3 * size))]
        parts = [part for source, columns in sources for part in self._split(self._project(source, columns))]
        turns = ()
        if self.rotary:
            (parts[0], first), (parts[1], second) = (rotary.forward(part) for part in parts[:2])
            turns = first, second
        mask = None if padding is None else padding_mask(padding, x.dtype)
        heads, cache = self._op.forward(*parts, mask, self.causal, *self._settings)
        return heads.swapaxes(1, 2).reshape(-1, size), (sources, turns, cache)

    def _project(self, source, columns):
        """Source (B, L, E) -> its queries, keys and values, or those of them that `columns` names: (B, L, some E)."""
        rows = source.reshape(-1, self.embed_dim)
        y, _ = linear.forward(rows, self.in_proj_weight.data[columns], self.in_proj_bias.data[columns])
        return y.reshape(*source.shape[:2], y.shape[-1])

    def _room(self, source, columns):
        """Room for the gradient of `_project`'s result."""
        return array_module(source).empty((*source.shape[:2], columns.stop - columns.start), source.dtype)

    def _split(self, projected):
        """projected (B, L, n·E) -> n views (B, H, L, E/H)."""
        batch, length, width = projected.shape
        heads = self.num_heads, self.embed_dim // self.num_heads
        return list(projected.reshape(batch, length, width // self.embed_dim, *heads).transpose(2, 0, 3, 1, 4))

    def _check(self, x, memory, padding) -> None:
        for name, source in (("x", x), ("memory", x if memory is None else memory)):
            if source.ndim != 3 or source.shape[-1] != self.embed_dim or source.shape[1] == 0:
                raise ValueError(f"expected {name} of shape (B, L, {self.embed_dim}) with L >= 1, given {source.shape}")
        keys = x if memory is None else memory
        if keys.shape[0] != x.shape[0]:
            raise ValueError(f"expected memory with the batch size of x, {x.shape[0]}, given {keys.shape[0]}")
        if padding is None:
            return
        if padding.dtype != bool:
            raise TypeError(f"expected padding of Booleans, True where a key is padding, given {padding.dtype}")
        if padding.shape != keys.shape[:2]:
            raise ValueError(f"expected padding of shape {keys.shape[:2]}, given {padding.shape}")

    def __repr__(self) -> str:
        settings = [f"{name}={value}" for name, value in self._named_settings() if value]
        return f"MultiheadAttention({', '.join([str(self.embed_dim), str(self.num_heads), *settings])})"

    def _named_settings(self):
        return ("causal", self.causal), ("block", self.block), ("rotary", self.rotary)


class TransformerEncoderBlock(Module):
    """Self-attention, then a feed-forward network at every position, each with a skip connection and a LayerNorm.

        pre-norm     x ← x + attention(norm1(x))        x ← x + feedforward(norm2(x))
        post-norm    x ← norm1(x + attention(x))        x ← norm2(x + feedforward(x))       (Vaswani et al. 2017)

    Pre-norm leaves a path from the last block to the first on which no gradient is rescaled, and trains without warm-up.
    Parameters are named as those of PyTorch's `TransformerEncoderLayer`.

    Parameters
    ----------
    embed_dim, num_heads : int
        As in `MultiheadAttention`.
    feedforward : int
        Width of the feed-forward network's one hidden layer.
    activation : callable returning a Module
        The hidden layer's.
    norm_first : bool
        Pre-norm; False is post-norm (PyTorch's default).
    dropout : float
        Probability p of dropping an element of what attention and feed-forward network add, and of the hidden layer. The weights
        of attention are not dropped; PyTorch drops these, too.
    causal, block, rotary
        As in `MultiheadAttention`.
    eps : float
        Of the LayerNorms.
    rng : numpy.random.Generator or None
        Source of the initial weights, and of what is dropped; None draws fresh entropy.

    Attributes
    ----------
    self_attn : MultiheadAttention
    linear1, linear2 : Linear
    norm1, norm2 : LayerNorm
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        feedforward: int,
        activation: Callable[[], Module] = ReLU,
        norm_first: bool = True,
        dropout: float = 0.0,
        causal: bool = False,
        block: int | None = None,
        rotary: bool = False,
        eps: float = 1e-5,
        rng: np.random.Generator | None = None,
        dtype=np.float32,
    ):
        if feedforward != int(feedforward) or feedforward < 1:
            raise ValueError(f"expected a positive feedforward, given {feedforward}")
        rng = rng or np.random.default_rng()
        self.self_attn = MultiheadAttention(embed_dim, num_heads, causal, block, rotary, rng=rng, dtype=dtype)
        self.linear1 = Linear(embed_dim, feedforward, rng=rng, dtype=dtype)
        self.linear2 = Linear(feedforward, embed_dim, rng=rng, dtype=dtype)
        self.norm1, self.norm2 = LayerNorm(embed_dim, eps, dtype=dtype), LayerNorm(embed_dim, eps, dtype=dtype)
        self.activation = activation()
        self.norm_first = norm_first
        hidden, self._drop, last = (Dropout(dropout, rng) if dropout else Identity() for _ in range(3))
        feed = [self.linear1, self.activation, hidden, self.linear2, last]
        self._steps = fuse([step for step in feed if not isinstance(step, Identity)])

    def forward(self, x, padding=None):
        """x (B, L, E), padding (B, L) Booleans, True where a position is padding -> y (B, L, E)."""
        if self.norm_first:
            x = x + self._drop.forward(self.self_attn.forward(self.norm1.forward(x), padding=padding))
            return x + self._feed(self.norm2.forward(x))
        x = self.norm1.forward(x + self._drop.forward(self.self_attn.forward(x, padding=padding)))
        return self.norm2.forward(x + self._feed(x))

    def backward(self, dy, params: bool = True, inputs: bool = True):
        if self.norm_first:  # a skip hands the gradient on as it is, the branch adds its own
            dy = dy + self.norm2.backward(self._feed_backward(dy, params), params)
            dx = self.norm1.backward(self.self_attn.backward(self._drop.backward(dy), params), params)
            return dy + dx if inputs else None
        dy = self.norm2.backward(dy, params)
        dy = self.norm1.backward(dy + self._feed_backward(dy, params), params)
        dx = self.self_attn.backward(self._drop.backward(dy), params, inputs)
        return dy + dx if inputs else None

    def predict(self, x, padding=None):
        if self.norm_first:
            x = x + self.self_attn.predict(self.norm1.predict(x), padding=padding)
            return x + self._feed_predict(self.norm2.predict(x))
        x = self.norm1.predict(x + self.self_attn.predict(x, padding=padding))
        return self.norm2.predict(x + self._feed_predict(x))

    def _feed(self, x):
        y = x.reshape(-1, x.shape[-1])
        for step in self._steps:
            y = step.forward(y)
        return y.reshape(x.shape)

    def _feed_backward(self, dy, params):
        d = dy.reshape(-1, dy.shape[-1])
        for step in reversed(self._steps):
            d = step.backward(d, params)
        return d.reshape(dy.shape)

    def _feed_predict(self, x):
        y = x.reshape(-1, x.shape[-1])
        for step in self._steps:
            y = step.predict(y)
        return y.reshape(x.shape)

    def __repr__(self) -> str:
        attention = self.self_attn
        return f"TransformerEncoderBlock({attention.embed_dim}, {attention.num_heads}, {self.linear1.weight.shape[0]})"
