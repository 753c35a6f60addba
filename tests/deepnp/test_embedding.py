"""Embedding and position layers."""

import copy

import numpy as np
import pytest

from deepnp.gradcheck import relative_error
from deepnp.layers import Sequential
from deepnp.layers.embedding import Embedding, RotaryPositions, SinusoidalPositions
from deepnp.layers.linear import Linear
from deepnp.ops.embedding import rotary


def test_looks_rows_up_and_sums_the_gradients_of_repeated_indices(kernels):
    net = Embedding(3, 2, dtype=np.float64)
    net.load_state_dict({"weight": np.array([[1.0, 2], [3, 4], [5, 6]])})
    np.testing.assert_array_equal(net(np.array([[2, 0], [2, 2]])), [[[5, 6], [1, 2]], [[5, 6], [5, 6]]])
    dy = np.array([[[1.0, 10], [2, 20]], [[3, 30], [4, 40]]])
    net.zero_grad()
    assert net.backward(dy) is None
    np.testing.assert_array_equal(net.weight.grad, [[2, 20], [0, 0], [8, 80]])
    net.backward(dy)
    np.testing.assert_array_equal(net.weight.grad, [[4, 40], [0, 0], [16, 160]])
    net.backward(dy, params=False)
    np.testing.assert_array_equal(net.weight.grad, [[4, 40], [0, 0], [16, 160]])


def test_padding_is_zero_and_gets_no_gradient(kernels, rng):
    net, indices = Embedding(4, 3, padding_idx=1, rng=rng), np.array([0, 1, 1, 3])
    assert not net.weight.data[1].any()
    assert net.weight.data[[0, 2, 3]].all()
    assert not net(indices)[1:3].any()
    net.zero_grad()
    net.weight.grad[1] = 7  # not ours to touch
    net.backward(np.ones((4, 3), np.float32))
    np.testing.assert_array_equal(net.weight.grad[:, 0], [1, 7, 0, 1])


def test_name_shape_and_seed():
    one, two = (Embedding(50, 40, rng=np.random.default_rng(1)) for _ in range(2))
    assert {name: value.shape for name, value in one.state_dict().items()} == {"weight": (50, 40)}
    np.testing.assert_array_equal(one.weight.data, two.weight.data)
    assert one.weight.data.dtype == np.float32
    assert abs(one.weight.data.std() - 1) < 0.05
    assert repr(one) == "Embedding(50, 40)"


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
def test_takes_every_kind_of_whole_number(dtype, kernels, rng):
    net, indices = Embedding(4, 3, rng=rng), np.array([[3, 0], [1, 3]], dtype)
    np.testing.assert_array_equal(net(indices), net.weight.data[indices.astype(np.int64)])
    net.zero_grad()
    net.backward(np.ones((2, 2, 3), np.float32))
    np.testing.assert_array_equal(net.weight.grad[:, 0], [1, 1, 0, 2])


def test_empty_batch_gives_zero_gradients(kernels):
    net = Embedding(4, 3)
    y = net(np.zeros((0, 5), np.int64))
    assert y.shape == (0, 5, 3)
    net.zero_grad()
    net.backward(y)
    assert not net.flat.grad.any()


def test_predict_equals_forward_and_keeps_the_cache(rng):
    net = Embedding(4, 3, rng=rng)
    y = net(np.array([0, 2]))
    np.testing.assert_array_equal(net.predict(np.array([0, 2])), y)
    net.predict(np.array([1, 1, 1]))
    net.zero_grad()
    net.backward(np.ones_like(y))
    np.testing.assert_array_equal(net.weight.grad[:, 0], [1, 0, 1, 0])


def test_begins_a_sequential(rng):
    net = Sequential(Embedding(4, 3, rng=rng), Linear(3, 2, rng=rng))
    y = net(np.array([[0, 2, 2]]))
    assert y.shape == (1, 3, 2)
    net.zero_grad()
    assert net.backward(np.ones_like(y)) is None
    np.testing.assert_allclose(net[0].weight.grad[2], 2 * net[0].weight.grad[0], rtol=1e-6)
    np.testing.assert_array_equal(copy.deepcopy(net)(np.array([[0, 2, 2]])), y)


@pytest.mark.parametrize("make", [SinusoidalPositions, RotaryPositions])
def test_positions_can_begin_anywhere(make, rng):
    net, x = make(), rng.normal(size=(2, 7, 6))
    whole = net(x)
    np.testing.assert_allclose(net.predict(x[:, 3:], start=3), whole[:, 3:], rtol=1e-12, atol=1e-12)
    assert np.abs(net.predict(x[:, 3:]) - whole[:, 3:]).max() > 0.1
    assert net.state_dict() == {}
    assert net.backward(x, inputs=False) is None
    assert net.backward(x).shape == x.shape
    assert net(x.astype(np.float32)).dtype == np.float32
    assert repr(net) == f"{make.__name__}()"


