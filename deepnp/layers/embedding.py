"""Embedding layers: a table of vectors, and positions."""

from types import ModuleType

import numpy as np

from deepnp.checks import check_floats, check_upstream
from deepnp.module import Module
from deepnp.ops.embedding import embedding, rotary, sinusoidal
from deepnp.parameters import Parameter

__all__ = ["Embedding", "Positions", "RotaryPositions", "SinusoidalPositions"]


class Embedding(Module):
    """A trainable vector for each of so many indices.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        Rows V and columns D of the table.
    padding_idx : int or None
        A row that stands for "nothing": zero at first, and no gradient reaches it.
    rng : numpy.random.Generator or None
        Source of the initial table, standard normal as PyTorch's; None draws fresh entropy.
    dtype
        float32 by default.

    Attributes
    ----------
    weight : Parameter (num_embeddings, embedding_dim)

    Raises
    ------
    TypeError
        In `forward` and `predict`, if the indices are no whole numbers.
    ValueError
        If one lies outside 0 … V − 1.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        rng: np.random.Generator | None = None,
        dtype=np.float32,
    ):
        for name, size in (("num_embeddings", num_embeddings), ("embedding_dim", embedding_dim)):
            if size != int(size) or size < 1:
                raise ValueError(f"expected a positive {name}, given {size}")
        if padding_idx is not None and not 0 <= padding_idx < num_embeddings:
            raise ValueError(f"expected padding_idx from 0 to {num_embeddings - 1}, given {padding_idx}")
        table = (rng or np.random.default_rng()).normal(size=(num_embeddings, embedding_dim)).astype(dtype)
        if padding_idx is not None:
            table[padding_idx] = 0
        self.weight = Parameter(table)
        self.padding_idx = padding_idx
        self._cache = None

    def forward(self, x) -> np.ndarray:
        """Indices x of any shape -> y (…, D)."""
        y, self._cache = self._run(x)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> None:
        """Adds to the table's gradient. Returns None: nothing flows to an index."""
        indices, grad = self.cache.indices, self.weight.grad
        check_upstream(dy, (*indices.shape, grad.shape[1]))
        if not params:
            return
        if self.padding_idx is None:
            embedding.accumulate(dy, indices, grad)
        else:
            before = grad[self.padding_idx].copy()
            embedding.accumulate(dy, indices, grad)
            grad[self.padding_idx] = before

    def _tangent(self, v, vx):
        if vx is not None:
            raise ValueError("expected no direction in the input: indices do not move")
        vweight = v[self.weight]
        if self.padding_idx is not None:
            vweight = vweight.copy()
            vweight[self.padding_idx] = 0  # as backward has it
        return embedding.jvp(vweight, self.cache)

    def predict(self, x) -> np.ndarray:
        return self._run(x)[0]

    def _run(self, x):
        return embedding.forward(x, self.weight.data)

    def __repr__(self) -> str:
        return f"Embedding({self.weight.shape[0]}, {self.weight.shape[1]})"


class Positions(Module):
    """Base of the layers that tell attention where in a sequence a vector stands.

    Parameters
    ----------
    base : float
        The longest wavelength, in units of 2π positions: at least 1.

    Raises
    ------
    ValueError
        If it is less; in `forward` for an input that is not (…, T, D).
    TypeError
        In `forward`, for an input that holds no floating-point numbers.
    """

    op: ModuleType  # an operation of `deepnp.ops.embedding`

    def __init__(self, base: float = 10000.0):
        if not base >= 1:
            raise ValueError(f"expected base >= 1, given {base}")
        self.base = base
        self._cache = None

    def forward(self, x, start: int = 0) -> np.ndarray:
        """x (…, T, D), whose first step stands at position `start` -> y (…, T, D)."""
        y, self._cache = self._run(x, start)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True) -> np.ndarray | None:
        dx = self.op.backward(dy, self.cache)
        return dx if inputs else None

    def _tangent(self, v, vx):
        return self.op.jvp(vx, self.cache)

    def predict(self, x, start: int = 0) -> np.ndarray:
        return self._run(x, start)[0]

    def _run(self, x, start):
        check_floats(x)
        if x.ndim < 2:
            raise ValueError(f"expected input of shape (…, T, D), given {x.shape}")
        return self.op.forward(x, start, self.base)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class SinusoidalPositions(Positions):
    """Adds sines and cosines of the position (Vaswani et al. 2017). `base` as for `Positions`."""

    op = sinusoidal


class RotaryPositions(Positions):
    """Turns neighbouring channels by angles that grow with the position (Su et al. 2021): for queries and keys.

    `base` as for `Positions`; D is even.
    """

    op = rotary
