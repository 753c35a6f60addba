"""Optimizers written out for one number (Muon: one matrix), as somebody would compute them by hand; pages show these lines.

Each yields what it has computed, step after step. `gradient` gives g at θ. The settings are the library's, apart from the learning
rate. None of this uses the library: `optimizers.py` sets its steps beside these.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Steps = Iterator[dict[str, Any]]
Gradient = Callable[[Any], Any]


def sgd(theta: float, gradient: Gradient, lr=0.1, momentum=0.9) -> Steps:
    v = 0.0
    while True:
        g = gradient(theta)
        v = momentum * v + g
        theta = theta - lr * v
        yield {"g": g, "v": v, "θ": theta}


def rmsprop(theta: float, gradient: Gradient, lr=0.1, rho=0.99, eps=1e-8) -> Steps:
    v = 0.0
    while True:
        g = gradient(theta)
        v = rho * v + (1 - rho) * g**2
        theta = theta - lr * g / (math.sqrt(v) + eps)
        yield {"g": g, "v": v, "θ": theta}


def adagrad(theta: float, gradient: Gradient, lr=0.1, eps=1e-10) -> Steps:
    s = 0.0
    while True:
        g = gradient(theta)
        s = s + g**2
        theta = theta - lr * g / (math.sqrt(s) + eps)
        yield {"g": g, "s": s, "θ": theta}


def adadelta(theta: float, gradient: Gradient, lr=1.0, rho=0.9, eps=1e-6) -> Steps:
    v = u = 0.0
    while True:
        g = gradient(theta)
        v = rho * v + (1 - rho) * g**2
        delta = g * math.sqrt(u + eps) / math.sqrt(v + eps)
        u = rho * u + (1 - rho) * delta**2
        theta = theta - lr * delta
        yield {"g": g, "v": v, "Δ": delta, "u": u, "θ": theta}


def adam(theta: float, gradient: Gradient, lr=0.1, b1=0.9, b2=0.999, eps=1e-8) -> Steps:
    m = v = 0.0
    t = 0
    while True:
        t, g = t + 1, gradient(theta)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat = m / (1 - b1**t)
        v_hat = v / (1 - b2**t)
        theta = theta - lr * m_hat / (math.sqrt(v_hat) + eps)
        yield {"g": g, "m": m, "v": v, "m̂": m_hat, "v̂": v_hat, "θ": theta}


def adamax(theta: float, gradient: Gradient, lr=0.1, b1=0.9, b2=0.999, eps=1e-8) -> Steps:
    m = u = 0.0
    t = 0
    while True:
        t, g = t + 1, gradient(theta)
        m = b1 * m + (1 - b1) * g
        u = max(b2 * u, abs(g) + eps)
        theta = theta - lr / (1 - b1**t) * m / u
        yield {"g": g, "m": m, "u": u, "θ": theta}


def nadam(theta: float, gradient: Gradient, lr=0.1, b1=0.9, b2=0.999, eps=1e-8, decay=4e-3) -> Steps:
    m = v = 0.0
    t, product = 0, 1.0
    while True:
        t, g = t + 1, gradient(theta)
        now = b1 * (1 - 0.5 * 0.96 ** (t * decay))
        after = b1 * (1 - 0.5 * 0.96 ** ((t + 1) * decay))
        product = product * now
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        ahead = after / (1 - product * after) * m + (1 - now) / (1 - product) * g
        theta = theta - lr * ahead / (math.sqrt(v / (1 - b2**t)) + eps)
        yield {"g": g, "m": m, "v": v, "ahead": ahead, "θ": theta}


def radam(theta: float, gradient: Gradient, lr=0.1, b1=0.9, b2=0.999, eps=1e-8) -> Steps:
    m = v = 0.0
    t, limit = 0, 2 / (1 - b2) - 1
    while True:
        t, g = t + 1, gradient(theta)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat = m / (1 - b1**t)
        rho = limit - 2 * t * b2**t / (1 - b2**t)
        if rho > 5:
            r = math.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho))
            theta = theta - lr * r * m_hat * math.sqrt(1 - b2**t) / (math.sqrt(v) + eps)
        else:
            theta = theta - lr * m_hat
        yield {"g": g, "m̂": m_hat, "v": v, "ρ": rho, "θ": theta}


def adabelief(theta: float, gradient: Gradient, lr=0.1, b1=0.9, b2=0.999, eps=1e-16) -> Steps:
    m = s = 0.0
    t = 0
    while True:
        t, g = t + 1, gradient(theta)
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + eps
        theta = theta - lr * (m / (1 - b1**t)) / (math.sqrt(s / (1 - b2**t)) + eps)
        yield {"g": g, "m": m, "g − m": g - m, "s": s, "θ": theta}


def adan(theta: float, gradient: Gradient, lr=0.1, b1=0.98, b2=0.92, b3=0.99, eps=1e-8) -> Steps:
    g = old = m = gradient(theta)
    v, n, t = 0.0, g**2, 1
    while True:
        theta = theta - lr * (m + b2 * v) / (math.sqrt(n) + eps)
        yield {"g": g, "d": g - old, "m": m, "v": v, "n": n, "θ": theta}
        t, old, g = t + 1, g, gradient(theta)
        d = g - old
        m = b1 * m + (1 - b1) * g
        v = d if t == 2 else b2 * v + (1 - b2) * d
        n = b3 * n + (1 - b3) * (g + b2 * d) ** 2


def lion(theta: float, gradient: Gradient, lr=0.1, b1=0.9, b2=0.99) -> Steps:
    m = 0.0
    while True:
        g = gradient(theta)
        c = b1 * m + (1 - b1) * g
        theta = theta - lr * ((c > 0) - (c < 0))
        m = b2 * m + (1 - b2) * g
        yield {"g": g, "c": c, "m": m, "θ": theta}


def muon(theta: np.ndarray, gradient: Gradient, lr=0.1, momentum=0.95) -> Steps:
    m = np.zeros_like(theta)
    a, b, c = 3.4445, -4.7750, 2.0315
    while True:
        g = gradient(theta)
        m = momentum * m + (1 - momentum) * g
        u = (1 - momentum) * g + momentum * m
        x = u / math.sqrt((u**2).sum())
        for _ in range(5):
            gram = x @ x.T
            x = a * x + (b * gram + c * gram @ gram) @ x
        theta = theta - lr * x
        yield {"G": g, "U": u, "NS(U)": x, "θ": theta}
