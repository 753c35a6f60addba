"""Plain references of deepnp.ops.recurrent: one sequence, one step, one unit at a time."""

import math

import numpy as np


def sigmoid(v):
    return 1 / (1 + math.exp(-v))


def product(matrix, vector, bias):
    return [
        float(b) + sum(float(w) * float(v) for w, v in zip(row, vector, strict=True)) for row, b in zip(matrix, bias, strict=True)
    ]


def over_sequences(step):
    """step(x_t, states, weights) -> new states, the first of which is y: lists of floats all."""

    def forward(x, states, weights, lengths, resets):
        steps, batch, hidden = len(x), x.shape[1], states[0].shape[1]
        y, last = np.zeros((steps, batch, hidden)), tuple(np.zeros((batch, hidden)) for _ in states)
        for b in range(batch):
            own = [[float(v) for v in state[b]] for state in states]
            for t in range(steps if lengths is None else int(lengths[b])):
                if resets is not None and resets[t, b]:
                    own = [[0.0] * hidden for _ in states]
                own = step(x[t, b], own, weights)
                y[t, b] = own[0]
            for out, state in zip(last, own, strict=True):
                out[b] = state
        return y, *last

    return forward


def gates(x, h, weights, count):
    """The two products of one step, each cut into `count` gates of one size."""
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    a, m, size = product(weight_ih, x, bias_ih), product(weight_hh, h, bias_hh), len(h)
    return [[v[k * size : (k + 1) * size] for k in range(count)] for v in (a, m)]


def rnn(x, h, weight_ih, weight_hh, bias_ih, bias_hh, activation=None, lengths=None, resets=None):
    relu = activation is not None and activation.__name__.endswith("relu")

    def step(x, states, weights):
        (a,), (m,) = gates(x, states[0], weights, 1)
        return [[max(p + q, 0.0) if relu else math.tanh(p + q) for p, q in zip(a, m, strict=True)]]

    return over_sequences(step)(x, (h,), (weight_ih, weight_hh, bias_ih, bias_hh), lengths, resets)


def lstm_step(x, states, weights):
    h, c = states
    a, m = gates(x, h, weights, 4)
    i, f, g, o = ([p + q for p, q in zip(left, right, strict=True)] for left, right in zip(a, m, strict=True))
    c = [sigmoid(f[j]) * c[j] + sigmoid(i[j]) * math.tanh(g[j]) for j in range(len(c))]
    return [[sigmoid(o[j]) * math.tanh(c[j]) for j in range(len(c))], c]


def gru_step(x, states, weights):
    (h,) = states
    a, m = gates(x, h, weights, 3)
    new = []
    for j in range(len(h)):
        r, u = sigmoid(a[0][j] + m[0][j]), sigmoid(a[1][j] + m[1][j])
        n = math.tanh(a[2][j] + r * m[2][j])
        new.append((1 - u) * n + u * h[j])
    return [new]


def lstm(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, lengths=None, resets=None):
    return over_sequences(lstm_step)(x, (h, c), (weight_ih, weight_hh, bias_ih, bias_hh), lengths, resets)


def gru(x, h, weight_ih, weight_hh, bias_ih, bias_hh, lengths=None, resets=None):
    return over_sequences(gru_step)(x, (h,), (weight_ih, weight_hh, bias_ih, bias_hh), lengths, resets)


REFERENCES = {"recurrent.rnn": rnn, "recurrent.lstm": lstm, "recurrent.gru": gru}
