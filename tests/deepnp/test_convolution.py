"""Convolution, pooling, padding and shape layers: options, names, state, clear errors."""

import copy

import numpy as np
import pytest

import deepnp
from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error
from deepnp.layers import Sequential
from deepnp.layers.convolution import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d
from deepnp.layers.padding import (
    CircularPad1d,
    CircularPad2d,
    ReflectionPad1d,
    ReflectionPad2d,
    ReplicationPad1d,
    ReplicationPad2d,
    ZeroPad1d,
    ZeroPad2d,
)
from deepnp.layers.pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AvgPool1d,
    AvgPool2d,
    MaxPool1d,
    MaxPool2d,
)
from deepnp.layers.shape import Flatten, Reshape
from deepnp.ops import convolution as ops
from deepnp.ops.convolution import Window, conv, conv_transpose, fft_conv
from deepnp.ops.convolution.fft_conv import fast_length
from tests.deepnp.references.convolution import REFERENCES

IMAGE, SEQUENCE = (2, 4, 7, 6), (2, 4, 9)
LAYERS = [
    pytest.param(lambda rng: Conv2d(4, 6, 3, rng=rng), IMAGE, (2, 6, 5, 4), id="conv2d"),
    pytest.param(lambda rng: Conv2d(4, 6, (3, 2), (2, 1), (1, 0), (1, 2), 2, rng=rng), IMAGE, (2, 6, 4, 4), id="conv2d-all"),
    pytest.param(lambda rng: Conv2d(4, 4, 3, padding=1, groups=4, rng=rng), IMAGE, (2, 4, 7, 6), id="conv2d-depthwise"),
    pytest.param(lambda rng: Conv2d(4, 3, (2, 3), padding="same", rng=rng), IMAGE, (2, 3, 7, 6), id="conv2d-same"),
    pytest.param(lambda rng: Conv2d(4, 3, 3, 2, (2, 1), padding_mode="reflect", rng=rng), IMAGE, (2, 3, 5, 3), id="conv2d-reflect"),
    pytest.param(lambda rng: Conv2d(4, 2, (9, 8), padding=4, rng=rng), IMAGE, (2, 2, 7, 7), id="conv2d-fft"),
    pytest.param(
        lambda rng: Conv2d(4, 3, 3, padding=(1, 2), padding_mode="replicate", rng=rng), IMAGE, (2, 3, 7, 8), id="conv2d-replicate"
    ),
    pytest.param(
        lambda rng: Conv2d(4, 3, (2, 3), padding="same", padding_mode="circular", rng=rng),
        IMAGE,
        (2, 3, 7, 6),
        id="conv2d-ring",
    ),
    pytest.param(lambda rng: Conv1d(4, 3, 3, bias=False, rng=rng), SEQUENCE, (2, 3, 7), id="conv1d"),
    pytest.param(
        lambda rng: Conv1d(4, 3, 4, padding="same", padding_mode="reflect", rng=rng), SEQUENCE, (2, 3, 9), id="conv1d-same"
    ),
    pytest.param(lambda rng: ConvTranspose2d(4, 6, 3, 2, 1, 1, 2, rng=rng), IMAGE, (2, 6, 14, 12), id="transpose2d"),
    pytest.param(lambda rng: ConvTranspose1d(4, 3, 2, bias=False, dilation=3, rng=rng), SEQUENCE, (2, 3, 12), id="transpose1d"),
    pytest.param(lambda rng: MaxPool2d(2), IMAGE, (2, 4, 3, 3), id="maxpool2d"),
    pytest.param(lambda rng: MaxPool1d(3, 2, 1), SEQUENCE, (2, 4, 5), id="maxpool1d"),
    pytest.param(lambda rng: AvgPool2d((3, 2), 1, 1), IMAGE, (2, 4, 7, 7), id="avgpool2d"),
    pytest.param(lambda rng: AvgPool1d(3), SEQUENCE, (2, 4, 3), id="avgpool1d"),
    pytest.param(lambda rng: MaxPool2d(2, ceil_mode=True), (2, 4, 7, 5), (2, 4, 4, 3), id="maxpool2d-ceil"),
    pytest.param(lambda rng: AvgPool2d((3, 2), 2, 1, True), IMAGE, (2, 4, 4, 4), id="avgpool2d-ceil"),
    pytest.param(lambda rng: AvgPool1d(3, 2, 1, count_include_pad=False), SEQUENCE, (2, 4, 5), id="avgpool1d-exclude"),
    pytest.param(lambda rng: AdaptiveMaxPool2d((3, 4)), IMAGE, (2, 4, 3, 4), id="adaptivemax2d"),
    pytest.param(lambda rng: AdaptiveMaxPool1d(4), SEQUENCE, (2, 4, 4), id="adaptivemax1d"),
    pytest.param(lambda rng: AdaptiveAvgPool2d(1), IMAGE, (2, 4, 1, 1), id="adaptive2d"),
    pytest.param(lambda rng: AdaptiveAvgPool1d(4), SEQUENCE, (2, 4, 4), id="adaptive1d"),
    pytest.param(lambda rng: ZeroPad2d((1, 2, 0, 3)), IMAGE, (2, 4, 10, 9), id="zeropad2d"),
    pytest.param(lambda rng: ZeroPad1d(2), SEQUENCE, (2, 4, 13), id="zeropad1d"),
    pytest.param(lambda rng: ReflectionPad2d((1, 2, 0, 3)), IMAGE, (2, 4, 10, 9), id="reflect2d"),
    pytest.param(lambda rng: ReflectionPad1d((0, 8)), SEQUENCE, (2, 4, 17), id="reflect1d"),
    pytest.param(lambda rng: ReplicationPad2d((1, 2, 0, 9)), IMAGE, (2, 4, 16, 9), id="replicate2d"),
    pytest.param(lambda rng: ReplicationPad1d(2), SEQUENCE, (2, 4, 13), id="replicate1d"),
    pytest.param(lambda rng: CircularPad2d((1, 2, 0, 7)), IMAGE, (2, 4, 14, 9), id="circular2d"),
    pytest.param(lambda rng: CircularPad1d(9), SEQUENCE, (2, 4, 27), id="circular1d"),
    pytest.param(lambda rng: Flatten(), IMAGE, (2, 168), id="flatten"),
    pytest.param(lambda rng: Reshape((6, 28)), IMAGE, (2, 6, 28), id="reshape"),
]


