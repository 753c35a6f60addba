"""Networks with memory, of every kind: read step by step or as whole sequences, with gradients through time.

Shapes: T steps, S sequences, O observation, A outputs.
"""

import numpy as np
import pytest

from deepnp import Tanh
from deepnp.gradcheck import relative_error
from deepnp.models import mlp
from rl.experience.sequences import Ends, Sequences
from rl.experience.spaces import Leaf, ObservationLayout
from rl.networks.attention import AttentionMemory
from rl.networks.encoders import network
from rl.networks.memory import MEMORIES, Remembering, forgotten
from rl.networks.recurrent import RecurrentMemory

T, S, OBSERVATION, A, SIZE, SPAN = 11, 3, 4, 2, 8, 4
LAYOUT = ObservationLayout((Leaf((), "vector", (OBSERVATION,), "float32"),))


@pytest.fixture(params=MEMORIES)
def kind(request):
    return request.param


def remembering(kind, rng, span=SPAN, dtype=np.float64):
    if kind == "attention":
        memory = AttentionMemory("net", network(LAYOUT, (6,), SIZE, Tanh, rng), SIZE, span, rng)
    else:
        memory = RecurrentMemory("net", kind, network(LAYOUT, (6,), 5, Tanh, rng), 5, SIZE, span, rng)
    return Remembering(memory, mlp((SIZE, A), rng=rng)).to(dtype)


def sequences(net, rng, steps=T, state=None, resets=0.3, valid=1.0, **others):
    x, resets = rng.normal(size=(steps, S, OBSERVATION)), rng.random((steps, S)) < resets
    state = warm(net, rng) if state is None else state
    return Sequences(x, resets, rng.random((steps, S)) < valid, {"net": state}, **others)


def warm(net, rng, copies=S):
    """A state after a few steps."""
    state = net.zeros(copies)
    for _ in range(2):
        _, state = net.step(rng.normal(size=(copies, OBSERVATION)), state)
    return state


def step_by_step(net, x):
    """Outputs (T, S, A), and the states before every step and after the last."""
    state, ys, states = x.states["net"], [], [x.states["net"]]
    for observations, resets in zip(x.observations, x.resets, strict=True):
        y, state = net.step(observations, forgotten(state, resets))
        ys.append(y)
        states.append(state)
    return np.array(ys), states


def assert_close(given, expected, tolerance=1e-10):
    np.testing.assert_allclose(given, expected, rtol=0, atol=tolerance)


def test_step_by_step_equals_the_whole_sequence(kind, rng):
    net = remembering(kind, rng)
    x = sequences(net, rng, valid=0.8)
    expected, _ = step_by_step(net, x)
    assert_close(net.predict(x), expected[x.valid])
    assert_close(net.forward(x), expected[x.valid])
    assert 0 < x.valid.sum() < T * S


def test_states_are_those_that_the_steps_leave(kind, rng):
    net = remembering(kind, rng)
    x = sequences(net, rng)
    ys, states = step_by_step(net, x)
    for t, state in enumerate(net.states(x, range(T + 1))):
        rest = Sequences(x.observations[t:], x.resets[t:], x.valid[t:], {"net": state})
        if t < T:
            assert_close(net.predict(rest), ys[t:][x.valid[t:]])  # a window may hold more than what is looked at
        if kind != "attention":
            for given, expected in zip(state, states[t], strict=True):
                assert_close(given, expected)
    after, _ = net.step(x.observations[0], net.states(x, [T])[0])
    assert_close(after, net.step(x.observations[0], states[T])[0])


def test_ends_are_read_after_their_step_and_before_any_reset(kind, rng):
    net = remembering(kind, rng)
    x = sequences(net, rng, resets=0.5)
    _, states = step_by_step(net, x)
    after, sequence = np.array([0, 3, 3, T - 1]), np.array([1, 0, 2, 1])
    seen = rng.normal(size=(4, OBSERVATION))
    given = net.predict(Sequences(x.observations, x.resets, x.valid, x.states, Ends(seen, after, sequence)))
    for i, (t, n) in enumerate(zip(after, sequence, strict=True)):
        expected, _ = net.step(seen[i : i + 1], tuple(part[n : n + 1] for part in states[t + 1]))
        assert_close(given[T * S + i], expected[0])


def test_the_past_matters_and_a_reset_forgets_it(kind, rng):
    net = remembering(kind, rng)
    x, other = (sequences(net, rng, resets=0) for _ in range(2))

    def last(first, resets):
        observations = np.concatenate([first[:-1], x.observations[-1:]])
        return net.predict(Sequences(observations, resets, x.valid, x.states))[-S:]

    assert (np.abs(last(x.observations, x.resets) - last(other.observations, x.resets)) > 1e-4).any(axis=1).all()
    forgets = x.resets.copy()
    forgets[-1] = True
    assert_close(last(x.observations, forgets), last(other.observations, forgets), 0)


