"""Softmax with temperature τ over the last axis.         B rows, C classes

Forward    S_i = e^{x_i/τ} / Σ_j e^{x_j/τ}                the largest x is subtracted first: same S, no overflow
Backward   ∂S_i/∂x_j = S_i(δ_ij − S_j)/τ                  every input moves every output, through the common denominator
           dx = S ⊙ (dy − ⟨dy, S⟩)/τ                      the thesis forgets 1/τ
Tangent    vy = S ⊙ (vx − ⟨vx, S⟩)/τ                      the Jacobian is symmetric, so forward mode is the same map
"""

from deepnp.backend import array_module


def forward(x, temperature=1.0):
    """x (…, C), temperature > 0 -> y (…, C), positive, summing to 1."""
    xp = array_module(x)
    if x.size == 0:
        return xp.zeros_like(x), (x, temperature)
    e = xp.exp((x - x.max(axis=-1, keepdims=True)) / temperature)
    y = e / e.sum(axis=-1, keepdims=True)
    return y, (y, temperature)


def backward(dy, cache):
    """dy (…, C) -> dx (…, C)."""
    y, temperature = cache
    return y * (dy - (dy * y).sum(axis=-1, keepdims=True)) / temperature


def jvp(vx, cache):
    """Tangent vx (…, C) -> tangent of y (…, C)."""
    return backward(vx, cache)


CASES = [dict(x=(5, 7)), dict(x=(4, 3), temperature=0.5), dict(x=(2, 3, 4), temperature=2.0), dict(x=(3, 1)), dict(x=(0, 4))]
