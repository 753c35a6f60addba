"""The environments over a core, made from its class.

>>> SorterEnv, SorterVectorEnv = environments(Sorter)
"""

from envs.core import Core
from envs.single import SingleEnv
from envs.vector import CoreVectorEnv


def environments(core: type[Core]) -> tuple[type[SingleEnv], type[CoreVectorEnv]]:
    """`<core>Env` and `<core>VectorEnv`, to be assigned to these names in the core's own module: pickle looks there.

    Both take the core's arguments by name, and the methods that the core `offers` are theirs too.

    Returns
    -------
    type[SingleEnv]
        `(render_mode=None, **settings)`.
    type[CoreVectorEnv]
        `(num_envs=1, max_episode_steps=None, autoreset_mode="NextStep", render_mode=None, **settings)`.
    """

    def init_single(self, render_mode: str | None = None, **settings) -> None:
        SingleEnv.__init__(self, core(1, **settings), render_mode)

    def init_vector(
        self,
        num_envs: int = 1,
        max_episode_steps: int | None = None,
        autoreset_mode: str = "NextStep",
        render_mode: str | None = None,
        **settings,
    ) -> None:
        CoreVectorEnv.__init__(self, core(num_envs, **settings), max_episode_steps, autoreset_mode, render_mode)

    return _subclass(core, SingleEnv, "Env", init_single), _subclass(core, CoreVectorEnv, "VectorEnv", init_vector)


def _subclass(core: type[Core], base: type, suffix: str, init) -> type:
    name = core.__name__ + suffix
    doc = f"{base.__name__} over `{core.__name__}`, whose other arguments it takes by name."
    methods = {method: _offered(core, method) for method in core.offers}
    return type(name, (base,), {"__init__": init, "__doc__": doc, "__module__": core.__module__, **methods})


def _offered(core: type[Core], name: str):
    def method(self, *args, **kwargs):
        return getattr(self.core, name)(*args, **kwargs)

    method.__name__, method.__doc__ = name, f"See `{core.__name__}.{name}`."
    return method
