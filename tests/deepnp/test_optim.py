"""Optimizers against their equations written out in plain Python; clipping; schedules; initializers; threads."""

import math
import threading

import numpy as np
import pytest

import deepnp
from deepnp import initializers
from deepnp.models import mlp
from deepnp.optim import clip_grad_norm, clip_grad_value, polyak
from deepnp.parameters import Parameter, ParameterVector
from deepnp.threads import side_by_side


def vector(values):
    return ParameterVector({"a": Parameter(np.array(values[:2])), "b": Parameter(np.array(values[2:]))})


@pytest.mark.parametrize(("order", "norm"), [(2, 13.0), (1, 19.0), (math.inf, 12.0)])
def test_clip_by_norm(order, norm):
    v = vector([0.0] * 3)
    v.grad[...] = g = np.array([3.0, -4.0, 12.0])
    assert clip_grad_norm(v, 100, order) == pytest.approx(norm)
    np.testing.assert_array_equal(v.grad, g)  # short enough: untouched
    assert clip_grad_norm(v, 1.0, order) == pytest.approx(norm)
    np.testing.assert_allclose(v.grad, g / norm, rtol=1e-6)  # the direction stays


def test_clip_by_value():
    v = vector([0.0] * 3)
    v.grad[...] = [3.0, -4.0, 0.5]
    clip_grad_value(v, 1.0)
    np.testing.assert_array_equal(v.grad, [1.0, -1.0, 0.5])


def test_clipping_names_what_is_not_finite():
    v = vector([0.0] * 4)
    v.grad[3] = np.inf
    with pytest.raises(deepnp.NonFiniteError, match='gradient of parameter "b" holds inf'):
        clip_grad_norm(v, 1.0)
    with pytest.raises(ValueError, match="order 2, 1 or inf, given 3"):
        clip_grad_norm(v, 1.0, 3)
    with pytest.raises(ValueError, match="max_norm > 0"):
        clip_grad_norm(v, 0.0)


def test_polyak_moves_by_the_share_of_the_source(kernels):
    target, source = np.array([1.0, 2.0]), np.array([3.0, -2.0])
    polyak(target, source, 0.25)
    np.testing.assert_allclose(target, [1.5, 1.0])
    with pytest.raises(ValueError, match="one shape"):
        polyak(target, source[:1], 0.25)


@pytest.mark.parametrize(
    ("initializer", "variance"),
    [
        (initializers.kaiming_normal, 2 / 200),
        (initializers.kaiming_uniform, 2 / 200),
        (initializers.xavier_normal, 2 / 600),
        (initializers.xavier_uniform, 2 / 600),
        (initializers.lecun_normal, 1 / 200),
        (initializers.lecun_uniform, 1 / 200),
    ],
)
def test_initializers_have_the_promised_variance(initializer, variance, rng):
    w = initializer((400, 200), rng)
    assert w.var() == pytest.approx(variance, rel=0.02)
    assert abs(w.mean()) < 5 * math.sqrt(variance / w.size)
    if "uniform" in initializer.__name__:
        assert np.abs(w).max() <= math.sqrt(3 * variance)
    kernel = initializer((40, 10, 3, 3), rng)
    fans = {"kaiming": 2 / 90, "xavier": 2 / 450, "lecun": 1 / 90}
    assert kernel.var() == pytest.approx(fans[initializer.__name__.split("_")[0]], rel=0.1)


@pytest.mark.parametrize("shape", [(5, 5), (8, 3), (3, 8), (4, 2, 3)])
def test_orthogonal_is_orthogonal(shape, rng):
    w = initializers.orthogonal(shape, rng, gain=2.0).reshape(shape[0], -1)
    gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-12)


def test_orthogonal_is_uniform_over_rotations(rng):
    diagonals = np.array([np.diag(initializers.orthogonal((3, 3), rng)) for _ in range(2000)])
    assert (np.abs(diagonals.mean(axis=0)) < 0.06).all()  # Q of a bare Householder QR has a negative mean


def test_initializers_need_two_axes(rng):
    with pytest.raises(ValueError, match="fan_out and fan_in"):
        initializers.kaiming_normal((3,), rng)


def test_side_by_side_gives_the_same_bits_at_any_thread_count(rng):
    x = rng.normal(size=(200, 30)).astype(np.float32)
    nets = [mlp([30, 64, 5], rng=np.random.default_rng(i)) for i in range(3)]

    def all_three():
        return side_by_side(*(lambda n=n: n.predict(x) for n in nets))

    threads = deepnp.get_num_threads()
    deepnp.set_num_threads(1)
    one = all_three()
    deepnp.set_num_threads(2)
    two = all_three()
    deepnp.set_num_threads(threads)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


def test_side_by_side_passes_errors_on():
    def fail():
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        side_by_side(lambda: 1, fail)


def test_side_by_side_serves_more_functions_than_threads_in_their_order():
    deepnp.set_num_threads(2)
    assert side_by_side(*(lambda i=i: i for i in range(5))) == [0, 1, 2, 3, 4]
    assert side_by_side() == []


def test_side_by_side_within_itself_and_from_several_threads():
    deepnp.set_num_threads(2)
    nested = lambda i: side_by_side(*(lambda j=j: (i, j) for j in range(3)))  # noqa: E731
    expected = [[(i, j) for j in range(3)] for i in range(4)]
    results = {}
    threads = [
        threading.Thread(target=lambda n=n: results.update({n: side_by_side(*(lambda i=i: nested(i) for i in range(4)))}))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(results.values()) == [expected] * 4


def test_helpers_survive_an_error_of_theirs():
    deepnp.set_num_threads(2)

    def fail():
        raise ValueError("inside")

    for functions in ((fail, lambda: 1), (lambda: 1, fail), (fail, fail)):
        with pytest.raises(ValueError, match="inside"):
            side_by_side(*functions)
        assert side_by_side(lambda: 1, lambda: 2) == [1, 2]


@pytest.mark.parametrize("wrong", [None, [1.0], np.ones(3, np.float32)])
def test_what_is_no_flat_vector_is_refused(wrong):
    for clip in (clip_grad_norm, clip_grad_value):
        with pytest.raises(TypeError, match=f"expected a ParameterVector, as net.flat is, given {type(wrong).__name__}"):
            clip(wrong, 1.0)
    for place in (0, 1):
        vectors = [np.ones(3), np.ones(3)]
        vectors[place] = [1.0] * 3
        with pytest.raises(TypeError, match=r"to be an array, given list: net\.flat\.data"):
            polyak(*vectors, 0.1)
