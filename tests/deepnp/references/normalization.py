"""Plain references of deepnp.ops.normalization."""

import math

import numpy as np

from tests.deepnp.references.loops import rowwise


def standard(values, eps):
    """A list, shifted and scaled to mean 0 and variance 1."""
    mean = sum(values) / len(values)
    variance = sum((v - mean) ** 2 for v in values) / len(values)
    return [(v - mean) / math.sqrt(variance + eps) for v in values]


def layer_norm(x, gamma, beta, eps=1e-5):
    def one(row):
        return [float(g) * v + float(b) for v, g, b in zip(standard(row, eps), gamma, beta, strict=True)]

    return rowwise(one)(x)


def rms_norm(x, gamma, eps=1e-6):
    def one(row):
        rms = math.sqrt(sum(v * v for v in row) / len(row) + eps)
        return [float(g) * v / rms for v, g in zip(row, gamma, strict=True)]

    return rowwise(one)(x)


def batch_norm(x, gamma, beta, eps=1e-5):
    y = np.zeros(x.shape)
    for c in range(x.shape[1] if len(x) else 0):
        values = standard([float(v) for v in x[:, c].ravel()], eps)
        y[:, c] = np.reshape([float(gamma[c]) * v + float(beta[c]) for v in values], x[:, c].shape)
    return y


def batch_renorm(x, gamma, beta, r, d, eps=1e-5):
    y = np.zeros(x.shape)
    for c in range(x.shape[1] if len(x) else 0):
        values = standard([float(v) for v in x[:, c].ravel()], eps)
        y[:, c] = np.reshape([float(gamma[c]) * (v * float(r[c]) + float(d[c])) + float(beta[c]) for v in values], x[:, c].shape)
    return y


def group_norm(x, gamma, beta, groups, eps=1e-5):
    y, width = np.zeros(x.shape), x.shape[1] // groups
    for b in range(len(x)):
        for g in range(groups):
            channels = range(g * width, (g + 1) * width)
            values = iter(standard([float(v) for c in channels for v in x[b, c].ravel()], eps))
            for c in channels:
                here = [float(gamma[c]) * next(values) + float(beta[c]) for _ in range(x[b, c].size)]
                y[b, c] = np.reshape(here, x[b, c].shape)
    return y


REFERENCES = {
    "normalization.layer_norm": layer_norm,
    "normalization.rms_norm": rms_norm,
    "normalization.batch_norm": batch_norm,
    "normalization.batch_renorm": batch_renorm,
    "normalization.group_norm": group_norm,
}
