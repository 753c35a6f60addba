"""Every layer, moved to the GPU, is the layer that it was on the CPU."""

import numpy as np
import pytest

from deepnp import layers
from deepnp.backend import to_device
from deepnp.cases import tupled, upstream
from deepnp.layers import Heads, Sequential
from deepnp.optim import SGD
from tests.gpu.test_gpu import assert_same, moved

IMAGE, SEQUENCE, FLAT = (2, 4, 6, 5), (3, 4, 6), (5, 4)


def small(x):
    return layers.Linear(4, 4, rng=x)


LAYERS = [  # name, how to build it from a Generator, shape of its input
    ("ELU", lambda _: layers.ELU(), FLAT),
    ("GELU", lambda _: layers.GELU(), FLAT),
    ("GLU", lambda _: layers.GLU(), FLAT),
    ("GRU", lambda rng: layers.GRU(6, 3, num_layers=2, rng=rng), SEQUENCE),
    ("LSTM", lambda rng: layers.LSTM(6, 3, 2, batch_first=True, bidirectional=True, returns="last", rng=rng), SEQUENCE),
    ("RNN", lambda rng: layers.RNN(6, 3, nonlinearity="relu", span=2, rng=rng), SEQUENCE),
    ("SELU", lambda _: layers.SELU(), FLAT),
    ("AdaptiveAvgPool1d", lambda _: layers.AdaptiveAvgPool1d(4), SEQUENCE),
    ("AdaptiveAvgPool2d", lambda _: layers.AdaptiveAvgPool2d((2, 3)), IMAGE),
    ("AdaptiveMaxPool1d", lambda _: layers.AdaptiveMaxPool1d(4), SEQUENCE),
    ("AdaptiveMaxPool2d", lambda _: layers.AdaptiveMaxPool2d((2, 3)), IMAGE),
    ("AvgPool1d", lambda _: layers.AvgPool1d(2), SEQUENCE),
    ("AvgPool2d", lambda _: layers.AvgPool2d(3, 2, 1, True, False), IMAGE),
    ("BatchNorm1d", lambda _: layers.BatchNorm1d(4), FLAT),
    ("BatchNorm2d", lambda _: layers.BatchNorm2d(4), IMAGE),
    ("BatchRenorm1d", lambda _: layers.BatchRenorm1d(4), FLAT),
    ("CircularPad1d", lambda _: layers.CircularPad1d(2), SEQUENCE),
    ("CircularPad2d", lambda _: layers.CircularPad2d(1), IMAGE),
    ("Conv1d", lambda rng: layers.Conv1d(4, 6, 3, padding=1, groups=2, rng=rng), SEQUENCE),
    ("Conv2d", lambda rng: layers.Conv2d(4, 3, 3, stride=2, rng=rng), IMAGE),
    ("ConvTranspose1d", lambda rng: layers.ConvTranspose1d(4, 3, 3, rng=rng), SEQUENCE),
    ("ConvTranspose2d", lambda rng: layers.ConvTranspose2d(4, 3, 2, stride=2, rng=rng), IMAGE),
    ("Dropout", lambda rng: layers.Dropout(0.5, rng=rng), FLAT),
    ("Dropout1d", lambda rng: layers.Dropout1d(0.5, rng=rng), SEQUENCE),
    ("Dropout2d", lambda rng: layers.Dropout2d(0.5, rng=rng), IMAGE),
    ("Flatten", lambda _: layers.Flatten(), IMAGE),
    ("Fork", lambda rng: layers.Fork(small(rng), layers.Identity()), FLAT),
    ("GroupNorm", lambda _: layers.GroupNorm(2, 4), IMAGE),
    ("Hardtanh", lambda _: layers.Hardtanh(), FLAT),
    ("Identity", lambda _: layers.Identity(), FLAT),
    ("InstanceNorm1d", lambda _: layers.InstanceNorm1d(4, affine=True), SEQUENCE),
    ("InstanceNorm2d", lambda _: layers.InstanceNorm2d(4), IMAGE),
    ("Join", lambda rng: Sequential(layers.Fork(small(rng), layers.Identity()), layers.Join()), FLAT),
    ("L2Norm", lambda _: layers.L2Norm(4), FLAT),
    ("LayerNorm", lambda _: layers.LayerNorm(4), FLAT),
    ("LeakyReLU", lambda _: layers.LeakyReLU(), FLAT),
    ("Linear", lambda rng: Heads(a=small(rng), b=Sequential(small(rng), layers.Sigmoid(), small(rng))), FLAT),
    ("LogSoftmax", lambda _: layers.LogSoftmax(), FLAT),
    ("MaxPool1d", lambda _: layers.MaxPool1d(2), SEQUENCE),
    ("MaxPool2d", lambda _: layers.MaxPool2d(3, stride=2, padding=1, ceil_mode=True), IMAGE),
    ("Mish", lambda _: layers.Mish(), FLAT),
    ("MultiheadAttention", lambda rng: layers.MultiheadAttention(6, 3, causal=True, rotary=True, rng=rng), SEQUENCE),
    ("PReLU", lambda _: layers.PReLU(4), FLAT),
    ("SoftPlusPlus", lambda _: layers.SoftPlusPlus(4), FLAT),
    ("ReLU", lambda _: layers.ReLU(), FLAT),
    ("RMSNorm", lambda _: layers.RMSNorm(4), FLAT),
    ("RReLU", lambda rng: layers.RReLU(rng=rng), FLAT),
    ("ReflectionPad1d", lambda _: layers.ReflectionPad1d(2), SEQUENCE),
    ("ReflectionPad2d", lambda _: layers.ReflectionPad2d(1), IMAGE),
    ("ReplicationPad1d", lambda _: layers.ReplicationPad1d(2), SEQUENCE),
    ("ReplicationPad2d", lambda _: layers.ReplicationPad2d(1), IMAGE),
    ("Reshape", lambda _: layers.Reshape((2, 2)), FLAT),
    ("Residual", lambda rng: layers.Residual(small(rng)), FLAT),
    ("RotaryPositions", lambda _: layers.RotaryPositions(), SEQUENCE),
    ("SiLU", lambda _: layers.SiLU(), FLAT),
    ("Sigmoid", lambda _: layers.Sigmoid(), FLAT),
    ("Sine", lambda _: layers.Sine(), FLAT),
    ("SinusoidalPositions", lambda _: layers.SinusoidalPositions(), SEQUENCE),
    ("Softmax", lambda _: layers.Softmax(), FLAT),
    ("Softplus", lambda _: layers.Softplus(), FLAT),
    ("SpectralNorm", lambda rng: layers.SpectralNorm(small(rng), rng=rng), FLAT),
    ("Tanh", lambda _: layers.Tanh(), FLAT),
    ("TransformerEncoderBlock", lambda rng: layers.TransformerEncoderBlock(6, 2, 8, dropout=0.2, block=2, rng=rng), SEQUENCE),
    ("ZeroPad1d", lambda _: layers.ZeroPad1d(1), SEQUENCE),
    ("ZeroPad2d", lambda _: layers.ZeroPad2d(1), IMAGE),
]


