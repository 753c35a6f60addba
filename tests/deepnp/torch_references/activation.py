"""deepnp.ops.activation in PyTorch."""

import torch
from torch.nn import functional as F


def soft_plus_plus(x, k, c):
    """Its Softplus has one sharpness, and no tilt."""
    k, c = (p if len(p) == 1 else p.reshape(-1, *(1,) * (x.ndim - 2)) for p in (k, c))
    return torch.nn.functional.softplus(k * x, threshold=700) + x / c - torch.log(torch.tensor(2.0, dtype=x.dtype))


TORCH = {
    "activation.relu": lambda x: F.relu(x),
    "activation.leaky_relu": lambda x, slope=0.01: F.leaky_relu(x, slope),
    "activation.prelu": lambda x, weight: F.prelu(x, weight),
    "activation.rrelu": lambda x, slopes: torch.where(x > 0, x, slopes * x),  # its own draws the slopes itself
    "activation.soft_plus_plus": soft_plus_plus,
    "activation.elu": lambda x, alpha=1.0, scale=1.0: scale * F.elu(x, alpha),
    "activation.selu": lambda x: F.selu(x),
    "activation.tanh": lambda x: torch.tanh(x),
    "activation.hard_tanh": lambda x, low=-1.0, high=1.0: F.hardtanh(x, low, high),
    "activation.sigmoid": lambda x: torch.sigmoid(x),
    "activation.softplus": lambda x, beta=1.0, scale=1.0: scale * F.softplus(x, beta, threshold=700),
    "activation.gelu": lambda x: F.gelu(x),
    "activation.gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "activation.silu": lambda x: F.silu(x),
    "activation.mish": lambda x: F.mish(x),
    "activation.sine": lambda x, omega=1.0: torch.sin(omega * x),
    "activation.softmax": lambda x, temperature=1.0: F.softmax(x / temperature, dim=-1),
    "activation.log_softmax": lambda x: F.log_softmax(x, dim=-1),
    "activation.glu": lambda x: F.glu(x, dim=-1),
}
ABSENT = {}
