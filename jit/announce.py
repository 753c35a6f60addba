"""Says when a kernel is being compiled, and how long that took.

Records of level INFO go to the logger "deepnp.jit", one before and one after. A kernel that is loaded from the disk says
nothing, and a call of a compiled kernel does not come here: Numba tells its listeners of compilations alone.
"""

import logging
import time
from functools import cache

LOGGER = logging.getLogger("deepnp.jit")


def announce(dispatcher, kept: bool) -> None:
    """Let compilations of a Numba dispatcher be logged; `kept`: later processes load what is compiled now."""
    from numba.core import event

    event.register("numba:compile", _announcer()(dispatcher, ", once on this machine" if kept else ""))


@cache
def _announcer() -> type:
    """The class is made at the first compilation: importing the house does not import Numba."""
    from numba.core.event import Listener

    class Announcer(Listener):
        def __init__(self, dispatcher, how_often: str):
            self.dispatcher, self.how_often = dispatcher, how_often
            self.name = f"{dispatcher.py_func.__module__}.{dispatcher.py_func.__name__}"

        def on_start(self, event) -> None:
            if event.data["dispatcher"] is self.dispatcher:
                self.start = time.monotonic()
                LOGGER.info("compiling %s%s", self.name, self.how_often)

        def on_end(self, event) -> None:
            if event.data["dispatcher"] is self.dispatcher:
                LOGGER.info("compiled %s in %.1f s", self.name, time.monotonic() - self.start)

    return Announcer
