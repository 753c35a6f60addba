"""Several dense layers in one operation.             B rows, L layers, I_l inputs and O_l outputs of layer l, P parameters

Forward    y_0 = x        y_l = f_l(y_{l−1} W_lᵀ + b_l)
Backward   dz_l = dy_l·f_l′        dW_l = dz_lᵀ y_{l−1}        db_l = Σ_b dz_l        dy_{l−1} = dz_l W_l
           from the last layer to the first: the chain rule, one dense layer (ops.dense) after another

The parameters are one vector: W_1, b_1, W_2, b_2, … as a model keeps them. So a kernel can run the whole chain in one call,
with NumPy's BLAS for the products (deepnp.blas): Python's part of a pass shrinks from a dozen calls to one, and its lock is
free meanwhile.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from types import ModuleType

import numpy as np

from deepnp.backend import array_module, kernel, kernel_runs
from deepnp.blas import find_sgemm, sgemm
from deepnp.ops import dense, linear
from deepnp.ops.activation import relu, tanh

IDENTITY, TANH, RELU = 0, 1, 2  # what the kernels know
CODES = {None: IDENTITY, tanh: TANH, relu: RELU}


@dataclass(frozen=True)
class Layout:
    """How the layers follow one another.

    Attributes
    ----------
    widths : tuple of int
        I_1, O_1 = I_2, …, O_L.
    activations : tuple of modules or None
        f_1 … f_L: operations that `ops.dense` can fuse, None for the identity.
    """

    widths: tuple[int, ...]
    activations: tuple[ModuleType | None, ...]

    @cached_property
    def size(self) -> int:
        """P."""
        return sum((i + 1) * o for i, o in pairwise(self.widths))

    @cached_property
    def for_kernels(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Widths and activations as integer arrays; None where a kernel does not know an activation."""
        if not all(f in CODES for f in self.activations):
            return None
        return np.array(self.widths, np.int64), np.array([CODES[f] for f in self.activations], np.int64)

    def layers(self, vector):
        """Weight (O_l, I_l) and bias (O_l,) of each layer, as views of a vector (P,)."""
        start = 0
        for i, o in pairwise(self.widths):
            middle, stop = start + o * i, start + o * i + o
            yield vector[start:middle].reshape(o, i), vector[middle:stop]
            start = stop

    def __deepcopy__(self, memo: dict) -> "Layout":
        return self


def forward(x, parameters, layout):
    """x (…, I_1), parameters (P,), layout a Layout -> y (…, O_L)."""
    if _kernels_run(layout, x, parameters):
        rows, values = math.prod(x.shape[:-1]), layout.widths[1:]
        values = np.empty(rows * sum(values), np.float32)
        _forward(*find_sgemm(), parameters, *layout.for_kernels, x.reshape(-1, x.shape[-1]), values)
        y = values[len(values) - rows * layout.widths[-1] :].reshape(*x.shape[:-1], layout.widths[-1])
        return y, (x, parameters, layout, values)
    caches, y = [], x
    for (weight, bias), activation in zip(layout.layers(parameters), layout.activations, strict=True):
        y, cache = linear.forward(y, weight, bias) if activation is None else dense.forward(y, weight, bias, activation)
        caches.append(cache)
    return y, (x, parameters, layout, caches)


def backward(dy, cache):
    """dy (…, O_L) -> dx (…, I_1), dparameters (P,)."""
    dparameters = array_module(dy).zeros_like(cache[1])
    return accumulate(dy, cache, dparameters, True), dparameters


def accumulate(dy, cache, dparameters, inputs):
    """dy (…, O_L) -> dx (…, I_1), or None unless `inputs`; adds to dparameters (P,), or computes none where that is None."""
    x, parameters, layout, kept = cache
    if isinstance(kept, np.ndarray):
        dy = np.ascontiguousarray(dy, np.float32)
        dx = np.empty_like(x) if inputs else x[:0]
        gradient = parameters[:0] if dparameters is None else dparameters
        rows = (array.reshape(-1, array.shape[-1]) for array in (dy, dx, x))
        _backward(*find_sgemm(), parameters, *layout.for_kernels, kept, *rows, gradient)
        return dx if inputs else None
    gradients = [] if dparameters is None else list(layout.layers(dparameters))
    for layer in reversed(range(len(kept))):
        op = linear if layout.activations[layer] is None else dense
        if gradients:
            for gradient, more in zip(gradients[layer], op.backward_parameters(dy, kept[layer]), strict=True):
                gradient += more
        dy = op.backward_input(dy, kept[layer]) if layer or inputs else None
    return dy


