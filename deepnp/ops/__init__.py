"""The operations: pure functions `forward(x, …) -> (y, cache)` and `backward(dy, cache) -> gradients`, one file each.

Every file runs derivation → forward → backward → fast kernels → CASES. `find()` lists them all.
"""

import importlib
import pkgutil
from types import ModuleType


def find() -> dict[str, ModuleType]:
    """Every operation: its name below deepnp.ops ("activation.tanh") -> its module."""
    found = {}
    for info in pkgutil.walk_packages(__path__, __name__ + "."):
        if not info.ispkg:
            found[info.name.removeprefix(__name__ + ".")] = importlib.import_module(info.name)
    return found
