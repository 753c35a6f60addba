"""deepnp.ops.embedding in PyTorch."""

import torch
from torch.nn import functional as F


def rotary(x, start=0, base=10000.0):
    steps, channels = x.shape[-2:]
    frequencies = 1 / base ** (torch.arange(0, channels, 2, dtype=x.dtype) / channels)
    angles = torch.outer(torch.arange(start, start + steps, dtype=x.dtype), frequencies)
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)


TORCH = {"embedding.embedding": lambda indices, weight: F.embedding(indices, weight), "embedding.rotary": rotary}
ABSENT = {"embedding.sinusoidal": "PyTorch has no positional encoding; adding a constant table has the identity as its gradient"}
