"""deepnp.ops.convolution in PyTorch."""

TORCH = {}
ABSENT = {}
