"""docs/errata.md, computed: the thesis's layers and losses.

Each test holds a printed formula in a few lines and shows that it is not the derivative, or not what it claims to be; and that
what deepnp does is. The other parts are in test_errata_optimization.py, test_errata_reinforcement.py and test_errata_papers.py.
"""

import math
import re
from pathlib import Path

import numpy as np
import pytest

from deepnp import initializers, losses
from deepnp.gradcheck import numerical_gradient, relative_error
from deepnp.layers.batch_normalization import BatchNorm1d
from deepnp.ops import linear
from deepnp.ops.activation import gelu, gelu_tanh, leaky_relu, mish, relu, silu, softmax
from deepnp.ops.activation.sigmoid import sigmoid
from deepnp.ops.attention import scaled_dot_product
from deepnp.ops.convolution import Window, conv, max_pool
from deepnp.ops.normalization import batch_norm
from deepnp.ops.recurrent import rnn
from deepnp.ops.regularization import dropout

EXACT = 1e-6  # of a central difference in float64


def off(given, true) -> float:
    """max|given − true| / max|true|."""
    return relative_error(np.asarray(given, float), np.asarray(true, float))


def slope(op, dy, name, **arguments):
    """∂⟨dy, op.forward(…)⟩/∂name by central differences."""
    return numerical_gradient(lambda value: float((dy * op.forward(**{**arguments, name: value})[0]).sum()), arguments[name])


def test_the_page_and_the_tests_name_each_other():
    folder = Path(__file__).parent
    written = set()
    for file in folder.glob("test_errata*.py"):
        written |= {(file.name, name) for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)}
    written.remove(("test_errata.py", "test_the_page_and_the_tests_name_each_other"))
    page = (folder.parent / "docs" / "errata.md").read_text(encoding="utf-8")
    assert {(file, name) for name, file in re.findall(r"\[`(test_\w+)`\]\(\.\./tests/(\w+\.py)\)", page)} == written


def test_one_unit_approximates_nothing(rng):
    x, xor = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), np.array([0, 1, 1, 0])
    weights = 10 * rng.normal(size=(50_000, 3))
    printed = sigmoid(weights[:, :2] @ x.T + weights[:, 2:])
    assert ((printed - xor) ** 2).mean(axis=1).min() > 0.2499  # no better than always saying ½
    two = sigmoid(40 * (x.sum(axis=1) - 0.5)) - sigmoid(40 * (x.sum(axis=1) - 1.5))
    assert ((two - xor) ** 2).mean() < 1e-12


