"""Networks of one's own in the place of an algorithm's: what is asked of them, and that it is so.

    policy    observations (B, …) -> (B, outputs)           outputs: of the algorithm, see its page
    value     observations (B, …) -> (B, 1)
    critic    [observations, actions] (B, O + A) -> (B, 1)  made by a function of a random generator, as there are several

They are trained as they are handed in: the object itself learns. Observations come as learners hold
them, an array (B, O), or a tuple with images behind it (rl/experience/trees.py), without an action
mask.

Shapes: B rows, O observation, A action dimensions.
"""

import copy
import inspect
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from deepnp import Module, ParameterVector
from deepnp.layers.batch_normalization import BatchNorm
from deepnp.parameters import lies_in
from rl.experience import trees
from rl.experience.spaces import ObservationLayout
from rl.networks.masks import Unmasked, without_mask

ROWS = 7  # of the batch that each network is tried on


def named_networks(agent: str, known: Sequence[str], networks: Mapping[str, Any] | None) -> dict[str, Any]:
    """The networks that were handed in: those that are not None.

    Raises
    ------
    TypeError
        For a name that the agent does not know.
    """
    given = {name: network for name, network in (networks or {}).items() if network is not None}
    if not given.keys() <= set(known):
        raise TypeError(f"expected networks of {agent} among {list(known)}, given {list(given)}")
    return given


def given_networks(networks: Mapping[str, Any], layout: ObservationLayout, **outputs: int) -> dict[str, Module]:
    """Those of these names that were handed in, each with so many outputs; see `own_network`."""
    given = {name: networks[name] for name in outputs if name in networks}
    check_apart({name: module for name, module in given.items() if isinstance(module, Module)})
    owned = {name: own_network(name, module, layout, outputs[name]) for name, module in given.items()}
    return {name: Unmasked(module) for name, module in owned.items()} if layout.mask else owned


def own_network(name: str, module: Any, layout: ObservationLayout, outputs: int, beside: int = 0) -> Module:
    """The module, if it can be trained as the network `name`; its parameters lie together then.

    Parameters
    ----------
    name : str
        "policy", "value" or "critic".
    module : Module
    layout : ObservationLayout
        What it reads.
    outputs : int
    beside : int
        Values that lie beside the vector, such as a critic's actions.

    Raises
    ------
    TypeError
        For what is no Module.
    ValueError
        If it has no parameters, or they are not float32 or belong to a larger module; if its
        outputs have another shape; if it draws random numbers, or a policy has running statistics;
        if its passes fail.
    """
    if not isinstance(module, Module):
        hint = f", so make one: {module.__name__}(…)" if isinstance(module, type) else ""
        raise TypeError(f"expected {name} as a deepnp.Module, given {_kind(module)}{hint}")
    _check_parameters(name, module)
    _check_fixed(name, module)
    _try(name, copy.deepcopy(module), _observations(layout, beside), outputs)
    ParameterVector(dict(module.named_parameters()))  # whoever trained them before is told, by its next step
    return module


def own_critics(make: Any, count: int, layout: ObservationLayout, actions: int, rng: np.random.Generator) -> list[Module]:
    """As many critics as the algorithm needs, made by `make(rng)`.

    Raises
    ------
    TypeError
        If `make` is no function of a random generator, or gives no Module.
    ValueError
        If two of them begin alike: then they stay alike, and the smaller of the two says nothing.
        And as `own_network`.
    """
    if isinstance(make, Module) or not callable(make):
        raise TypeError(f"expected critic as a function (rng) that makes a deepnp.Module, given {_kind(make)}")
    try:
        inspect.signature(make).bind(rng)
    except TypeError as error:
        raise TypeError(f"expected critic as a function of one argument, a random generator: {error}") from None
    made = [own_network("critic", make(rng), layout, 1, actions) for _ in range(count)]
    check_apart({f"critic {i}": module for i, module in enumerate(made, 1)})
    vectors = [module.flat.data for module in made]
    if any(a.shape == b.shape and (a == b).all() for a, b in pairwise(vectors)):
        hint = "draw the weights with the generator, Linear(…, rng=rng)"
        raise ValueError(f"expected critics that begin differently, given equal ones: {hint}")
    return made


