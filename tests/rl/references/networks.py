"""Networks as functions of named arrays, gradients by the complex step, Adam.

The complex step: f(θ + ih) = f(θ) + ih f′(θ) + O(h²), so f′(θ) = Im f(θ + ih)/h. Nothing is subtracted, so h may be 1e-30
and the gradient is exact to rounding (Squire & Trapp 1998). Every function here is analytic but for its kinks, where the
branch is chosen by the real part.

Shapes: B rows; a leading axis P holds one direction of θ each, where gradients are taken.
"""

import numpy as np

STEP = 1e-30


def gradient(loss, parameters: dict) -> dict:
    """dL/dθ for every named array, of a loss that maps arrays with a leading axis (P, …) to (P,)."""
    theta = np.concatenate([p.ravel() for p in parameters.values()])
    moved = theta + 1j * STEP * np.eye(len(theta))  # (P, P): row p moves along direction p
    return split(loss(split(moved, parameters)).imag / STEP, parameters)


def split(vector: np.ndarray, like: dict) -> dict:
    """A vector (…, P) as named arrays, shaped as those of `like` behind the leading axes."""
    named, start = {}, 0
    for name, p in like.items():
        named[name] = vector[..., start : start + p.size].reshape(*vector.shape[:-1], *p.shape)
        start += p.size
    return named


def mlp(p: dict, x: np.ndarray, activation: str, normalization: str | None = None, running: dict | None = None, seen=None):
    """The network whose layers are "0.weight", "0.bias", … : x (…, B, I) -> (…, B, O).

    `normalization` stands between each hidden linear layer and its activation; "l2" before the last layer. Batch
    normalisation takes the statistics `running`, or the batch's own where there are none; those are appended to `seen`.
    """
    between = normalization not in (None, "l2")
    numbers = sorted({int(name.split(".")[0]) for name in p})[:: 2 if between else 1]
    for i in numbers:
        if i == numbers[-1] and normalization == "l2":
            x = x / np.sqrt((x**2).sum(axis=-1, keepdims=True) + 1e-6)
        x = x @ np.swapaxes(p[f"{i}.weight"], -1, -2) + p[f"{i}.bias"][..., None, :]
        if i == numbers[-1]:
            return x
        if between:
            statistics = (running[f"{i + 1}.running_mean"], running[f"{i + 1}.running_var"]) if running else None
            x = normalize(x, normalization, statistics, seen)
            x = p[f"{i + 1}.weight"][..., None, :] * x + p[f"{i + 1}.bias"][..., None, :]
        x = ACTIVATIONS[activation](x)
    raise AssertionError("no layers")


def normalize(x, kind: str, statistics, seen):
    """x (…, B, C) with mean 0 and variance 1 over a row, over each of 16 groups of a row, or over the batch."""
    if kind == "batch":
        mean, variance = statistics or moments(x, -2)
        if statistics is None and seen is not None:
            seen.append((mean[..., 0, :].copy(), variance[..., 0, :].copy()))
        return (x - mean) / np.sqrt(variance + 1e-5)
    groups = x.reshape(*x.shape[:-1], 16 if kind == "group" else 1, -1)
    mean, variance = moments(groups, -1)
    return ((groups - mean) / np.sqrt(variance + 1e-5)).reshape(x.shape)


def moments(x, axis):
    """Mean and biased variance, without absolute values: analytic."""
    mean = x.sum(axis=axis, keepdims=True) / x.shape[axis]
    return mean, ((x - mean) ** 2).sum(axis=axis, keepdims=True) / x.shape[axis]


def relu(x):
    return np.where(x.real > 0, x, 0)


ACTIVATIONS = {"tanh": np.tanh, "relu": relu}


def smaller(a, b):
    """min(a, b), by the real parts."""
    return np.where(a.real <= b.real, a, b)


def larger(a, b):
    """max(a, b), by the real parts."""
    return np.where(a.real >= b.real, a, b)


def clip(x, low, high):
    """x held in [low, high]; flat outside."""
    return np.where(x.real < low, low, np.where(x.real > high, high, x))


class Adam:
    """Kingma & Ba 2015, Algorithm 1, on named arrays that are changed in place."""

    def __init__(self, parameters: dict, lr: float, eps: float = 1e-8, betas: tuple[float, float] = (0.9, 0.999)):
        self.lr, self.eps, self.betas, self.t = lr, eps, betas, 0
        self.parameters = parameters
        self.m = {name: np.zeros_like(p) for name, p in parameters.items()}
        self.v = {name: np.zeros_like(p) for name, p in parameters.items()}

    def step(self, gradients: dict) -> None:
        self.t += 1
        for name, g in gradients.items():
            self.m[name] = self.betas[0] * self.m[name] + (1 - self.betas[0]) * g
            self.v[name] = self.betas[1] * self.v[name] + (1 - self.betas[1]) * g**2
            m_hat = self.m[name] / (1 - self.betas[0] ** self.t)
            v_hat = self.v[name] / (1 - self.betas[1] ** self.t)
            self.parameters[name] -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)


class Plain:
    """Gradient descent without a memory."""

    def __init__(self, parameters: dict, lr: float):
        self.parameters, self.lr = parameters, lr

    def step(self, gradients: dict) -> None:
        for name, g in gradients.items():
            self.parameters[name] -= self.lr * g


def shorten(gradients: dict, bound: float) -> dict:
    """g·min(1, c/(‖g‖ + 1e-6)), one norm over all arrays."""
    norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
    return {name: g * min(1.0, bound / (norm + 1e-6)) if norm > bound else g for name, g in gradients.items()}


def follow(target: dict, source: dict, tau: float) -> None:
    """θ̄ ← (1 − τ)θ̄ + τθ, in place."""
    for name, p in source.items():
        target[name] *= 1 - tau
        target[name] += tau * p
