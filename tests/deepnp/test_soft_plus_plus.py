"""Soft++: its shape, its learned parameters, refusals. Gradients are checked by the harnesses."""

import math

import numpy as np
import pytest

from deepnp import SoftPlusPlus
from deepnp.optim import Adam


def test_the_shape_that_is_printed():
    x = np.array([-30.0, -1.0, 0.0, 1.0, 30.0])
    y = SoftPlusPlus(dtype=np.float64)(x)
    np.testing.assert_allclose(y, np.log(1 + np.exp(x)) + x / 2 - math.log(2))
    assert y[2] == 0
    np.testing.assert_allclose(np.diff(SoftPlusPlus(dtype=np.float64)(np.array([-51.0, -50.0, 50.0, 51.0])))[[0, 2]], (0.5, 1.5))


def test_it_does_not_overflow():
    y = SoftPlusPlus(k=3.0)(np.float32([-1e30, 1e30]))
    np.testing.assert_allclose(y, (-5e29, 3.5e30), rtol=1e-6)


def test_both_shapes_are_learned(rng):
    layer, x = SoftPlusPlus(dtype=np.float64), rng.normal(size=(200, 1)) * 2
    target = SoftPlusPlus(k=2.5, c=5.0, dtype=np.float64)(x)
    optimizer = Adam(layer.flat, 0.05)
    for _ in range(1500):
        layer.zero_grad()
        layer.backward(2 * (layer(x) - target) / len(x), inputs=False)
        optimizer.step()
    np.testing.assert_allclose((layer.k.data[0], layer.c.data[0]), (2.5, 5.0), rtol=0.01)


def test_state_and_channels():
    layer = SoftPlusPlus(2)
    assert {name: p.shape for name, p in layer.state_dict().items()} == {"k": (2,), "c": (2,)}
    layer.load_state_dict({"k": np.array([1.0, 0.0]), "c": np.array([2.0, -1.0])})
    y = layer.predict(np.ones((3, 2, 4), np.float32))
    np.testing.assert_allclose(y[:, 0], math.log(1 + math.e) + 0.5 - math.log(2), rtol=1e-6)
    np.testing.assert_allclose(y[:, 1], -1, rtol=1e-6)
    assert repr(layer) == "SoftPlusPlus(2)"


def test_refusals():
    for count in (0, -1, 1.5):
        with pytest.raises(ValueError, match="a positive num_parameters, given"):
            SoftPlusPlus(count)
    for settings in (dict(k=np.nan), dict(c=0.0), dict(c=np.inf)):
        with pytest.raises(ValueError, match="a finite k, and a finite c that is not 0, given"):
            SoftPlusPlus(**settings)
    with pytest.raises(ValueError, match="at least one axis, given shape"):
        SoftPlusPlus()(np.array(1.0))
    for shape in ((3,), (3, 2), (2, 4, 3)):
        with pytest.raises(ValueError, match=r"input of shape \(B, 3, …\), given shape"):
            SoftPlusPlus(3)(np.zeros(shape, np.float32))