def check_apart(networks: Mapping[str, Module]) -> None:
    """Raise ValueError if two networks share a parameter: each is trained by an optimizer of its own."""
    owners: dict[int, str] = {}
    for name, module in networks.items():
        for key, parameter in module.named_parameters():
            other = owners.setdefault(id(parameter), name)
            if other != name:
                raise ValueError(f"expected networks that share no parameter, given {key} of {name} in {other}, too")


def _check_parameters(name, module):
    named = dict(module.named_parameters())
    if not named:
        raise ValueError(f"expected {name} to have parameters, given {module!r:.80}")
    for key, parameter in named.items():
        kind = type(parameter.data).__name__ if type(parameter.data) is not np.ndarray else str(parameter.data.dtype)
        if kind != "float32":
            raise ValueError(f"expected {name} with float32 parameters on the CPU, given {kind} for {key}: module.to(…) changes it")
        owner = parameter.vector  # after copy.deepcopy, one that the parameter does not lie in
        lies = owner is not None and lies_in(parameter.data, owner.data)
        if lies and not set(owner.named.values()) <= set(named.values()):
            hint = f"copy.deepcopy({name}) is one that can be trained apart"
            raise ValueError(
                f"expected {name} to own its parameters, given {key}, which a larger module or another agent has: {hint}"
            )


def _check_fixed(name, module):
    """Neither random draws, which no checkpoint could hold, nor statistics that make acting and learning differ."""
    for part in module.modules():
        if any(isinstance(value, np.random.Generator) for value in vars(part).values()):
            raise ValueError(f"expected {name} without random draws, which a resumed training could not repeat, given {part!r}")
        if name == "policy" and isinstance(part, BatchNorm):
            raise ValueError(f"expected a policy that acts as it learns, given {part!r}: use LayerNorm or GroupNorm")


def _observations(layout, beside):
    rng = np.random.default_rng(0)
    x = layout.empty(ROWS)
    vector = rng.standard_normal((ROWS, layout.width + beside), np.float32)
    x = trees.with_vector(x, vector)
    return without_mask(x) if layout.mask else x


def _try(name, trial, x, outputs):
    """One pass there and back, and one for inference, by a copy."""
    rows = "observations and actions" if name == "critic" else "observations"
    shape, read = trees.vector(x).shape, f"(B, {trees.vector(x).shape[1]})"
    try:
        given = {"forward": trial.forward(x), "predict": trial.predict(x)}
    except Exception as error:
        raise ValueError(f"expected {name} to read {rows} {read}, given {type(error).__name__}: {error}") from error
    for method, y in given.items():
        if not isinstance(y, np.ndarray) or y.shape != (ROWS, outputs) or y.dtype != np.float32:
            wanted = f"(B, {outputs}) of float32"
            raise ValueError(f"expected {name}.{method} of {rows} {read} to give {wanted}, given {_kind(y)}")
    try:
        trial.backward(np.ones((ROWS, outputs), np.float32), inputs=False)
        dx = trial.backward(np.ones((ROWS, outputs), np.float32), params=False) if name == "critic" else None
    except Exception as error:
        raise ValueError(f"expected {name} to be trainable, given {type(error).__name__} in backward: {error}") from error
    if name == "critic" and (not isinstance(dx, np.ndarray) or dx.shape != shape):
        raise ValueError(f"expected critic.backward to give the gradient {read} of what it reads, given {_kind(dx)}")


def _kind(value):
    """What was given, in words; B stands for the rows that a network was tried on."""
    if not isinstance(value, np.ndarray):
        return f"{value!r:.60}"
    rows, *others = map(str, value.shape) if value.ndim else ("",)
    return f"({', '.join(['B' if rows == str(ROWS) else rows, *others])}) of {value.dtype}"
