"""Every optimizer that PyTorch has agrees with it over twenty steps, and so do the schedules, where PyTorch is installed."""

import numpy as np
import pytest

from deepnp import optim
from deepnp.gradcheck import relative_error
from deepnp.parameters import Parameter, ParameterVector

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

TOLERANCE = 1e-9
STEPS = 20
RHO = {"rho": "alpha"}  # our name: theirs
TABLE = [
    ("SGD", "SGD", dict(lr=0.01), {}),
    ("SGD", "SGD", dict(lr=0.01, momentum=0.9, weight_decay=0.1), {}),
    ("SGD", "SGD", dict(lr=0.01, momentum=0.9, dampening=0.3), {}),
    ("SGD", "SGD", dict(lr=0.01, momentum=0.9, nesterov=True, weight_decay=0.1), {}),
    ("RMSprop", "RMSprop", dict(), {}),
    ("RMSprop", "RMSprop", dict(rho=0.9, momentum=0.5, weight_decay=0.1), RHO),
    ("RMSprop", "RMSprop", dict(rho=0.9, centered=True, eps=1e-3), RHO),
    ("RMSprop", "RMSprop", dict(rho=0.9, momentum=0.5, centered=True, weight_decay=0.1, eps=1e-3), RHO),
    ("Adagrad", "Adagrad", dict(), {}),
    ("Adagrad", "Adagrad", dict(lr_decay=0.1, initial=0.5, weight_decay=0.1), {"initial": "initial_accumulator_value"}),
    ("Adadelta", "Adadelta", dict(), {}),
    ("Adadelta", "Adadelta", dict(lr=0.5, rho=0.8, weight_decay=0.1), {}),
    ("Adam", "Adam", dict(), {}),
    ("Adam", "Adam", dict(lr=0.1, betas=(0.5, 0.6), weight_decay=0.1), {}),
    ("Adam", "Adam", dict(lr=0.1, betas=(0.5, 0.6), weight_decay=0.1, amsgrad=True), {}),
    ("AdamW", "AdamW", dict(), {}),
    ("AdamW", "AdamW", dict(lr=0.1, weight_decay=0.3, amsgrad=True), {}),
    ("Adamax", "Adamax", dict(), {}),
    ("Adamax", "Adamax", dict(betas=(0.5, 0.6), weight_decay=0.1), {}),
    ("NAdam", "NAdam", dict(), {}),
    ("NAdam", "NAdam", dict(lr=0.1, momentum_decay=0.1, weight_decay=0.1), {}),
    ("NAdam", "NAdam", dict(lr=0.1, weight_decay=0.1, decoupled=True), {"decoupled": "decoupled_weight_decay"}),
    ("RAdam", "RAdam", dict(), {}),
    ("RAdam", "RAdam", dict(lr=0.1, betas=(0.5, 0.99), weight_decay=0.1), {}),
    ("RAdam", "RAdam", dict(lr=0.1, weight_decay=0.1, decoupled=True), {"decoupled": "decoupled_weight_decay"}),
    ("Muon", "Muon", dict(lr=0.02, weight_decay=0.1), {}),
    ("Muon", "Muon", dict(lr=0.02, momentum=0.5, nesterov=False, iterations=3, weight_decay=0.0), {"iterations": "ns_steps"}),
]


@pytest.fixture
def double():
    """NAdam keeps a scalar of PyTorch's default type."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("ours", "theirs", "settings", "names"), TABLE, ids=lambda x: x if isinstance(x, str) else None)
def test_optimizer_agrees_with_torch(ours, theirs, settings, names, rng, kernels, monkeypatch, double):
    """On least squares, ‖XW − Y‖² with noise: gradients that depend on the path. Matrices only: there all of PyTorch decays."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)  # Muon's; it rounds to 8 bits otherwise
    shapes = {"w": (4, 3), "v": (3, 7)}
    start = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    vector = ParameterVector({name: Parameter(array.copy()) for name, array in start.items()})
    tensors = [torch.nn.Parameter(torch.from_numpy(array.copy())) for array in start.values()]
    optimizer = getattr(optim, ours)(vector, **settings)
    peer = getattr(torch.optim, theirs)(tensors, **{names.get(name, name): value for name, value in settings.items()})
    for _ in range(STEPS):
        x, y = rng.normal(size=(6, 4)), rng.normal(size=(6, 7))
        w, v = (p.data for p in vector.named.values())
        error = x @ w @ v - y
        vector.named["w"].grad[...], vector.named["v"].grad[...] = x.T @ error @ v.T / 6, (x @ w).T @ error / 6
        optimizer.step()
        peer.zero_grad()
        (((torch.from_numpy(x) @ tensors[0] @ tensors[1] - torch.from_numpy(y)) ** 2).sum() / 12).backward()
        peer.step()
        for p, tensor in zip(vector.named.values(), tensors, strict=True):
            assert relative_error(p.data, tensor.detach().numpy()) < TOLERANCE


def test_decay_on_weights_only_is_two_parameter_groups(rng):
    weight, bias = rng.normal(size=(3, 4)), rng.normal(size=3)
    vector = ParameterVector({"weight": Parameter(weight.copy()), "bias": Parameter(bias.copy())})
    optimizer = optim.AdamW(vector, lr=0.1, weight_decay=0.3)
    tensors = [torch.nn.Parameter(torch.from_numpy(a.copy())) for a in (weight, bias)]
    groups = [dict(params=tensors[:1], weight_decay=0.3), dict(params=tensors[1:], weight_decay=0.0)]
    peer = torch.optim.AdamW(groups, lr=0.1)
    for _ in range(STEPS):
        for p, tensor in zip(vector.named.values(), tensors, strict=True):
            p.grad[...] = rng.normal(size=p.shape)
            tensor.grad = torch.from_numpy(p.grad.copy())
        optimizer.step(), peer.step()
    for p, tensor in zip(vector.named.values(), tensors, strict=True):
        assert relative_error(p.data, tensor.detach().numpy()) < TOLERANCE


def rates(make, steps):
    """The learning rates that one of PyTorch's schedulers sets."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    values = []
    for _ in range(steps):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return values


def test_schedules_agree_with_torch():
    s, n = torch.optim.lr_scheduler, 100
    pairs = [
        (lambda p: optim.linear(1.0, 0.25, p), lambda o: s.LinearLR(o, 1.0, 0.25, n)),
        (lambda p: optim.step(1.0, 0.1, (0.3, 0.6), p), lambda o: s.MultiStepLR(o, [30, 60], 0.1)),
        (lambda p: optim.exponential(1.0, 0.97**n, p), lambda o: s.ExponentialLR(o, 0.97)),
        (lambda p: optim.cosine(1.0, 0.1, p), lambda o: s.CosineAnnealingLR(o, n, 0.1)),
    ]
    for ours, theirs in pairs:
        np.testing.assert_allclose([ours(t / n) for t in range(n)], rates(theirs, n), rtol=1e-9)


def test_one_cycle_agrees_with_torch():
    n, warm = 100, 0.3  # its peak lies at step warm·n − 1, its end at step n − 1
    theirs = rates(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 1.0, n, pct_start=warm), n)
    settings = dict(start=1 / 25, peak=1.0, end=1 / 25 / 1e4, warmup=(warm * n - 1) / (n - 1))
    ours = [optim.one_cycle(progress=t / (n - 1), **settings) for t in range(n)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
