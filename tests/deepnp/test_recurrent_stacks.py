"""Recurrent layers as PyTorch has them: both directions, dropout between layers, no biases, single sequences, positions."""

import inspect

import numpy as np
import pytest

from deepnp import GRU, LSTM, RNN, RNNBase
from deepnp.cases import dot, tupled
from deepnp.gradcheck import TOLERANCE, check_module, relative_error
from deepnp.layers.directions import reversed_in_time

T, B, C, H = 5, 3, 4, 6
SETTINGS = {
    "bidirectional": dict(bidirectional=True),
    "two layers": dict(num_layers=2, bidirectional=True),
    "batch first": dict(num_layers=2, bidirectional=True, batch_first=True),
    "without bias": dict(num_layers=2, bias=False),
    "dropout": dict(num_layers=3, dropout=0.4, bidirectional=True),
    "last": dict(num_layers=2, bidirectional=True, returns="last"),
    "truncated": dict(num_layers=2, span=2),
}


@pytest.fixture(params=[RNN, LSTM, GRU], ids=lambda make: make.__name__)
def make(request):
    return request.param


@pytest.fixture(params=SETTINGS)
def settings(request):
    return SETTINGS[request.param]


def sequences(rng, settings):
    x = rng.normal(size=(T, B, C))
    return np.ascontiguousarray(x.swapaxes(0, 1)) if settings.get("batch_first") else x


@pytest.mark.parametrize("lengths", [None, [3, 5, 1]])
def test_gradients(make, settings, lengths, rng, kernels):
    if "span" in settings:
        pytest.skip("a truncated gradient is not the derivative")
    net = make(C, H, rng=rng, **settings)
    for name, error in check_module(net, sequences(rng, settings), directions=1, lengths=lengths).items():
        assert error < TOLERANCE, name


@pytest.mark.parametrize("lengths", [None, [3, 5, 1]])
def test_forward_mode_is_the_transpose_of_backward(make, settings, lengths, rng, kernels):
    net = make(C, H, rng=rng, dtype=np.float64, **settings)
    x = sequences(rng, settings)
    y = net(x, lengths=lengths)
    dy, vx, v = rng.normal(size=y.shape), rng.normal(size=x.shape), rng.normal(size=len(net.flat))
    dx = net.backward(dy)
    expected = dot(dx, vx) + dot(net.flat.grad, v)
    assert abs(dot(net.jvp(v, vx), dy) - expected) < 1e-10 * max(1, abs(expected))


