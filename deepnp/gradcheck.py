"""Is every backward pass the derivative of its forward pass?        python -m deepnp.gradcheck [op …]

For an operation y = f(x, …) and a random upstream gradient u, backward claims g = ∂⟨u, y⟩/∂x. The
claim is compared with the central difference of every single element,

    g_i ≈ (⟨u, f(x + h e_i)⟩ − ⟨u, f(x − h e_i)⟩)/2h,

in float64. u is random because a softmax whose backward returns zero passes under u = 1. The error
is max|g − difference| / max(|difference|, 1e-3), and must stay under 1e-6.

Near a kink the difference is no derivative: inputs stay away from it, on both sides.

`check_module` does the same for a module, with random directions instead of single elements: for
layers of one's own.
"""

import argparse
import copy
import difflib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from deepnp import losses
from deepnp.backend import to_device
from deepnp.cases import differentiable, dot, draw, tupled, upstream
from deepnp.checks import check_array
from deepnp.module import Module
from deepnp.ops import find

TOLERANCE = 1e-6
STEP = 1e-5
SEED = 8_675_309  # not 0: u must not be the numbers that a caller's own generator gave x


@dataclass(frozen=True)
class Check:
    """One argument of one case: how far backward is from the numerical derivative, relatively."""

    op: str
    case: int
    argument: str
    shape: tuple[int, ...]
    error: float

    @property
    def passed(self) -> bool:
        return self.error < TOLERANCE


def numerical_gradient(f: Callable[[np.ndarray], float], x: np.ndarray, step: float = STEP) -> np.ndarray:
    """∂f/∂x by central differences: f maps an array like x to a number."""
    gradient = np.zeros(x.shape)
    moved = np.array(x, np.float64)
    flat, out = moved.reshape(-1), gradient.reshape(-1)
    for i in range(flat.size):
        value = flat[i]
        flat[i] = value + step
        above = f(moved)
        flat[i] = value - step
        out[i] = (above - f(moved)) / (2 * step)
        flat[i] = value
    return gradient


def relative_error(given: np.ndarray, expected: np.ndarray) -> float:
    """max|given − expected| relative to the largest |expected|; 0 for empty arrays, inf where shapes
    differ or a number is not finite: a NaN would be lost in the next `max`.
    """
    if given.shape != expected.shape:
        return math.inf
    if expected.size == 0:
        return 0.0
    error = float(np.abs(given - expected).max() / max(np.abs(expected).max(), 1e-3))
    return error if math.isfinite(error) else math.inf


def check_case(op: ModuleType, case: dict, rng: np.random.Generator) -> dict[str, float]:
    """Relative error of the gradient of each differentiable argument of one case."""
    arguments = draw(case, rng)
    y, cache = op.forward(**arguments)
    dy = upstream(y, rng)
    errors = {}
    for name, gradient in zip(differentiable(case), tupled(op.backward(dy, cache)), strict=True):

        def projected(x, name=name):
            return dot(dy, op.forward(**{**arguments, name: x})[0])

        errors[name] = relative_error(gradient, numerical_gradient(projected, arguments[name]))
    return errors


def check_jvp(op: ModuleType, case: dict, rng: np.random.Generator) -> float:
    """Relative gap between ⟨dy, jvp(v)⟩ and ⟨backward(dy), v⟩, which are one number: dyᵀJv."""
    arguments = draw(case, rng)
    y, cache = op.forward(**arguments)
    dy, v = upstream(y, rng), upstream(tuple(arguments[name] for name in differentiable(case)), rng)
    forward_mode, reverse_mode = dot(dy, op.jvp(*v, cache)), dot(op.backward(dy, cache), v)
    return abs(forward_mode - reverse_mode) / max(abs(reverse_mode), 1e-3)


def check_loss(loss: Callable, case: dict, rng: np.random.Generator) -> dict[str, float]:
    """Relative error of each gradient that a loss returns with its value: one for each of its first
    arguments.
    """
    arguments = draw(case, rng)
    gradients, errors = tupled(loss(**arguments)[1]), {}
    for name, gradient in zip(differentiable(case), gradients, strict=False):  # targets come after

        def value(x, name=name):
            return loss(**{**arguments, name: x})[0]

        errors[name] = relative_error(gradient, numerical_gradient(value, arguments[name]))
    return errors


