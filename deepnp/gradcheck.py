"""Is every backward pass the derivative of its forward pass?        python -m deepnp.gradcheck [op …]

For an operation y = f(x, …) and a random upstream gradient u, backward claims g = ∂⟨u, y⟩/∂x. The claim is compared with
the central difference of every single element,

    g_i ≈ (⟨u, f(x + h e_i)⟩ − ⟨u, f(x − h e_i)⟩)/2h,

in float64. u is random because a softmax whose backward returns zero passes under u = 1. The error is
max|g − difference| / max(|difference|, 1e-3), and must stay under 1e-6.

Near a kink the difference is no derivative: inputs stay away from it, on both sides.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from deepnp import losses
from deepnp.cases import differentiable, dot, draw, tupled, upstream
from deepnp.ops import find

TOLERANCE = 1e-6
STEP = 1e-5


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
    """max|given − expected| relative to the largest |expected|; 0 for empty arrays."""
    if given.shape != expected.shape:
        return float("inf")
    if expected.size == 0:
        return 0.0
    return float(np.abs(given - expected).max() / max(np.abs(expected).max(), 1e-3))


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
    """Relative error of each gradient that a loss returns with its value: one for each of its first arguments."""
    arguments = draw(case, rng)
    gradients, errors = tupled(loss(**arguments)[1]), {}
    for name, gradient in zip(differentiable(case), gradients, strict=False):  # targets come after

        def value(x, name=name):
            return loss(**{**arguments, name: x})[0]

        errors[name] = relative_error(gradient, numerical_gradient(value, arguments[name]))
    return errors


def check_all(names: list[str] | None = None, seed: int = 0) -> Iterator[Check]:
    """Check the named operations and losses, or all of them.

    Raises
    ------
    ValueError
        For a name that is neither.
    """
    named_losses = {f"losses.{loss.__name__}": loss for loss in losses.CASES}
    everything = {**find(), **named_losses}
    unknown = sorted(set(names or ()) - everything.keys())
    if unknown:
        raise ValueError(f"unknown operations {unknown}: expected some of {sorted(everything)}")
    for name in names or everything:
        target = everything[name]
        cases = losses.CASES[target] if name in named_losses else target.CASES
        for i, case in enumerate(cases):
            rng = np.random.default_rng([seed, i])
            errors = check_loss(target, case, rng) if name in named_losses else check_case(target, case, rng)
            for argument, error in errors.items():
                spec = case[argument]
                yield Check(name, i, argument, getattr(spec, "shape", spec), error)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare every backward pass with the numerical derivative of its forward pass.")
    parser.add_argument("op", nargs="*", help='e.g. "linear" or "activation.tanh"; all by default')
    names = parser.parse_args().op
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
