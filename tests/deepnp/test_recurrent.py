"""Recurrent operations and layers: lengths, truncation, carried states, stacks."""

import copy
from functools import partial

import numpy as np
import pytest

import deepnp
from deepnp import Linear, Sequential
from deepnp.cases import dot, draw, tupled
from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error
from deepnp.layers.recurrent import GRU, LSTM, RNN
from deepnp.ops.recurrent import gru, lstm, rnn

OPS = [rnn, lstm, gru]
MAKERS = [partial(RNN, dtype=np.float64), partial(LSTM, dtype=np.float64), partial(GRU, dtype=np.float64)]
T, B, C, H = 7, 3, 4, 5  # steps, batch, inputs, hidden


@pytest.fixture(params=OPS, ids=["rnn", "lstm", "gru"])
def op(request):
    return request.param


@pytest.fixture(params=MAKERS, ids=["RNN", "LSTM", "GRU"])
def make(request):
    return request.param


def problem(op, rng, steps=T, dtype=np.float64):
    """x, states, weights and upstream gradients of y and the states."""
    case = draw({**op.CASES[0], "x": (steps, B, C), "dy": (steps, B, H)}, rng, dtype)
    x, dy, states = case.pop("x"), case.pop("dy"), [case.pop(name) for name in ("h", "c")[: op.STATES]]
    return x, states, list(case.values()), dy, [rng.normal(size=(B, H)).astype(dtype) for _ in states]


def in_chunks(op, x, states, weights, dy, dstates, size):
    """Outputs and gradients of chunks of `size` steps run one after the other, each with its first state held constant."""
    starts, ys, dxs, dweights = range(0, len(x), size), [], [], [0] * len(weights)
    for start in starts:
        (y, *after), cache = op.forward(x[start : start + size], *states, *weights)
        last = start + size >= len(x)
        upstream = dstates if last else [np.zeros_like(d) for d in dstates]
        dx, *rest = op.backward((dy[start : start + size], *upstream), cache)
        if start == 0:
            dfirst = rest[: op.STATES]
        dweights = [a + b for a, b in zip(dweights, rest[op.STATES :], strict=True)]
        ys.append(y)
        dxs.append(dx)
        states = after
    return (np.concatenate(ys), *states), (np.concatenate(dxs), *dfirst, *dweights)


