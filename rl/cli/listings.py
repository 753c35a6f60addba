"""`deepnp envs` and `deepnp algorithms`: what there is, and what fits together."""

from typing import Annotated

import gymnasium
from gymnasium.envs.registration import EnvSpec
from tyro.conf import Positional, arg

from rl.algorithms import ALGORITHMS
from rl.cli import environments as registered
from rl.cli.terminal import columns, say
from rl.cli.usage import Usage, plain
from rl.experience.environments import make_vector, space_of
from rl.experience.spaces import SpaceInfo

MISSING = (ImportError, gymnasium.error.DependencyNotInstalled)


def environments(
    word: Annotated[Positional[str], arg(help="list those with this in their name, or a module's", help_behavior_hint="")] = "",
) -> None:
    """List environments, the latest version of each, and the algorithms that can learn in them.

    Each is made once to ask for its spaces, which takes some seconds. "deepnp/…" are this
    project's own: many copies of them are stepped at once.
    """
    module, colon, name = word.rpartition(":")
    before = set(gymnasium.registry)
    if colon:
        registered.import_module(module)
    new = gymnasium.registry.keys() - before
    specs = [spec for spec in registered.latest() if plain(name) in plain(spec.id) and (name or not colon or spec.id in new)]
    if not specs:
        raise Usage(f'no environment has "{word}" in its name')
    rows = [_row(spec) for spec in specs]
    known = [row for row in rows if row is not None]
    say(columns([("environment", "observations", "actions", "algorithms"), *known]))
    if len(known) < len(rows):
        missing = [spec.id for spec, row in zip(specs, rows, strict=True) if row is None]
        say(f"not installed: {', '.join(missing)}")


def algorithms() -> None:
    """List algorithms: what they take, how they learn, and where they come from."""
    rows = [("algorithm", "family", "actions", "learns", "goals", "images", "paper")]
    for name, algorithm in ALGORITHMS.items():
        takes = algorithm.takes
        learns, answers = "on-policy" if takes.on_policy else "off-policy", {True: "yes", False: "no"}
        actions, goals, images = ", ".join(takes.actions), answers[takes.goals], answers[takes.images]
        rows.append((name, algorithm.family, actions, learns, goals, images, algorithm.paper))
    say(columns(rows))


def _row(spec: EnvSpec) -> tuple[str, str, str, str] | None:
    """A line of the list; None where a package is missing."""
    try:
        registered.leave_out_deprecations(spec)
        env = make_vector(spec)
    except MISSING:
        return None
    except (ValueError, TypeError) as error:
        return spec.id, "", "", f"needs settings: {error}"[:80]
    try:
        space = space_of(env)
    except ValueError as error:
        return spec.id, "", "", str(error)
    finally:
        env.close()
    return spec.id, describe(env.single_observation_space), describe(env.single_action_space), learners(space)


def describe(space: gymnasium.Space) -> str:
    """A space in a few words: "Box(17)", "Discrete(4)", "Dict(…)"."""
    if isinstance(space, gymnasium.spaces.Box):
        return f"Box({'×'.join(map(str, space.shape))})"
    if isinstance(space, gymnasium.spaces.Discrete):
        return f"Discrete({space.n})"
    return f"{type(space).__name__}(…)"


def learners(space: SpaceInfo) -> str:
    """The algorithms that can learn in a space: a family's name stands for all of it."""
    families: dict[str, list[str]] = {}
    for name, algorithm in ALGORITHMS.items():
        families.setdefault(algorithm.family, []).append(name)
    words: list[str] = []
    for family, names in families.items():
        able = [name for name in names if _takes(ALGORITHMS[name], space)]
        words += [family] if able == names else able
    return ", ".join(words) or "none"


def _takes(algorithm, space) -> bool:
    try:
        algorithm.takes.check(algorithm.name, space)
    except ValueError:
        return False
    return True
