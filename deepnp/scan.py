"""A recurrent network's loop over time as one kernel for the GPU.        T time, B batch, H hidden, G gates

Step by step, a sequence waits for Python between its steps: for a product h Rᵀ and a kernel each time. Here a block of threads
takes one sequence through all of its steps. It keeps h in shared memory, and reads R from the cache at each step, so it pays where
the batch and R are small; `pays` knows the bounds. What happens to a cell is `gpu.Cells`'s function, the same as step by step.
"""

import numpy as np

from deepnp.backend import array_module
from deepnp.gpu import Cells, Raw

LIMIT = 512  # for H: what shared memory holds in double precision
# Numbers of R that all blocks read in a step. An H200 took 2.0 ms at this bound and 3.8 step by step; 3.6 and 3.9 at twice as much.
TRAFFIC = 2**25
THREADS = 1024

PRODUCT = """
__device__ void product(const T* v, const T* matrix, int inputs, int outputs, T* result, T* room) {
    const int parts = outputs < THREADS ? THREADS / outputs : 1;  // of the sum, each by threads of its own
    for (int base = 0; base < outputs; base += THREADS) {
        const int part = parts > 1 ? threadIdx.x / outputs : 0, n = parts > 1 ? threadIdx.x % outputs : base + threadIdx.x;
        T total = 0;
        if (n < outputs && part < parts) {
            #pragma unroll 8
            for (int k = part; k < inputs; k += parts) total += v[k] * matrix[size_t(k) * outputs + n];
        }
        if (parts > 1) {
            room[threadIdx.x] = total;
            __syncthreads();
            if (threadIdx.x < outputs) for (int p = 1; p < parts; ++p) total += room[p * outputs + n];
        }
        if (part == 0 && n < outputs) result[n] = total;
    }
    __syncthreads();
}

"""

FORWARD = """
    __shared__ T state[LIMIT], m[GATES * LIMIT], room[THREADS];
    const size_t row = blockIdx.x;
    for (int t = 0; t < steps; ++t) {
        const size_t place = size_t(t) * batch + row, at = place * columns, next = at + size_t(batch) * columns;
        for (int j = threadIdx.x; j < columns; j += THREADS) state[j] = hidden[at + j];
        __syncthreads();
        product(state, weight, columns, GATES * columns, m, room);
        for (int j = threadIdx.x; j < columns; j += THREADS) step(CALL, columns, j, 0, j);
    }
"""

BACKWARD = """
    __shared__ T dz[GATES * LIMIT], back[LIMIT], room[THREADS];
    const size_t row = blockIdx.x, state = row * columns;
    for (int t = steps - 1; t >= 0; --t) {
        const size_t place = size_t(t) * batch + row, at = place * columns;
        for (int j = threadIdx.x; j < columns; j += THREADS) step(CALL, columns, j, 0, j);
        __syncthreads();
        for (int k = threadIdx.x; k < GATES * columns; k += THREADS) dz[k] = dm[GATES * at + k];
        __syncthreads();
        product(dz, weight, GATES * columns, columns, back, room);
        for (int j = threadIdx.x; j < columns; j += THREADS) dh[state + j] += back[j];
    }
"""


class Scan:
    """The loop over time, forward or backward.

    Parameters
    ----------
    step : Cells
        One step.
    gates : int
        G.
    parameters : str
        C parameters after "T* hidden, const T* weight" of FORWARD, or "T* dh, T* dm, const T* weight" of BACKWARD.
    call : str
        The step's arguments, for one sequence: `hidden + at` is where its state lies.
    loop : str
        FORWARD or BACKWARD.
    """

    def __init__(self, step: Cells, gates: int, parameters: str, call: str, loop: str):
        body = loop.replace("CALL", call).replace("GATES", str(gates)).replace("LIMIT", str(LIMIT))
        first = "T* hidden, const T* weight" if loop is FORWARD else "T* dh, T* dm, const T* weight"
        numbers = "int steps, int batch, int columns"
        name = step.name.removeprefix("deepnp_") + "_scan"
        self.kernel = Raw(name, f"{first}, {parameters}, {numbers}", body, PRODUCT + step.function, THREADS)

    def __call__(self, steps: int, first, *arguments) -> None:
        """Take so many steps; the first argument (…, B, H) holds states, the others are those of the kernel."""
        batch, columns = first.shape[-2:]
        self.kernel.launch((batch,), first, *arguments, np.int32(steps), np.int32(batch), np.int32(columns))


def pays(weight, hidden) -> bool:
    """Whether a scan takes the weight (G·H, H) and states (…, B, H), and is faster than the steps one by one."""
    small = hidden.shape[-1] <= LIMIT and hidden.shape[-2] * weight.size <= TRAFFIC
    return small and weight.dtype == hidden.dtype and weight.flags.c_contiguous


def transposed(weight) -> np.ndarray:
    """The weight (G·H, H) as (H, G·H), so that threads side by side read numbers that lie side by side."""
    return array_module(weight).ascontiguousarray(weight.T)
