"""deepnp.ops.recurrent in PyTorch: its own layers, with packed sequences where there are lengths, a step at a time with resets."""

import torch
from torch import nn
from torch.func import functional_call
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def run(layer, x, state, weights, lengths, resets):
    if resets is not None:
        return with_resets(layer, x, state, weights, resets)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    inputs = x if lengths is None else pack_padded_sequence(x, lengths, enforce_sorted=False)
    state = tuple(part[None] for part in state)
    state = state if len(state) > 1 else state[0]
    y, last = functional_call(layer.to(x.dtype), dict(zip(names, weights, strict=True)), (inputs, state))
    if lengths is not None:
        y, _ = pad_packed_sequence(y, total_length=len(x))
    return y, *(part[0] for part in (last if isinstance(last, tuple) else (last,)))


def with_resets(layer, x, state, weights, resets):
    ys = []
    for t, reset in enumerate(torch.as_tensor(resets)):
        state = tuple(torch.where(reset[:, None], torch.zeros_like(part), part) for part in state)
        y, *state = run(layer, x[t : t + 1], tuple(state), weights, None, None)
        ys.append(y)
    return torch.cat(ys), *state


def rnn(x, h, weight_ih, weight_hh, bias_ih, bias_hh, activation=None, lengths=None, resets=None):
    relu = activation is not None and activation.__name__.endswith("relu")
    layer = nn.RNN(x.shape[-1], h.shape[-1], nonlinearity="relu" if relu else "tanh")
    return run(layer, x, (h,), (weight_ih, weight_hh, bias_ih, bias_hh), lengths, resets)


def lstm(x, h, c, weight_ih, weight_hh, bias_ih, bias_hh, lengths=None, resets=None):
    return run(nn.LSTM(x.shape[-1], h.shape[-1]), x, (h, c), (weight_ih, weight_hh, bias_ih, bias_hh), lengths, resets)


def gru(x, h, weight_ih, weight_hh, bias_ih, bias_hh, lengths=None, resets=None):
    return run(nn.GRU(x.shape[-1], h.shape[-1]), x, (h,), (weight_ih, weight_hh, bias_ih, bias_hh), lengths, resets)


TORCH = {"recurrent.rnn": rnn, "recurrent.lstm": lstm, "recurrent.gru": gru}
ABSENT = {}
