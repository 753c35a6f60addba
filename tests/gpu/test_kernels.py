"""The fused kernels: every one is taken, can be turned off, and gives what the CPU gives, also where numbers are at their ends."""

import math

import numpy as np
import pytest

import deepnp
from deepnp import gpu, layers, losses, scan
from deepnp.backend import to_device
from deepnp.cases import draw, tupled, upstream
from deepnp.ops import find
from deepnp.ops.activation import (
    elu,
    gelu,
    gelu_tanh,
    leaky_relu,
    log_softmax,
    mish,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from deepnp.ops.convolution import Window, max_pool
from deepnp.ops.normalization import batch_norm, layer_norm, rms_norm
from deepnp.optim import Adam, polyak
from deepnp.parameters import Parameter, ParameterVector
from tests.gpu.test_gpu import assert_same, moved, precisions

KINDS = (gpu.Elementwise, gpu.Rows, gpu.Cells, gpu.Channels)


def kernels_of(module) -> dict[str, object]:
    return {name: value for name, value in vars(module).items() if isinstance(value, KINDS)}


FUSED = {name: op for name, op in find().items() if kernels_of(op)}
WITHOUT_INFINITY = [batch_norm, layer_norm, rms_norm]


@pytest.fixture
def taken(card, monkeypatch):
    """The kernels that have run."""
    if card == "stand-in":
        pytest.skip("kernels in C need a GPU")
    taken = []
    for kind in KINDS:
        run = kind.__call__
        monkeypatch.setattr(kind, "__call__", lambda self, *a, run=run, **k: (taken.append(self), run(self, *a, **k))[1])
    return taken


def everything(op, rng):
    """All cases of an operation, with what else it offers, in float32 on the GPU."""
    for case in op.CASES:
        there = moved(draw(case, rng, np.float32))
        y, cache = op.forward(**there)
        op.backward(moved(upstream(y, rng)), cache)
    matrix, vector = (moved(rng.normal(size=shape).astype(np.float32)) for shape in ((4, 5), (5,)))
    if hasattr(op, "add_bias"):
        op.backward_bias(matrix, op.add_bias(matrix.copy(), vector))
    if hasattr(op, "infer"):
        op.infer(matrix, vector, vector, vector, vector * vector)


@pytest.mark.parametrize("name", FUSED)
def test_every_kernel_is_taken_and_can_be_turned_off(name, taken, rng):
    everything(FUSED[name], rng)
    assert not [kernel for kernel, value in kernels_of(FUSED[name]).items() if value not in taken]
    taken.clear()
    deepnp.use_kernels(False)
    everything(FUSED[name], rng)
    deepnp.use_kernels(True)
    assert not taken


def test_convolutions_take_theirs(taken, rng):
    layer = layers.Conv2d(2, 3, 3, rng=rng).to("cuda")
    layer.backward(layer.forward(moved(rng.normal(size=(2, 2, 5, 5)).astype(np.float32))))
    assert {kernel.name for kernel in taken if isinstance(kernel, gpu.Cells)} == {"deepnp_gather", "deepnp_scatter"}
    assert any(isinstance(kernel, gpu.Channels) for kernel in taken)


def test_losses_take_theirs(taken, rng):
    y, labels = moved((rng.normal(size=(4, 5)), np.array([0, 4, 2, 2])))
    losses.mse(y, y)
    losses.cross_entropy(y, labels)
    assert len(taken) == 2


def test_a_step_of_an_optimizer_is_one_kernel(card, monkeypatch, rng):
    if card == "stand-in":
        pytest.skip("CuPy fuses")
    made = []
    fused = gpu.fused
    monkeypatch.setattr(gpu, "fused", lambda plain: (made.append(plain), fused(plain))[1])
    vector = ParameterVector({"weight": Parameter(rng.normal(size=(3, 4)))}, device="cuda")
    Adam(vector).step()
    polyak(vector.data, vector.grad, 0.1)
    assert len(made) == 2
    deepnp.use_kernels(False)
    Adam(vector).step()
    deepnp.use_kernels(True)
    assert len(made) == 2


@precisions
@pytest.mark.parametrize("op", [softmax, log_softmax, layer_norm, rms_norm], ids=lambda op: op.__name__.split(".")[-1])
@pytest.mark.parametrize("columns", [3, 31, 256, 257, 1000])
def test_rows_shorter_and_longer_than_a_block_of_threads(op, columns, dtype, tolerance, rng, kernels):
    x, dy = rng.normal(size=(2, 3, columns)).astype(dtype), rng.normal(size=(2, 3, columns)).astype(dtype)
    vectors = {layer_norm: 2, rms_norm: 1}.get(op, 0)
    rest = tuple(rng.normal(size=columns).astype(dtype) for _ in range(vectors))
    (y, cache), (y_there, cache_there) = op.forward(x, *rest), op.forward(*moved((x, *rest)))
    assert_same(y_there, y, tolerance)
    assert_same(op.backward(moved(dy), cache_there), op.backward(dy, cache), tolerance)


def compare_recurrent(make, size, batch, dtype, tolerance, rng, **settings):
    """Forward and backward over sequences of several lengths, on the CPU and on the GPU."""
    here, there = (make(7, size, rng=np.random.default_rng(1), **settings).to(dtype) for _ in range(2))
    there.to("cuda")
    x, lengths = rng.normal(size=(6, batch, 7)).astype(dtype), rng.integers(1, 7, size=batch)
    (y, state), (y_there, state_there) = here.forward_state(x, None, lengths), there.forward_state(moved(x), None, lengths)
    assert_same((y_there, *tupled(state_there)), (y, *tupled(state)), tolerance)
    dy, dstate = upstream(y, rng), upstream(state, rng)
    found, expected = there.backward_state(*moved((dy, dstate))), here.backward_state(dy, dstate)
    assert_same((found[0], *tupled(found[1])), (expected[0], *tupled(expected[1])), 10 * tolerance)
    assert_same(tuple(p.grad for p in there.parameters()), tuple(p.grad for p in here.parameters()), 50 * tolerance)


@precisions
@pytest.mark.parametrize("make", [layers.LSTM, layers.GRU, layers.RNN])
@pytest.mark.parametrize(("size", "batch"), [(33, 17), (300, 3), (520, 2)])
def test_states_of_more_cells_than_a_block_of_threads(make, size, batch, dtype, tolerance, rng, kernels):
    compare_recurrent(make, size, batch, dtype, tolerance, rng)


@precisions
@pytest.mark.parametrize("make", [layers.LSTM, layers.GRU])
@pytest.mark.parametrize("together", [True, False])
def test_a_scan_and_its_steps_one_by_one(make, together, card, dtype, tolerance, rng, monkeypatch):
    scans = []
    run = scan.Scan.__call__
    monkeypatch.setattr(scan.Scan, "__call__", lambda self, *a: (scans.append(self), run(self, *a))[1])
    monkeypatch.setattr(scan, "TRAFFIC", scan.TRAFFIC if together else 0)
    compare_recurrent(make, 40, 5, dtype, tolerance, rng)
    assert len(scans) == (2 if together and card == "gpu" else 0)
    scans.clear()
    compare_recurrent(make, 40, 5, dtype, tolerance, rng, span=2)
    assert len(scans) == (1 if together and card == "gpu" else 0)  # what truncates goes back step by step


@precisions
def test_images_of_more_cells_than_a_block_of_threads(dtype, tolerance, rng, kernels):
    def build(nn=layers):
        own = np.random.default_rng(1)
        first, second = nn.Conv2d(3, 4, 3, padding=1, rng=own), nn.ConvTranspose2d(4, 2, 3, 2, 1, rng=own)
        return nn.Sequential(first, nn.BatchNorm2d(4), nn.MaxPool2d(3, 2, 1), second).to(dtype)

    here, there = build(), build().to("cuda")
    x = rng.normal(size=(5, 3, 19, 18)).astype(dtype)
    y = here.forward(x)
    assert_same(there.forward(moved(x)), y, 10 * tolerance)
    dy = upstream(y, rng)
    assert_same(there.backward(moved(dy)), here.backward(dy), 10 * tolerance)


@pytest.mark.parametrize(
    "op",
    [tanh, relu, sigmoid, gelu, gelu_tanh, silu, softplus, elu, mish, leaky_relu],
    ids=lambda op: op.__name__.split(".")[-1],
)
def test_nothing_is_lost_at_the_ends_of_the_line(op, kernels):
    x = np.array([0.0, -0.0, -1000, 1000, 1e-30, -1e-300, 1e300, -1e300, 30, -30, math.inf, -math.inf, math.nan])
    dy = np.full_like(x, -2.0)

    def run(x, dy):
        y, cache = op.forward(x)
        return y, op.backward(dy, cache)

    with np.errstate(invalid="ignore", over="ignore"):
        here, there = run(x, dy), run(*moved((x, dy)))
    for a, b in zip(there, here, strict=True):
        np.testing.assert_allclose(to_device(a, "cpu"), b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("op", [tanh, relu, sigmoid], ids=["tanh", "relu", "sigmoid"])
def test_a_bias_loses_nothing_either(op, kernels):
    x = np.array([[0.0, -1000, 1000, 1e-30, math.inf], [math.nan, 1, 2, 3, -math.inf]])
    y = op.add_bias(x.copy(), np.zeros(5))
    np.testing.assert_allclose(to_device(op.add_bias(moved(x), moved(np.zeros(5))), "cpu"), y, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("op", [softmax, log_softmax], ids=["softmax", "log_softmax"])
def test_rows_with_numbers_that_are_not_finite(op, kernels):
    x = np.array([[0.0, -1000, 1000, 1e300], [math.nan, 1, 2, 3], [1, 2, 3, math.nan], [-math.inf, 1, 2, 3]])
    with np.errstate(invalid="ignore"):
        y = op.forward(x)[0]
    np.testing.assert_allclose(to_device(op.forward(moved(x))[0], "cpu"), y, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("op", [layer_norm, rms_norm, batch_norm], ids=["layer_norm", "rms_norm", "batch_norm"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_squares_of_huge_values_do_not_overflow(op, dtype, kernels):
    big = float(np.finfo(dtype).max)
    x = np.array([[big / 4, -big / 4, big / 2, 0.5], [1, 2, 3, 4], [big / 2, 1, big / 2, 1]], dtype)
    x = np.ascontiguousarray(x.T) if op is batch_norm else x
    width = x.shape[1]
    vectors = [np.linspace(1, 2, width, dtype=dtype)] * (1 if op is rms_norm else 2)
    dy = np.linspace(-1, 2, x.size, dtype=dtype).reshape(x.shape)
    with np.errstate(over="ignore"):
        y, cache = op.forward(x, *vectors)
        y_there, cache_there = op.forward(*moved((x, *vectors)))
        gradients, there = op.backward(dy, cache), op.backward(moved(dy), cache_there)
    assert np.isfinite(y).all()
    assert_same(y_there, y, 1e-5)
    assert_same(there[1:], gradients[1:], 1e-5)
    np.testing.assert_allclose(to_device(there[0], "cpu"), gradients[0], rtol=1e-4, atol=1e-5 * float(abs(gradients[0]).max()))


def test_the_first_of_equal_cells_wins_and_a_nan_over_all(kernels):
    x = np.array([[[-math.inf, -math.inf, 1, 1], [-math.inf, -math.inf, 1, 0], [2, math.nan, 5, 6], [9, 2, 7, 8]]])[None]
    window = Window((2, 2), 2)
    (y, cache), (y_there, cache_there) = max_pool.forward(x, window), max_pool.forward(moved(x), window)
    np.testing.assert_array_equal(to_device(y_there, "cpu"), y)
    np.testing.assert_array_equal(to_device(cache_there.winner, "cpu"), cache.winner)


@pytest.mark.parametrize("labels", [[0, 3, 1], [-1, 0, 1]])
def test_labels_that_name_no_class_are_refused(labels, kernels):
    with pytest.raises(ValueError, match=r"expected labels in \[0, 3\)"):
        losses.cross_entropy(*moved((np.zeros((3, 3)), np.array(labels))))


def test_a_nan_among_logits_is_a_nan_loss(kernels):
    with np.errstate(invalid="ignore"):
        value, _ = losses.cross_entropy(*moved((np.array([[0.0, math.nan], [1, 2]]), np.array([0, 1]))))
    assert math.isnan(value)


def test_an_embedding_s_gradient_has_the_same_bits_every_time(rng):
    layer = layers.Embedding(3, 40, rng=rng).to("cuda")
    indices, dy = moved((rng.integers(3, size=4000), rng.normal(size=(4000, 40)).astype(np.float32)))
    bits = []
    for _ in range(3):
        layer.zero_grad()
        layer.forward(indices)
        layer.backward(dy)
        bits.append(to_device(layer.weight.grad, "cpu").tobytes())
    assert len(set(bits)) == 1


@pytest.mark.parametrize("kind", ["int8", "uint8", "int64"])
def test_indices_of_any_whole_numbers(kind, rng, kernels):
    here, there = (layers.Embedding(127, 3, rng=np.random.default_rng(1)) for _ in range(2))
    there.to("cuda")
    indices, dy = rng.integers(127, size=300).astype(kind), rng.normal(size=(300, 3)).astype(np.float32)
    for layer, arrays in ((here, (indices, dy)), (there, moved((indices, dy)))):
        layer.forward(arrays[0])
        layer.backward(arrays[1])
    assert_same(there.weight.grad, here.weight.grad, 1e-5)


def test_arrays_of_more_than_2_31_elements(card):
    if card == "stand-in":
        pytest.skip("needs a GPU")
    import cupy

    if cupy.cuda.runtime.memGetInfo()[0] < 40e9:
        pytest.skip("needs a GPU with 40 GB that are free")
    x = cupy.zeros((2**21 + 1, 1025), np.float32)
    x[-1, -1] = 3
    for op, expected in ((sigmoid, 1 / (1 + math.exp(-3))), (softmax, math.exp(3) / (math.exp(3) + 1024))):
        assert float(op.forward(x)[0][-1, -1]) == pytest.approx(expected, rel=1e-5)
        cupy.get_default_memory_pool().free_all_blocks()
    assert losses.mse(x, cupy.zeros_like(x))[0] * x.size == pytest.approx(9)
    vector = x.reshape(-1)
    polyak(vector, cupy.ones_like(vector), 0.5)
    assert [float(vector[0]), float(vector[-1])] == [0.5, 2]
