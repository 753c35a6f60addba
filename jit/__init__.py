"""How every Numba kernel of the house is compiled: one recipe, for the engine and for the environments.

`kernel` and its kin decorate a function. It is compiled when it is first called, not when it is imported, and the machine
code is kept on disk for later processes. Where nothing can be kept, it is compiled anew in each process, with one warning.
"""

from functools import partial

from jit.recipe import Kernel, jit_disabled

# What the compiler may assume. Constants 1/x may be multiplied by (arcp), the sign of 0 is free (nsz).
kernel = Kernel  # sums may be reordered, NaN is not looked for
summing_kernel = partial(Kernel, fastmath={"contract", "reassoc", "arcp", "nsz"})  # sums may be reordered, a NaN is passed on
ordered_kernel = partial(Kernel, fastmath={"contract"})  # every rounding and every NaN as written, but a·b + c may round once
exact_kernel = partial(Kernel, fastmath=False)  # every rounding as written

__all__ = ["Kernel", "exact_kernel", "jit_disabled", "kernel", "ordered_kernel", "summing_kernel"]
