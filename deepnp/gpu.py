"""Fused kernels for CuPy arrays: how they are declared, and when they run.

An operation's plain form is a kernel of CuPy's for each of its steps, and every one reads and writes whole arrays. A fused kernel
takes all steps at once. Those that there are stand in their operation's file, under the Numba kernel, in a few lines of CUDA C:

    Elementwise    what happens to one element; arrays are broadcast and may lie in memory as they like
    Rows           what one block of threads does to one row of a matrix, with sums and maxima over that row

T stands for the arrays' type, float or double. Kernels are compiled when they are first called: importing deepnp does not import
CuPy. `deepnp.use_kernels(False)` turns them off, as it does Numba's.
"""

from collections.abc import Callable
from functools import cache, cached_property

import numpy as np

from deepnp.backend import kernels_enabled

THREADS = 256  # in the block that takes a row: a power of two, as the reduction wants it
CPU = (np.ndarray, np.generic)

PRELUDE = """
__device__ T sum_over_row(T value) {
    __shared__ T room[THREADS];
    room[threadIdx.x] = value;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) room[threadIdx.x] += room[threadIdx.x + half];
        __syncthreads();
    }
    value = room[0];
    __syncthreads();  // all have read it before the next sum writes to the room
    return value;
}

__device__ T largest_in_row(T value) {
    __shared__ T room[THREADS];
    room[threadIdx.x] = value;
    __syncthreads();
    for (int half = THREADS / 2; half > 0; half /= 2) {
        if (threadIdx.x < half && room[threadIdx.x] < room[threadIdx.x + half]) room[threadIdx.x] = room[threadIdx.x + half];
        __syncthreads();
    }
    value = room[0];
    __syncthreads();
    return value;
}
"""


class Elementwise:
    """A `cupy.ElementwiseKernel`.

    Parameters
    ----------
    inputs, outputs : str
        As CuPy wants them: "T x, T y". An output that is given in a call is written into, and the body may read it first.
    body : str
        C statements about one element.
    name : str
        Of the kernel, for profilers.

    Called with the inputs, in order, and with the outputs where these exist already; returns the outputs.
    """

    def __init__(self, inputs: str, outputs: str, body: str, name: str):
        self.declaration = inputs, outputs, body, f"deepnp_{name}"

    @cached_property
    def compiled(self) -> Callable:
        import cupy

        return cupy.ElementwiseKernel(*self.declaration)

    def __call__(self, *arguments):
        return self.compiled(*arguments)


class Rows:
    """A `cupy.RawKernel` that takes a matrix row by row, a block of THREADS threads for each.

    Parameters
    ----------
    parameters : str
        C parameters before `int columns`: "const T* x, T* y".
    body : str
        C statements of one thread, number `threadIdx.x`, about row number `row`. `sum_over_row(value)` and
        `largest_in_row(value)` give every thread the sum or the maximum of what all of them bring; all must call them.
    name : str
        Of the kernel, for profilers.
    """

    def __init__(self, parameters: str, body: str, name: str):
        self.name = f"deepnp_{name}"
        head = f'extern "C" __global__ void {self.name}({parameters}, int columns) {{\n    const size_t row = blockIdx.x;\n'
        self.source = PRELUDE + head + body + "}\n"

    def __call__(self, matrix, *arguments) -> None:
        """Run on a matrix (…, columns), not empty, its other arguments after it: arrays that lie in memory row by row, numbers."""
        columns, dtype = matrix.shape[-1], matrix.dtype
        numbers = (x if isinstance(x, type(matrix)) else dtype.type(x) for x in arguments)
        run = _compile(self.source, self.name, "float" if dtype == np.float32 else "double")
        run((matrix.size // columns,), (THREADS,), (matrix, *numbers, np.int32(columns)))


@cache
def _compile(source: str, name: str, kind: str):
    import cupy

    return cupy.RawKernel(f"#define THREADS {THREADS}\ntypedef {kind} T;\n{source}", name)


def elementwise_runs(*arrays) -> bool:
    """Whether an `Elementwise` kernel may take these arrays: kernels are on, all are CuPy's, of float32 or all of float64."""
    if isinstance(arrays[0], CPU) or not kernels_enabled():
        return False
    dtype = arrays[0].dtype
    return dtype.char in "fd" and all(not isinstance(x, CPU) and x.dtype == dtype for x in arrays)


def rows_run(*arrays) -> bool:
    """Whether a `Rows` kernel may take these arrays: as `elementwise_runs`, and they are C-contiguous, the first one not empty."""
    return elementwise_runs(*arrays) and arrays[0].size > 0 and all(x.flags.c_contiguous for x in arrays)
