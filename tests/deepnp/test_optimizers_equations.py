"""Every optimizer against its equations written out in plain Python, one parameter at a time."""

import math

import numpy as np
import pytest

from deepnp.optim import SGD, AdaBelief, Adadelta, Adagrad, Adam, Adamax, Adan, Lion, NAdam, RAdam, RMSprop
from deepnp.parameters import Parameter, ParameterVector

LR, EPS, L = 0.1, 1e-3, 0.3  # learning rate, epsilon, decay


def sgd(theta, gradients, momentum=0.0, dampening=0.0, nesterov=False):
    v = None
    for g in gradients:
        v = g if v is None else momentum * v + (1 - dampening) * g
        theta -= LR * (g + momentum * v if nesterov else v)
        yield theta


def thesis_momentum(theta, gradients, momentum, nesterov):
    """Algorithm 10 with its errata: the learning rate inside the velocity, which starts at 0."""
    v = 0.0
    for g in gradients:
        v = momentum * v - LR * g
        theta += momentum * v - LR * g if nesterov else v
        yield theta


def rmsprop(theta, gradients, rho=0.9, momentum=0.0, centered=False):
    v = m = b = 0.0
    for g in gradients:
        v, m = rho * v + (1 - rho) * g * g, rho * m + (1 - rho) * g
        b = momentum * b + g / (math.sqrt(v - m * m if centered else v) + EPS)
        theta -= LR * b
        yield theta


def adagrad(theta, gradients, lr_decay=0.0, initial=0.0):
    for t, g in enumerate(gradients):
        initial += g * g
        theta -= LR / (1 + t * lr_decay) * g / (math.sqrt(initial) + EPS)
        yield theta


def adadelta(theta, gradients, rho=0.9):
    v = u = 0.0
    for g in gradients:
        v = rho * v + (1 - rho) * g * g
        delta = math.sqrt(u + EPS) / math.sqrt(v + EPS) * g
        u = rho * u + (1 - rho) * delta * delta
        theta -= LR * delta
        yield theta


def adam(theta, gradients, betas=(0.9, 0.99), amsgrad=False):
    (b1, b2), m, v, w = betas, 0.0, 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        w = max(w, v) if amsgrad else v
        theta -= LR * (m / (1 - b1**t)) / (math.sqrt(w / (1 - b2**t)) + EPS)
        yield theta


def adamax(theta, gradients, betas=(0.9, 0.5)):
    (b1, b2), m, u = betas, 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        m, u = b1 * m + (1 - b1) * g, max(b2 * u, abs(g) + EPS)
        theta -= LR / (1 - b1**t) * m / u
        yield theta


def nadam(theta, gradients, betas=(0.9, 0.99), momentum_decay=0.2):
    (b1, b2), m, v = betas, 0.0, 0.0
    mu = [b1 * (1 - 0.5 * 0.96 ** (t * momentum_decay)) for t in range(len(gradients) + 2)]
    for t, g in enumerate(gradients, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        ahead = mu[t + 1] * m / (1 - math.prod(mu[1 : t + 2])) + (1 - mu[t]) * g / (1 - math.prod(mu[1 : t + 1]))
        theta -= LR * ahead / (math.sqrt(v / (1 - b2**t)) + EPS)
        yield theta


def radam(theta, gradients, betas=(0.9, 0.99)):
    (b1, b2), m, v = betas, 0.0, 0.0
    limit = 2 / (1 - b2) - 1
    for t, g in enumerate(gradients, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        rho, m_hat = limit - 2 * t * b2**t / (1 - b2**t), m / (1 - b1**t)
        if rho > 5:
            r = math.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho))
            theta -= LR * r * m_hat * math.sqrt(1 - b2**t) / (math.sqrt(v) + EPS)
        else:
            theta -= LR * m_hat
        yield theta