def check_module(
    module: Module, *inputs, rng: np.random.Generator | None = None, directions: int = 3, **settings
) -> dict[str, float]:
    """Is a module's `backward` the derivative of its `forward`? For layers and networks of one's
    own.

    In float64, on a copy: the module itself is left as it is. For a random upstream gradient u, and
    for each parameter and each input, the slope of ⟨u, forward(…)⟩ along random directions is
    measured by central differences and compared with what `backward` claims. Random numbers that
    `forward` draws from a generator of the module's are the same on both sides.

    Parameters
    ----------
    module : Module
    *inputs : arrays, or tuples of them
        What `forward` is given. Those of floating-point numbers are differentiated, in the order in
        which `backward` returns their gradients. Keep them away from kinks.
    rng : numpy.random.Generator or None
        Source of u and of the directions; None is a fixed seed.
    directions : int
        How many for each parameter and input.
    **settings
        Further arguments of `forward`, passed on as they are and not differentiated: a mask,
        lengths.

    Returns
    -------
    dict of str to float
        Relative error by name: "x", or "x[0]", "x[1]", … of several inputs, then the parameters,
        named as in `state_dict`. inf where a gradient is missing or has another shape, or where a
        number is NaN or infinite. Right derivatives stay under `TOLERANCE`, 1e-6.

    Raises
    ------
    TypeError
        If it is no module, or an input no array.

    Examples
    --------
    >>> class Cube(Module):
    ...     def forward(self, x):
    ...         self._cache = x
    ...         return x**3
    ...     def backward(self, dy, params=True, inputs=True):
    ...         return 3 * dy * self.cache  # should be squared
    ...     def predict(self, x):
    ...         return x**3
    >>> check_module(Cube(), np.linspace(1, 2, 5))["x"] < TOLERANCE
    False
    """
    if not isinstance(module, Module):
        raise TypeError(f"expected a module to check, given {module!r}")
    rng = rng or np.random.default_rng(SEED)
    module = copy.deepcopy(module).to("cpu").to(np.float64)
    leaves = [_double(part) for x in inputs for part in tupled(x)]
    counts = [len(x) if isinstance(x, tuple) else None for x in inputs]
    trained = copy.deepcopy(module)
    y = trained.forward(*_packed(leaves, counts), **settings)
    dy = upstream(y, rng)
    trained.zero_grad()
    gradients = dict(enumerate(tupled(trained.backward(dy))))

    def value(moved: int | str, step) -> float:
        fresh, arguments = copy.deepcopy(module), list(leaves)
        if isinstance(moved, str):
            dict(fresh.named_parameters())[moved].data[...] += step
        else:
            arguments[moved] = arguments[moved] + step
        return dot(dy, fresh.forward(*_packed(arguments, counts), **settings))

    errors = {}
    for i, leaf in enumerate(leaves):
        if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f":
            name = "x" if len(leaves) == 1 else f"x[{i}]"
            errors[name] = _along_directions(lambda step, i=i: value(i, step), gradients.get(i), leaf.shape, directions, rng)
    for name, p in trained.named_parameters():
        errors[name] = _along_directions(lambda step, name=name: value(name, step), p.grad, p.shape, directions, rng)
    return errors


def _along_directions(value: Callable, gradient, shape: tuple[int, ...], directions: int, rng: np.random.Generator) -> float:
    """The largest relative gap between a claimed slope, ⟨gradient, d⟩, and the measured one, over
    random directions d.
    """
    if gradient is None or gradient.shape != shape:
        return float("inf")
    worst = 0.0
    for _ in range(directions):
        d = rng.normal(size=shape)
        measured = (value(STEP * d) - value(-STEP * d)) / (2 * STEP)
        scale = max(abs(measured), float(np.linalg.norm(gradient)), 1e-3)  # a slope may be near zero by chance
        gap = abs(float((gradient * d).sum()) - measured) / scale
        worst = max(worst, gap if math.isfinite(gap) else math.inf)  # max would pass NaN over
    return worst


