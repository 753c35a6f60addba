"""deepnp.ops.attention in PyTorch."""

import torch
from torch.nn import functional as F


def attention(q, k, v, mask=None, causal=False, block=None):
    full = torch.zeros(*q.shape[:-1], k.shape[-2], dtype=q.dtype)
    if mask is not None:
        full = full + mask
    if causal:
        full = full + torch.full(full.shape[-2:], -torch.inf, dtype=q.dtype).triu(1)
    blind = (full == -torch.inf).all(-1, keepdim=True)  # PyTorch would give NaN there
    return F.scaled_dot_product_attention(q, k, v, full.masked_fill(blind, 0.0)).masked_fill(blind, 0.0)


TORCH = {"attention.scaled_dot_product": attention, "attention.block_scaled_dot_product": attention}
ABSENT = {}
