"""Matrix products inside Numba kernels, by NumPy's own BLAS.

A kernel that calls BLAS itself keeps Python, and its lock, out of a whole network's pass: several layers are one call, and
two networks really run side by side. NumPy's library is looked up among those that are loaded; its sgemm is called by
address, so that compiled kernels can be cached on disk and stay valid where the address changes.
"""

import ctypes
from functools import cache, cached_property
from typing import Any

# A function's names, and whether that library counts with 64 bits. NumPy's wheels bring the first.
NAMES = (("scipy_{}64_", True), ("{}64_", True), ("scipy_{}", False), ("{}", False))


def find(function: str) -> tuple[Any, bool]:
    """A function of NumPy's OpenBLAS (None where none is found), and whether its sizes are 64-bit integers."""
    from threadpoolctl import ThreadpoolController

    loaded = [library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"]
    for library in sorted(loaded, key=lambda library: "numpy" not in library.filepath):  # NumPy's own first
        if library.internal_api != "openblas":
            continue  # other libraries use one name for both widths: no way to tell them apart
        handle = ctypes.CDLL(library.filepath)
        for name, wide in NAMES:
            if hasattr(handle, name.format(function)):
                return getattr(handle, name.format(function)), wide
    return None, False


@cache
def find_sgemm() -> tuple[int, bool]:
    """Address of cblas_sgemm (0 where none is found), and whether its sizes are 64-bit integers."""
    function, wide = find("cblas_sgemm")
    return (0 if function is None else ctypes.cast(function, ctypes.c_void_p).value or 0), wide


class Sgemm:
    """`sgemm(address, wide, transpose_a, transpose_b, m, n, k, a, lda, b, ldb, beta, c, ldc)`, to be called in kernels only.

    C ← op(A) op(B) + beta·C in row-major float32: op(A) is (m, k), op(B) (k, n), C (m, n); a, b, c are addresses
    (`array.ctypes.data`), lda… the lengths of their rows in memory.
    """

    @cached_property
    def _numba_type_(self):  # Numba asks for this where a kernel names the object; importing deepnp does not import Numba
        from llvmlite import ir
        from numba.core import types
        from numba.core.registry import cpu_target
        from numba.extending import intrinsic

        integer, float32 = types.int64, types.float32
        arguments = (integer, types.boolean, *[types.boolean] * 2, *[integer] * 3, *[integer] * 4, float32, *[integer] * 2)

        @intrinsic
        def sgemm(typing, address, wide, transpose_a, transpose_b, m, n, k, a, lda, b, ldb, beta, c, ldc):
            def code(context, builder, sig, values):
                address, wide, transpose_a, transpose_b, m, n, k, a, lda, b, ldb, beta, c, ldc = values
                byte, i32, f32 = ir.IntType(8).as_pointer(), ir.IntType(32), ir.FloatType()

                def call(size):
                    kinds = [i32] * 3 + [size] * 3 + [f32, byte, size, byte, size, f32, byte, size]
                    function = builder.inttoptr(address, ir.FunctionType(ir.VoidType(), kinds).as_pointer())

                    def number(x):
                        return x if size.width == 64 else builder.trunc(x, size)

                    def pointer(x):
                        return builder.inttoptr(x, byte)

                    def operation(flag):
                        flag = builder.icmp_unsigned("!=", flag, flag.type(0))
                        return builder.select(flag, i32(112), i32(111))  # CblasTrans, CblasNoTrans

                    sizes = [number(m), number(n), number(k)]
                    left, right = [pointer(a), number(lda)], [pointer(b), number(ldb)]
                    order = [i32(101), operation(transpose_a), operation(transpose_b)]  # CblasRowMajor
                    builder.call(function, [*order, *sizes, f32(1.0), *left, *right, beta, pointer(c), number(ldc)])

                with builder.if_else(builder.icmp_unsigned("!=", wide, wide.type(0))) as (sixty_four, thirty_two):
                    with sixty_four:
                        call(ir.IntType(64))
                    with thirty_two:
                        call(i32)
                return context.get_dummy_value()

            return types.void(*arguments), code

        cpu_target.typing_context.refresh()
        return cpu_target.typing_context.resolve_value_type(sgemm)


sgemm = Sgemm()
