"""Plain references of deepnp.ops.normalization."""

import math

from tests.deepnp.references.loops import rowwise


def layer_norm(x, gamma, beta, eps=1e-5):
    def one(row):
        mean = sum(row) / len(row)
        variance = sum((v - mean) ** 2 for v in row) / len(row)
        return [float(g) * (v - mean) / math.sqrt(variance + eps) + float(b) for v, g, b in zip(row, gamma, beta, strict=True)]

    return rowwise(one)(x)


REFERENCES = {"normalization.layer_norm": layer_norm}
