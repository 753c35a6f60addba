"""docs/errata.md, computed: the thesis's optimizers and clipping."""

import numpy as np
import pytest

from deepnp.optim import SGD, Adam, Adan, clip_grad_norm
from deepnp.parameters import Parameter, ParameterVector

CURVATURE = np.array([1.0, 8.0])  # of a quadratic bowl: f(θ) = ½ Σ c θ², ∇f = cθ
START = np.array([1.0, -1.0])


def parameters(start=START) -> ParameterVector:
    return ParameterVector({"w": Parameter(start.reshape(1, -1).copy())})  # two axes: a weight, which decays


def descend(optimizer, steps, gradient=lambda theta: CURVATURE * theta):
    """Where each step leads: (steps, P)."""
    v, path = optimizer.vector, []
    for _ in range(steps):
        v.grad[...] = gradient(v.data)
        optimizer.step()
        path.append(v.data.copy())
    return np.array(path)


def value(theta):
    return 0.5 * (CURVATURE * theta**2).sum()


def test_decoupled_decay_is_scaled_by_the_learning_rate():
    lam, printed = 0.1, START.copy()
    for _ in range(100):
        printed -= 0.0 * CURVATURE * printed + lam * printed
    assert np.abs(printed).max() < 1e-4  # at the end of a schedule α is 0, and all that was learned goes
    settings = dict(weight_decay=lam, decoupled=True)
    np.testing.assert_array_equal(descend(Adam(parameters(), lr=0.0, **settings), 100)[-1], START)
    decayed = descend(Adam(parameters(), lr=0.01, **settings), 1, gradient=np.zeros_like)[0]
    np.testing.assert_allclose(decayed, START * (1 - 0.01 * lam), rtol=1e-12)


def test_momentum_begins_at_zero():
    alpha, eta, g = 0.01, 0.9, CURVATURE * START
    printed = START + (eta * g - alpha * g)  # v₀ = g₁ has the sign of the gradient, not of a step
    assert value(printed) > value(START)
    path = descend(SGD(parameters(), lr=alpha, momentum=eta), 1)
    np.testing.assert_allclose(path[0], START - alpha * g)
    assert value(path[0]) < value(START)


def test_nesterov_step():
    alpha, eta = 0.01, 0.9
    printed = right = START
    v_printed = v_right = np.zeros(2)
    rights = []
    for _ in range(50):
        g = CURVATURE * printed
        v_printed = eta * v_printed - alpha * g
        printed = printed - (g + eta * v_printed)
        g = CURVATURE * right
        v_right = eta * v_right - alpha * g
        right = right + eta * v_right - alpha * g
        rights.append(right)
    assert value(printed) > 1e6
    ours = descend(SGD(parameters(), lr=alpha, momentum=eta, nesterov=True), 50)
    np.testing.assert_allclose(ours, rights, rtol=1e-9, atol=1e-12)
    assert value(ours[-1]) < 0.1 * value(START)


@pytest.mark.parametrize("sign", [-1, 1])
def test_nesterov_looks_ahead(sign):
    """θ + ηv is where the momentum is about to lead; the printed θ − ηv is where it came from."""
    alpha, eta, theta, v, looked = 0.02, 0.9, START, np.zeros(2), []
    for _ in range(60):
        v = eta * v - alpha * CURVATURE * (theta + sign * eta * v)
        theta = theta + v
        looked.append(theta + eta * v)
    ours = descend(SGD(parameters(), lr=alpha, momentum=eta, nesterov=True), 60)  # its θ is the place looked at
    if sign > 0:
        np.testing.assert_allclose(ours, looked, rtol=1e-9, atol=1e-12)
    else:
        assert value(theta) > 100 * value(ours[-1])


def test_amsgrad_remembers_the_largest():
    gradients = [np.full(2, 10.0), *[np.full(2, 0.1)] * 400]
    b2, v, largest = 0.9, np.zeros(2), np.zeros(2)
    for t, g in enumerate(gradients, 1):
        v = b2 * v + (1 - b2) * g**2
        corrected = v / (1 - b2**t)
        itself = np.maximum(corrected, corrected)  # max(v̂max_t, v̂_t): the new value is compared with itself
        largest = np.maximum(largest, corrected)
    assert itself[0] < 0.02
    assert largest[0] == pytest.approx(100)
    optimizer = Adam(parameters(), betas=(0.9, b2), amsgrad=True)
    feed = iter(gradients)
    descend(optimizer, len(gradients), gradient=lambda theta: next(feed))
    np.testing.assert_allclose(optimizer.state["w"], (1 - b2) * 100)  # ours: before the bias is corrected, as PyTorch


def test_beta_of_one():
    assert 1 - 1.0**3 == 0  # m̂ = m/(1 − β₁ᵗ) divides by it
    for betas in ((1.0, 0.999), (0.9, 1.0)):
        with pytest.raises(ValueError, match=r"betas in \[0, 1\)"):
            Adam(parameters(), betas=betas)


def test_clipping_never_lengthens():
    g, c = np.array([0.03, -0.04]), 1.0
    printed = g * c / np.linalg.norm(g)
    assert np.linalg.norm(printed) == pytest.approx(20 * np.linalg.norm(g))
    v = parameters()
    v.grad[...] = g
    clip_grad_norm(v, c)
    np.testing.assert_array_equal(v.grad, g)
    v.grad[...] = 100 * g
    clip_grad_norm(v, c)
    np.testing.assert_allclose(v.grad, g / np.linalg.norm(g), rtol=1e-6)


def test_adan_of_a_constant_gradient():
    """Where the gradient never changes, there is no change to average."""
    g, printed = np.full(2, 3.0), 0.0
    for t in range(1, 6):
        g_old = 0.0 if t == 1 else g[0]
        printed = (1 - 0.08) * printed + 0.08 * (g[0] - g_old)
    assert printed > 0.15
    optimizer = Adan(parameters())
    descend(optimizer, 5, gradient=lambda theta: g)
    np.testing.assert_array_equal(optimizer.state["v"], 0)
    np.testing.assert_allclose(optimizer.state["n"], 9)