def lion(theta, gradients, betas=(0.8, 0.95)):
    (b1, b2), m = betas, 0.0
    for g in gradients:
        c = b1 * m + (1 - b1) * g
        theta -= LR * ((c > 0) - (c < 0))
        m = b2 * m + (1 - b2) * g
        yield theta


def adan(theta, gradients, betas=(0.9, 0.8, 0.95)):
    """As the paper writes it, with its own betas: one minus ours."""
    b1, b2, b3 = (1 - b for b in betas)
    old, m, v, n = gradients[0], gradients[0], 0.0, gradients[0] ** 2
    for t, g in enumerate(gradients, 1):
        if t == 2:
            v = g - old
        if t > 1:
            m = (1 - b1) * m + b1 * g
            v = (1 - b2) * v + b2 * (g - old)
            n = (1 - b3) * n + b3 * (g + (1 - b2) * (g - old)) ** 2
        theta -= LR / (math.sqrt(n) + EPS) * (m + (1 - b2) * v)
        old = g
        yield theta


def adabelief(theta, gradients, betas=(0.9, 0.99)):
    (b1, b2), m, s = betas, 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + EPS
        theta -= LR * (m / (1 - b1**t)) / (math.sqrt(s / (1 - b2**t)) + EPS)
        yield theta


WITH_EPS = dict(eps=EPS)
TABLE = [
    (SGD, sgd, {}, {}),
    (SGD, sgd, dict(momentum=0.9), {}),
    (SGD, sgd, dict(momentum=0.9, dampening=0.4), {}),
    (SGD, sgd, dict(momentum=0.9, nesterov=True), {}),
    (RMSprop, rmsprop, dict(rho=0.9), WITH_EPS),
    (RMSprop, rmsprop, dict(rho=0.9, momentum=0.8), WITH_EPS),
    (RMSprop, rmsprop, dict(rho=0.9, centered=True), WITH_EPS),
    (RMSprop, rmsprop, dict(rho=0.9, momentum=0.8, centered=True), WITH_EPS),
    (Adagrad, adagrad, {}, WITH_EPS),
    (Adagrad, adagrad, dict(lr_decay=0.1, initial=0.5), WITH_EPS),
    (Adadelta, adadelta, dict(rho=0.8), WITH_EPS),
    (Adam, adam, dict(betas=(0.9, 0.99)), WITH_EPS),
    (Adam, adam, dict(betas=(0.5, 0.0)), WITH_EPS),
    (Adam, adam, dict(betas=(0.5, 0.6), amsgrad=True), WITH_EPS),
    (Adamax, adamax, dict(betas=(0.9, 0.5)), WITH_EPS),
    (NAdam, nadam, dict(betas=(0.9, 0.99), momentum_decay=0.2), WITH_EPS),
    (RAdam, radam, dict(betas=(0.9, 0.99)), WITH_EPS),
    (RAdam, radam, dict(betas=(0.5, 0.6)), WITH_EPS),  # never rectified
    (Lion, lion, dict(betas=(0.8, 0.95)), {}),
    (Adan, adan, dict(betas=(0.9, 0.8, 0.95)), WITH_EPS),
    (AdaBelief, adabelief, dict(betas=(0.9, 0.99)), WITH_EPS),
]
COUPLED = [row for row in TABLE if row[0] not in (Lion, Adan)]


def name(value):
    return value.__name__ if isinstance(value, type) else None


def weights(values):
    return ParameterVector({"w": Parameter(np.array(values).reshape(1, -1))})


@pytest.mark.parametrize(("cls", "equations", "settings", "more"), TABLE, ids=name)
def test_it_follows_its_equations(cls, equations, settings, more, rng, kernels):
    start, gradients = rng.normal(size=5), rng.normal(size=(20, 5))
    vector = weights(start)
    optimizer = cls(vector, lr=LR, **settings, **more)
    expected = np.array([list(equations(float(a), g.tolist(), **settings)) for a, g in zip(start, gradients.T, strict=True)])
    for t, g in enumerate(gradients):
        vector.grad[...] = g
        optimizer.step()
        np.testing.assert_allclose(vector.data, expected[:, t], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("cls", "equations", "settings", "more"), COUPLED, ids=name)
