"""Waiting without sleeping, in kernels that do not hold Python's lock, for a number that another thread writes.

Numbers are int64 at an address, and only grow.
"""

from functools import cached_property

from deepnp.backend import kernel


class _Load:
    """`load(address)`, in kernels only: the int64 there, read again at each call whatever the compiler thinks."""

    @cached_property
    def _numba_type_(self):  # Numba asks for this where a kernel names the object; importing deepnp does not import Numba
        from llvmlite import ir
        from numba.core import types
        from numba.core.registry import cpu_target
        from numba.extending import intrinsic

        @intrinsic
        def load(typing, address):
            def code(context, builder, sig, values):
                return builder.load_atomic(builder.inttoptr(values[0], ir.IntType(64).as_pointer()), "acquire", 8)

            return types.int64(types.int64), code

        cpu_target.typing_context.refresh()
        return cpu_target.typing_context.resolve_value_type(load)


class _Store:
    """`store(address, number)`, in kernels only: what was written before is seen by whoever loads this number."""

    @cached_property
    def _numba_type_(self):
        from llvmlite import ir
        from numba.core import types
        from numba.core.registry import cpu_target
        from numba.extending import intrinsic

        @intrinsic
        def store(typing, address, number):
            def code(context, builder, sig, values):
                builder.store_atomic(values[1], builder.inttoptr(values[0], ir.IntType(64).as_pointer()), "release", 8)
                return context.get_dummy_value()

            return types.void(types.int64, types.int64), code

        cpu_target.typing_context.refresh()
        return cpu_target.typing_context.resolve_value_type(store)


_load, _store = _Load(), _Store()


@kernel
def spin(address: int, number: int, times: int) -> bool:
    """Wait until the number at `address` is at least this one, but not for ever; whether it is."""
    for _ in range(times):  # noqa: SIM110 - any() is not compiled
        if _load(address) >= number:
            return True
    return False


@kernel
def report_and_spin(report: int, address: int, number: int, times: int) -> bool:
    """Write the number at `report`, and wait until that at `address` is greater; whether it is.

    In one kernel: whoever waits for the report finds Python's lock free.
    """
    _store(report, number)
    return spin(address, number + 1, times)
