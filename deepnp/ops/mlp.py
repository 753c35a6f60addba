"""Several dense layers in one operation.             B rows, L layers, I_l inputs and O_l outputs of layer l, P parameters

Forward    y_0 = x        y_l = f_l(y_{l−1} W_lᵀ + b_l)
Backward   dz_l = dy_l·f_l′        dW_l = dz_lᵀ y_{l−1}        db_l = Σ_b dz_l        dy_{l−1} = dz_l W_l
           from the last layer to the first: the chain rule, one dense layer (ops.dense) after another
Tangent    vz_l = vy_{l−1} W_lᵀ + y_{l−1} vW_lᵀ + vb_l        vy_l = f_l′·vz_l        from the first layer to the last

The parameters are one vector: W_1, b_1, W_2, b_2, … as a model keeps them.

The float32 kernels run the whole chain in one call, with NumPy's BLAS for the products (deepnp.blas): Python's part of a pass
shrinks from a dozen calls to one, and its lock is free meanwhile.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from deepnp.backend import array_module, kernel, kernel_runs, ordered_kernel
from deepnp.blas import find_sgemm, sgemm
from deepnp.checks import check_one_device, check_shape, check_upstream
from deepnp.ops import dense, linear
from deepnp.ops.activation import relu, sine, tanh

SINGLE = np.dtype(np.float32)
IDENTITY, TANH, RELU, SINE = 0, 1, 2, 3  # what the kernels know
CODES = {None: IDENTITY, tanh: TANH, relu: RELU, sine: SINE}


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
    def kept(self) -> int:
        """Numbers of a row that the kernels keep, see `Cache.values`."""
        return sum(o * (2 if f is sine else 1) for o, f in zip(self.widths[1:], self.activations, strict=True))

    @cached_property
    def for_kernels(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Widths and activations as integer arrays; None where a kernel does not know an activation."""
        if not all(f in CODES for f in self.activations):
            return None
        return np.array(self.widths, np.int64), np.array([CODES[f] for f in self.activations], np.int64)

    @cached_property
    def expected(self) -> tuple[tuple[int, ...], tuple[int]]:
        """(I_1,), what x's shape ends with, and (P,), the parameters' shape."""
        return self.widths[:1], (self.size,)

    def layers(self, vector) -> Iterator[tuple]:
        """Weight (O_l, I_l) and bias (O_l,) of each layer, as views of a vector (P,)."""
        start = 0
        for i, o in pairwise(self.widths):
            middle, stop = start + o * i, start + o * i + o
            yield vector[start:middle].reshape(o, i), vector[middle:stop]
            start = stop

    def __deepcopy__(self, memo: dict) -> "Layout":
        return self


class Cache(NamedTuple):
    """What backward needs."""

    x: Any  # (…, I_1)
    parameters: Any  # (P,)
    layout: Layout
    shape: tuple[int, ...]  # of y
    layers: list | None  # the caches of ops.dense and ops.linear, layer by layer; None after the kernel
    values: Any  # the kernel's z_l of every sine, then y_1 … y_L, all in one vector; None after the plain form


def forward(x, parameters, layout) -> tuple[np.ndarray, Cache]:
    """x (…, I_1), parameters (P,), layout a Layout -> y (…, O_L)."""
    if (x.shape[-1:], parameters.shape) != layout.expected:
        raise ValueError(
            f"expected input of shape (…, {layout.widths[0]}) and {layout.size} parameters, given {x.shape} and {parameters.shape}"
        )
    if type(x) is not type(parameters):
        check_one_device(x, parameters)
    if kernels_run(layout, x, parameters):
        return _forward_fast(x, parameters, layout)
    caches, y = [], x
    for (weight, bias), activation in zip(layout.layers(parameters), layout.activations, strict=True):
        y, cache = linear.forward(y, weight, bias) if activation is None else dense.forward(y, weight, bias, activation)
        caches.append(cache)
    return y, Cache(x, parameters, layout, y.shape, caches, None)


def backward(dy, cache) -> tuple[np.ndarray | None, np.ndarray]:
    """dy (…, O_L) -> dx (…, I_1), dparameters (P,)."""
    dparameters = array_module(dy).zeros_like(cache.parameters)
    return accumulate(dy, cache, dparameters, True), dparameters


