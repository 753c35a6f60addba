"""The environments over a core, made from its class.

>>> SorterEnv, SorterVectorEnv = environments(Sorter)
"""

import math
from collections.abc import Callable

from envs.checks import check_whole
from envs.core import Core
from envs.single import SingleEnv
from envs.vector import CoreVectorEnv
from envs.wrappers import DecisionPeriod, StackedInputs


def environments(core: type[Core], make: Callable[..., Core] | None = None) -> tuple[type[SingleEnv], type[CoreVectorEnv]]:
    """`<core>Env` and `<core>VectorEnv`, to be assigned to these names in the core's own module: pickle looks there.

    Both take the core's arguments by name, and the methods that the core `offers` are theirs too. The limit of an episode is in
    steps of the core, and is rounded up to whole decisions. `make(num_envs, **settings)` makes the core, where its class does not.

    Returns
    -------
    type[SingleEnv]
        `(render_mode=None, **settings)`.
    type[CoreVectorEnv]
        `(num_envs=1, max_episode_steps=None, autoreset_mode="NextStep", render_mode=None, decision_period=1, stacked_inputs=1,
        **settings)`, see `DecisionPeriod` and `StackedInputs`. For a single environment Gymnasium's `RepeatAction` and
        `FrameStackObservation` do the same, outside its time limit.
    """

    make = make or core

    def init_single(self, render_mode: str | None = None, **settings) -> None:
        SingleEnv.__init__(self, make(1, **settings), render_mode)

    def init_vector(
        self,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        autoreset_mode: str = "NextStep",
        render_mode: str | None = None,
        decision_period: int = 1,
        stacked_inputs: int = 1,
        **settings,
    ) -> None:
        paced = make(num_envs, **settings)
        if decision_period != 1:
            paced = DecisionPeriod(paced, decision_period)
        if stacked_inputs != 1:
            paced = StackedInputs(paced, stacked_inputs)
        limit = max_episode_steps
        if limit is not None and decision_period != 1:
            limit = math.ceil(check_whole("max_episode_steps", limit, 1) / decision_period)
        CoreVectorEnv.__init__(self, paced, limit, autoreset_mode, render_mode)

    return _subclass(core, SingleEnv, "Env", init_single), _subclass(core, CoreVectorEnv, "VectorEnv", init_vector)


def _subclass(core: type[Core], base: type, suffix: str, init) -> type:
    name = core.__name__ + suffix
    doc = f"{base.__name__} over `{core.__name__}`, whose other arguments it takes by name."
    methods = {method: _offered(core, method) for method in core.offers}
    return type(name, (base,), {"__init__": init, "__doc__": doc, "__module__": core.__module__, **methods})


def _offered(core: type[Core], name: str):
    def method(self, *args, **kwargs):
        return self.core.offered(name)(*args, **kwargs)

    method.__name__, method.__doc__ = name, f"See `{core.__name__}.{name}`."
    return method
