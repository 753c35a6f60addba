"""Layer normalisation over the last axis.                B rows, C channels

Forward    μ = mean_c x    σ = √(var_c x + ε)    x̂ = (x − μ)/σ    y = γ·x̂ + β
Backward   dx̂ = γ·dy
           dx = (dx̂ − mean_c dx̂ − x̂·mean_c(dx̂·x̂)) / σ    two means, because μ and σ each depend on every x_c
           dγ = Σ_b dy·x̂        dβ = Σ_b dy
Tangent    vx̂ = (vx − mean_c vx − x̂·mean_c(vx·x̂)) / σ    the Jacobian of x̂ is symmetric
           vy = γ·vx̂ + vγ·x̂ + vβ

The variance is the biased one (÷ C), in two passes; ε stands inside the root, once.
"""

from deepnp.backend import array_module, kernel, kernel_runs


def forward(x, gamma, beta, eps=1e-5):
    """x (…, C), gamma (C,), beta (C,) -> y (…, C)."""
    if kernel_runs(x, gamma, beta):
        return _forward_fast(x, gamma, beta, eps)
    xp = array_module(x)
    centred = x - x.mean(axis=-1, keepdims=True)
    sigma = xp.sqrt((centred * centred).mean(axis=-1, keepdims=True) + eps)
    normal = centred / sigma
    return gamma * normal + beta, (normal, sigma, gamma)


def backward(dy, cache):
    """dy (…, C) -> dx (…, C), dgamma (C,), dbeta (C,)."""
    normal, sigma, gamma = cache
    if kernel_runs(dy, normal, sigma, gamma):
        return _backward_fast(dy, normal, sigma, gamma)
    dnormal = gamma * dy
    mean = dnormal.mean(axis=-1, keepdims=True)
    dx = (dnormal - mean - normal * (dnormal * normal).mean(axis=-1, keepdims=True)) / sigma
    rows = tuple(range(dy.ndim - 1))
    return dx, (dy * normal).sum(axis=rows), dy.sum(axis=rows)


def jvp(vx, vgamma, vbeta, cache):
    """Tangents vx (…, C), vgamma (C,), vbeta (C,) -> tangent of y (…, C)."""
    normal, sigma, gamma = cache
    vnormal = (vx - vx.mean(axis=-1, keepdims=True) - normal * (vx * normal).mean(axis=-1, keepdims=True)) / sigma
    return gamma * vnormal + vgamma * normal + vbeta


def _forward_fast(x, gamma, beta, eps):
    xp, channels = array_module(x), x.shape[-1]
    y, normal = xp.empty_like(x), xp.empty_like(x)
    sigma = xp.empty((*x.shape[:-1], 1), x.dtype)
    _forward(x.reshape(-1, channels), gamma, beta, eps, y.reshape(-1, channels), normal.reshape(-1, channels), sigma.reshape(-1))
    return y, (normal, sigma, gamma)


def _backward_fast(dy, normal, sigma, gamma):
    xp, channels = array_module(dy), dy.shape[-1]
    dx, dgamma, dbeta = xp.empty_like(dy), xp.zeros_like(gamma), xp.zeros_like(gamma)
    rows = dy.reshape(-1, channels), normal.reshape(-1, channels), sigma.reshape(-1)
    _backward(*rows, gamma, dx.reshape(-1, channels), dgamma, dbeta)
    return dx, dgamma, dbeta


@kernel
def _forward(x, gamma, beta, eps, y, normal, sigma):
    kind, channels = x.dtype.type, x.shape[1]
    share = kind(1.0 / channels)
    for i in range(x.shape[0]):
        mean, variance = kind(0), kind(0)
        for j in range(channels):
            mean += x[i, j] * share
        for j in range(channels):
            variance += (x[i, j] - mean) * (x[i, j] - mean) * share
        root = kind((variance + eps) ** 0.5)
        sigma[i] = root
        for j in range(channels):
            normal[i, j] = (x[i, j] - mean) / root
            y[i, j] = gamma[j] * normal[i, j] + beta[j]


@kernel
def _backward(dy, normal, sigma, gamma, dx, dgamma, dbeta):
    kind, channels = dy.dtype.type, dy.shape[1]
    share = kind(1.0 / channels)
    for i in range(dy.shape[0]):
        mean, mean_normal = kind(0), kind(0)
        for j in range(channels):
            d = gamma[j] * dy[i, j]
            mean += d * share
            mean_normal += d * normal[i, j] * share
        inverse = kind(1) / sigma[i]
        for j in range(channels):
            dx[i, j] = (gamma[j] * dy[i, j] - mean - normal[i, j] * mean_normal) * inverse
            dgamma[j] += dy[i, j] * normal[i, j]
            dbeta[j] += dy[i, j]


CASES = [
    dict(x=(5, 7), gamma=(7,), beta=(7,)),
    dict(x=(2, 3, 4), gamma=(4,), beta=(4,), eps=0.1),
    dict(x=(3, 2), gamma=(2,), beta=(2,)),
    dict(x=(0, 4), gamma=(4,), beta=(4,)),
]
