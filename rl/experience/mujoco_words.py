"""What MuJoCo says while an environment is made, without its word on deprecated models.

Gymnasium's model files hold words that MuJoCo no longer wants, and it tells so once for each copy, on
the screen and in a file MUJOCO_LOG.TXT. Nobody here can mend these files.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from gymnasium.envs.registration import EnvSpec

USERS = "gymnasium.envs.mujoco", "envs.bodies"  # who loads these files
DEPRECATED = "deprecated"


def loads_gymnasium_s_models(spec: EnvSpec) -> bool:
    """Whether an environment may be one of Gymnasium's MuJoCo tasks, or this project's form of one."""
    return any(str(place).startswith(USERS) for place in (spec.entry_point, spec.vector_entry_point))


@contextmanager
def deprecations_left_out(spec: EnvSpec) -> Iterator[None]:
    """A `with` block that makes the environment. What else MuJoCo says there becomes a warning at its end."""
    if not loads_gymnasium_s_models(spec):
        yield
        return
    import mujoco  # here, because it takes a while

    before, others = mujoco.get_mju_user_warning(), []
    mujoco.set_mju_user_warning(lambda text: None if DEPRECATED in text else others.append(text))
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(before)
        for text in others:
            warnings.warn(f"MuJoCo: {text}", stacklevel=3)
