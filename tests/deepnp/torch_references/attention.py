"""deepnp.ops.attention in PyTorch."""

TORCH = {}
ABSENT = {}