def test_coupled_decay_is_an_l2_gradient(cls, equations, settings, more, rng, kernels):
    start, gradients = rng.normal(size=4), rng.normal(size=(20, 4))
    decayed, other = weights(start), weights(start)
    with_decay, by_hand = cls(decayed, lr=LR, weight_decay=L, **settings, **more), cls(other, lr=LR, **settings, **more)
    for g in gradients:
        decayed.grad[...], other.grad[...] = g, g + L * other.data
        with_decay.step(), by_hand.step()
    np.testing.assert_allclose(decayed.data, other.data, rtol=1e-10)


@pytest.mark.parametrize(("cls", "equations", "settings", "more"), [row for row in TABLE if row[0] is not Adan], ids=name)
def test_decoupled_decay_is_the_rate_times_the_weight(cls, equations, settings, more, rng, kernels):
    start, gradients = rng.normal(size=4), rng.normal(size=(20, 4))
    decayed, other = weights(start), weights(start)
    decoupled = {} if cls is Lion else dict(decoupled=True)
    with_decay, by_hand = (
        cls(decayed, lr=LR, weight_decay=L, **decoupled, **settings, **more),
        cls(other, lr=LR, **settings, **more),
    )
    for g in gradients:
        decayed.grad[...], other.grad[...] = g, g
        other.data *= 1 - LR * L
        with_decay.step(), by_hand.step()
    np.testing.assert_allclose(decayed.data, other.data, rtol=1e-10)


def test_adan_decays_by_division(rng, kernels):
    start, gradients = rng.normal(size=4), rng.normal(size=(20, 4))
    decayed, other = weights(start), weights(start)
    with_decay, by_hand = Adan(decayed, lr=LR, weight_decay=L), Adan(other, lr=LR)
    for g in gradients:
        decayed.grad[...], other.grad[...] = g, g
        with_decay.step(), by_hand.step()
        other.data /= 1 + LR * L
    np.testing.assert_allclose(decayed.data, other.data, rtol=1e-10)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_is_the_thesis_s_velocity_at_a_constant_rate(nesterov, rng, kernels):
    gradients = rng.normal(size=20)
    vector = weights([0.7])
    optimizer = SGD(vector, lr=LR, momentum=0.9, nesterov=nesterov)
    for g, expected in zip(gradients, thesis_momentum(0.7, gradients.tolist(), 0.9, nesterov), strict=True):
        vector.grad[...] = g
        optimizer.step()
        assert vector.data[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_gradient_has_no_negative_variance(dtype, kernels):
    vector = ParameterVector({"w": Parameter(np.zeros((1, 100), dtype))})
    optimizer = RMSprop(vector, centered=True, rho=0.5)
    gradient = np.random.default_rng(0).uniform(1, 2, 100).astype(dtype)
    for _ in range(100):
        vector.grad[...] = gradient
        optimizer.step()
    assert np.isfinite(vector.data).all()


def test_lion_leaves_what_has_no_gradient(kernels):
    vector = weights([1.0, 2.0])
    vector.grad[...] = [0.0, -5.0]
    Lion(vector, lr=0.5).step()
    np.testing.assert_array_equal(vector.data, [1.0, 2.5])


def test_amsgrad_never_lengthens_a_step_again(kernels):
    vector, other = weights([0.0]), weights([0.0])
    kept, forgotten = Adam(vector, betas=(0.0, 0.5), amsgrad=True), Adam(other, betas=(0.0, 0.5))
    for g in [100.0] + [1.0] * 20:
        before, before_other = vector.data.copy(), other.data.copy()
        vector.grad[...] = other.grad[...] = g
        kept.step(), forgotten.step()
    assert abs(vector.data - before) < 0.03 * abs(other.data - before_other)
