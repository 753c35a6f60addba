"""Fused kernels for CuPy arrays: how they are declared, and when they run.

An operation's plain form is a kernel of CuPy's for each of its steps, and every one reads and writes whole arrays. A fused kernel
takes all steps at once. Those that there are stand in their operation's file, under the Numba kernel, in a few lines of CUDA C:

    Elementwise    what happens to one element; arrays are broadcast and may lie in memory as they like
    Cells          what one thread does for one cell of a matrix, with whole arrays at hand
    Rows           what one block of threads does to one row of a matrix, with sums and maxima over that row
    Channels       what is summed over everything but axis 1

`fused` needs no C: it makes one kernel of a plain form that is element-wise throughout, as an optimizer's is.

T stands for the arrays' type, float or double. Kernels are compiled when they are first called: importing deepnp does not import
CuPy. `deepnp.use_kernels(False)` turns them off, as it does Numba's.
"""

import math
from collections.abc import Callable
from functools import cache, cached_property

import numpy as np

from deepnp.backend import array_module, kernels_enabled

THREADS = 256  # in a block: a power of two, and a multiple of a warp's 32
CPU = (np.ndarray, np.generic)

PRELUDE = """
__device__ T sum_over_row(T value) {
    __shared__ T room[THREADS / 32];
    for (int lane = 16; lane > 0; lane /= 2) value += __shfl_xor_sync(~0u, value, lane);
    __syncthreads();  // all have read what the last sum left in the room
    if (threadIdx.x % 32 == 0) room[threadIdx.x / 32] = value;
    __syncthreads();
    value = room[0];
    for (int warp = 1; warp < THREADS / 32; ++warp) value += room[warp];
    return value;
}

__device__ T larger(T a, T b) { return a < b ? b : a; }

// TINY times the largest numbers: their squares can be summed. SMALLEST: of the normal numbers.
__device__ const T TINY = sizeof(T) == 4 ? 8.271806125530277e-25 : 2.191809349008403e-193;
__device__ const T SMALLEST = sizeof(T) == 4 ? 1.1754943508222875e-38 : 2.2250738585072014e-308;

__device__ T largest_in_row(T value) {
    __shared__ T room[THREADS / 32];
    for (int lane = 16; lane > 0; lane /= 2) value = larger(value, __shfl_xor_sync(~0u, value, lane));
    __syncthreads();
    if (threadIdx.x % 32 == 0) room[threadIdx.x / 32] = value;
    __syncthreads();
    value = room[0];
    for (int warp = 1; warp < THREADS / 32; ++warp) value = larger(value, room[warp]);
    return value;
}

__device__ T sigmoid(T u) {
    const T e = exp(-fabs(u));
    return (u >= 0 ? T(1) : e) / (1 + e);
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


class Raw:
    """A `cupy.RawKernel` whose parameters are T, pointers to T or others, and integers; `functions` stand before it."""

    def __init__(self, name: str, parameters: str, body: str, functions: str = "", threads: int = THREADS):
        self.name, self.threads = f"deepnp_{name}", threads
        head = f'extern "C" __global__ void __launch_bounds__(THREADS) {self.name}({parameters})'
        self.source = f"#define THREADS {threads}\n{PRELUDE}{functions}{head} {{\n{body}}}\n"

    def launch(self, blocks: tuple[int, ...], first, *arguments) -> None:
        """Numbers are passed as T, which is the type of the first argument, an array; NumPy's integers as they are."""
        dtype, exact = first.dtype, (type(first), np.integer)
        numbers = (x if isinstance(x, exact) else dtype.type(x) for x in arguments)
        compiled = _compile(self.source, self.name, "float" if dtype == np.float32 else "double")
        compiled(blocks, (self.threads,), (first, *numbers))