@pytest.mark.parametrize(("build", "shape", "out"), LAYERS)
class TestEveryLayer:
    def test_gradients(self, build, shape, out, rng, kernels):
        layer = build(rng).to(np.float64)
        x = rng.normal(size=shape)
        y = layer(x)
        assert y.shape == out
        dy = rng.normal(size=out)
        dx = layer.backward(dy)
        expected = numerical_gradient(lambda v: float((dy * layer.predict(v)).sum()), x)
        assert relative_error(dx, expected) < TOLERANCE
        for name, p in layer.named_parameters():
            start, grad = p.data.copy(), p.grad.copy()

            def of_parameter(theta, p=p):
                p.data[...] = theta
                return float((dy * layer.predict(x)).sum())

            assert relative_error(grad, numerical_gradient(of_parameter, start.copy())) < TOLERANCE, name
            p.data[...] = start

    def test_predict_is_forward_and_remembers_nothing(self, build, shape, out, rng):
        layer = build(rng)
        x = rng.normal(size=shape).astype(np.float32)
        y = layer(x)
        dy = rng.normal(size=out).astype(np.float32)
        dx = layer.backward(dy).copy()
        np.testing.assert_array_equal(layer.predict(x), y)
        layer.predict(x[:1] + 1)
        np.testing.assert_array_equal(layer.backward(dy), dx)
        assert y.dtype == dx.dtype == np.float32

    def test_backward_adds_and_can_skip_either_side(self, build, shape, out, rng):
        layer = build(rng).to(np.float64)
        layer(rng.normal(size=shape))
        dy = rng.normal(size=out)
        dx = layer.backward(dy)
        once = [p.grad.copy() for p in layer.parameters()]
        np.testing.assert_array_equal(layer.backward(dy, params=False), dx)
        for p, grad in zip(layer.parameters(), once, strict=True):
            np.testing.assert_array_equal(p.grad, grad)
        assert layer.backward(dy, inputs=False) is None
        for p, grad in zip(layer.parameters(), once, strict=True):
            np.testing.assert_allclose(p.grad, 2 * grad)

    def test_empty_batch(self, build, shape, out, rng, kernels):
        layer = build(rng)
        y = layer(np.zeros((0, *shape[1:]), np.float32))
        assert y.shape == (0, *out[1:])
        assert layer.backward(y).shape == (0, *shape[1:])
        assert all((p.grad == 0).all() for p in layer.parameters())

    def test_other_ranks_are_refused(self, build, shape, out, rng):
        layer = build(rng)
        if not isinstance(layer, Flatten | Reshape):
            with pytest.raises(ValueError, match=r"expected input of shape \(B, "):
                layer(np.zeros(shape[1:], np.float32))

    def test_copies_and_shows_itself(self, build, shape, out, rng):
        layer = build(rng)
        x = rng.normal(size=shape).astype(np.float32)
        np.testing.assert_array_equal(copy.deepcopy(layer).predict(x), layer.predict(x))
        assert repr(layer).startswith(("Conv", "Max", "Avg", "Adaptive", "Zero", "Refl", "Repl", "Circ", "Flatten", "Reshape"))

    def test_forward_mode_is_the_transpose_of_backward(self, build, shape, out, rng, kernels):
        layer = build(rng).to(np.float64)
        layer(rng.normal(size=shape))
        dy, vx = rng.normal(size=out), rng.normal(size=shape)
        v = rng.normal(size=len(layer.flat))
        dx = layer.backward(dy)
        expected = float((dx * vx).sum() + (layer.flat.grad * v).sum())
        assert abs(float((layer.jvp(v, vx) * dy).sum()) - expected) < 1e-10 * max(1, abs(expected))

    def test_other_shapes_of_the_upstream_gradient_are_refused(self, build, shape, out, rng, kernels):
        layer = build(rng)
        layer(np.zeros(shape, np.float32))
        first, *rest = out
        wrong = [rest, (first // 2, *rest), (2 * first, *rest), (1, *out), (*out[:-1], out[-1] + 1), (*out[:-1], 0), (1, *rest)]
        for given in map(tuple, wrong):
            for params in (True, False):
                with pytest.raises(ValueError, match=r"expected.*given"):
                    layer.backward(np.zeros(given, np.float32), params=params)

    @pytest.mark.parametrize("dtype", ["<f2", ">f4", ">f8", "longdouble"])
    def test_types_that_no_kernel_takes_go_the_plain_way(self, build, shape, out, rng, dtype):
        layer = build(rng)
        x, dy = rng.normal(size=shape).astype(dtype), rng.normal(size=out).astype(dtype)
        y, dx = layer(x), layer.backward(dy)
        exact = build(np.random.default_rng(0)).to(np.float64)
        np.testing.assert_allclose(y.astype(float), exact(x.astype(float)), rtol=2e-2, atol=2e-2)
        np.testing.assert_allclose(dx.astype(float), exact.backward(dy.astype(float)), rtol=3e-2, atol=3e-2)

    @pytest.mark.parametrize("dtype", [np.int32, np.uint8, bool])
    def test_integers_are_refused_and_never_truncated(self, build, shape, out, rng, dtype):
        layer = build(rng)
        if not isinstance(layer, Flatten | Reshape):
            for run in (layer.forward, layer.predict):
                with pytest.raises(TypeError, match=f"floating-point numbers, given {np.dtype(dtype)}"):
                    run(np.ones(shape, dtype))


class TestConvolutionLayers:
    def test_state_has_torch_names_and_shapes(self, rng):
        def shapes(layer):
            return {name: value.shape for name, value in layer.state_dict().items()}

        assert shapes(Conv2d(4, 6, (3, 2), groups=2, rng=rng)) == {"weight": (6, 2, 3, 2), "bias": (6,)}
        assert shapes(Conv1d(4, 6, 3, bias=False, rng=rng)) == {"weight": (6, 4, 3)}
        assert shapes(ConvTranspose2d(4, 6, (3, 2), groups=2, rng=rng)) == {"weight": (4, 3, 3, 2), "bias": (6,)}
        assert shapes(ConvTranspose1d(4, 6, 3, rng=rng)) == {"weight": (4, 6, 3), "bias": (6,)}
        reflecting = Sequential(Conv2d(1, 1, 3, padding=1, padding_mode="reflect", rng=rng), Flatten())
        assert list(reflecting.state_dict()) == ["0.weight", "0.bias"]

    def test_same_seed_same_weights(self):
        one, other = (Conv2d(3, 4, 3, rng=np.random.default_rng(7)) for _ in range(2))
        np.testing.assert_array_equal(one.weight.data, other.weight.data)
        assert abs(one.weight.data).max() <= np.sqrt(2) * np.sqrt(3 / 27)
        assert (one.bias.data == 0).all()

    @pytest.mark.parametrize("mode", ["zeros", "reflect"])
    def test_padding_is_what_it_says(self, rng, mode):
        layer = Conv2d(2, 3, (3, 2), padding="same", padding_mode=mode, rng=rng)
        x = rng.normal(size=(2, 2, 5, 4)).astype(np.float32)
        wide = np.pad(x, ((0, 0), (0, 0), (1, 1), (0, 1)), mode="reflect" if mode == "reflect" else "constant")
        expected = REFERENCES["convolution.conv"](wide, layer.weight.data, layer.bias.data, Window((3, 2)))
        np.testing.assert_allclose(layer(x), expected, rtol=1e-5, atol=1e-5)
        assert Conv2d(2, 3, 3, padding="valid", rng=rng)(x).shape == (2, 3, 3, 2)

    def test_large_kernels_go_through_the_fourier_transform(self, rng):
        assert Conv2d(1, 1, 7, rng=rng).choose((28, 28)) is conv
        assert Conv2d(1, 1, 8, rng=rng).choose((28, 28)) is fft_conv
        assert Conv2d(1, 1, 8, stride=2, rng=rng).choose((28, 28)) is conv
        assert Conv1d(1, 1, 31, rng=rng).choose((100,)) is conv
        assert Conv1d(1, 1, 32, rng=rng).choose((100,)) is fft_conv
        assert Conv1d(256, 256, 64, rng=rng).choose((4096,)) is conv  # its spectrum would take a gigabyte
        for size, op in ((7, conv), (8, fft_conv)):
            layer = Conv2d(1, 1, size, rng=rng)
            layer(np.zeros((1, 1, 9, 9), np.float32))
            assert layer.cache.op is op

    def test_both_forms_are_one_operation(self, rng):
        x, weight, bias = rng.normal(size=(3, 4, 20, 17)), rng.normal(size=(6, 2, 9, 8)), rng.normal(size=6)
        window = Window((9, 8), (1, 2), (4, 3), (2, 1))
        results = []
        for op in (conv, fft_conv):
            y, cache = op.forward(x, weight, bias, window, 2)
            results.append((y, *op.backward(np.cos(np.arange(y.size)).reshape(y.shape), cache)))
        for direct, fourier in zip(*results, strict=True):
            np.testing.assert_allclose(fourier, direct, rtol=1e-10, atol=1e-10)

    def test_transposed_is_the_adjoint(self, rng, kernels):
        window, weight = Window((3, 2), (2, 1), (1, 0), (1, 2)), rng.normal(size=(4, 3, 3, 2))
        x, z = rng.normal(size=(2, 3, 8, 7)), rng.normal(size=(2, 4, 4, 5))
        down = conv.forward(x, weight, None, window)[0]
        up = conv_transpose.forward(z, weight, None, window, output_padding=[1, 0])[0]
        assert up.shape == x.shape
        np.testing.assert_allclose((down * z).sum(), (x * up).sum(), rtol=1e-12)

    @pytest.mark.parametrize("threads", [1, 2, 3])
    def test_batches_in_blocks_and_threads_equal_the_plain_form(self, rng, threads, monkeypatch):
        monkeypatch.setattr(ops, "BLOCK_BYTES", 20_000)  # two samples a block
        monkeypatch.setattr(ops, "THREAD_COST", 0)
        x, weight, bias = rng.normal(size=(7, 4, 9, 8)), rng.normal(size=(6, 2, 3, 3)), rng.normal(size=6)
        dy, window, results = rng.normal(size=(7, 6, 9, 8)), Window((3, 3), padding=1), []
        before = deepnp.get_num_threads()
        for enabled, count in ((True, threads), (False, 1)):
            deepnp.use_kernels(enabled)
            deepnp.set_num_threads(count)
            y, cache = conv.forward(x, weight, bias, window, 2)
            results.append((y, *conv.backward(dy, cache)))
        deepnp.use_kernels(True)
        deepnp.set_num_threads(before)
        for fast, plain in zip(*results, strict=True):
            np.testing.assert_allclose(fast, plain, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Conv2d(0, 4, 3), "expected a positive in_channels, given 0"),
        (lambda: Conv2d(4, 1.5, 3), "expected a positive out_channels, given 1.5"),
        (lambda: Conv2d(4, 6, 3, groups=4), "expected groups that divide in_channels 4 and out_channels 6, given 4"),
        (lambda: Conv2d(4, 6, 3, groups=0), "expected a positive groups"),
        (lambda: Conv2d(4, 6, 0), "expected kernel_size to be a whole number >= 1, or 2 of them, given 0"),
        (lambda: Conv2d(4, 6, (3, 3, 3)), r"given \(3, 3, 3\)"),
        (lambda: Conv2d(4, 6, 3, stride=0), "expected stride to be a whole number >= 1"),
        (lambda: Conv2d(4, 6, 3, stride=1.5), "expected stride"),
        (lambda: Conv2d(4, 6, 3, dilation=-1), "expected dilation"),
        (lambda: Conv2d(4, 6, 3, padding=-1), "expected padding to be a whole number >= 0"),
        (lambda: Conv2d(4, 6, 3, padding="full"), 'expected padding to be numbers, "same" or "valid", given \'full\''),
        (lambda: Conv2d(4, 6, 3, padding="same", stride=2), 'expected stride 1 with padding "same"'),
        (lambda: Conv2d(4, 6, 3, padding_mode="wrap"), "'circular', 'reflect', 'replicate', 'zeros'.*given 'wrap'"),
        (lambda: ConvTranspose1d(4, 6, 3, groups=3), "expected groups that divide"),
        (lambda: ConvTranspose2d(4, 6, 3, 2, output_padding=2), "expected output_padding below stride"),
        (lambda: MaxPool2d(2, padding=2), "expected padding of at most half the kernel_size"),
        (lambda: MaxPool2d(2, stride=0), "expected stride"),
        (lambda: AvgPool1d(-1), "expected kernel_size"),
        (lambda: AdaptiveAvgPool2d(0), "expected output_size"),
        (lambda: ZeroPad2d((1, 2, 3)), "expected padding to be a whole number >= 0, or 4 of them"),
        (lambda: Flatten(-1), "expected start_dim >= 0, given -1"),
        (lambda: Reshape((2, 0)), "expected a shape of positive sizes"),
    ],
)
def test_constructors_refuse_nonsense(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Conv2d(4, 6, 3), (2, 3, 7, 7), r"expected input of shape \(B, 4, H, W\), given \(2, 3, 7, 7\)"),
        (Conv2d(4, 6, 3, dilation=3, padding=1), (2, 4, 7, 4), r"expected \(H, W\) of at least \(5, 5\).*given.*\(2, 4, 7, 4\)"),
        (Conv2d(1, 1, 3, padding=2), (2, 1, 0, 4), "of at least"),
        (Conv1d(4, 6, 3, padding=3, padding_mode="reflect"), (2, 4, 3), r"of at least \(4,\)"),
        (ConvTranspose2d(4, 6, 3, padding=2), (2, 4, 2, 3), r"of at least \(3, 3\)"),
        (ConvTranspose1d(4, 6, 3), (2, 5, 3), r"expected input of shape \(B, 4, L\)"),
        (MaxPool2d(4), (2, 4, 3, 4), r"of at least \(4, 4\)"),
        (AvgPool1d(5, padding=1), (2, 4, 2), r"of at least \(3,\)"),
        (ReflectionPad2d((0, 0, 3, 0)), (2, 4, 3, 3), r"of at least \(4, 1\)"),
        (Reshape((1,)), (), "expected samples of 1 values"),
        (Reshape((2, 3)), (4, 5), r"expected samples of 6 values for \(2, 3\), given input of shape \(4, 5\)"),
        (Flatten(2), (4, 5), "expected an input of more than 2 axes"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(layer, shape, message):
    for run in (layer.forward, layer.predict):
        with pytest.raises(ValueError, match=message):
            run(np.zeros(shape, np.float32))


def test_least_inputs_are_taken():
    assert Conv2d(1, 1, 3, dilation=3, padding=1)(np.zeros((1, 1, 5, 5), np.float32)).shape == (1, 1, 1, 1)
    assert ConvTranspose2d(1, 1, 3, padding=2)(np.zeros((1, 1, 3, 3), np.float32)).shape == (1, 1, 1, 1)
    assert ConvTranspose1d(1, 1, 2, 3, 3, 2)(np.zeros((1, 1, 2), np.float32)).shape == (1, 1, 1)
    assert Reshape((1,))(np.zeros(3, np.float32)).shape == (3, 1)


def test_transforms_have_the_least_length_that_is_fast():
    assert [fast_length(n) for n in (1, 6, 7, 11, 13, 17, 31, 97, 121)] == [1, 6, 8, 12, 15, 18, 32, 100, 125]
