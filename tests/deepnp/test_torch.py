"""Every operation and loss agrees with PyTorch, forward and in every gradient, where PyTorch is installed."""

import numpy as np
import pytest

from deepnp.cases import differentiable, draw, tupled, upstream
from deepnp.gradcheck import relative_error
from deepnp.ops import find

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from tests.deepnp.torch_references import ABSENT, TORCH  # noqa: E402

TOLERANCE = 1e-9
OPS = find()
ALL = [pytest.param(name, i, id=f"{name}-{i}") for name, op in OPS.items() for i in range(len(op.CASES)) if name in TORCH]


@pytest.mark.parametrize("name", OPS)
def test_has_a_counterpart_or_a_reason(name):
    assert (name in TORCH) != (name in ABSENT)


@pytest.mark.parametrize(("name", "index"), ALL)
def test_operation_agrees_with_torch(name, index, rng, kernels):
    op = OPS[name]
    case = op.CASES[index]
    arguments = draw(case, rng)
    names = differentiable(case)
    if any(0 in arguments[n].shape for n in names):
        pytest.skip("PyTorch refuses some empty inputs; ours are checked by the harness")
    tensors = {n: torch.from_numpy(v.copy()) if isinstance(v, np.ndarray) else v for n, v in arguments.items()}
    for n in names:
        tensors[n].requires_grad_(True)
    theirs = tupled(TORCH[name](**tensors))
    y, cache = op.forward(**arguments)
    dy = upstream(y, rng)
    for ours, their in zip(tupled(y), theirs, strict=True):
        assert relative_error(ours, their.detach().numpy()) < TOLERANCE
    sum((t * torch.from_numpy(d)).sum() for t, d in zip(theirs, tupled(dy), strict=True)).backward()
    for n, gradient in zip(names, tupled(op.backward(dy, cache)), strict=True):
        assert relative_error(gradient, tensors[n].grad.numpy()) < TOLERANCE, n
