"""Every optimizer's kernel against its plain form: ordinary numbers, numbers at the edge, settings at the edge, all types."""

import ast
import inspect
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from deepnp import optim
from deepnp.backend import use_kernels
from deepnp.layers import Linear
from deepnp.optim.polyak import polyak

OPTIMIZERS = {
    "SGD": optim.SGD,
    "SGD, momentum": partial(optim.SGD, momentum=0.9),
    "SGD, Nesterov": partial(optim.SGD, momentum=0.9, nesterov=True),
    "Adam": optim.Adam,
    "Adam, decay": partial(optim.Adam, weight_decay=0.1),
    "AdamW": optim.AdamW,
    "AMSGrad": partial(optim.Adam, amsgrad=True),
    "RMSprop": optim.RMSprop,
    "RMSprop, momentum": partial(optim.RMSprop, momentum=0.9),
    "RMSprop, centered": partial(optim.RMSprop, centered=True),
    "Adagrad": optim.Adagrad,
    "Adadelta": optim.Adadelta,
    "Adamax": optim.Adamax,
    "NAdam": optim.NAdam,
    "RAdam": optim.RAdam,
    "AdaBelief": optim.AdaBelief,
    "Adan": optim.Adan,
    "Lion": optim.Lion,
    "Muon": partial(optim.Muon, exclude=("weight",)),
}
EDGES = {
    "Adam": dict(betas=(0.0, 0.0)),
    "Adam, slow": dict(betas=(0.9, 1 - 1e-8)),
    "Adam, slower": dict(betas=(1 - 1e-9, 1 - 1e-12)),
    "Adam, no eps": dict(eps=0.0),
    "AdaBelief": dict(betas=(0.9, 1 - 1e-8)),
    "Adamax": dict(betas=(1 - 1e-8, 1 - 1e-8)),
    "Adan": dict(betas=(1 - 1e-8, 1 - 1e-8, 1 - 1e-8)),
    "Lion": dict(betas=(1 - 1e-8, 1 - 1e-8)),
    "NAdam": dict(betas=(0.9, 1 - 1e-8)),
    "RAdam": dict(betas=(0.9, 1 - 1e-8)),
    "RMSprop": dict(rho=1 - 1e-8),
    "Adadelta": dict(rho=1 - 1e-8),
}


def after(make, gradients, kernels: bool, dtype=np.float32, start=None):
    """θ after a step from each gradient."""
    vector = Linear(8, 6, rng=np.random.default_rng(0), dtype=dtype).flat if dtype != np.float32 else None
    vector = vector or Linear(8, 6, rng=np.random.default_rng(0)).flat
    if start is not None:
        vector.data[...] = start
    optimizer = make(vector)
    use_kernels(kernels)
    try:
        with np.errstate(all="ignore"):
            for g in gradients:
                vector.grad[...] = g
                optimizer.step()
    finally:
        use_kernels(True)
    return vector.data.copy(), {k: v.copy() for k, v in optimizer.state.items()}