def accumulate(dy, cache, dparameters, inputs) -> np.ndarray | None:
    """dy (…, O_L) -> dx (…, I_1), or None unless `inputs`; adds to dparameters (P,), or computes none where that is None."""
    if getattr(dy, "shape", None) != cache.shape:
        check_upstream(dy, cache.shape)
    if dparameters is not None and dparameters.shape != cache.parameters.shape:
        check_shape("dparameters", dparameters, cache.parameters.shape)
    if cache.values is not None and (dparameters is None or _can_be_added_to(dparameters)):
        return _accumulate_fast(dy, cache, dparameters, inputs)
    caches = by_layer(cache)
    gradients = [] if dparameters is None else list(cache.layout.layers(dparameters))
    for layer in reversed(range(len(caches))):
        op = linear if isinstance(caches[layer], linear.Cache) else dense
        if gradients:
            for gradient, more in zip(gradients[layer], op.backward_parameters(dy, caches[layer]), strict=True):
                gradient += more
        dy = op.backward_input(dy, caches[layer]) if layer or inputs else None
    return dy


def jvp(vx, vparameters, cache) -> np.ndarray:
    """Tangents vx (…, I_1), vparameters (P,) -> tangent of y (…, O_L)."""
    check_shape("vparameters", vparameters, cache.parameters.shape)
    vy = vx
    for (vweight, vbias), layer in zip(cache.layout.layers(vparameters), by_layer(cache), strict=True):
        op = linear if isinstance(layer, linear.Cache) else dense
        vy = op.jvp(vy, vweight, vbias, layer)
    return vy


def by_layer(cache: Cache) -> list:
    """The caches of ops.dense, or of ops.linear where no activation follows, layer by layer."""
    if cache.layers is not None:
        return cache.layers
    x, parameters, layout, _, _, values = cache
    rows = x.reshape(-1, x.shape[-1])
    caches, z_start, y_start = [], 0, len(values) - len(rows) * sum(layout.widths[1:])
    for (weight, bias), activation in zip(layout.layers(parameters), layout.activations, strict=True):
        size, shape = len(rows) * len(bias), (*x.shape[:-1], rows.shape[1])
        kept = y = values[y_start : y_start + size].reshape(-1, len(bias))
        if activation is sine:
            kept = values[z_start : z_start + size].reshape(-1, len(bias))
            z_start += size
        if activation is None:
            caches.append(linear.Cache(rows.reshape(shape), weight))
        else:
            caches.append(dense.Cache(rows, shape, weight, kept, activation))
        rows, y_start = y, y_start + size
    return caches


def kernels_run(layout, x, parameters) -> bool:
    """Whether the kernels know these layers and may take these arrays."""
    return x.dtype == SINGLE and layout.for_kernels is not None and kernel_runs(x, parameters) and find_sgemm()[0] != 0


def _can_be_added_to(dparameters) -> bool:
    return type(dparameters) is np.ndarray and dparameters.dtype == SINGLE and dparameters.flags.c_contiguous


def _forward_fast(x, parameters, layout):
    rows, outputs = x.reshape(-1, x.shape[-1]), layout.widths[-1]
    values = np.empty(len(rows) * layout.kept, SINGLE)
    _forward(*find_sgemm(), parameters, *layout.for_kernels, rows, values)
    shape = (*x.shape[:-1], outputs)
    y = values[len(values) - len(rows) * outputs :].reshape(shape)
    return y, Cache(x, parameters, layout, shape, None, values)


def rows_fast(dy, cache) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """dy (B, O_L) -> y_{l−1} (B, I_l) and dz_l (B, O_l) of each layer, where kernels ran over vectors; None elsewhere."""
    x, parameters, layout, _, _, values = cache
    if values is None or x.ndim != 2:
        return None
    check_upstream(dy, cache.shape)
    rows, widths = len(x), layout.widths[1:]
    dzs, total = np.empty(rows * sum(widths), SINGLE), rows * sum(widths)
    dy = np.ascontiguousarray(dy, SINGLE)
    _backward_keeping(*find_sgemm(), parameters, *layout.for_kernels, values, dy, dzs, x[:, :0], x, parameters[:0])
    found, ys, start = [], values[len(values) - total :], 0
    for o in widths:
        stop = start + rows * o
        found.append((x, dzs[start:stop].reshape(rows, o)))
        x, start = ys[start:stop].reshape(rows, o), stop
    return found


def _accumulate_fast(dy, cache, dparameters, inputs):
    x, parameters, layout, _, _, values = cache
    i, o = layout.widths[0], layout.widths[-1]
    rows, gradient = x.reshape(-1, i), parameters[:0] if dparameters is None else dparameters
    dx = np.empty((len(rows) if inputs else 0, i), SINGLE)
    dy = np.ascontiguousarray(dy, SINGLE).reshape(-1, o)
    _backward(*find_sgemm(), parameters, *layout.for_kernels, values, dy, dx, rows, gradient)
    return dx.reshape(x.shape) if inputs else None


@ordered_kernel
def _blocks(widths, codes):
    """Columns of what is kept, one block after the other: of the sines' z, then of y_1 … y_L."""
    return np.concatenate((widths[1:][codes == SINE], widths[1:]))


