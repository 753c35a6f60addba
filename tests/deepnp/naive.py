"""What each operation should compute, written as slowly and as plainly as possible: the independent reference.

One function per operation of deepnp.ops, over Python floats, element by element. A new operation needs one here.
"""

import math

import numpy as np


def elementwise(f):
    def forward(x):
        return np.array([f(float(v)) for v in x.ravel()]).reshape(x.shape)

    return forward


def rowwise(f):
    """f maps a list (one last axis) to a list."""

    def forward(x, **settings):
        rows = x.reshape(-1, x.shape[-1])
        return np.array([f([float(v) for v in row], **settings) for row in rows]).reshape(x.shape)

    return forward


def linear(x, weight, bias):
    rows = x.reshape(-1, x.shape[-1])
    out = np.zeros((len(rows), len(weight)))
    for b in range(len(rows)):
        for o in range(len(weight)):
            out[b, o] = float(bias[o])
            for i in range(weight.shape[1]):
                out[b, o] += float(rows[b, i]) * float(weight[o, i])
    return out.reshape(*x.shape[:-1], len(weight))


def dense(x, weight, bias, activation):
    return REFERENCES[activation.__name__.removeprefix("deepnp.ops.")](linear(x, weight, bias))


def layer_norm(x, gamma, beta, eps=1e-5):
    def one(row):
        mean = sum(row) / len(row)
        variance = sum((v - mean) ** 2 for v in row) / len(row)
        return [float(g) * (v - mean) / math.sqrt(variance + eps) + float(b) for v, g, b in zip(row, gamma, beta, strict=True)]

    return rowwise(one)(x)


def softmax(row, temperature=1.0):
    exponentials = [math.exp(v / temperature) for v in row]
    return [e / sum(exponentials) for e in exponentials]


REFERENCES = {
    "linear": linear,
    "dense": dense,
    "activation.relu": elementwise(lambda v: v if v > 0 else 0.0),
    "activation.tanh": elementwise(math.tanh),
    "activation.sigmoid": elementwise(lambda v: 1 / (1 + math.exp(-v))),
    "activation.softplus": lambda x, beta=1.0, scale=1.0: elementwise(lambda v: scale / beta * math.log(1 + math.exp(beta * v)))(x),
    "activation.softmax": rowwise(softmax),
    "normalization.layer_norm": layer_norm,
}
