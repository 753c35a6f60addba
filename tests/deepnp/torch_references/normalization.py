"""deepnp.ops.normalization in PyTorch."""

import torch
from torch.nn import functional as F


def batch_norm(x, gamma, beta, eps=1e-5):
    if x.shape[0] * x[0, 0].numel() == 1:  # PyTorch refuses a single value; one value is its own mean
        return torch.zeros_like(x) * x * gamma + beta
    return F.batch_norm(x, None, None, gamma, beta, training=True, eps=eps)


def batch_renorm(x, gamma, beta, r, d, eps=1e-5):
    def across(vector):
        return vector.reshape(-1, *[1] * (x.ndim - 2))

    return across(gamma) * (across(r) * F.batch_norm(x, None, None, training=True, eps=eps) + across(d)) + across(beta)


TORCH = {
    "normalization.layer_norm": lambda x, gamma, beta, eps=1e-5: F.layer_norm(x, x.shape[-1:], gamma, beta, eps),
    "normalization.rms_norm": lambda x, gamma, eps=1e-6: F.rms_norm(x, x.shape[-1:], gamma, eps),
    "normalization.batch_norm": batch_norm,
    "normalization.batch_renorm": batch_renorm,
    "normalization.group_norm": lambda x, gamma, beta, groups, eps=1e-5: F.group_norm(x, groups, gamma, beta, eps),
}
ABSENT = {}
