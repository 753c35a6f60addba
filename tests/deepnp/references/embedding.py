"""Plain references of deepnp.ops.embedding."""

import math

import numpy as np


def embedding(indices, weight):
    rows = [[float(v) for v in weight[k]] for k in indices.ravel()]
    return np.array(rows).reshape(*indices.shape, weight.shape[1])


def frequency(pair, channels, base):
    return 1 / base ** (2 * pair / channels)


def over_positions(f):
    """f maps one position's list of channels and the position to a list of channels."""

    def forward(x, start=0, base=10000.0):
        rows = x.reshape(-1, x.shape[-1])
        out = [f([float(v) for v in row], start + n % x.shape[-2], base) for n, row in enumerate(rows)]
        return np.array(out).reshape(x.shape)

    return forward


def sinusoidal(row, position, base):
    angles = [position * frequency(j // 2, len(row), base) for j in range(len(row))]
    return [v + (math.cos(a) if j % 2 else math.sin(a)) for j, (v, a) in enumerate(zip(row, angles, strict=True))]


def rotary(row, position, base):
    out = []
    for i in range(len(row) // 2):
        angle, u, v = position * frequency(i, len(row), base), row[2 * i], row[2 * i + 1]
        out += [u * math.cos(angle) - v * math.sin(angle), u * math.sin(angle) + v * math.cos(angle)]
    return out


REFERENCES = {
    "embedding.embedding": embedding,
    "embedding.sinusoidal": over_positions(sinusoidal),
    "embedding.rotary": over_positions(rotary),
}
