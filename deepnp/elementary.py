"""Elementary functions in float32 that LLVM can vectorise, for the kernels of the operations.

Numba's own exp, tanh and log are calls into a scalar library, one element at a time. These are straight lines of
arithmetic without a branch: inlined into a loop over an array, eight elements go through at once.

    e^u = 2ⁿ·e^r        u = n ln 2 + r, n whole and |r| ≤ ½ ln 2; 2ⁿ is an exponent shifted into place
    e^r − 1 = q         its Taylor polynomial of degree 7
    e^u     = 2ⁿq + 2ⁿ
    e^u − 1 = 2ⁿq + (2ⁿ − 1)                      no cancellation near 0, so a relative error of 2e-7 everywhere
    tanh u  = E/(E + 2),  E = e^{2u} − 1
    σ(u)    = 1/(1 + e) for u ≥ 0, e/(1 + e) below,  e = e^{−|u|}
    ln(1 + e) = 2 artanh s = 2(s + s³/3 + s⁵/5 + …),  s = e/(2 + e); s ≤ ⅓ for e ≤ 1, so seven terms are enough
    1 − Φ(a) = ½ e^{−a²/2}(a₁t + … + a₅t⁵),  t = 1/(1 + p·a/√2), a ≥ 0       Abramowitz & Stegun 7.1.26, off by 8e-8 at most
    sin u    = (−1)ⁿ sin r,  u = nπ + r, |r| ≤ ½π; sin r is its Taylor polynomial of degree 11
    cos u    = −(−1)ⁿ sin r, u = (n + ½)π + r

NaN stays NaN.
"""

import numpy as np

from deepnp.backend import ordered_kernel


@ordered_kernel
def split(u) -> tuple[np.floating, np.floating]:
    """2ⁿ and q = e^r − 1, with e^u = 2ⁿ(1 + q): u in [−88, 88]."""
    f = np.float32
    n = np.rint(u * f(1.442695))
    r = (u - n * f(0.693359375)) - n * f(-2.1219444e-4)  # ln 2 in two pieces: the first product is exact
    tail = f(1 / 24) + r * (f(1 / 120) + r * (f(1 / 720) + r * f(1 / 5040)))
    q = r + r * r * (f(1 / 2) + r * (f(1 / 6) + r * tail))
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return power, q


@ordered_kernel
def exp(u) -> np.floating:
    """e^u for u ≤ 88; 0 below −87.7."""
    power, q = split(max(u, np.float32(-88)))  # n = −127 there, whose shifted exponent is 0, not 2⁻¹²⁷
    return power * q + power


@ordered_kernel
def expm1(u) -> np.floating:
    """e^u − 1 for u ≤ 88."""
    power, q = split(max(u, np.float32(-88)))
    return power * q + (power - np.float32(1))


@ordered_kernel
def tanh(u) -> np.floating:
    """tanh u."""
    f = np.float32
    power, q = split(f(2) * min(max(u, f(-10)), f(10)))  # tanh is ±1 in float32 beyond 9.1
    e = power * q + (power - f(1))
    return e / (e + f(2))


@ordered_kernel
def sigmoid(u) -> np.floating:
    """σ(u)."""
    one = np.float32(1)
    e = exp(-abs(u))
    return (one if u >= 0 else e) / (one + e)


@ordered_kernel
def log1p(e) -> np.floating:
    """ln(1 + e) for e in [0, 1]."""
    f = np.float32
    s = e / (f(2) + e)
    t = s * s
    tail = f(1 / 7) + t * (f(1 / 9) + t * (f(1 / 11) + t * f(1 / 13)))
    return f(2) * s * (f(1) + t * (f(1 / 3) + t * (f(1 / 5) + t * tail)))


@ordered_kernel
def normal_cdf(x) -> tuple[np.floating, np.floating]:
    """Φ(x) = ½(1 + erf(x/√2)), the standard normal's distribution function, and e^{−x²/2}."""
    f = np.float32
    e = exp(f(-0.5) * x * x)
    t = f(1) / (f(1) + f(0.23164189) * abs(x))  # 0.3275911/√2
    tail = f(-0.284496736) + t * (f(1.421413741) + t * (f(-1.453152027) + t * f(1.061405429)))
    half = f(0.5) * e * t * (f(0.254829592) + t * tail)
    return (f(1) - half if x >= 0 else half), e


@ordered_kernel
def sin(u) -> np.floating:
    """sin u for |u| < 8192."""
    n = np.rint(u * np.float32(1 / np.pi))
    return _half_turns(n) * _wave(u, n)


@ordered_kernel
def cos(u) -> np.floating:
    """cos u for |u| < 8192."""
    half = np.float32(0.5)
    n = np.rint(u * np.float32(1 / np.pi) - half)
    return -_half_turns(n) * _wave(u, n + half)


@ordered_kernel
def _half_turns(n) -> np.floating:
    """(−1)ⁿ."""
    f = np.float32
    return f(1) - f(2) * (n - f(2) * np.floor(f(0.5) * n))


@ordered_kernel
def _wave(u, n) -> np.floating:
    """sin r of r = u − nπ in [−½π, ½π]."""
    f = np.float32
    r = ((u - n * f(3.140625)) - n * f(9.67502594e-4)) - n * f(1.50995799e-7)  # π in three pieces: the first product is exact
    s = r * r
    tail = f(-1 / 5040) + s * (f(1 / 362880) - s * f(1 / 39916800))
    return r + r * s * (f(-1 / 6) + s * (f(1 / 120) + s * tail))