def test_default_initialisation_of_pytorch(rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    printed, right = math.sqrt(3 / 400), math.sqrt(1 / 400)
    for weight in (
        torch.nn.Linear(400, 300).weight.detach().numpy(),
        initializers.kaiming_uniform((300, 400), rng, gain=math.sqrt(1 / 3)),
    ):
        assert np.abs(weight).max() == pytest.approx(right, rel=1e-3)
        assert np.abs(weight).max() < 0.6 * printed


def gram_schmidt(a, last):
    """Algorithm 2, its inner loop running over j < last(i), counted from 0."""
    q = np.zeros_like(a)
    for i in range(a.shape[1]):
        q[:, i] = a[:, i]
        for j in range(last(i)):
            q[:, i] -= (q[:, j] @ a[:, i]) * q[:, j]
        q[:, i] /= np.linalg.norm(q[:, i])
    return q


def test_orthogonalisation_subtracts_the_column_itself():
    with np.errstate(invalid="ignore"):
        assert np.isnan(gram_schmidt(np.eye(3), last=lambda i: i + 1)).any()
    np.testing.assert_array_equal(gram_schmidt(np.eye(3), last=lambda i: i), np.eye(3))


def test_orthogonalisation_loses_orthogonality(rng):
    i = np.arange(10)
    hilbert = 1 / (i[:, None] + i + 1)
    printed, householder = gram_schmidt(hilbert, last=lambda i: i), np.linalg.qr(hilbert)[0]
    assert np.abs(printed.T @ printed - np.eye(10)).max() > 0.5
    assert np.abs(householder.T @ householder - np.eye(10)).max() < 1e-12
    wide = gram_schmidt(rng.normal(size=(3, 5)), last=lambda i: i)  # five columns cannot be orthogonal in three dimensions
    assert np.abs(wide @ wide.T - np.eye(3)).max() > 0.1
    ours = initializers.orthogonal((3, 5), rng)
    assert np.abs(ours @ ours.T - np.eye(3)).max() < 1e-12


def test_linear_weight_gradient(rng):
    x, dy, weight, bias = rng.normal(size=(6, 4)), rng.normal(size=(6, 3)), rng.normal(size=(3, 4)), rng.normal(size=3)
    true = slope(linear, dy, "weight", x=x, weight=weight, bias=bias)
    printed = dy.T @ np.tile(x.mean(axis=0), (6, 1))  # dyᵀ (1/m) Σ x_i: every row of x replaced by their mean
    assert off(printed, true) > 0.5
    _, cache = linear.forward(x, weight, bias)
    assert off(linear.backward(dy, cache)[1], true) < EXACT


def test_the_mean_is_taken_once(rng):
    m, x, weight, target = 6, rng.normal(size=(6, 4)), rng.normal(size=(3, 4)), rng.normal(size=(6, 3))
    true = numerical_gradient(lambda w: losses.mse(x @ w.T, target)[0], weight)
    y, cache = linear.forward(x, weight, np.zeros(3))
    _, dy = losses.mse(y, target)  # the loss has divided by the batch already
    printed = dy.T @ x / m
    assert off(printed, true) == pytest.approx(1 - 1 / m, abs=1e-6)
    assert off(linear.backward(dy, cache)[1], true) < EXACT


def test_relu_at_zero():
    """No error, a convention: the thesis takes 1, we take the slope of the negative side."""
    zero, one = np.zeros(1), np.ones(1)
    assert relu.backward(one, relu.forward(zero)[1]) == 0
    assert leaky_relu.backward(one, leaky_relu.forward(zero, slope=0.25)[1]) == 0.25


def test_softmax_temperature(rng):
    x, dy, tau = rng.normal(size=(4, 5)), rng.normal(size=(4, 5)), 0.5
    true = slope(softmax, dy, "x", x=x, temperature=tau)
    s, cache = softmax.forward(x, tau)
    printed = s * (dy - (dy * s).sum(axis=-1, keepdims=True))
    assert off(printed, true) == pytest.approx(0.5, abs=1e-6)
    assert off(softmax.backward(dy, cache), true) < EXACT


EPS = 1e-5
RIGHT = dict(
    variance=lambda dn, centred, sigma: (dn * centred).sum(axis=0) * -0.5 * sigma**-3,
    mean=lambda dn, sigma: (dn * -1 / sigma).sum(axis=0),
    direct=lambda dn, sigma: dn / sigma,
)
PRINTED = dict(
    variance=lambda dn, centred, sigma: (dn * centred * -0.5 * (sigma + EPS) ** -1.5).mean(axis=0),
    mean=lambda dn, sigma: (dn * -1 / sigma).mean(axis=0),
    direct=lambda dn, sigma: -dn / sigma,
)


@pytest.mark.parametrize("wrong", [["variance"], ["mean"], ["direct"], ["variance", "mean", "direct"]], ids="-".join)
def test_batch_normalisation_backward(rng, wrong):
    x, gamma, beta, dy = rng.normal(size=(6, 4)), rng.normal(size=4) + 2, rng.normal(size=4), rng.normal(size=(6, 4))

    def backward(lines):
        m, dn = len(x), dy * gamma
        centred = x - x.mean(axis=0)
        sigma = np.sqrt((centred**2).mean(axis=0) + EPS)
        dvariance, dmean = lines["variance"](dn, centred, sigma), lines["mean"](dn, sigma)
        return lines["direct"](dn, sigma) + dvariance * 2 * centred / m + dmean / m

    true = slope(batch_norm, dy, "x", x=x, gamma=gamma, beta=beta)
    printed = backward({**RIGHT, **{line: PRINTED[line] for line in wrong}})
    assert off(printed, true) > 0.1
    if len(wrong) == 3:
        assert (printed * true).sum() < -0.5 * np.linalg.norm(printed) * np.linalg.norm(true)  # uphill
    assert off(backward(RIGHT), true) < EXACT
    _, cache = batch_norm.forward(x, gamma, beta)
    assert off(batch_norm.backward(dy, cache)[0], true) < EXACT


def test_batch_normalisation_of_one_row():
    x = np.array([[1.0, 2.0]])
    with np.errstate(invalid="ignore"):
        assert np.isnan(((x - x.mean(axis=0)) ** 2).sum(axis=0) / np.float64(len(x) - 1)).all()
    layer = BatchNorm1d(2, dtype=np.float64)
    layer.forward(x)
    np.testing.assert_array_equal(layer.running_var.data, 1)


def test_dropout_backward(rng):
    x, dy, mask, p = rng.normal(size=(5, 6)), rng.normal(size=(5, 6)), rng.random((5, 6)) < 0.7, 0.3
    true = slope(dropout, dy, "x", x=x, mask=mask, p=p)
    assert off(dy * mask, true) == pytest.approx(p, abs=1e-6)
    assert off(dropout.backward(dy, dropout.forward(x, mask, p)[1]), true) < EXACT


def test_fan_out_of_a_convolution(rng):
    weight = initializers.xavier_normal((32, 3, 7, 7), rng)
    printed, right = 2 / (3 * 49 + 32), 2 / (3 * 49 + 32 * 49)
    assert weight.var() == pytest.approx(right, rel=0.1)
    assert printed > 5 * right


def test_convolution_gradients_have_no_scale(rng):
    x, weight, bias = rng.normal(size=(2, 3, 5, 5)), rng.normal(size=(4, 3, 2, 2)), rng.normal(size=4)
    dy, window = rng.normal(size=(2, 4, 4, 4)), Window((2, 2))
    arguments = dict(x=x, weight=weight, bias=bias, window=window)
    s = 1 / (2 * 3 * 4 * 2 * 2 * 5 * 5)
    dweight, dx = np.zeros_like(weight), np.zeros_like(x)
    for row, column in np.ndindex(4, 4):
        seen = (slice(None), slice(None), slice(row, row + 2), slice(column, column + 2))
        dweight += np.einsum("bo,bihw->oihw", dy[:, :, row, column], x[seen])
        dx[seen] += np.einsum("bo,oihw->bihw", dy[:, :, row, column], weight)  # the full convolution
    gradients = conv.backward(dy, conv.forward(**arguments)[1])
    sums = dict(x=dx, weight=dweight, bias=dy.sum(axis=(0, 2, 3)))
    for (name, unscaled), ours in zip(sums.items(), gradients, strict=True):
        true = slope(conv, dy, name, **arguments)
        assert off(s * unscaled, true) > 0.99
        assert off(unscaled, true) < EXACT
        assert off(ours, true) < EXACT


def test_max_pooling_looks_at_its_window(rng):
    x, dy, window = rng.permutation(32).reshape(1, 2, 4, 4) + 0.0, rng.normal(size=(1, 2, 2, 2)), Window((2, 2), stride=2)
    y, cache = max_pool.forward(x, window)
    of_windows = x.reshape(1, 2, 2, 2, 2, 2).max(axis=(3, 5))
    assert off(np.broadcast_to(x.max(axis=(2, 3), keepdims=True), y.shape), of_windows) > 0.1
    np.testing.assert_array_equal(y, of_windows)
    printed = np.zeros_like(x)
    for channel, row, column in np.ndindex(2, 2, 2):
        printed[0, channel] = (x[0, channel] == x[0, channel].max()) * dy[0, channel, row, column]  # ←, not +=
    true = slope(max_pool, dy, "x", x=x, window=window)
    assert off(printed, true) > 0.5
    assert off(max_pool.backward(dy, cache), true) < EXACT


def test_recurrent_gradients(rng):
    x, h, dy = rng.normal(size=(4, 3, 5)), rng.normal(size=(3, 5)), rng.normal(size=(4, 3, 5))
    weights = dict(weight_ih=rng.normal(size=(5, 5)), weight_hh=rng.normal(size=(5, 5)), bias_ih=np.zeros(5), bias_hh=np.zeros(5))
    (states, _), cache = rnn.forward(x, h, **weights)

    def backward(back, row_of):
        """Algorithm 8, with what takes the gradient to h_{t−1}, and with what stands for each row of x."""
        dh, dh_next, dweight = np.zeros_like(h), np.zeros_like(h), np.zeros((5, 5))
        for t in reversed(range(4)):
            dl = (dy[t] + dh_next) * (1 - states[t] ** 2)
            dweight += dl.T @ row_of(x[t])
            dh_next = dh = dl @ back
        return dh, dweight

    def value(**changed):
        return float((dy * rnn.forward(**{"x": x, "h": h, **weights, **changed})[0][0]).sum())

    true_h = numerical_gradient(lambda v: value(h=v), h)
    true_weight = numerical_gradient(lambda v: value(weight_ih=v), weights["weight_ih"])
    printed = backward(weights["weight_ih"], lambda row: np.tile(row.mean(axis=0), (3, 1)))  # W_ρ is never defined; W is not it
    assert off(printed[0], true_h) > 0.3
    assert off(printed[1], true_weight) > 0.3
    dh, dweight = backward(weights["weight_hh"], lambda row: row)
    assert off(dh, true_h) < EXACT
    assert off(dweight, true_weight) < EXACT
    ours = rnn.backward((dy, np.zeros_like(h)), cache)
    assert off(ours[1], true_h) < EXACT
    assert off(ours[2], true_weight) < EXACT


def test_attention_mask_is_added(rng):
    q, k, v = rng.normal(size=(3, 1, 5, 4))
    scores = (q @ k.swapaxes(-1, -2))[0] / 2
    multiplied = scores * np.where(np.triu(np.ones((5, 5), bool), 1), -np.inf, 1)
    assert (multiplied == np.inf).any()  # a negative score, masked, becomes the largest of all
    with np.errstate(invalid="ignore"):
        assert np.isnan(np.exp(multiplied - multiplied.max(axis=-1, keepdims=True))).any()
    y, _ = scaled_dot_product.forward(q, k, v, causal=True)
    changed, _ = scaled_dot_product.forward(q, k + np.eye(5)[:, 4:] * 9, v, causal=True)
    np.testing.assert_array_equal(y[:, :4], changed[:, :4])  # no query sees the last key but the last
    nothing, _ = scaled_dot_product.forward(q, k, v, mask=np.full((5, 5), -np.inf))
    np.testing.assert_array_equal(nothing, 0)


def test_attention_scale_with_several_heads(rng):
    heads, d = 8, 64
    q, k = rng.normal(size=(2, 400, d // heads))
    assert (q @ k.T / math.sqrt(d)).var() == pytest.approx(1 / heads, rel=0.1)  # nearly uniform attention
    assert (q @ k.T / math.sqrt(d // heads)).var() == pytest.approx(1, rel=0.1)
    weights = softmax.forward(q @ k.T / math.sqrt(d // heads))[0]
    assert off(scaled_dot_product.forward(q, k, np.eye(400))[0], weights) < 1e-12


def test_attention_backward(rng):
    q, k, v, dy = rng.normal(size=(4, 5, 5))  # as many positions as columns, so that the printed products exist
    a, d = softmax.forward(q @ k.T / math.sqrt(5))[0], 5

    def through_softmax(da):
        return a * (da - (a * da).sum(axis=-1, keepdims=True)) / math.sqrt(d)

    printed = through_softmax(v @ dy.T) @ k, through_softmax(v @ dy.T) @ q, a @ dy
    right = through_softmax(dy @ v.T) @ k, through_softmax(dy @ v.T).T @ q, a.T @ dy
    ours = scaled_dot_product.backward(dy, scaled_dot_product.forward(q, k, v)[1])
    for i, name in enumerate("qkv"):
        true = slope(scaled_dot_product, dy, name, q=q, k=k, v=v)
        assert off(printed[i], true) > 0.5
        assert off(right[i], true) < EXACT
        assert off(ours[i], true) < EXACT


def test_binary_cross_entropy():
    p, target, eps = np.array([0.001, 0.4, 0.999]), np.array([0.0, 1.0, 1.0]), 0.01
    true = numerical_gradient(lambda p: float(-(target * np.log(p + eps) + (1 - target) * np.log(1 - p + eps)).mean()), p)
    printed = (p - target) / (p * (1 - p) + eps) / 3
    assert off(printed[[0, 2]], true[[0, 2]]) > 0.9  # where p is nearly right, it stops learning
    assert off((-target / (p + eps) + (1 - target) / (1 - p + eps)) / 3, true) < EXACT
    assert off(losses.bce(p, target, eps=eps)[1], true) < EXACT


def test_hinge_embedding():
    y, target = np.array([0.3, 2.0, 0.3, 2.0]), np.array([1.0, 1.0, -1.0, -1.0])
    printed = np.maximum(0, 1 - y * target)
    definition = np.where(target == 1, y, np.maximum(0, 1 - y))
    assert off(printed, definition) > 0.5
    assert losses.hinge_embedding(y, target)[0] == pytest.approx(definition.mean())
    assert losses.hinge(y, target)[0] == pytest.approx(printed.mean())  # what is printed has a name of its own


def test_gelu_derivative():
    x = np.linspace(-3, 3, 41)
    u, c = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3), math.sqrt(2 / math.pi)
    true = slope(gelu_tanh, np.ones_like(x), "x", x=x)
    outer, inner = 0.5 * (1 + np.tanh(u)), 0.5 * x / np.cosh(u) ** 2
    assert off(outer + inner, true) > 0.03
    assert off(outer + inner * c * (1 + 3 * 0.044715 * x**2), true) < EXACT
    assert off(gelu_tanh.backward(np.ones_like(x), gelu_tanh.forward(x)[1]), true) < EXACT


def test_gelu_is_not_silu():
    x = np.linspace(-5, 5, 201)
    exact = gelu.forward(x)[0]
    assert np.abs(silu.forward(x)[0] - exact).max() > 0.18
    assert np.abs(x * sigmoid(1.702 * x) - exact).max() < 0.021


def test_mish_derivative():
    x = np.linspace(-3, 3, 41)
    softplus = np.log1p(np.exp(x))
    true = slope(mish, np.ones_like(x), "x", x=x)
    assert off(np.tanh(softplus) + x / np.cosh(softplus), true) > 0.5
    assert off(np.tanh(softplus) + x / np.cosh(softplus) ** 2 * sigmoid(x), true) < EXACT
    assert off(mish.backward(np.ones_like(x), mish.forward(x)[1]), true) < EXACT