def _double(x):
    """Floats as float64 on the CPU, anything else as it is."""
    if x is None:
        return x
    check_array(x, "each input")
    if x.dtype.kind != "f":
        return x
    return to_device(x, "cpu").astype(np.float64)


def _packed(leaves: list, counts: list[int | None]) -> list:
    """The arguments that the leaves came from: so many as a tuple, or one by itself where the count
    is None.
    """
    rest = iter(leaves)
    return [next(rest) if n is None else tuple(next(rest) for _ in range(n)) for n in counts]


def check_all(names: list[str] | None = None, seed: int = 0) -> Iterator[Check]:
    """Check the named operations and losses, or all of them.

    Parameters
    ----------
    names : list of str or None
        Any end of a name that tells which one is meant ("layer_norm", "activation.tanh",
        "losses.mse"), or a path.
    seed : int
        Of the random arguments.

    Raises
    ------
    ValueError
        For a name that is neither, with those closest to it, or that several have.
    """
    named_losses = {f"losses.{loss.__name__}": loss for loss in losses.CASES}
    everything = {**find(), **named_losses}
    homes = {name: getattr(target, "__module__", target.__name__) for name, target in everything.items()}
    chosen = [name for given in names for name in resolve(given, homes)] if names else list(everything)
    for name in chosen:
        target = everything[name]
        cases = losses.CASES[target] if name in named_losses else target.CASES
        for i, case in enumerate(cases):
            rng = np.random.default_rng([seed, i])
            errors = check_loss(target, case, rng) if name in named_losses else check_case(target, case, rng)
            for argument, error in errors.items():
                spec = case[argument]
                yield Check(name, i, argument, getattr(spec, "shape", spec), error)


def resolve(given: str, homes: dict[str, str]) -> list[str]:
    """The one name that ends as `given` does; or all that live in the one file that does.

    Parameters
    ----------
    given : str
        "tanh", "activation.tanh" or "deepnp/ops/activation/tanh.py".
    homes : dict of str to str
        Name -> the dotted name of its file.

    Raises
    ------
    ValueError
        If there is none, or more than one.
    """
    wanted = "." + given.removesuffix(".py").replace("/", ".").strip(".")
    found = [name for name in homes if f".{name}".endswith(wanted)]
    found = found or [name for name, home in homes.items() if f".{home}".endswith(wanted)]
    if not found:
        short = {name.rsplit(".", 1)[-1]: name for name in homes}
        close = [short[end] for end in difflib.get_close_matches(wanted.rsplit(".", 1)[-1], short)]
        hint = f": did you mean {' or '.join(close)}?" if close else ""
        raise ValueError(f"no operation or loss is called {given!r}{hint}")
    if len({homes[name] for name in found}) > 1:
        raise ValueError(f"{given!r} may be any of {', '.join(found)}")
    return found


def main(arguments: Sequence[str] | None = None, prog: str | None = None) -> None:
    """Check the operations that a command line names, this process's own by default, and end the process."""
    what = "Compare every backward pass with the numerical derivative of its forward pass."
    parser = argparse.ArgumentParser(prog, description=what)
    parser.add_argument("op", nargs="*", help='e.g. "linear", "layer_norm" or "losses.mse"; all by default')
    names = parser.parse_args(arguments).op
    try:
        checks = list(check_all(names))
    except ValueError as error:
        parser.error(str(error))
    print(f"{'operation':34} {'case':>4}  {'argument':10} {'shape':14} {'relative error':>14}  verdict")
    for c in checks:
        verdict = "ok" if c.passed else "WRONG"
        print(f"{c.op:34} {c.case:4}  {c.argument:10} {c.shape!s:14} {c.error:14.1e}  {verdict}")
    wrong = sum(not c.passed for c in checks)
    print(f"{len(checks)} gradients checked, {wrong} wrong (tolerance {TOLERANCE:.0e})")
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
