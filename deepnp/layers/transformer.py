"""The Transformer's encoder block."""

from collections.abc import Callable

import numpy as np

from deepnp.checks import check_upstream
from deepnp.layers.activation import ReLU
from deepnp.layers.attention import MultiheadAttention
from deepnp.layers.containers import Identity
from deepnp.layers.fusion import fuse
from deepnp.layers.linear import Linear
from deepnp.layers.normalization import LayerNorm
from deepnp.layers.regularization import Dropout
from deepnp.module import Module

__all__ = ["TransformerEncoderBlock"]


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
        *,
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
        self.self_attn = MultiheadAttention(embed_dim, num_heads, causal=causal, block=block, rotary=rotary, rng=rng, dtype=dtype)
        self.linear1 = Linear(embed_dim, feedforward, rng=rng, dtype=dtype)
        self.linear2 = Linear(feedforward, embed_dim, rng=rng, dtype=dtype)
        self.norm1, self.norm2 = (LayerNorm(embed_dim, eps, dtype=dtype) for _ in range(2))
        self.activation = activation()
        self.norm_first = norm_first
        self._cache = None
        hidden, self._drop, last = (Dropout(dropout, rng=rng) if dropout else Identity() for _ in range(3))
        feed = [self.linear1, self.activation, hidden, self.linear2, last]
        self._steps = fuse([step for step in feed if not isinstance(step, Identity)])

    def forward(self, x, *, key_padding_mask=None, attn_mask=None) -> np.ndarray:
        """x (B, L, E) -> y (B, L, E); the masks are those of `MultiheadAttention`."""
        masks = dict(key_padding_mask=key_padding_mask, attn_mask=attn_mask)
        if self.norm_first:
            middle = x + self._drop.forward(self.self_attn.forward(self.norm1.forward(x), **masks))
            y = middle + self._feed(self.norm2.forward(middle))
        else:
            middle = self.norm1.forward(x + self._drop.forward(self.self_attn.forward(x, **masks)))
            y = self.norm2.forward(middle + self._feed(middle))
        self._cache = y.shape
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        check_upstream(dy, self.cache)
        if self.norm_first:  # a skip hands the gradient on as it is, the branch adds its own
            dy = dy + self.norm2.backward(self._feed_backward(dy, params), params)
            dx = self.norm1.backward(self.self_attn.backward(self._drop.backward(dy), params), params)
            return dy + dx if inputs else None
        dy = self.norm2.backward(dy, params)
        dy = self.norm1.backward(dy + self._feed_backward(dy, params), params)
        dx = self.self_attn.backward(self._drop.backward(dy), params, inputs)
        return dy + dx if inputs else None

    def _tangent(self, v, vx):
        if self.norm_first:
            branch = self._drop.tangent(v, self.self_attn.tangent(v, self.norm1.tangent(v, vx)))
            vmiddle = branch if vx is None else vx + branch
            return vmiddle + self._feed_tangent(v, self.norm2.tangent(v, vmiddle))
        branch = self._drop.tangent(v, self.self_attn.tangent(v, vx))
        vmiddle = self.norm1.tangent(v, branch if vx is None else vx + branch)
        return self.norm2.tangent(v, vmiddle + self._feed_tangent(v, vmiddle))

    def predict(self, x, *, key_padding_mask=None, attn_mask=None) -> np.ndarray:
        masks = dict(key_padding_mask=key_padding_mask, attn_mask=attn_mask)
        if self.norm_first:
            x = x + self.self_attn.predict(self.norm1.predict(x), **masks)
            return x + self._feed_predict(self.norm2.predict(x))
        x = self.norm1.predict(x + self.self_attn.predict(x, **masks))
        return self.norm2.predict(x + self._feed_predict(x))

    def _feed(self, x):
        y = rows(x)
        for step in self._steps:
            y = step.forward(y)
        return y.reshape(x.shape)

    def _feed_backward(self, dy, params):
        d = rows(dy)
        for step in reversed(self._steps):
            d = step.backward(d, params)
        return d.reshape(dy.shape)

    def _feed_tangent(self, v, vx):
        vy = rows(vx)
        for step in self._steps:
            vy = step.tangent(v, vy)
        return vy.reshape(vx.shape)

    def _feed_predict(self, x):
        y = rows(x)
        for step in self._steps:
            y = step.predict(y)
        return y.reshape(x.shape)

    def __repr__(self) -> str:
        attention = self.self_attn
        return f"TransformerEncoderBlock({attention.embed_dim}, {attention.num_heads}, {self.linear1.weight.shape[0]})"


def rows(x) -> np.ndarray:
    """x (B, L, E) -> (B·L, E)."""
    return x.reshape(x.shape[0] * x.shape[1], x.shape[2])
