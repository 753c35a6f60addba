"""Sine of frequency ω, element by element (SIREN, Sitzmann et al. 2020, which takes ω = 30).       B rows, C columns

Forward    y = sin(ωx)                                    its derivative is a sine too: a network can fit slopes as well
Backward   y′ = ω·cos(ωx)                                 the chain rule, sin′ = cos
           dx = dy·ω·cos(ωx)                              each x_i reaches its own y_i only
Tangent    vy = y′·vx                                     the Jacobian is diagonal: forward mode and backward are one product

Fused with a bias (see ops.dense), where ω = 1
           y = sin(z + b)
           dz = dy·cos(z + b)                             y gives the cosine up to its sign, so z + b is kept
           db = Σ_b dz                                    b serves every row

The float32 kernels take half turns off ωx. A block or a row in which some |ωx| is so large that this would cost digits takes the C
library's sine.
"""

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from deepnp import elementary
from deepnp.backend import array_module, ordered_kernel, summing_kernel
from deepnp.dispatch import SINGLE, accelerated
from deepnp.ops.activation import bias_gradient, check_bias, elementwise

LARGEST = 8192.0  # |ωx| from which half turns are not taken off in float32
BLOCK = 1024  # numbers of which one that is larger sends all to the C library


class Cache(NamedTuple):
    x: np.ndarray
    omega: float


def forward(x, omega=1.0) -> tuple[np.ndarray, Cache]:
    """x (any shape), omega a number -> y of that shape."""
    return array_module(x).sin(omega * x), Cache(x, omega)


def backward(dy, cache) -> np.ndarray:
    """dy -> dx."""
    x, omega = cache
    return dy * (omega * array_module(x).cos(omega * x))


def jvp(vx, cache) -> np.ndarray:
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


def add_bias(z, bias) -> np.ndarray:
    """sin(z + bias): z (B, C), bias (C,). z becomes z + bias, which `backward_bias` reads."""
    z += bias
    return array_module(z).sin(z)


def backward_bias(dy, z) -> tuple[np.ndarray, np.ndarray]:
    """dy, z (B, C), as `add_bias` left it -> dz (B, C), dbias (C,)."""
    dz = backward(dy, Cache(z, 1.0))
    return dz, dz.sum(axis=0)


@ordered_kernel
def _forward(x, omega, y):
    for start in range(0, len(x), BLOCK):
        u = y[start : start + BLOCK]
        for j in range(len(u)):
            u[j] = omega * x[start + j]
        _sines(u)


@ordered_kernel
def _backward(dy, x, omega, dx):
    for start in range(0, len(x), BLOCK):
        u = dx[start : start + BLOCK]
        for j in range(len(u)):
            u[j] = omega * x[start + j]
        _cosines(u)
        for j in range(len(u)):
            u[j] = dy[start + j] * (omega * u[j])


@ordered_kernel
def _add_bias(z, bias, y):
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            u = z[i, j] + bias[j]
            z[i, j], y[i, j] = u, u
        _sines(y[i])


@summing_kernel
def _backward_bias(dy, z, dz, dbias):
    for i in range(z.shape[0]):
        dz[i] = z[i]
        _cosines(dz[i])
        for j in range(z.shape[1]):
            d = dy[i, j] * dz[i, j]
            dz[i, j] = d
            dbias[j] += d


@ordered_kernel
def _sines(u):
    """u (C,) becomes sin u."""
    if _is_small(u):
        for j in range(len(u)):
            u[j] = elementary.sin(u[j])
    else:
        for j in range(len(u)):
            u[j] = math.sin(np.float64(u[j]))


@ordered_kernel
def _cosines(u):
    """u (C,) becomes cos u."""
    if _is_small(u):
        for j in range(len(u)):
            u[j] = elementary.cos(u[j])
    else:
        for j in range(len(u)):
            u[j] = math.cos(np.float64(u[j]))


@ordered_kernel
def _is_small(u):
    """Whether all |u| are below LARGEST; not where u has a NaN."""
    large = 0
    for j in range(len(u)):
        large += not abs(u[j]) < np.float32(LARGEST)
    return large == 0


def _forward_fast(x, omega):
    return elementwise(_forward, x, settings=(omega,)), Cache(x, omega)


def _backward_fast(dy, cache):
    return elementwise(_backward, dy, cache.x, settings=(cache.omega,))


def _add_bias_fast(z, bias):
    y = np.empty_like(z)
    _add_bias(z, bias, y)
    return y


forward = accelerated(forward, cpu=_forward_fast, types=SINGLE)
backward = accelerated(backward, cpu=_backward_fast, types=SINGLE, y_shape=lambda cache: cache.x.shape)
add_bias = accelerated(add_bias, cpu=_add_bias_fast, types=SINGLE, check=check_bias)
backward_bias = accelerated(backward_bias, cpu=partial(bias_gradient, _backward_bias), types=SINGLE, y_shape=lambda z: z.shape)

CASES = [dict(x=(5, 7)), dict(x=(4,), omega=3.0), dict(x=(2, 3, 4), omega=-0.5), dict(x=(0, 4))]
