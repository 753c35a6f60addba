"""deepnp.ops.regularization in PyTorch."""


def spectral_norm(weight, u, v):
    return weight / (u.to(weight.dtype) @ weight.flatten(1) @ v.to(weight.dtype))


TORCH = {"regularization.dropout": lambda x, mask, p: x * mask / (1 - p), "regularization.spectral_norm": spectral_norm}
ABSENT = {}
