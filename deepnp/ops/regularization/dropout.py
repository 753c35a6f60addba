"""Dropout (Srivastava et al. 2014), inverted: what remains is scaled up in training, so that inference does nothing.

Forward    y = x·M/(1 − p)                                M is 1 where x is kept, with probability 1 − p: E[y] = x
Backward   dx = dy·M/(1 − p)                              the same factor for each element (thesis Alg. 5 forgets the 1/(1 − p))
Tangent    vy = vx·M/(1 − p)                              the Jacobian is diagonal

M may be smaller than x and spread over it: (B, C, 1, 1) drops whole channels (spatial dropout, Tompson et al. 2015), because
neighbouring places of a channel say nearly the same and dropping some of them hides nothing.
"""

from deepnp.cases import Booleans


def forward(x, mask, p):
    """x (any shape), mask (Boolean, that shape or one that spreads over it), p in [0, 1) -> y of x's shape."""
    cache = mask, 1 / (1 - p)
    return backward(x, cache), cache


def backward(dy, cache):
    """dy -> dx."""
    mask, scale = cache
    return dy * mask * scale


def jvp(vx, cache):
    """Tangent vx -> tangent of y."""
    return backward(vx, cache)


CASES = [
    dict(x=(5, 7), mask=Booleans((5, 7)), p=0.5),
    dict(x=(9,), mask=Booleans((9,), share=0.8), p=0.2),
    dict(x=(2, 3, 4, 2), mask=Booleans((2, 3, 1, 1)), p=0.3),
    dict(x=(3, 2), mask=Booleans((3, 2), share=1.0), p=0.0),
    dict(x=(0, 4), mask=Booleans((0, 4)), p=0.5),
]