@kernel
def _forward(address, wide, parameters, widths, codes, x, values):
    rows, source, p, k = len(x), x.ctypes.data, 0, 0
    v = len(values) - rows * widths[1:].sum()
    for layer in range(len(codes)):
        i, o = widths[layer], widths[layer + 1]
        weight, bias = parameters[p : p + o * i], parameters[p + o * i : p + o * i + o]
        y = values[v : v + rows * o].reshape((rows, o))
        z = values[k : k + rows * o].reshape((rows, o)) if codes[layer] == SINE else y
        sgemm(address, wide, False, True, rows, o, i, source, i, weight.ctypes.data, i, np.float32(0), z.ctypes.data, o)
        if codes[layer] == TANH:
            tanh._add_bias(y, bias)
        elif codes[layer] == RELU:
            relu._add_bias(y, bias)
        elif codes[layer] == SINE:
            sine._add_bias(z, bias, y)
            k += rows * o
        else:
            for b in range(rows):
                for j in range(o):
                    y[b, j] += bias[j]
        source, p, v = y.ctypes.data, p + (i + 1) * o, v + rows * o


@kernel
def _backward(address, wide, parameters, widths, codes, values, dy, dx, x, dparameters):
    """dx (B, n) is the gradient of the last n inputs: of none, of all, or of actions that lie beside an observation."""
    dzs = np.empty(len(x) * widths[1:].max(), np.float32)
    _backward_keeping(address, wide, parameters, widths, codes, values, dy, dzs, dx, x, dparameters)


@kernel
def _backward_keeping(address, wide, parameters, widths, codes, values, dy, dzs, dx, x, dparameters):
    """As `_backward`; dz_1 … dz_L stay in `dzs`, one after the other, if that has room for all of them."""
    rows, p, v = len(x), len(parameters), len(values)
    k = v - rows * widths[1:].sum()
    widest = widths[1:].max()
    upstream, above, unwanted = np.empty(rows * widest, np.float32), dy, np.zeros(widest, np.float32)
    all_stay, end = len(dzs) == rows * widths[1:].sum(), len(dzs)
    for layer in range(len(codes) - 1, -1, -1):
        i, o = widths[layer], widths[layer + 1]
        p, v = p - (i + 1) * o, v - rows * o
        dbias = dparameters[p + o * i : p + o * i + o] if len(dparameters) > 0 else unwanted[:o]
        if not all_stay:
            end = rows * o
        y, dz = values[v : v + rows * o].reshape((rows, o)), dzs[end - rows * o : end].reshape((rows, o))
        end -= rows * o
        if codes[layer] == TANH:
            tanh._backward_bias(above, y, dz, dbias)
        elif codes[layer] == RELU:
            relu._backward_bias(above, y, dz, dbias)
        elif codes[layer] == SINE:
            k -= rows * o
            sine._backward_bias(above, values[k : k + rows * o].reshape((rows, o)), dz, dbias)
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
            above, n = upstream[: rows * i].reshape((rows, i)), i
        else:
            above, n = dx, dx.shape[1]
        weight = parameters[p + i - n :]  # its last n columns
        if o == 1:
            _spread(dz, weight, above)
        elif above.size > 0:
            w, target = weight.ctypes.data, above.ctypes.data
            sgemm(address, wide, False, False, rows, n, o, dz.ctypes.data, o, w, i, np.float32(0), target, n)


@ordered_kernel
def _spread(dz, weight, dx):
    """dx = dz W of a layer with one output: BLAS would take longer over sums of one term."""
    for b in range(dx.shape[0]):
        for j in range(dx.shape[1]):
            dx[b, j] = dz[b, 0] * weight[j]


CASES = [
    dict(x=(5, 7), parameters=(8 * 4 + 5 * 3,), layout=Layout((7, 4, 3), (tanh, None))),
    dict(x=(6, 3), parameters=(4 * 5 + 6 * 4 + 5 * 2,), layout=Layout((3, 5, 4, 2), (tanh, tanh, tanh))),
    dict(x=(2, 3, 4), parameters=(5 * 3,), layout=Layout((4, 3), (None,))),
    dict(x=(4, 3), parameters=(4 * 6 + 7 * 2,), layout=Layout((3, 6, 2), (relu, None))),
    dict(x=(4, 3), parameters=(4 * 5 + 6 * 6 + 7 * 2,), layout=Layout((3, 5, 6, 2), (sine, relu, sine))),
    dict(x=(0, 4), parameters=(5 * 3 + 4 * 2,), layout=Layout((4, 3, 2), (tanh, None))),
    dict(x=(0, 4), parameters=(5 * 3 + 4 * 2,), layout=Layout((4, 3, 2), (sine, None))),
]
