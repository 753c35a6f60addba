"""Multi-head attention."""

from typing import Any, NamedTuple

import numpy as np

from deepnp.backend import array_module
from deepnp.checks import check_floats, check_upstream
from deepnp.initializers import Initializer, xavier_uniform, zeros
from deepnp.layers.linear import Linear
from deepnp.module import Module, zeros_if_none
from deepnp.ops import linear
from deepnp.ops.attention import block_scaled_dot_product, scaled_dot_product
from deepnp.ops.embedding import rotary
from deepnp.parameters import Parameter

__all__ = ["MultiheadAttention"]


class Projection(NamedTuple):
    """One product with a weight: some or all of queries, keys and values of one input."""

    x: np.ndarray  # (B, L, features)
    source: int  # which of the inputs x is
    weight: Parameter
    rows: slice  # of the weight
    columns: slice  # of the bias: 0 … E queries, E … 2E keys, 2E … 3E values

    def cache(self) -> linear.Cache:
        """What the linear map's backward needs, over rows (B·L, features)."""
        return linear.Cache(self.x.reshape(-1, self.x.shape[-1]), self.weight.data[self.rows])


class Kept(NamedTuple):
    """What `MultiheadAttention.forward` keeps."""

    projections: list[Projection]
    turns: tuple  # rotary's caches of queries and keys; none without rotary positions
    attention: tuple  # the operation's cache
    shape: tuple[int, ...]  # of y


