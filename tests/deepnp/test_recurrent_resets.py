"""Recurrent layers over sequences that begin anew within."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from deepnp import GRU, LSTM, RNN
from deepnp.cases import dot

T, B, C, H = 7, 3, 4, 5  # steps, batch, inputs, hidden


@pytest.fixture(params=[RNN, LSTM, GRU], ids=lambda kind: kind.__name__)
def make(request):
    return partial(request.param, dtype=np.float64)


def assert_all_close(given, expected):
    for one, other in zip(given, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def test_with_resets_every_part_gives_what_it_gives_alone(make, rng, kernels):
    net, x, resets = make(C, H, 2, rng=rng), rng.normal(size=(T, B, C)), rng.random((T, B)) < 0.4
    y, dx = np.empty((T, B, H)), np.empty_like(x)
    dy, v = rng.normal(size=y.shape), rng.normal(size=len(net.flat))
    for b in range(B):
        starts = [0, *np.flatnonzero(resets[1:, b]) + 1, T]
        for start, stop in pairwise(starts):
            y[start:stop, b] = net.forward(x[start:stop, b])
            dx[start:stop, b] = net.backward(dy[start:stop, b])
    expected, resets[0] = net.flat.grad.copy(), True
    net.zero_grad()
    assert_all_close([net.forward(x, tuple_or_one(net, rng), resets=resets), net.backward(dy), net.flat.grad], [y, dx, expected])
    assert_all_close([net.predict_states(x, resets=resets)[0]], [y])
    assert abs(dot(net.jvp(v, x), dy) - dot(dx, x) - dot(expected, v)) < 1e-9


def test_states_of_all_steps_are_those_of_ever_longer_sequences(make, rng):
    net, x, resets = make(C, H, 2, rng=rng), rng.normal(size=(T, B, C)), rng.random((T, B)) < 0.4
    _, states = net.predict_states(x, tuple_or_one(net, rng), resets)
    for t in range(1, T + 1):
        _, last = net.predict_state(x[:t], tuple(part[0] for part in states) if len(states) > 1 else states[0][0], None, resets[:t])
        assert_all_close([part[t] for part in states], last if isinstance(last, tuple) else [last])


def tuple_or_one(net, rng):
    """A random state of a stack of two."""
    parts = tuple(rng.normal(size=(2, B, H)) for _ in range(net.op.STATES))
    return parts if len(parts) > 1 else parts[0]