def _kernels_run(layout, x, parameters):
    return x.dtype == np.float32 and layout.for_kernels is not None and kernel_runs(x, parameters) and find_sgemm()[0] != 0


@kernel
def _forward(address, wide, parameters, widths, codes, x, values):
    rows, source, p, v = len(x), x.ctypes.data, 0, 0
    for layer in range(len(codes)):
        i, o = widths[layer], widths[layer + 1]
        weight, bias = parameters[p : p + o * i], parameters[p + o * i : p + o * i + o]
        y = values[v : v + rows * o].reshape((rows, o))
        sgemm(address, wide, False, True, rows, o, i, source, i, weight.ctypes.data, i, np.float32(0), y.ctypes.data, o)
        if codes[layer] == TANH:
            tanh._add_bias(y, bias)
        elif codes[layer] == RELU:
            relu._add_bias(y, bias)
        else:
            for b in range(rows):
                for j in range(o):
                    y[b, j] += bias[j]
        source, p, v = y.ctypes.data, p + (i + 1) * o, v + rows * o


@kernel
def _backward(address, wide, parameters, widths, codes, values, dy, dx, x, dparameters):
    rows, p, v = len(x), len(parameters), len(values)
    widest = widths[1:].max()
    upstream, above = np.empty(rows * widest, np.float32), dy
    before_activation, unwanted = np.empty(rows * widest, np.float32), np.zeros(widest, np.float32)
    for layer in range(len(codes) - 1, -1, -1):
        i, o = widths[layer], widths[layer + 1]
        p, v = p - (i + 1) * o, v - rows * o
        dbias = dparameters[p + o * i : p + o * i + o] if len(dparameters) > 0 else unwanted[:o]
        y, dz = values[v : v + rows * o].reshape((rows, o)), before_activation[: rows * o].reshape((rows, o))
        if codes[layer] == TANH:
            tanh._backward_bias(above, y, dz, dbias)
        elif codes[layer] == RELU:
            relu._backward_bias(above, y, dz, dbias)
        else:
            for b in range(rows):
                for j in range(o):
                    dz[b, j] = above[b, j]
                    dbias[j] += above[b, j]
        if len(dparameters) > 0:
            source = values[v - rows * i :].ctypes.data if layer > 0 else x.ctypes.data
            dweight = dparameters[p:].ctypes.data
            sgemm(address, wide, True, False, o, i, rows, dz.ctypes.data, o, source, i, np.float32(1), dweight, i)
        if layer > 0:
            above = upstream[: rows * i].reshape((rows, i))
        elif len(dx) > 0:
            above = dx
        if layer > 0 or len(dx) > 0:
            weight = parameters[p:].ctypes.data
            sgemm(address, wide, False, False, rows, i, o, dz.ctypes.data, o, weight, i, np.float32(0), above.ctypes.data, i)


CASES = [
    dict(x=(5, 7), parameters=(8 * 4 + 5 * 3,), layout=Layout((7, 4, 3), (tanh, None))),
    dict(x=(6, 3), parameters=(4 * 5 + 6 * 4 + 5 * 2,), layout=Layout((3, 5, 4, 2), (tanh, tanh, tanh))),
    dict(x=(2, 3, 4), parameters=(5 * 3,), layout=Layout((4, 3), (None,))),
    dict(x=(4, 3), parameters=(4 * 6 + 7 * 2,), layout=Layout((3, 6, 2), (relu, None))),
    dict(x=(0, 4), parameters=(5 * 3 + 4 * 2,), layout=Layout((4, 3, 2), (tanh, None))),
]
