"""deepnp.ops.embedding in PyTorch."""

TORCH = {}
ABSENT = {}
