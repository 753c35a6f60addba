"""Embedding: a row of a table for every index.      V rows of the table, D channels, N indices (any shape)

Forward    y_n = W_{k_n}
Backward   dW_v = Σ_{n: k_n = v} dy_n           a row is read once for every index that names it: the gradients add up

The same as a linear map of one-hot rows, without the rows. Indices are whole numbers: nothing flows to them.
"""

from deepnp.backend import array_module, kernel, kernel_runs
from deepnp.cases import Integers


def forward(indices, weight):
    """indices (any shape) of integers, weight (V, D) -> y (…, D)."""
    return weight[indices], (indices, weight)


def backward(dy, cache):
    """dy (…, D) -> dweight (V, D)."""
    indices, weight = cache
    dweight = array_module(weight).zeros_like(weight, order="C")
    accumulate(dy, indices, dweight)
    return dweight


def accumulate(dy, indices, dweight):
    """Adds the gradient to dweight (V, D) in place: dy (…, D), indices (…) -> nothing."""
    if kernel_runs(dy, dweight):
        _accumulate(dy.reshape(-1, dy.shape[-1]), indices.reshape(-1), dweight)
    else:
        array_module(dweight).add.at(dweight, indices, dy)  # += would count a repeated index once


@kernel
def _accumulate(dy, indices, dweight):
    for n in range(len(indices)):
        row = indices[n]
        for j in range(dy.shape[1]):
            dweight[row, j] += dy[n, j]


CASES = [
    dict(indices=Integers((2, 5), 4), weight=(4, 3)),
    dict(indices=Integers((6,), 2), weight=(9, 1)),
    dict(indices=Integers((), 4), weight=(4, 3)),
    dict(indices=Integers((0, 5), 4), weight=(4, 3)),
    dict(indices=Integers((0,), 1), weight=(0, 3)),
]