@pytest.mark.parametrize(("build", "shape"), [pytest.param(build, shape, id=name) for name, build, shape in LAYERS])
def test_layers(build, shape, rng, kernels):
    here, there = (build(np.random.default_rng(1)).to(np.float64) for _ in range(2))
    there.to("cuda")
    x = rng.normal(size=shape)
    for _ in range(2):  # running statistics, power iterations and random numbers go on alike
        y = here.forward(x)
        dy = upstream(y, rng)
        assert_same(there.forward(moved(x)), y, 1e-10)
        assert_same(there.backward(moved(dy)), here.backward(dy), 1e-10)
    assert_same(there.predict(moved(x)), here.predict(x), 1e-10)
    assert_same(tuple(p.grad for p in there.parameters()), tuple(p.grad for p in here.parameters()), 1e-10)
    assert_same(tuple(there.state_dict().values()), tuple(here.state_dict().values()), 1e-10)
    there.backward(moved(dy), params=False)
    if here.parameters():
        there.backward(moved(dy), inputs=False)
        there.zero_grad()
        SGD(there.flat, lr=0.1).step()
        assert_same(tuple(p.data for p in there.parameters()), tuple(p.data for p in here.parameters()), 1e-10)
    assert all(isinstance(a, np.ndarray) for a in there.to("cpu").state_dict().values())


BASES = {"Activation", "Conv", "ConvTranspose", "Positions", "RNNBase"}
ELSEWHERE = {"Embedding", "Heads", "Sequential"}  # which takes no floats; which hold others above


def test_every_layer_is_here():
    assert {name for name, _, _ in LAYERS} == set(layers.__all__) - BASES - ELSEWHERE


def test_embedding(rng, kernels):
    here, there = (layers.Embedding(5, 3, padding_idx=1, rng=np.random.default_rng(1)) for _ in range(2))
    there.to("cuda")
    indices, dy = rng.integers(5, size=(4, 6)), rng.normal(size=(4, 6, 3)).astype(np.float32)
    assert_same(there.forward(moved(indices)), here.forward(indices), 0)
    here.backward(dy)
    there.backward(moved(dy))
    assert_same(there.weight.grad, here.weight.grad, 1e-5)


def test_sequences_of_several_lengths(rng, kernels):
    for make in (layers.RNN, layers.GRU, layers.LSTM):
        here, there = (make(4, 3, rng=np.random.default_rng(1)).to(np.float64) for _ in range(2))
        there.to("cuda")
        x, lengths = rng.normal(size=(5, 3, 4)), np.array([5, 1, 3])
        (y, state), (y_there, state_there) = here.forward_state(x, None, lengths), there.forward_state(moved(x), None, lengths)
        assert_same((y_there, *tupled(state_there)), (y, *tupled(state)), 1e-10)
        dy = upstream(y, rng)
        assert_same(there.backward_state(moved(dy))[0], here.backward_state(dy)[0], 1e-10)


def test_attention_of_another_sequence_with_padding(rng, kernels):
    here, there = (layers.MultiheadAttention(6, 2, rng=np.random.default_rng(1)).to(np.float64) for _ in range(2))
    there.to("cuda")
    x, memory, padding = rng.normal(size=(2, 3, 6)), rng.normal(size=(2, 4, 6)), np.array([[False] * 4, [True] * 4])
    y = here.forward(x, memory, key_padding_mask=padding)
    assert_same(there.forward(*moved((x, memory)), key_padding_mask=moved(padding)), y, 1e-10)
    dy = upstream(y, rng)
    assert_same(there.backward(moved(dy)), here.backward(dy), 1e-10)


def test_large_kernels_through_the_fourier_transform(rng, kernels):
    here, there = (layers.Conv2d(2, 2, 17, padding=8, rng=np.random.default_rng(1)) for _ in range(2))
    there.to("cuda")
    x = rng.normal(size=(2, 2, 32, 32)).astype(np.float32)
    y = here.forward(x)
    assert_same(there.forward(moved(x)), y, 1e-4)
    assert to_device(there.weight.data, "cpu").dtype == np.float32
