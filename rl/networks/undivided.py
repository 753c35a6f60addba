"""Networks with memory read a batch as a whole: its rows are steps of sequences.

The two critics still learn side by side (`rl.networks.parallel.independently`).
"""

from collections.abc import Callable
from typing import Any

from rl.networks.parallel import Halves


class Undivided(Halves):
    """In the place of `Halves`: one pass through the networks.

    Parameters
    ----------
    policy : Module
        What `step` trains.
    **readers
        Whatever else a function needs to read.
    """

    def __init__(self, policy: Any, **readers: Any):
        super().__init__(policy, **readers)
        del self._networks[1:]

    def map(self, function: Callable, *rows: Any) -> Any:
        """function(networks, *rows)."""
        return function(self._networks[0], *rows)


def passes_of(c: Any, policy: Any, **readers: Any) -> Halves:
    """`Undivided` where the settings ask for memory, else `Halves`."""
    return Undivided(policy, **readers) if c.recall else Halves(policy, **readers)