def assert_all_close(given, expected, tolerance=1e-12):
    for a, b in zip(tupled(given), tupled(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("span", [1, 2, 3, 6, 7, 9])
def test_truncation_is_the_gradient_of_chunks_with_their_first_state_held_constant(op, span, rng, kernels):
    x, states, weights, dy, dstates = problem(op, rng)
    y, cache = op.forward(x, *states, *weights, span=span)
    expected_y, expected = in_chunks(op, x, states, weights, dy, dstates, span)
    assert_all_close(y, expected_y)
    assert_all_close(op.backward((dy, *dstates), cache), expected)


def test_truncation_changes_the_gradient_and_not_the_output(op, rng):
    x, states, weights, dy, dstates = problem(op, rng)
    whole, cache = op.forward(x, *states, *weights)
    cut, cut_cache = op.forward(x, *states, *weights, span=3)
    for a, b in zip(whole, cut, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(op.backward((dy, *dstates), cache), op.backward((dy, *dstates), cut_cache), strict=True):
        assert np.abs(a - b).max() > 1e-3


@pytest.mark.parametrize("span", [None, 2, 3])
def test_lengths_give_what_each_sequence_gives_alone(op, span, rng, kernels):
    x, states, weights, dy, dstates = problem(op, rng)
    lengths = np.array([4, 7, 1])
    (y, *last), cache = op.forward(x, *states, *weights, lengths=lengths, span=span)
    dx, *rest = op.backward((dy, *dstates), cache)
    dweights = [0] * len(weights)
    for b, n in enumerate(lengths):
        one = slice(b, b + 1)
        alone, cache = op.forward(x[:n, one], *(s[one] for s in states), *weights, span=span)
        gradients = op.backward((dy[:n, one], *(d[one] for d in dstates)), cache)
        assert_all_close((y[:n, one], *(part[one] for part in last)), alone)
        assert_all_close((dx[:n, one], *(d[one] for d in rest[: op.STATES])), gradients[: 1 + op.STATES])
        assert not y[n:, b].any()
        assert not dx[n:, b].any()
        dweights = [a + d for a, d in zip(dweights, gradients[1 + op.STATES :], strict=True)]
    assert_all_close(tuple(rest[op.STATES :]), tuple(dweights))


def test_a_length_of_zero_passes_the_state_and_its_gradient(op, rng, kernels):
    x, states, weights, dy, dstates = problem(op, rng)
    (y, *last), cache = op.forward(x, *states, *weights, lengths=np.zeros(B, int))
    gradients = op.backward((dy, *dstates), cache)
    assert not y.any()
    assert_all_close(tuple(last), tuple(states), 0)
    assert_all_close(gradients[1 : 1 + op.STATES], tuple(dstates), 0)
    assert not any(g.any() for g in (gradients[0], *gradients[1 + op.STATES :]))


def test_float32_kernels_agree_with_float64_where_gates_saturate(op, rng):
    x, states, weights, dy, dstates = problem(op, rng, 20, np.float32)
    arguments = (30 * x, *states, *weights)
    y, cache = op.forward(*arguments)
    gradients = op.backward((dy, *dstates), cache)
    exact, exact_cache = op.forward(*(a.astype(np.float64) for a in arguments))
    expected = op.backward(tuple(d.astype(np.float64) for d in (dy, *dstates)), exact_cache)
    for given, right in zip((*y, *gradients), (*exact, *expected), strict=True):
        assert given.dtype == np.float32
        np.testing.assert_allclose(given, right, rtol=1e-3, atol=1e-5)  # 1 − y² is coarse where y is nearly 1
    enormous, _ = op.forward(1e6 * x, *states, *weights)
    assert all(np.isfinite(part).all() for part in enormous)


def test_names_and_shapes_are_those_of_pytorch(make):
    net = make(C, H, num_layers=2)
    rows = net.op.GATES * H
    shapes = {name: value.shape for name, value in net.state_dict().items()}
    assert list(shapes.items()) == [
        ("weight_ih_l0", (rows, C)),
        ("weight_hh_l0", (rows, H)),
        ("bias_ih_l0", (rows,)),
        ("bias_hh_l0", (rows,)),
        ("weight_ih_l1", (rows, H)),
        ("weight_hh_l1", (rows, H)),
        ("bias_ih_l1", (rows,)),
        ("bias_hh_l1", (rows,)),
    ]
    assert repr(net) == f"{make.func.__name__}(4, 5, num_layers=2)"


def test_initial_weights_fill_pytorchs_range_and_follow_the_seed(make):
    one, two = (make(C, 16, rng=np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one.flat.data, two.flat.data)
    assert 0.24 < np.abs(one.flat.data).max() <= 0.25


@pytest.mark.parametrize("returns", ["all", "last"])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("lengths", [None, [3, 1]])
def test_gradients_of_a_stack(make, returns, batch_first, lengths, rng, kernels):
    net = make(2, 3, num_layers=2, batch_first=batch_first, returns=returns, rng=rng)
    x = rng.normal(size=(2, 4, 2) if batch_first else (4, 2, 2))
    state = tuple(rng.normal(size=(2, 2, 3)) for _ in range(net.op.STATES))
    whole = state if len(state) > 1 else state[0]
    y, last = net.forward_state(x, whole, lengths)
    dy, dlast = rng.normal(size=y.shape), tuple(rng.normal(size=part.shape) for part in tupled(last))
    assert y.shape == ((2, 3) if returns == "last" else (*x.shape[:2], 3))
    net.zero_grad()
    dx, dstate = net.backward_state(dy, dlast if len(dlast) > 1 else dlast[0])

    def value(x=x, state=whole):
        y, last = net.predict_state(x, state, lengths)
        return dot(dy, y) + dot(dlast, last)

    assert relative_error(dx, numerical_gradient(lambda v: value(x=v), x)) < TOLERANCE
    for k, d in enumerate(tupled(dstate)):

        def of_state(v, k=k):
            moved = tuple(v if j == k else part for j, part in enumerate(state))
            return value(state=moved if len(moved) > 1 else moved[0])

        assert relative_error(d, numerical_gradient(of_state, state[k])) < TOLERANCE
    for name, p in net.named_parameters():

        def of_parameter(v, p=p):
            before = p.data.copy()
            p.data[...] = v
            result = value()
            p.data[...] = before
            return result

        assert relative_error(p.grad, numerical_gradient(of_parameter, p.data.copy())) < TOLERANCE, name


@pytest.mark.parametrize("returns", ["all", "last"])
def test_backward_is_backward_state_without_a_gradient_of_the_final_state(make, returns, rng):
    net, x = make(C, H, num_layers=2, returns=returns, rng=rng), rng.normal(size=(T, B, C))
    y, last = net.forward_state(x)
    dy, zeros = rng.normal(size=y.shape), tuple(np.zeros_like(part) for part in tupled(last))
    np.testing.assert_array_equal(net.backward(dy), net.backward_state(dy, zeros if len(zeros) > 1 else zeros[0])[0])


def test_the_last_output_is_the_top_layers_final_state(make, rng):
    every, last = (make(C, H, num_layers=2, returns=returns, rng=np.random.default_rng(1)) for returns in ("all", "last"))
    x, lengths = rng.normal(size=(T, B, C)), np.array([2, 7, 5])
    y, state = every.forward_state(x, lengths=lengths)
    np.testing.assert_array_equal(last.forward(x, lengths=lengths), y[lengths - 1, np.arange(B)])
    np.testing.assert_array_equal(last.forward(x, lengths=lengths), tupled(state)[0][1])


def test_a_state_carried_forth_and_its_gradient_back_equal_one_long_sequence(make, rng, kernels):
    x, dy = rng.normal(size=(T, B, C)), rng.normal(size=(T, B, H))
    net = make(C, H, num_layers=2, rng=rng)
    net.zero_grad()
    y, last = net.forward_state(x)
    dx = net.backward(dy)
    whole = net.flat.grad.copy()
    net.zero_grad()
    first_y, middle = net.forward_state(x[:3])
    first_cache = net._cache
    second_y, end = net.forward_state(x[3:], middle)
    second_dx, dmiddle = net.backward_state(dy[3:])
    net._cache = first_cache
    first_dx, _ = net.backward_state(dy[:3], dmiddle)
    assert_all_close((np.concatenate([first_y, second_y]), *tupled(end)), (y, *tupled(last)))
    assert_all_close((np.concatenate([first_dx, second_dx]), net.flat.grad), (dx, whole))


def test_a_stack_is_truncated_in_chunks_as_a_whole(make, rng):
    x, dy = rng.normal(size=(T, B, C)), rng.normal(size=(T, B, H))
    net, cut = (make(C, H, num_layers=2, span=span, rng=np.random.default_rng(1)) for span in (None, 3))
    cut(x)
    cut.zero_grad()
    dx, state, net_dx = cut.backward(dy), None, []
    net.zero_grad()
    for start in range(0, T, 3):
        _, state = net.forward_state(x[start : start + 3], state)
        net_dx.append(net.backward(dy[start : start + 3]))
    assert_all_close((dx, cut.flat.grad), (np.concatenate(net_dx), net.flat.grad))


def test_batch_first_is_the_same_with_two_axes_swapped(make, rng):
    one, two = (make(C, H, batch_first=first, rng=np.random.default_rng(1)) for first in (False, True))
    x, dy, lengths = rng.normal(size=(T, B, C)), rng.normal(size=(T, B, H)), [7, 2, 4]
    y, swapped = one.forward(x, lengths=lengths), two.forward(x.swapaxes(0, 1), lengths=lengths)
    np.testing.assert_array_equal(swapped, y.swapaxes(0, 1))
    np.testing.assert_array_equal(two.backward(dy.swapaxes(0, 1)), one.backward(dy).swapaxes(0, 1))
    assert swapped.flags.c_contiguous  # so that kernels may follow


def test_backward_adds_to_gradients_and_can_skip_either_side(make, rng):
    net, dy = make(C, H, num_layers=2, rng=rng), rng.normal(size=(T, B, H))
    net(rng.normal(size=(T, B, C)))
    net.zero_grad()
    dx = net.backward(dy)
    once = net.flat.grad.copy()
    np.testing.assert_array_equal(net.backward(dy, params=False), dx)
    np.testing.assert_array_equal(net.flat.grad, once)
    assert net.backward(dy, inputs=False) is None
    np.testing.assert_allclose(net.flat.grad, 2 * once)


def test_predict_equals_forward_and_keeps_the_cache(make, rng):
    net, x, dy = make(C, H, rng=rng), rng.normal(size=(T, B, C)), rng.normal(size=(T, B, H))
    y = net(x)
    dx = net.backward(dy)
    np.testing.assert_array_equal(net.predict(x), y)
    net.predict(x[:2])
    np.testing.assert_array_equal(net.backward(dy), dx)


def test_trains_inside_a_sequential(make, rng):
    net = Sequential(make(C, H, batch_first=True, returns="last", rng=rng), Linear(H, 2, rng=rng)).to(np.float64)
    x, dy = rng.normal(size=(B, T, C)), rng.normal(size=(B, 2))
    assert net(x).shape == (B, 2)
    dx = net.backward(dy)
    assert relative_error(dx, numerical_gradient(lambda v: float((dy * net.predict(v)).sum()), x)) < TOLERANCE


def test_empty_batch_gives_zero_gradients(make, kernels):
    for returns in ("all", "last"):
        net = make(C, H, num_layers=2, returns=returns)
        y = net.forward(np.zeros((T, 0, C)), lengths=np.zeros(0, int))
        net.zero_grad()
        assert net.backward(y).shape == (T, 0, C)
        assert not net.flat.grad.any()


def test_a_float64_state_does_not_widen_a_float32_layer(rng):
    for make in (RNN, LSTM, GRU):
        net = make(C, H, rng=rng)
        state = (np.zeros((1, B, H)), np.zeros((1, B, H))) if make is LSTM else np.zeros((1, B, H))
        y, last = net.forward_state(rng.normal(size=(T, B, C)).astype(np.float32), state)
        assert {part.dtype for part in (y, *tupled(last))} == {np.dtype(np.float32)}


def test_relu_differs_from_tanh(rng):
    x = rng.normal(size=(T, B, C)).astype(np.float32)
    tanh, relu = (RNN(C, H, nonlinearity=name, rng=np.random.default_rng(1)) for name in ("tanh", "relu"))
    assert (relu(x) >= 0).all()
    assert (tanh(x) < 0).any()


def test_a_deep_copy_is_a_twin_of_its_own(make, rng):
    net, x = make(C, H, rng=rng), rng.normal(size=(T, B, C))
    y = net(x)
    twin = copy.deepcopy(net)
    np.testing.assert_array_equal(twin(x), y)
    twin.flat.data[...] = 0
    np.testing.assert_array_equal(net(x), y)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LSTM(0, H), "positive input_size, given 0"),
        (lambda: LSTM(C, -1), "positive hidden_size, given -1"),
        (lambda: GRU(C, H, num_layers=0), "positive num_layers, given 0"),
        (lambda: GRU(C, H, span=0), "positive span, given 0"),
        (lambda: RNN(C, H, nonlinearity="sine"), '"tanh" or "relu", given \'sine\''),
        (lambda: RNN(C, H, returns="first"), '"all" or "last", given \'first\''),
        (lambda: run(LSTM, np.zeros(C)), r"shape \(T, B, 4\), or \(T, 4\), given \(4,\)"),
        (lambda: run(LSTM, np.zeros((T, B, 3))), r"shape \(T, B, 4\), .* given \(7, 3, 3\)"),
        (lambda: run(LSTM, np.zeros((B, T, 3)), batch_first=True), r"shape \(B, T, 4\), .* given \(3, 7, 3\)"),
        (lambda: run(LSTM, np.zeros((0, B, C))), r"at least one step, given \(0, 3, 4\)"),
        (lambda: run(GRU, np.zeros((B, 0, C)), batch_first=True), r"at least one step, given \(3, 0, 4\)"),
        (lambda: run(GRU, state=np.zeros((B, H))), r"state of shape \(1, 3, 5\), given \(3, 5\)"),
        (lambda: run(GRU, state=(np.zeros((1, B, H)),) * 2), "state h, one array, given 2 arrays"),
        (lambda: run(LSTM, state=np.zeros((1, B, H))), r"state \(h, c\), given 1 arrays"),
        (lambda: run(LSTM, state=(np.zeros((1, B, H)), np.zeros((1, B, 6)))), r"given \(1, 3, 5\), \(1, 3, 6\)"),
        (lambda: run(LSTM, lengths=[7, 7]), r"lengths of shape \(3,\), given \(2,\)"),
        (lambda: run(LSTM, lengths=[7, 8, 7]), "lengths from 1 to 7, given 7 to 8"),
        (lambda: run(LSTM, lengths=[0, 1, 7]), "lengths from 1 to 7, given 0 to 7"),
        (lambda: run(GRU, resets=np.zeros((B, T), bool)), r"resets for each of 7 steps of 3 sequences, given \(3, 7\)"),
        (lambda: run(GRU, resets=np.zeros((T, B), bool), bidirectional=True), "no resets of a layer that reads in both"),
    ],
)
def test_bad_input_is_refused_at_the_door(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def run(make, x=None, state=None, lengths=None, resets=None, **settings):
    return make(C, H, **settings).predict(np.zeros((T, B, C)) if x is None else x, state, lengths=lengths, resets=resets)


def test_lengths_must_be_whole_numbers_and_resets_booleans():
    with pytest.raises(TypeError, match="whole numbers as lengths, given float64"):
        run(LSTM, lengths=[1.0, 2.0, 3.0])
    with pytest.raises(TypeError, match="resets as Booleans, given int64"):
        run(LSTM, resets=np.zeros((T, B), int))


@pytest.mark.parametrize("batch_first", [False, True])
def test_pytorchs_weights_give_pytorchs_outputs_and_gradients(make, batch_first, rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    theirs = getattr(torch.nn, make.func.__name__)(C, H, 3, batch_first=batch_first).double()
    ours = make(C, H, 3, batch_first=batch_first)
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    x = torch.from_numpy(rng.normal(size=(T, B, C))).requires_grad_()
    state = [torch.from_numpy(rng.normal(size=(3, x.shape[not batch_first and 1], H))) for _ in range(ours.op.STATES)]
    their_y, their_last = theirs(x, tuple(state) if len(state) > 1 else state[0])
    given = [s.numpy() for s in state]
    y, last = ours.forward_state(x.detach().numpy(), tuple(given) if len(given) > 1 else given[0])
    dy = rng.normal(size=y.shape)
    their_y.backward(torch.from_numpy(dy))
    ours.zero_grad()
    dx = ours.backward(dy)
    for a, b in zip((y, *tupled(last)), (their_y, *tupled(their_last)), strict=True):
        assert relative_error(a, b.detach().numpy()) < 1e-9
    assert relative_error(dx, x.grad.numpy()) < 1e-9
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert relative_error(p.grad, q.grad.numpy()) < 1e-9


def test_kernels_really_run_in_float32(op, rng, monkeypatch):
    if op is rnn:
        pytest.skip("has no kernels of its own")
    x, states, weights, dy, dstates = problem(op, rng, dtype=np.float32)
    monkeypatch.setattr(op, "step_plain", None)
    monkeypatch.setattr(op, "step_backward_plain", None)
    _, cache = op.forward(x.swapaxes(0, 1).copy().swapaxes(0, 1), *states, *weights)
    op.backward((dy, *dstates), cache)
    deepnp.use_kernels(False)
    try:
        with pytest.raises(TypeError):
            op.forward(x, *states, *weights)
    finally:
        deepnp.use_kernels(True)