def test_other_shapes_of_the_upstream_gradient_are_refused(make, settings, rng, kernels):
    net = make(C, H, rng=rng, **settings)
    first, *rest = net(sequences(rng, settings).astype(np.float32)).shape
    wrong = [rest, (first // 2, *rest), (2 * first, *rest), (1, first, *rest), (first, *rest[:-1], rest[-1] + 1), (1, *rest)]
    for shape in map(tuple, wrong):
        with pytest.raises(ValueError, match=r"expected dy.*given"):
            net.backward(np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match="expected state of shape"):
        net.backward_state(np.zeros((first, *rest), np.float32), tuple([np.zeros((1, B, H + 1))] * net.op.STATES))


def test_one_sequence_is_a_batch_of_one(make, settings, rng, kernels):
    if settings.get("dropout"):
        settings = settings | dict(dropout=0.0)
    net = make(C, H, rng=rng, dtype=np.float64, **settings)
    x = rng.normal(size=(T, C))
    axis = 0 if settings.get("batch_first") or settings.get("returns") == "last" else 1
    y, last = net.forward_state(x)
    dy = rng.normal(size=y.shape)
    dx = net.backward(dy)
    batched = x[None] if settings.get("batch_first") else x[:, None]
    expected, expected_last = net.forward_state(batched)
    np.testing.assert_array_equal(y, expected.squeeze(axis))
    for part, whole in zip(tupled(last), tupled(expected_last), strict=True):
        np.testing.assert_array_equal(part, whole[:, 0])
    np.testing.assert_array_equal(dx, net.backward(np.expand_dims(dy, axis)).reshape(T, C))
    assert net.predict(x, last).shape == y.shape


def test_the_other_direction_reads_the_mirrored_sequence(make, rng):
    both, one = make(C, H, bidirectional=True, rng=rng), make(C, H, rng=rng)
    one.load_state_dict({name: both.state_dict()[f"{name}_reverse"] for name in one.state_dict()})
    x, lengths = rng.normal(size=(T, B, C)).astype(np.float32), np.array([3, 5, 1])
    y = both(x, lengths=lengths)[..., H:]
    for b, n in enumerate(lengths):  # each sequence alone, its own steps backwards
        np.testing.assert_allclose(y[:n, b], one(x[:n][::-1, b])[::-1], rtol=1e-5, atol=1e-6)
        assert not y[n:, b].any()
    np.testing.assert_array_equal(reversed_in_time(reversed_in_time(x, lengths), lengths), x)


def test_dropout_acts_in_training_and_between_layers_only(make, rng):
    x = rng.normal(size=(T, B, C)).astype(np.float32)
    net, plain = (make(C, H, 2, dropout=p, rng=np.random.default_rng(1)) for p in (0.5, 0.0))
    np.testing.assert_array_equal(net.predict(x), plain(x))
    assert (net(x) != plain(x)).any()
    single, same = (make(C, H, 1, dropout=p, rng=np.random.default_rng(1)) for p in (0.5, 0.0))
    np.testing.assert_array_equal(single(x), same(x))
    with pytest.raises(ValueError, match="p in"):
        make(C, H, 2, dropout=1.0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_ended_steps_are_not_used_whatever_they_hold(make, value, rng, kernels):
    net, lengths = make(C, H, 2, bidirectional=True, rng=rng), np.array([3, 5, 1])
    x = rng.normal(size=(T, B, C)).astype(np.float32)
    spoiled = np.where((np.arange(T)[:, None] < lengths)[..., None], x, np.float32(value))
    y, dx = net(x, lengths=lengths), net.backward(np.ones((T, B, 2 * H), np.float32))
    once = net.flat.grad.copy()
    net.zero_grad()
    np.testing.assert_array_equal(net(spoiled, lengths=lengths), y)
    np.testing.assert_array_equal(net.backward(np.ones_like(y)), dx)
    np.testing.assert_array_equal(net.flat.grad, once)


@pytest.mark.parametrize("dtype", ["<f2", ">f4", ">f8", "longdouble"])
def test_types_that_no_kernel_takes_go_the_plain_way(make, dtype, rng):
    net, exact = (make(C, H, rng=np.random.default_rng(1), dtype=d) for d in (np.float32, np.float64))
    x = rng.normal(size=(T, B, C)).astype(dtype)
    y = net(x)
    dx = net.backward(np.ones(y.shape, dtype))
    np.testing.assert_allclose(y.astype(float), exact(x.astype(float)), rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(dx.astype(float), exact.backward(np.ones(y.shape)), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, bool])
def test_integers_are_refused(make, dtype):
    with pytest.raises(TypeError, match=f"floating-point numbers, given {np.dtype(dtype)}"):
        make(C, H)(np.ones((T, B, C), dtype))
    state = tuple([np.zeros((1, B, H), dtype)] * make.op.STATES)
    with pytest.raises(TypeError, match="state of floating-point numbers"):
        make(C, H)(np.ones((T, B, C), np.float32), state)


def test_classes_and_calls(make, rng):
    net = make(C, H, rng=rng)
    assert isinstance(net, RNNBase)
    assert type(net) is make
    x = rng.normal(size=(T, B, C)).astype(np.float32)
    y, state = net.forward_state(x)
    np.testing.assert_array_equal(net(x, state), net.forward(x, state=state))
    assert (net(x, state) != y).any()


POSITIONAL = ["input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional"]


def test_positions_mean_what_they_mean_in_pytorch(make):
    parameters = inspect.signature(make).parameters.values()
    expected = POSITIONAL if make is not RNN else [*POSITIONAL[:3], "nonlinearity", *POSITIONAL[3:]]
    assert [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == expected


def test_states_are_named_and_ordered_as_in_pytorch(make):
    one, two = ("weight_ih", "weight_hh", "bias_ih", "bias_hh"), ("weight_ih", "weight_hh")
    both = make(C, H, 2, bidirectional=True).state_dict()
    assert list(both) == [f"{name}_l{layer}{way}" for layer in (0, 1) for way in ("", "_reverse") for name in one]
    assert both["weight_ih_l1"].shape[1] == 2 * H
    assert list(make(C, H, 2, bias=False).state_dict()) == [f"{name}_l{layer}" for layer in (0, 1) for name in two]


@pytest.mark.parametrize("lengths", [None, [3, 5, 1]])
@pytest.mark.parametrize("bias", [True, False])
def test_both_directions_agree_with_pytorch(make, bias, lengths, rng, kernels):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    rnn = torch.nn.utils.rnn
    theirs = getattr(torch.nn, make.__name__)(C, H, 2, bias=bias, bidirectional=True).double()
    ours = make(C, H, 2, bias=bias, bidirectional=True, dtype=np.float64)
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    x = torch.from_numpy(rng.normal(size=(T, B, C))).requires_grad_()
    given = x if lengths is None else rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    their_y, their_last = theirs(given)
    if lengths is not None:
        their_y = rnn.pad_packed_sequence(their_y, total_length=T)[0]
    y, last = ours.forward_state(x.detach().numpy(), lengths=lengths)
    for a, b in zip((y, *tupled(last)), (their_y, *tupled(their_last)), strict=True):
        assert relative_error(a, b.detach().numpy()) < 1e-9
    dy, dlast = rng.normal(size=y.shape), tuple(rng.normal(size=part.shape) for part in tupled(last))
    outputs = zip((their_y, *tupled(their_last)), (dy, *dlast), strict=True)
    sum((t * torch.from_numpy(d)).sum() for t, d in outputs).backward()
    dx, _ = ours.backward_state(dy, dlast if len(dlast) > 1 else dlast[0])
    assert relative_error(dx, x.grad.numpy()) < 1e-9
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert relative_error(p.grad, q.grad.numpy()) < 1e-9
