"""Root-mean-square normalisation over the last axis (Zhang & Sennrich 2019).        B rows, C channels

Forward    ρ = √(mean_c x² + ε)    x̂ = x/ρ    y = γ·x̂
Backward   dx̂ = γ·dy
           dx = (dx̂ − x̂·mean_c(dx̂·x̂)) / ρ                one mean, because ρ depends on every x_c; nothing is centred
           dγ = Σ_b dy·x̂
Tangent    vx̂ = (vx − x̂·mean_c(vx·x̂)) / ρ               the Jacobian of x̂ is symmetric
           vy = γ·vx̂ + vγ·x̂

Layer normalisation without its mean and without β: it keeps the invariance to scale and gives up the one to shift.
"""

from deepnp.backend import array_module, kernel, kernel_runs


def forward(x, gamma, eps=1e-6):
    """x (…, C), gamma (C,) -> y (…, C)."""
    if kernel_runs(x, gamma):
        return _forward_fast(x, gamma, eps)
    rho = array_module(x).sqrt((x * x).mean(axis=-1, keepdims=True) + eps)
    return gamma * (x / rho), (x, rho, gamma)


def backward(dy, cache):
    """dy (…, C) -> dx (…, C), dgamma (C,)."""
    x, rho, gamma = cache
    if kernel_runs(dy, x, rho, gamma):
        return _backward_fast(dy, x, rho, gamma)
    normal, dnormal = x / rho, gamma * dy
    dx = (dnormal - normal * (dnormal * normal).mean(axis=-1, keepdims=True)) / rho
    return dx, (dy * normal).sum(axis=tuple(range(dy.ndim - 1)))


def jvp(vx, vgamma, cache):
    """Tangents vx (…, C), vgamma (C,) -> tangent of y (…, C)."""
    x, rho, gamma = cache
    normal = x / rho
    return gamma * (vx - normal * (vx * normal).mean(axis=-1, keepdims=True)) / rho + vgamma * normal


def _forward_fast(x, gamma, eps):
    xp, channels = array_module(x), x.shape[-1]
    y, rho = xp.empty_like(x), xp.empty((*x.shape[:-1], 1), x.dtype)
    _forward(x.reshape(-1, channels), gamma, eps, y.reshape(-1, channels), rho.ravel())
    return y, (x, rho, gamma)


def _backward_fast(dy, x, rho, gamma):
    xp, channels = array_module(dy), dy.shape[-1]
    dx, dgamma = xp.empty_like(dy), xp.zeros_like(gamma)
    _backward(dy.reshape(-1, channels), x.reshape(-1, channels), rho.ravel(), gamma, dx.reshape(-1, channels), dgamma)
    return dx, dgamma


@kernel
def _forward(x, gamma, eps, y, rho):
    kind, channels = x.dtype.type, x.shape[1]
    for i in range(x.shape[0]):
        squares = kind(0)
        for j in range(channels):
            squares += x[i, j] * x[i, j]
        root = kind((squares / channels + eps) ** 0.5)
        rho[i] = root
        inverse = kind(1) / root
        for j in range(channels):
            y[i, j] = gamma[j] * (x[i, j] * inverse)


@kernel
def _backward(dy, x, rho, gamma, dx, dgamma):
    kind, channels = dy.dtype.type, dy.shape[1]
    for i in range(dy.shape[0]):
        product, inverse = kind(0), kind(1) / rho[i]
        for j in range(channels):
            product += gamma[j] * dy[i, j] * x[i, j]
        mean = product * kind(1.0 / channels) * inverse * inverse
        for j in range(channels):
            dx[i, j] = (gamma[j] * dy[i, j] - x[i, j] * mean) * inverse
        for j in range(channels):
            dgamma[j] += dy[i, j] * (x[i, j] * inverse)


CASES = [
    dict(x=(5, 7), gamma=(7,)),
    dict(x=(2, 3, 4), gamma=(4,), eps=0.1),
    dict(x=(3, 1), gamma=(1,)),
    dict(x=(9, 40), gamma=(40,)),
    dict(x=(0, 4), gamma=(4,)),
]
