"""Pooling: which cell wins. The door of the kernels over windows; what the layers are called with."""

import inspect

import numpy as np
import pytest

from deepnp.layers.convolution import Conv, Conv1d, Conv2d, ConvTranspose, ConvTranspose1d, ConvTranspose2d
from deepnp.layers.padding import CircularPad1d, ReflectionPad1d, ReplicationPad2d, ZeroPad2d
from deepnp.layers.pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AvgPool1d,
    AvgPool2d,
    MaxPool,
    MaxPool1d,
    MaxPool2d,
)
from deepnp.ops import convolution as ops
from deepnp.ops.convolution import Window, avg_pool, conv, conv_transpose, fft_conv, max_pool


class TestMaxPool:
    def test_the_first_of_equals_gets_the_gradient(self, kernels):
        pool = MaxPool2d(2)
        assert pool(np.ones((1, 1, 2, 4))).tolist() == [[[[1, 1]]]]
        assert pool.backward(np.array([[[[3.0, 5.0]]]])).tolist() == [[[[3, 0, 5, 0], [0, 0, 0, 0]]]]

    def test_overlapping_windows_add(self, kernels):
        pool = MaxPool1d(3, 1)
        pool(np.array([[[0.0, 9, 1, 2, 0]]]))
        assert pool.backward(np.array([[[1.0, 10, 100]]])).tolist() == [[[0, 11, 0, 100, 0]]]

    def test_padding_never_wins(self, kernels):
        pool = MaxPool2d(3, 2, 1)
        x = -np.arange(1.0, 17).reshape(1, 1, 4, 4)
        assert pool(x).tolist() == [[[[-1, -2], [-5, -6]]]]

    def test_minus_infinity_everywhere(self, kernels):
        pool = MaxPool1d(2)
        assert pool(np.full((1, 1, 4), -np.inf)).tolist() == [[[-np.inf, -np.inf]]]
        assert pool.backward(np.array([[[1.0, 2.0]]])).tolist() == [[[1, 0, 2, 0]]]

    @pytest.mark.parametrize("value", [-np.inf, -np.finfo(np.float32).max, np.inf, -0.0])
    def test_no_number_is_taken_for_padding(self, value, kernels):
        pool = MaxPool2d(3, 2, 1)
        x = np.full((1, 1, 4, 4), value, np.float32)
        assert (pool(x) == np.float32(value)).all()
        dx = pool.backward(np.array([[[[1, 10], [100, 1000]]]], np.float32))
        assert dx.tolist() == [[[[1, 10, 0, 0], [100, 1000, 0, 0], [0] * 4, [0] * 4]]]

    def test_nan_is_not_lost(self, kernels):
        for place in range(4):
            x = np.arange(4.0)
            x[place] = np.nan
            assert np.isnan(MaxPool2d(2)(x.reshape(1, 1, 2, 2))).all()

    def test_kernel_and_plain_form_understand_each_other(self, rng):
        x, window = rng.normal(size=(2, 3, 7, 6)), Window((3, 2), (2, 1), 1)
        y, cache = max_pool.forward(x, window)
        dy = rng.normal(size=y.shape)
        fast = max_pool.backward(dy, cache)
        np.testing.assert_allclose(max_pool.backward(np.asfortranarray(dy), cache), fast, rtol=1e-14)
        _, cache = max_pool.forward(np.asfortranarray(x), window)
        np.testing.assert_allclose(max_pool.backward(dy, cache), fast, rtol=1e-14)


class TestKernelsDoor:
    """What reaches a compiled kernel has shapes that fit, whoever calls."""

    def test_more_positions_than_there_is_room_for(self):
        x, window = np.zeros((2, 3, 5, 5), np.float32), Window((3, 3))
        for out in ((4, 3), (3, 4), (3, 3, 1), (3,)):
            with pytest.raises(ValueError, match="room for"):
                ops.gather(x, window, out)
            with pytest.raises(ValueError, match=r"room for|expected patches"):
                ops.scatter(np.zeros((3, 3, 3, 2, *out), np.float32), window, x)
        with pytest.raises(ValueError, match="room for"):
            ops.gather(np.zeros((2, 3, 5, 5, 5), np.float32), window, (3, 3))

    @pytest.mark.parametrize("shape", [(4, 3, 3, 3, 3, 3), (3, 2, 3, 2, 3, 3), (3, 3, 3, 1, 3, 3)])
    def test_patches_of_another_image(self, shape):
        with pytest.raises(ValueError, match="expected patches of shape"):
            ops.scatter(np.zeros(shape, np.float32), Window((3, 3)), np.zeros((2, 3, 5, 5), np.float32))

    @pytest.mark.parametrize("op", [conv, fft_conv, conv_transpose])
    def test_weights_and_biases_that_do_not_fit(self, op):
        x, window, bias = np.zeros((2, 4, 5, 5), np.float32), Window((3, 2)), np.zeros(4, np.float32)
        for weight, b in (((4, 3, 3, 2), bias), ((4, 4, 2, 3), bias), ((4, 4, 3), bias), ((4, 4, 3, 2), bias[:1])):
            with pytest.raises(ValueError, match="expected"):
                op.forward(x, np.zeros(weight, np.float32), b, window)

    @pytest.mark.parametrize("op", [max_pool, avg_pool])
    def test_windows_that_do_not_fit(self, op):
        for shape, window in (((1, 1, 2, 5), Window((3, 3))), ((1, 1, 5), Window((3, 3))), ((5, 5), Window((3, 3)))):
            with pytest.raises(ValueError, match=r"on which .* fits"):
                op.forward(np.zeros(shape, np.float32), window)


def test_classes_tell_what_a_layer_is():
    assert isinstance(Conv2d(1, 1, 3), Conv)
    assert isinstance(Conv1d(1, 1, 3), Conv)
    assert isinstance(ConvTranspose2d(1, 1, 3), ConvTranspose)
    assert isinstance(MaxPool2d(2), MaxPool)
    assert not isinstance(Conv1d(1, 1, 3), Conv2d)


CONV = "in_channels out_channels kernel_size stride padding dilation groups bias padding_mode"
TRANSPOSE = "in_channels out_channels kernel_size stride padding output_padding groups bias dilation"
POSITIONAL = {  # as in PyTorch 2.13
    (Conv1d, Conv2d): CONV,
    (ConvTranspose1d, ConvTranspose2d): TRANSPOSE,
    (MaxPool1d, MaxPool2d): "kernel_size stride padding dilation",
    (AvgPool1d, AvgPool2d): "kernel_size stride padding ceil_mode count_include_pad",
    (AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d): "output_size",
    (ZeroPad2d, ReflectionPad1d, ReplicationPad2d, CircularPad1d): "padding",
}


@pytest.mark.parametrize("layers", POSITIONAL)
def test_positions_mean_what_they_mean_in_pytorch(layers):
    for layer in layers:
        parameters = inspect.signature(layer).parameters.values()
        assert [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == POSITIONAL[layers].split()
