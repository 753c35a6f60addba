"""Loops that many references share."""

import numpy as np


def elementwise(f):
    """f maps a float to a float."""

    def forward(x, **settings):
        return np.array([f(float(v), **settings) for v in x.ravel()]).reshape(x.shape)

    return forward


def rowwise(f):
    """f maps a list (one last axis) to a list."""

    def forward(x, **settings):
        rows = x.reshape(-1, x.shape[-1])
        return np.array([f([float(v) for v in row], **settings) for row in rows]).reshape(x.shape)

    return forward