def agree(kernel, plain, rtol=2e-5, atol=1e-7):
    for a, b in zip((kernel[0], *kernel[1].values()), (plain[0], *plain[1].values()), strict=True):
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        np.testing.assert_array_equal(np.isposinf(a), np.isposinf(b))
        np.testing.assert_array_equal(np.isneginf(a), np.isneginf(b))
        np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_kernel_and_plain_form_agree(name, rng):
    gradients = rng.normal(size=(5, 54)).astype("f")
    agree(*(after(OPTIMIZERS[name], gradients, kernels) for kernels in (True, False)), rtol=1e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_is_not_finite_or_at_the_edge_comes_out_alike(name, rng):
    big, small = np.finfo(np.float32).max, np.finfo(np.float32).smallest_subnormal
    edges = [np.nan, np.inf, -np.inf, big, -big, small, -small, 1e20, 1e-20, 0.0, -0.0]
    first = rng.normal(size=54).astype("f")
    first[: len(edges)] = edges
    start = rng.normal(size=54).astype("f")
    start[20 : 20 + len(edges)] = edges
    for gradients in ([first], [first, np.ones(54, "f")], [np.ones(54, "f"), first]):
        agree(*(after(OPTIMIZERS[name], gradients, kernels, start=start) for kernels in (True, False)))


@pytest.mark.parametrize("name", EDGES)
def test_settings_at_the_edge_of_float32(name, rng):
    make = partial(getattr(optim, name.split(",")[0]), **EDGES[name])
    gradients = rng.normal(size=(4, 54)).astype("f")
    agree(*(after(make, gradients, kernels) for kernels in (True, False)), rtol=1e-4)


def test_adams_first_step_is_its_rate_whatever_the_betas():
    for betas in ((0.9, 0.999), (0.9, 1 - 1e-8), (1 - 1e-9, 1 - 1e-10)):
        before, _ = after(lambda v: optim.SGD(v, lr=0.0), [np.ones(54)], True)
        moved, _ = after(partial(optim.Adam, lr=1e-3, betas=betas), [np.ones(54)], True)
        np.testing.assert_allclose(before - moved, 1e-3, rtol=1e-3)


def test_vectors_of_another_shape_never_reach_a_kernel():
    for name in ("Adam", "SGD, momentum", "Lion"):
        optimizer = OPTIMIZERS[name](Linear(8, 6, rng=np.random.default_rng(0)).flat)
        optimizer.state["m" if "m" in optimizer.state else "v"] = np.zeros(4096, "f")
        with pytest.raises(ValueError, match=r"vectors of shape \(54,\).*given \(4096,\)"):
            optimizer.step()


# PyTorch's order, as far as ours is the same in place and meaning; whatever follows is keyword-only here.
POSITIONS = {
    "SGD": ("lr", "momentum", "dampening"),
    "Adam": ("lr", "betas", "eps", "weight_decay"),
    "RMSprop": ("lr", "rho", "eps"),
    "Adagrad": ("lr", "lr_decay"),
    "Adadelta": ("lr", "rho", "eps", "weight_decay"),
    "Adamax": ("lr", "betas", "eps", "weight_decay"),
    "NAdam": ("lr", "betas", "eps"),
    "RAdam": ("lr", "betas", "eps", "weight_decay"),
    "Muon": ("lr",),
}


@pytest.mark.parametrize("name", POSITIONS)
def test_positions_mean_what_they_mean_in_pytorch(name):
    parameters = list(inspect.signature(getattr(optim, name)).parameters.values())
    assert tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)[1:] == POSITIONS[name]


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble, np.dtype(">f4")])
def test_types_that_no_kernel_knows_take_the_plain_form(dtype):
    target, source = np.zeros(5, dtype), np.ones(5, dtype)
    polyak(target, source, 0.25)
    np.testing.assert_array_equal(target, np.full(5, 0.25, dtype))


def test_polyak_passes_on_what_is_not_finite():
    for kernels in (True, False):
        use_kernels(kernels)
        target, source = np.array([1, np.nan, 1, np.inf], "f"), np.array([np.nan, 1, np.inf, 1], "f")
        with np.errstate(all="ignore"):
            polyak(target, source, 0.5)
        use_kernels(True)
        np.testing.assert_array_equal(target, np.array([np.nan, np.nan, np.inf, np.nan], "f"))  # the last is ∞ − ∞


def loops(path):
    """The bodies of the loops over i in a file's functions."""
    return [
        node.body for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.For) and ast.unparse(node.target) == "i"
    ]


def elements(node, context):
    """Names of the vectors whose element i a statement reads or writes."""
    found = [x for x in ast.walk(node) if isinstance(x, ast.Subscript) and isinstance(x.ctx, context)]
    return {ast.unparse(x.value) for x in found if ast.unparse(x.slice) == "i"}


def read_again(body):
    """Vectors that a loop writes and, after it has written another one, reads."""
    found, written = set(), []
    for statement in body:
        reads = elements(statement, ast.Load)
        if isinstance(statement, ast.AugAssign):
            reads |= elements(statement.target, ast.Store)
        found |= {name for name in reads if name in written and set(written[written.index(name) + 1 :]) - {name}}
        written += sorted(elements(statement, ast.Store) - set(written))
    return found


FILES = [path for path in sorted(Path(optim.__file__).parent.glob("*.py")) if loops(path)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_kernel_reads_what_it_wrote_before_another_vector(path):
    """The compiler cannot know that these vectors are two: it loads what it stored.

    Where the vector does not begin at a multiple of 32 bytes, as half of them do, the load waits for the store, and Adam takes
    2.5 times as long.
    """
    for body in loops(path):
        assert not read_again(body), "keep it in a local variable"