class MultiheadAttention(Module):
    """Attention by several heads side by side, each in its own E/H columns of projected queries, keys and values.

    Self-attention: `forward(x)`, `backward(dy) -> dx`. Cross-attention: `forward(x, memory)`, where queries come from x and both
    keys and values from memory; then `backward(dy) -> (dx, dmemory)`. With `forward(x, memory, value)` values have a source of
    their own, and a gradient: `(dx, dmemory, dvalue)`. All sequences are batch-first.

    Parameters
    ----------
    embed_dim : int
        Size E of the last axis of x and of y.
    num_heads : int
        H, a divisor of E.
    bias : bool
        Whether the four projections have biases, at first zeros.
    kdim, vdim : int or None
        Size of the last axis of what keys and values are made of; E by default. If one differs from E, the three projections have
        weights of their own.
    causal : bool
        Position i sees the positions 0 … i only.
    block : int or None
        Compute the scores in blocks of so many keys, so that memory does not grow with their number squared; None keeps the whole
        matrix of scores, which is faster for short sequences.
    rotary : bool
        Turn queries and keys by their positions (`deepnp.ops.embedding.rotary`); needs an even E/H.
    weight : Initializer
        Called as `initializer(shape, rng)`; Xavier-uniform by default.
    rng : numpy.random.Generator or None
        Source of the initial weights; None draws fresh entropy.

    Attributes
    ----------
    in_proj_weight : Parameter (3E, E)
        The projections of queries, keys and values, one below the other.
    q_proj_weight, k_proj_weight, v_proj_weight : Parameter (E, E), (E, kdim), (E, vdim)
        In its place, where kdim or vdim is not E.
    in_proj_bias : Parameter (3E,) or None
    out_proj : Linear
        Over the heads' joined columns.

    Raises
    ------
    ValueError
        If H does not divide E; in `forward`, for inputs that are not (B, L, features) with L ≥ 1 or masks that do not fit.
    TypeError
        In `forward`, for inputs that hold no floating-point numbers, or masks of integers.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        *,
        bias: bool = True,
        kdim: int | None = None,
        vdim: int | None = None,
        causal: bool = False,
        block: int | None = None,
        rotary: bool = False,
        weight: Initializer = xavier_uniform,
        rng: np.random.Generator | None = None,
        dtype=np.float32,
    ):
        kdim, vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
        given = dict(embed_dim=embed_dim, num_heads=num_heads, block=1 if block is None else block, kdim=kdim, vdim=vdim)
        for name, size in given.items():
            if size != int(size) or size < 1:
                raise ValueError(f"expected a positive {name}, given {size}")
        if embed_dim % num_heads:
            raise ValueError(f"expected embed_dim to be a multiple of num_heads, given {embed_dim} and {num_heads}")
        if rotary and embed_dim // num_heads % 2:
            raise ValueError(f"expected an even embed_dim / num_heads for rotary positions, given {embed_dim // num_heads}")
        rng = rng or np.random.default_rng()
        self.embed_dim, self.num_heads, self.causal, self.block, self.rotary = embed_dim, num_heads, causal, block, rotary
        self.features = (embed_dim, kdim, vdim)
        if kdim == vdim == embed_dim:
            self.in_proj_weight = Parameter(weight((3 * embed_dim, embed_dim), rng).astype(dtype))
        else:
            self.q_proj_weight, self.k_proj_weight, self.v_proj_weight = (
                Parameter(weight((embed_dim, size), rng).astype(dtype)) for size in self.features
            )
        self.in_proj_bias = Parameter(zeros((3 * embed_dim,)).astype(dtype)) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, weight=weight, rng=rng, dtype=dtype)
        self._op, self._settings = (scaled_dot_product, ()) if block is None else (block_scaled_dot_product, (block,))
        self._cache = None

    def forward(self, x, memory=None, value=None, *, key_padding_mask=None, attn_mask=None, need_weights: bool = False) -> Any:
        """y (B, L, E), with `need_weights` also the mean over the heads of the weights (B, L, keys).

        Parameters
        ----------
        x : array (B, L, E)
            Queries are made of it; without memory, also keys and values.
        memory : array (B, keys, kdim) or None
            Keys are made of it; without value, also values.
        value : array (B, keys, vdim) or None
        key_padding_mask : array (B, keys) or None
            Booleans, True where a key is padding, or numbers that are added to its scores. Where every key of a sequence is
            padding, the heads give zeros: y is the output projection's bias.
        attn_mask : array (L, keys), (B·H, L, keys) or (B or 1, H or 1, L, keys), or None
            Booleans, True where a query must not look, or numbers that are added to the scores.
        need_weights : bool
            Only with block=None, as blocks never hold all weights. No gradient flows through what is returned.
        """
        heads, self._cache = self._attend(x, memory, value, key_padding_mask, attn_mask, need_weights)
        y = self.out_proj.forward(heads).reshape(x.shape)
        return (y, self._cache.attention.weights.mean(axis=1)) if need_weights else y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | tuple[np.ndarray, ...] | None:
        """dy (B, L, E) -> dx (B, L, E); after cross-attention a tuple of dx, dmemory and, if there was a value, dvalue."""
        projections, turns, cache, shape = self.cache
        check_upstream(dy, shape)
        dheads = self.out_proj.backward(dy.reshape(-1, self.embed_dim), params)
        gradients = [self._room(projection, cache.q) for projection in projections]
        parts = [part for gradient in gradients for part in self._split(gradient)]
        self._op.backward(self._split(dheads.reshape(shape))[0], cache, parts)
        for part, turn in zip(parts, turns, strict=False):  # queries and keys; values have not been turned
            part[...] = rotary.backward(part, turn)
        dx = {}
        for projection, gradient in zip(projections, gradients, strict=True):
            rows = gradient.reshape(-1, gradient.shape[-1])
            if params:
                self._add_gradients(projection, *linear.backward_parameters(rows, projection.cache()))
            if inputs:
                own = linear.backward_input(rows, projection.cache()).reshape(projection.x.shape)
                dx[projection.source] = dx[projection.source] + own if projection.source in dx else own
        if not inputs:
            return None
        return dx[0] if len(dx) == 1 else tuple(dx.values())

    def _tangent(self, v, vx):
        projections, turns, cache, shape = self.cache
        tangents = vx if isinstance(vx, tuple) else (vx,)
        parts = []
        for projection in projections:
            own = tangents[projection.source] if projection.source < len(tangents) else None
            own = zeros_if_none(own, projection.x).reshape(-1, projection.x.shape[-1])
            vweight = v[projection.weight][projection.rows]
            vbias = None if self.in_proj_bias is None else v[self.in_proj_bias][projection.columns]
            vy = linear.jvp(own, vweight, zeros_if_none(vbias, vweight[:, 0]), projection.cache())
            parts += self._split(vy.reshape(*projection.x.shape[:2], vy.shape[-1]))
        for i, turn in enumerate(turns):
            parts[i] = rotary.jvp(parts[i], turn)
        vheads = self._op.jvp(*parts, cache)
        return self.out_proj.tangent(v, self._joined(vheads)).reshape(shape)

    def predict(self, x, memory=None, value=None, *, key_padding_mask=None, attn_mask=None, need_weights: bool = False) -> Any:
        heads, kept = self._attend(x, memory, value, key_padding_mask, attn_mask, need_weights)
        y = self.out_proj.predict(heads).reshape(x.shape)
        return (y, kept.attention.weights.mean(axis=1)) if need_weights else y

    def _attend(self, x, memory, value, key_padding_mask, attn_mask, need_weights):
        """Joined heads (B·L, E), and what backward needs."""
        if need_weights and self.block is not None:
            raise ValueError(f"expected block=None where weights are needed, given block={self.block}")
        self._check(x, memory, value)
        projections = self._projections(x, memory, value)
        parts = [part for projection in projections for part in self._split(self._project(projection))]
        turns = ()
        if self.rotary:
            (parts[0], first), (parts[1], second) = (rotary.forward(part) for part in parts[:2])
            turns = first, second
        full = (len(x), self.num_heads, x.shape[1], parts[1].shape[2])
        mask = combined_mask(key_padding_mask, attn_mask, full, parts[0].dtype)
        heads, cache = self._op.forward(*parts, mask, self.causal, *self._settings)
        return self._joined(heads), Kept(projections, turns, cache, x.shape)

    def _projections(self, x, memory, value) -> list[Projection]:
        """As few products as the weights and the inputs allow."""
        size, inputs = self.embed_dim, [each for each in (x, memory, value) if each is not None]
        if self.features != (size,) * 3:
            weights = self.q_proj_weight, self.k_proj_weight, self.v_proj_weight
            sources = [min(i, len(inputs) - 1) for i in range(3)]
            columns = [slice(i * size, (i + 1) * size) for i in range(3)]
            return [Projection(inputs[s], s, w, slice(None), c) for s, w, c in zip(sources, weights, columns, strict=True)]
        ends = [i * size for i in range(len(inputs))] + [3 * size]
        return [
            Projection(each, i, self.in_proj_weight, slice(ends[i], ends[i + 1]), slice(ends[i], ends[i + 1]))
            for i, each in enumerate(inputs)
        ]

    def _project(self, projection):
        """(B, L, some E)."""
        bias = None if self.in_proj_bias is None else self.in_proj_bias.data[projection.columns]
        y, _ = linear.forward(*projection.cache(), bias)
        return y.reshape(*projection.x.shape[:2], y.shape[-1])

    def _add_gradients(self, projection, dweight, dbias) -> None:
        projection.weight.grad[projection.rows] += dweight
        if self.in_proj_bias is not None:
            self.in_proj_bias.grad[projection.columns] += dbias

    def _room(self, projection, like):
        """An empty array for the gradient of `_project`'s result, whose type is that of `like`."""
        width = projection.columns.stop - projection.columns.start
        return array_module(like).empty((*projection.x.shape[:2], width), like.dtype)

    def _split(self, projected):
        """projected (B, L, n·E) -> n views (B, H, L, E/H)."""
        batch, length, width = projected.shape
        heads = self.num_heads, self.embed_dim // self.num_heads
        return list(projected.reshape(batch, length, width // self.embed_dim, *heads).transpose(2, 0, 3, 1, 4))

    def _joined(self, heads):
        """heads (B, H, L, E/H) -> (B·L, E)."""
        return heads.swapaxes(1, 2).reshape(heads.shape[0] * heads.shape[2], self.embed_dim)

    def _check(self, x, memory, value) -> None:
        if value is not None and memory is None:
            raise ValueError("expected memory where a value is given, given none")
        keys = x if memory is None else memory
        values = keys if value is None else value
        for name, source, features in zip(("x", "memory", "value"), (x, keys, values), self.features, strict=True):
            check_floats(source, name)
            if source.ndim != 3 or source.shape[-1] != features or source.shape[1] == 0:
                raise ValueError(f"expected {name} of shape (B, L, {features}) with L >= 1, given {source.shape}")
            if source.shape[0] != x.shape[0]:
                raise ValueError(f"expected {name} with the batch size of x, {x.shape[0]}, given {source.shape[0]}")
        if values.shape[1] != keys.shape[1]:
            raise ValueError(f"expected as many values as keys, {keys.shape[1]}, given {values.shape[1]}")

    def __repr__(self) -> str:
        named = ("causal", self.causal), ("block", self.block), ("rotary", self.rotary)
        settings = [f"{name}={value}" for name, value in named if value]
        return f"MultiheadAttention({', '.join([str(self.embed_dim), str(self.num_heads), *settings])})"


def combined_mask(key_padding_mask, attn_mask, full: tuple[int, ...], dtype) -> np.ndarray:
    """What is added to the scores, whose shape (B, H, L, keys) is `full`: an array that is broadcast to it, or None.

    Raises
    ------
    ValueError
        If a mask has another shape.
    TypeError
        If it holds neither Booleans nor floating-point numbers.
    """
    mask, (batch, heads, queries, keys) = None, full
    if attn_mask is not None:
        mask = _added("attn_mask", attn_mask, dtype)
        shape = (batch, heads, queries, keys) if mask.shape == (batch * heads, queries, keys) else mask.shape
        if shape[-2:] != (queries, keys) or len(shape) == 3 or not all(n in (1, m) for n, m in zip(shape[:-2], full)):
            raise ValueError(f"expected attn_mask of shape ({queries}, {keys}) or one for each head, {full}, given {mask.shape}")
        mask = mask.reshape(shape)
    if key_padding_mask is not None:
        padding = _added("key_padding_mask", key_padding_mask, dtype)
        if padding.shape != (batch, keys):
            raise ValueError(f"expected key_padding_mask of shape {(batch, keys)}, given {padding.shape}")
        padding = padding[:, None, None, :]
        mask = padding if mask is None else mask + padding
    return mask


def _added(name: str, mask, dtype):
    """Booleans, True where nothing may be seen, as −∞ and 0; numbers as they are."""
    if mask.dtype == bool:
        return array_module(mask).where(mask, -np.inf, 0.0).astype(dtype)
    if mask.dtype.kind != "f":
        raise TypeError(f"expected {name} of Booleans, True where nothing may be seen, or of floats, given {mask.dtype}")
    return mask
