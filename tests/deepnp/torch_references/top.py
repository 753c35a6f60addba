"""The operations that lie in deepnp.ops itself, in PyTorch."""

from torch.nn import functional as F

from tests.deepnp.torch_references import activation as activations


def dense(x, weight, bias, activation):
    return activations.TORCH[activation.__name__.removeprefix("deepnp.ops.")](F.linear(x, weight, bias))


def mlp(x, parameters, layout):
    for (weight, bias), activation in zip(layout.layers(parameters), layout.activations, strict=True):
        x = F.linear(x, weight, bias) if activation is None else dense(x, weight, bias, activation)
    return x


TORCH = {"mlp": mlp, "linear": lambda x, weight, bias: F.linear(x, weight, bias), "dense": dense}
ABSENT = {}
