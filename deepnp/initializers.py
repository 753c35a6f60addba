"""Initial values of parameters: functions `(shape, rng) -> array`, shape (fan_out, fan_in,
*kernel).

    Kaiming   var = gain²/fan_in             keeps the variance of activations through layers (gain √2 for ReLU)
    Xavier    var = gain²·2/(fan_in+fan_out) keeps that of activations and of gradients, as far as both can be
    LeCun     var = 1/fan_in                 for tanh near zero, and SELU

A uniform distribution on ±b has variance b²/3, so b = √(3·var). `functools.partial` sets a gain.
"""

import math
from collections.abc import Callable

import numpy as np

Initializer = Callable[[tuple[int, ...], np.random.Generator], np.ndarray]


def zeros(shape: tuple[int, ...], rng: np.random.Generator | None = None) -> np.ndarray:
    """All zero."""
    return np.zeros(shape)


def ones(shape: tuple[int, ...], rng: np.random.Generator | None = None) -> np.ndarray:
    """All one."""
    return np.ones(shape)


def kaiming_normal(shape: tuple[int, ...], rng: np.random.Generator, gain: float = math.sqrt(2)) -> np.ndarray:
    """N(0, gain²/fan_in)  (He et al. 2015)."""
    return _normal(shape, rng, gain**2 / _fans(shape)[0])


def kaiming_uniform(shape: tuple[int, ...], rng: np.random.Generator, gain: float = math.sqrt(2)) -> np.ndarray:
    """U(±gain·√(3/fan_in))  (He et al. 2015). PyTorch's default for linear layers is gain = √(1/3)."""
    return _uniform(shape, rng, gain**2 / _fans(shape)[0])


def xavier_normal(shape: tuple[int, ...], rng: np.random.Generator, gain: float = 1.0) -> np.ndarray:
    """N(0, gain²·2/(fan_in + fan_out))  (Glorot & Bengio 2010)."""
    return _normal(shape, rng, gain**2 * 2 / sum(_fans(shape)))


def xavier_uniform(shape: tuple[int, ...], rng: np.random.Generator, gain: float = 1.0) -> np.ndarray:
    """U(±gain·√(6/(fan_in + fan_out)))  (Glorot & Bengio 2010)."""
    return _uniform(shape, rng, gain**2 * 2 / sum(_fans(shape)))


def lecun_normal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """N(0, 1/fan_in)  (LeCun et al. 1998)."""
    return _normal(shape, rng, 1 / _fans(shape)[0])


def lecun_uniform(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """U(±√(3/fan_in))  (LeCun et al. 1998)."""
    return _uniform(shape, rng, 1 / _fans(shape)[0])


def orthogonal(shape: tuple[int, ...], rng: np.random.Generator, gain: float = 1.0) -> np.ndarray:
    """gain · a random (semi-)orthogonal matrix of shape (fan_out, the rest)  (Saxe et al. 2014).

    QR of a Gaussian matrix, by Householder reflections (Gram–Schmidt loses
    orthogonality); a wide matrix is factored through its transpose. Multiplying Q's columns by
    sign(diag R) makes it uniform over all orthogonal matrices, which Q alone is not.
    """
    rows, columns = shape[0], math.prod(shape[1:])
    a = rng.normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(a)
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)
    return gain * (q if rows >= columns else q.T).reshape(shape)


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """fan_in and fan_out of (fan_out, fan_in, *kernel): a kernel multiplies both."""
    if len(shape) < 2:
        raise ValueError(f"expected a shape with fan_out and fan_in, given {shape}")
    kernel = math.prod(shape[2:])
    return shape[1] * kernel, shape[0] * kernel


def _normal(shape, rng, variance):
    return rng.normal(0, math.sqrt(variance), shape)


def _uniform(shape, rng, variance):
    bound = math.sqrt(3 * variance)
    return rng.uniform(-bound, bound, shape)