def test_the_base_sets_the_longest_wavelength(rng):
    x = np.zeros((1, 4, 4))
    table = SinusoidalPositions(base=100.0)(x)[0]
    np.testing.assert_allclose(table[3], [np.sin(3), np.cos(3), np.sin(0.3), np.cos(0.3)])


def test_rotary_scores_depend_on_the_distance_alone(rng):
    q, k = rng.normal(size=(1, 8)), rng.normal(size=(1, 8))

    def score(s, t):
        return float(rotary.forward(q, s)[0][0] @ rotary.forward(k, t)[0][0])

    assert abs(score(5, 2) - score(105, 102)) < 1e-12
    assert abs(score(5, 2) - score(5, 3)) > 1e-3


def test_rotary_turns_back(rng):
    x = rng.normal(size=(2, 5, 6))
    y, cache = rotary.forward(x, 3)
    assert relative_error(rotary.backward(y, cache), x) < 1e-12
    assert abs((y * y).sum() - (x * x).sum()) < 1e-10


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Embedding(0, 3), "positive num_embeddings, given 0"),
        (lambda: Embedding(3, 0), "positive embedding_dim, given 0"),
        (lambda: Embedding(3, 2, padding_idx=3), "padding_idx from 0 to 2, given 3"),
        (lambda: Embedding(3, 2, padding_idx=-1), "padding_idx from 0 to 2, given -1"),
        (lambda: Embedding(3, 2)(np.array([0, 3])), "indices from 0 to 2, given 0 to 3"),
        (lambda: Embedding(3, 2).predict(np.array([-1, 2])), "indices from 0 to 2, given -1 to 2"),
        (lambda: SinusoidalPositions(base=0), "base >= 1, given 0"),
        (lambda: SinusoidalPositions()(np.zeros(4)), r"shape \(…, T, D\), given \(4,\)"),
        (lambda: RotaryPositions()(np.zeros((2, 4, 5))), r"even last axis.*given \(2, 4, 5\)"),
    ],
)
def test_bad_input_is_refused_at_the_door(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("indices", [np.array([0.0, 1.0]), np.array([True, False])])
def test_indices_must_be_whole_numbers(indices):
    with pytest.raises(TypeError, match="whole numbers as indices"):
        Embedding(3, 2)(indices)


@pytest.mark.parametrize("padding_idx", [None, 1])
def test_other_shapes_of_the_upstream_gradient_are_refused(padding_idx, kernels, rng):
    net = Embedding(4, 3, padding_idx, rng=rng)
    net(np.array([[0, 1, 2], [3, 3, 1]]))
    for shape in ((2, 3), (3, 3), (1, 3, 3), (4, 3, 3), (2, 3, 4), (2, 3, 1), (2, 3, 3, 1), (6, 3), (0, 3, 3)):
        with pytest.raises(ValueError, match=r"expected dy.*given"):
            net.backward(np.zeros(shape, np.float32))
    assert not net.weight.grad.any()


@pytest.mark.parametrize("written", [4, -1, 10**9])
def test_indices_that_were_written_to_since_reach_no_kernel(written, kernels, rng):
    net, indices = Embedding(4, 3, rng=rng), np.array([0, 2])
    net(indices)
    indices[0] = written
    with pytest.raises(ValueError, match="indices from 0 to 3"):
        net.backward(np.ones((2, 3), np.float32))


@pytest.mark.parametrize("padding_idx", [None, 1])
def test_forward_mode_is_the_transpose_of_backward(padding_idx, kernels, rng):
    net = Embedding(4, 3, padding_idx, rng=rng, dtype=np.float64)
    y = net(np.array([[0, 1, 2], [3, 3, 1]]))
    dy, v = rng.normal(size=y.shape), rng.normal(size=12)
    net.backward(dy)
    np.testing.assert_allclose((net.jvp(v) * dy).sum(), net.flat.grad @ v, rtol=1e-12)
    with pytest.raises(ValueError, match="indices do not move"):
        net.jvp(v, np.ones((2, 3)))


@pytest.mark.parametrize("make", [SinusoidalPositions, RotaryPositions])
@pytest.mark.parametrize("dtype", ["<f2", ">f4", ">f8", "longdouble"])
def test_positions_of_every_floating_point_type(make, dtype, rng):
    net, x = make(), rng.normal(size=(2, 7, 6)).astype(dtype)
    y, dx = net(x), net.backward(x)
    assert np.result_type(y, np.float16) == np.result_type(dx, np.float16) == np.result_type(x, np.float16)  # in any byte order
    exact = make()
    np.testing.assert_allclose(y.astype(float), exact(x.astype(float)), rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(dx.astype(float), exact.backward(x.astype(float)), rtol=2e-3, atol=2e-3)
    for shape in ((7, 6), (2, 7, 1), (1, 7, 6), (2, 7, 6, 1)):
        with pytest.raises(ValueError, match=r"expected dy.*given"):
            net.backward(np.zeros(shape, dtype))
