"""RealNVP: its inverse, its determinant against the Jacobian, and the density that it stands for."""

import numpy as np
import pytest

from deepnp.models import Coupling, RealNVP


def flow(rng, size=3, context=0, layers=3, **settings):
    made = RealNVP(size, context, layers, (6,), rng=rng, **settings).to(np.float64)
    for p in made.parameters():
        p.data[...] += 0.5 * rng.normal(size=p.shape)
    return made


@pytest.mark.parametrize(("size", "context"), [(1, 2), (2, 0), (3, 2), (4, 0)])
def test_the_inverse_takes_it_back(rng, size, context):
    net, x = flow(rng, size, context), rng.normal(size=(7, size))
    c = rng.normal(size=(7, context)) if context else None
    y, log_det = net.forward(x, c)
    assert np.abs(y - x).max() > 0.1
    back, same = net.invert(y, c)
    np.testing.assert_allclose(back, x, atol=1e-10)
    np.testing.assert_allclose(same, log_det, atol=1e-10)
    np.testing.assert_array_equal(net.predict(x, c)[0], y)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_the_determinant_is_that_of_the_jacobian(rng, size):
    net, x, h = flow(rng, size, 2), rng.normal(size=size), 1e-6
    c = rng.normal(size=(1, 2))
    columns = [(net.predict((x + h * e)[None], c)[0] - net.predict((x - h * e)[None], c)[0])[0] / (2 * h) for e in np.eye(size)]
    _, expected = np.linalg.slogdet(np.array(columns).T)
    assert net.predict(x[None], c)[1][0] == pytest.approx(expected, abs=1e-7)


def test_its_density_integrates_to_one(rng):
    net, side = flow(rng, 2, layers=4, limit=0.5), np.linspace(-14, 14, 701)
    x = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    z, log_det = net.invert(x)
    log_q = -0.5 * (z * z).sum(axis=1) - np.log(2 * np.pi) - log_det
    assert np.exp(log_q).sum() * (side[1] - side[0]) ** 2 == pytest.approx(1, abs=1e-3)
    wrong = np.exp(log_q + 2 * log_det).sum() * (side[1] - side[0]) ** 2  # as printed: p(z)·|det|
    assert abs(wrong - 1) > 0.1


def test_it_begins_as_the_identity(rng):
    net, x = RealNVP(4, layers=5, rng=rng), rng.normal(size=(6, 4)).astype("f")
    y, log_det = net.forward(x)
    np.testing.assert_array_equal(y, x)
    assert not log_det.any()


def test_every_value_is_changed_by_every_second_layer(rng):
    layers = [layer for _, layer in RealNVP(5, layers=3, rng=rng).children()]
    assert [layer.kept.tolist() for layer in layers] == [[0, 2, 4], [1, 3], [0, 2, 4]]
    assert all(sorted([*layer.kept, *layer.changed]) == list(range(5)) for layer in layers)


def test_the_scale_is_held(rng):
    layer = Coupling(2, (0,), limit=0.5, rng=rng)
    layer.net.flat.data[...] = 100
    x = np.ones((1, 2), np.float32)
    assert layer.forward(x)[1][0] == pytest.approx(0.5)


def test_nonsense_is_refused(rng):
    for size, kept, context in ((2, (0, 1), 1), (2, (), 0), (2, (5,), 0)):
        with pytest.raises(ValueError, match="values to change, values to read"):
            Coupling(size, kept, context, rng=rng)
    with pytest.raises(ValueError, match="whole numbers, given 2"):
        Coupling(2.5, (0,), rng=rng)
    for size, layers in ((2, 0), (2, 1.5), (2.5, 1)):
        with pytest.raises(ValueError, match="layers >= 1"):
            RealNVP(size, layers=layers)
    net, x = RealNVP(2, 3, rng=rng), np.zeros((4, 2), np.float32)
    for context in (None, [[1.0] * 3] * 4, np.zeros((4, 2), np.float32), np.zeros((3, 3), np.float32)):
        with pytest.raises(ValueError, match=r"expected a context \(4, 3\)"):
            net.forward(x, context)
    with pytest.raises(ValueError, match=r"expected x \(B, 2\)"):
        net.forward(x[:, :1], np.zeros((4, 3), np.float32))
    with pytest.raises(ValueError, match="expected no context"):
        RealNVP(2, rng=rng).forward(x, x)
