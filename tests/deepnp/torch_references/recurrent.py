"""deepnp.ops.recurrent in PyTorch."""

TORCH = {}
ABSENT = {}
