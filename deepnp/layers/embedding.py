"""Embedding layers: a table of vectors, and positions."""

from types import ModuleType

import numpy as np

from deepnp.module import Module
from deepnp.ops.embedding import embedding, rotary, sinusoidal
from deepnp.parameters import Parameter

__all__ = ["Embedding", "RotaryPositions", "SinusoidalPositions"]


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

    def forward(self, x):
        """Indices x of any shape -> y (…, D)."""
        y, self._cache = self._run(x)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True):
        """Adds to the table's gradient. Returns None: nothing flows to an index."""
        if not params:
            return
        indices, grad = self._cache[0], self.weight.grad
        if self.padding_idx is None:
            embedding.accumulate(dy, indices, grad)
        else:
            before = grad[self.padding_idx].copy()
            embedding.accumulate(dy, indices, grad)
            grad[self.padding_idx] = before

    def predict(self, x):
        return self._run(x)[0]

    def _run(self, x):
        if x.dtype.kind not in "iu":
            raise TypeError(f"expected whole numbers as indices, given {x.dtype}")
        rows = len(self.weight.data)
        if x.size and not 0 <= int(x.min()) <= int(x.max()) < rows:
            raise ValueError(f"expected indices from 0 to {rows - 1}, given {int(x.min())} to {int(x.max())}")
        return embedding.forward(x, self.weight.data)

    def __repr__(self) -> str:
        return f"Embedding({self.weight.shape[0]}, {self.weight.shape[1]})"


class Positions(Module):
    """Tells attention where in a sequence a vector stands. `SinusoidalPositions` and `RotaryPositions` make it.

    Parameters
    ----------
    op : module
        `sinusoidal` or `rotary` of `deepnp.ops.embedding`.
    base : float
        The longest wavelength, in units of 2π positions: at least 1.
    """

    def __init__(self, op: ModuleType, base: float):
        if not base >= 1:
            raise ValueError(f"expected base >= 1, given {base}")
        self.op, self.base = op, base
        self._cache = None

    def forward(self, x, start: int = 0):
        """x (…, T, D), whose first step stands at position `start` -> y (…, T, D)."""
        y, self._cache = self._run(x, start)
        return y

    def backward(self, dy, params: bool = True, inputs: bool = True):
        return self.op.backward(dy, self._cache) if inputs else None

    def predict(self, x, start: int = 0):
        return self._run(x, start)[0]

    def _run(self, x, start):
        if x.ndim < 2:
            raise ValueError(f"expected input of shape (…, T, D), given {x.shape}")
        if self.op is rotary and x.shape[-1] % 2:
            raise ValueError(f"expected an even last axis, channels turn in pairs; given {x.shape}")
        return self.op.forward(x, start, self.base)

    def __repr__(self) -> str:
        return f"{self.op.__name__.rsplit('.', 1)[-1].capitalize()}Positions()"


def SinusoidalPositions(base: float = 10000.0) -> Positions:
    """Adds sines and cosines of the position (Vaswani et al. 2017)."""
    return Positions(sinusoidal, base)


def RotaryPositions(base: float = 10000.0) -> Positions:
    """Turns neighbouring channels by angles that grow with the position (Su et al. 2021): for queries and keys."""
    return Positions(rotary, base)
