"""deepnp.ops.regularization in PyTorch."""

TORCH = {}
ABSENT = {}
