"""Plain references of deepnp.ops.regularization."""

import numpy as np


def dropout(x, mask, p):
    kept = np.broadcast_to(mask, x.shape).ravel()
    return np.array([float(v) / (1 - p) if k else 0.0 for v, k in zip(x.ravel(), kept, strict=True)]).reshape(x.shape)


def spectral_norm(weight, u, v):
    rows = [[float(w) for w in row.ravel()] for row in weight]
    sigma = sum(float(u[o]) * rows[o][i] * float(v[i]) for o in range(len(rows)) for i in range(len(v)))
    return np.array([w / sigma for row in rows for w in row]).reshape(weight.shape)


REFERENCES = {"regularization.dropout": dropout, "regularization.spectral_norm": spectral_norm}
