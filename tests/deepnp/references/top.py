"""Plain references of the operations that lie in deepnp.ops itself."""

import numpy as np

from tests.deepnp.references import activation


def linear(x, weight, bias):
    rows = x.reshape(-1, x.shape[-1])
    out = np.zeros((len(rows), len(weight)))
    for b in range(len(rows)):
        for o in range(len(weight)):
            out[b, o] = float(bias[o])
            for i in range(weight.shape[1]):
                out[b, o] += float(rows[b, i]) * float(weight[o, i])
    return out.reshape(*x.shape[:-1], len(weight))


def dense(x, weight, bias, activation_op):
    return activation.REFERENCES[activation_op.__name__.removeprefix("deepnp.ops.")](linear(x, weight, bias))


def mlp(x, parameters, layout):
    start = 0
    for i, o, activation_op in zip(layout.widths, layout.widths[1:], layout.activations, strict=False):
        weight, bias = parameters[start : start + i * o].reshape(o, i), parameters[start + i * o : start + (i + 1) * o]
        x = linear(x, weight, bias) if activation_op is None else dense(x, weight, bias, activation_op)
        start += (i + 1) * o
    return x


REFERENCES = {"linear": linear, "dense": lambda x, weight, bias, activation: dense(x, weight, bias, activation), "mlp": mlp}