@pytest.mark.parametrize("valid", [1.0, 0.7])
def test_gradients_through_time_with_resets(kind, valid, rng):
    net = remembering(kind, rng, span=SPAN if kind == "attention" else T)  # truncated by span, but for attention
    x = sequences(net, rng, resets=0.15, valid=valid)
    dy = rng.normal(size=net.forward(x).shape)
    net.zero_grad()
    net.forward(x)
    net.backward(dy)
    vector = net.flat
    direction = rng.normal(size=len(vector))
    start, step = vector.data.copy(), 1e-6
    ends = []
    for sign in (1, -1):
        vector.data[...] = start + sign * step * direction
        ends.append((net.predict(x) * dy).sum())
    vector.data[...] = start
    assert relative_error(np.array(vector.grad @ direction), np.array((ends[0] - ends[1]) / (2 * step))) < 1e-6
    net.forward(x)
    assert abs((net.jvp(direction) * dy).sum() - vector.grad @ direction) < 1e-9


def test_gradients_of_each_parameter(kind, rng):
    net = remembering(kind, rng, span=SPAN if kind == "attention" else T)
    x = sequences(net, rng, resets=0.15)
    dy = rng.normal(size=net.forward(x).shape)
    net.zero_grad()
    net.backward(dy)
    for name, p in net.named_parameters():
        direction, start = rng.normal(size=p.data.shape), p.data.copy()
        ends = []
        for sign in (1, -1):
            p.data[...] = start + sign * 1e-6 * direction
            ends.append((net.predict(x) * dy).sum())
        p.data[...] = start
        expected = (ends[0] - ends[1]) / 2e-6
        assert abs((p.grad * direction).sum() - expected) < 1e-6 * max(1, abs(expected)), name


def test_permuted_sequences_give_permuted_rows(kind, rng):
    net, order = remembering(kind, rng), np.array([2, 0, 1])
    x = sequences(net, rng)
    other = Sequences(
        x.observations[:, order], x.resets[:, order], x.valid, {"net": tuple(part[order] for part in x.states["net"])}
    )
    assert_close(net.predict(other).reshape(T, S, A), net.predict(x).reshape(T, S, A)[:, order])


def test_burn_in_reads_on_to_the_state(kind, rng):
    net = remembering(kind, rng)
    whole = sequences(net, rng, resets=0.1)
    led = np.array([True, False, True])
    old, stored = whole.states["net"], net.states(whole, [5])[0]
    first = {"net": tuple(part[led] for part in old)}
    before = Sequences(whole.observations[:5, led], whole.resets[:5, led], whole.valid[:5, led], first)
    stale = tuple(part.copy() for part in stored)
    for part, before_the_burn_in in zip(stale, old, strict=True):
        part[led] = before_the_burn_in[led]
    x = Sequences(whole.observations[5:], whole.resets[5:], whole.valid[5:], {"net": stale}, burn_in=before, led=led)
    assert_close(net.forward(x), net.predict(whole)[5 * S :])


def test_truncated_gradients_end_after_span_steps(rng):
    net = remembering("lstm", rng, span=4)
    x = sequences(net, rng, steps=8, resets=0)
    dy = np.zeros((8, S, A))
    dy[4:] = 1
    net.zero_grad()
    net.forward(x)
    net.backward(dy.reshape(-1, A))
    given, middle = net.flat.grad.copy(), net.states(x, [4])[0]
    net.zero_grad()
    net.forward(Sequences(x.observations[4:], x.resets[4:], x.valid[4:], {"net": middle}))
    net.backward(dy[4:].reshape(-1, A))
    assert_close(given, net.flat.grad)


@pytest.mark.parametrize("kind", [kind for kind in MEMORIES if kind != "attention"])
def test_a_new_layer_remembers_for_about_its_span(kind, rng):
    """Without any input the state fades, but most units hold a share of it for tens of steps."""
    net = remembering(kind, rng, span=64)
    for p in net.memory.encoder.parameters():
        p.data[...] = 0
    first = net.zeros(S)
    start = tuple(np.full_like(part, 0.1) for part in first)
    x = Sequences(np.zeros((20, S, OBSERVATION)), np.zeros((20, S), bool), np.ones((20, S), bool), {"net": start})
    with_it, without = net.states(x, [20])[0], net.states(Sequences(x.observations, x.resets, x.valid, {"net": first}), [20])[0]
    assert np.abs(with_it[-1] - without[-1]).mean() > 0.01