class Rows(Raw):
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
        super().__init__(name, f"{parameters}, int columns", "    const size_t row = blockIdx.x;\n" + body)

    def __call__(self, matrix, *arguments) -> None:
        """Run on a matrix (…, columns), not empty, its other arguments after it: arrays that lie in memory row by row, numbers."""
        columns = matrix.shape[-1]
        self.launch((matrix.size // columns,), matrix, *arguments, np.int32(columns))


class Cells(Raw):
    """A `cupy.RawKernel` with a thread for each cell of a matrix.

    Parameters
    ----------
    parameters, name : str
        As for `Rows`.
    body : str
        C statements of one thread, about the cell number `cell`, in row `row` and column `j`.

    Attributes
    ----------
    function : str
        The same in C, as a function `step` of the parameters and of columns, cell, row and j.
    """

    def __init__(self, parameters: str, body: str, name: str):
        opening = """
    const size_t cell = blockIdx.x * size_t(THREADS) + threadIdx.x;
    if (cell >= cells) return;
    const size_t row = cell / columns;
    const int j = cell % columns;"""
        super().__init__(name, f"{parameters}, int columns, size_t cells", opening + body)
        self.function = f"__device__ void step({parameters}, int columns, size_t cell, size_t row, int j) {{{body}}}\n"

    def __call__(self, matrix, *arguments, cells: int | None = None) -> None:
        """As for `Rows`; on the first `cells` of the matrix, or on all."""
        cells = matrix.size if cells is None else cells
        self.launch((-(-cells // THREADS),), matrix, *arguments, np.int32(matrix.shape[-1]), np.uint64(cells))


class Channels:
    """`cupy.RawKernel`s that sum over all of an array (B, C, …) but axis 1, in double precision.

    Each block sums what it sees, then the blocks' sums are added: always in the same order, so that the bits are the same, too.

    Parameters
    ----------
    parameters, name : str
        As for `Rows`.
    body : str
        C statements that add to sums[0], sums[1], … what the cell number `cell` brings, of sample `b` and channel `c`.
    count : int
        How many sums there are.
    """

    def __init__(self, parameters: str, body: str, name: str, count: int = 1):
        self.count = count
        parameters += ", double* partial, size_t samples, int channels, size_t places"
        source = CHANNELS.replace("COUNT", str(count)).replace("BODY", body)
        self.kernels = {n: Raw(f"{name}_{n}", parameters, source.replace("LANES", str(n))) for n in (1, 32)}

    def __call__(self, x, *arguments, share: float = 1.0, dtype=None):
        """The sums (count, C) times `share`, of x's dtype or another, of x (B, C, …), not empty, and what else the body reads."""
        xp, (samples, channels, *sizes) = array_module(x), x.shape
        places = math.prod(sizes)
        lanes = 32 if places == 1 else 1  # channels that lie side by side go to threads that do
        parts = min(64, max(1, samples * places * lanes // (16 * THREADS)))
        partial = xp.empty((parts, self.count, channels))
        numbers = np.uint64(samples), np.int32(channels), np.uint64(places)
        self.kernels[lanes].launch((-(-channels // lanes), parts), x, *arguments, partial, *numbers)
        return _TOTALS(partial, parts, share, xp.empty((self.count, channels), dtype or x.dtype))


CHANNELS = """
    const size_t c = blockIdx.x * LANES + threadIdx.x % LANES, step = THREADS / LANES * gridDim.y;
    double sums[COUNT] = {};
    if (c < channels) {
        for (size_t i = blockIdx.y * (THREADS / LANES) + threadIdx.x / LANES; i < samples * places; i += step) {
            const size_t b = places == 1 ? i : i / places, cell = (b * channels + c) * places + (i - b * places);
            BODY
        }
    }
    __shared__ double room[COUNT][THREADS];
    for (int k = 0; k < COUNT; ++k) room[k][threadIdx.x] = sums[k];
    __syncthreads();
    for (int half = THREADS / 2; half >= LANES; half /= 2) {
        if (threadIdx.x < half) for (int k = 0; k < COUNT; ++k) room[k][threadIdx.x] += room[k][threadIdx.x + half];
        __syncthreads();
    }
    if (threadIdx.x < LANES && c < channels)
        for (int k = 0; k < COUNT; ++k) partial[(size_t(blockIdx.y) * COUNT + k) * channels + c] = room[k][threadIdx.x];
"""

_TOTALS = Elementwise(
    "raw float64 partial, int32 parts, float64 share",
    "T total",
    "double sum = 0; for (int k = 0; k < parts; ++k) sum += partial[k * _ind.size() + i]; total = sum * share",
    "totals",
)


@cache
def _compile(source: str, name: str, kind: str):
    import cupy

    return cupy.RawKernel(f"typedef {kind} T;\n{source}", name)


@cache
def fused(plain: Callable) -> Callable:
    """One kernel of a plain form that is element-wise and writes in place: `cupy.fuse`."""
    import cupy

    return cupy.fuse(plain)


def elementwise_runs(*arrays) -> bool:
    """Whether an `Elementwise` kernel may take these arrays: kernels are on, all are CuPy's, of float32 or all of float64."""
    if isinstance(arrays[0], CPU) or not kernels_enabled():
        return False
    dtype = arrays[0].dtype
    return dtype.char in "fd" and all(not isinstance(x, CPU) and x.dtype == dtype for x in arrays)


def rows_run(*arrays) -> bool:
    """Whether a `Rows` or `Cells` kernel may take these arrays: as `elementwise_runs`, C-contiguous, the first one not empty."""
    return elementwise_runs(*arrays) and arrays[0].size > 0 and all(x.flags.c_contiguous for x in arrays)
