"""Every loss agrees with PyTorch, value and gradients, where PyTorch is installed."""

import numpy as np
import pytest

from deepnp import losses
from deepnp.cases import differentiable, draw, tupled
from deepnp.gradcheck import relative_error

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from torch.nn import functional as F  # noqa: E402

TOLERANCE = 1e-9
ALL = [pytest.param(f, c, id=f"{f.__name__}-{i}") for f, cases in losses.CASES.items() for i, c in enumerate(cases)]


def mean(values, weight=None, mask=None):
    """Mean of what is kept, weighted."""
    values = values if weight is None else values * weight
    return values.mean() if mask is None else values[mask].mean()


def cross_entropy(logits, target, weight=None, label_smoothing=0.0, mask=None, ignore_index=-100):
    if mask is not None:
        logits, target = logits[mask], target[mask]
    axes = logits.movedim(-1, 1) if target.dtype == torch.int64 else logits.reshape(-1, logits.shape[-1])
    target = target if target.dtype == torch.int64 else target.reshape(-1, logits.shape[-1])
    return F.cross_entropy(axes, target, weight, label_smoothing=label_smoothing, ignore_index=ignore_index)


def cross_entropy_probabilities(p, target, weight=None, label_smoothing=0.0, eps=1e-12, mask=None):
    if mask is not None:
        p, target = p[mask], target[mask]
    logs = (p + eps).log()
    if target.dtype != torch.int64:
        return -(target * logs).sum(dim=-1).mean()
    weight = torch.ones(p.shape[-1], dtype=p.dtype) if weight is None else weight
    smooth = -(weight * logs).sum(dim=-1).sum() / weight[target].sum() / p.shape[-1]
    return (1 - label_smoothing) * F.nll_loss(logs, target, weight) + label_smoothing * smooth


def bce_with_logits(logits, target, pos_weight=1.0, weight=None, mask=None):
    values = F.binary_cross_entropy_with_logits(
        logits, target.to(logits.dtype), pos_weight=torch.as_tensor(pos_weight, dtype=logits.dtype), reduction="none"
    )
    return mean(values, weight, mask)


def bce(p, target, eps=1e-12, weight=None, mask=None):
    if eps < 1e-9:
        return mean(F.binary_cross_entropy(p, target, reduction="none"), weight, mask)
    return mean(-(target * (p + eps).log() + (1 - target) * (1 - p + eps).log()), weight, mask)


def kl_divergence(log_q, target, mask=None):
    rows = [x.reshape(-1, x.shape[-1]) if mask is None else x[mask] for x in (log_q, target)]
    return F.kl_div(*rows, reduction="batchmean")


def gaussian_nll(mean, variance, target, eps=1e-6, mask=None):
    if bool((variance < eps).all()):
        variance = variance.clamp(min=eps)  # theirs passes the gradient on where it clamps
    arrays = [x if mask is None else x[mask] for x in (mean, target, variance)]
    return F.gaussian_nll_loss(*arrays, eps=eps)


def cosine(a, b, target=None, margin=0.0, mask=None):
    target = torch.ones(a.shape[:-1]) if target is None else target
    keep = torch.ones(target.shape, dtype=torch.bool) if mask is None else mask
    return F.cosine_embedding_loss(a[keep], b[keep], target[keep], margin=margin)


TORCH = {
    "mse": lambda y, target, **rest: mean(F.mse_loss(y, target, reduction="none"), **rest),
    "rmse": lambda y, target, **rest: mean(F.mse_loss(y, target, reduction="none"), **rest).sqrt(),
    "l1": lambda y, target, **rest: mean(F.l1_loss(y, target, reduction="none"), **rest),
    "huber": lambda y, target, delta=1.0, **rest: mean(F.huber_loss(y, target, delta=delta, reduction="none"), **rest),
    "cross_entropy": cross_entropy,
    "cross_entropy_probabilities": cross_entropy_probabilities,
    "bce_with_logits": bce_with_logits,
    "bce": bce,
    "hinge": lambda y, target, **rest: mean(F.relu(1 - target * y), **rest),
    "hinge_embedding": lambda y, target, margin=1.0, **rest: mean(
        F.hinge_embedding_loss(y, target, margin=margin, reduction="none"), **rest
    ),
    "kl_divergence": kl_divergence,
    "gaussian_nll": gaussian_nll,
    "poisson_nll": lambda y, target, log_input=True, eps=1e-8, **rest: mean(
        F.poisson_nll_loss(y, target, log_input=log_input, eps=eps, reduction="none"), **rest
    ),
    "cosine": cosine,
}


@pytest.mark.parametrize(("loss", "case"), ALL)
def test_agrees_with_torch(loss, case, rng, kernels):
    arguments = draw(case, rng)
    value, dy = loss(**arguments)
    tensors = {name: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for name, v in arguments.items()}
    names = differentiable(case)[: len(tupled(dy))]
    for name in names:
        tensors[name].requires_grad_(True)
    theirs = TORCH[loss.__name__](**tensors)
    theirs.backward()
    assert value == pytest.approx(theirs.item(), rel=TOLERANCE)
    for name, gradient in zip(names, tupled(dy), strict=True):
        assert relative_error(gradient, tensors[name].grad.numpy()) < TOLERANCE, name


def test_variance_below_eps_is_where_we_differ():
    """PyTorch clamps the variance but lets the gradient through; ours is the derivative of what is computed."""
    mean, variance, target = np.zeros(1), np.array([0.1]), np.array([2.0])
    _, (_, dvariance) = losses.gaussian_nll(mean, variance, target=target, eps=0.5)
    tensor = torch.tensor([0.1], dtype=torch.float64, requires_grad=True)
    F.gaussian_nll_loss(torch.zeros(1), torch.tensor([2.0]), tensor, eps=0.5).backward()
    assert dvariance[0] == 0
    assert tensor.grad[0] != 0
