"""Weights that PyTorch saved load here and give PyTorch's outputs; ours load there. Only the second half needs PyTorch."""

import numpy as np
import pytest

from deepnp.layers import Sequential
from deepnp.layers.activation import GELU, ReLU, Tanh
from deepnp.layers.attention import MultiheadAttention
from deepnp.layers.batch_normalization import BatchNorm2d
from deepnp.layers.convolution import Conv2d
from deepnp.layers.linear import Linear
from deepnp.layers.normalization import LayerNorm
from deepnp.layers.pooling import AdaptiveMaxPool2d, AvgPool2d, MaxPool2d
from deepnp.layers.recurrent import GRU, LSTM
from deepnp.layers.shape import Flatten
from deepnp.storage import load_tensors, save_tensors
from tests.deepnp import fixtures


def mlp():
    return Sequential(Linear(5, 16), Tanh(), LayerNorm(16), Linear(16, 8), ReLU(), Linear(8, 3))


def cnn():
    first = Conv2d(2, 4, 3, padding=1), BatchNorm2d(4), ReLU(), MaxPool2d(2)
    return Sequential(*first, Conv2d(4, 6, 3, stride=2, bias=False), BatchNorm2d(6), GELU(), Flatten(), Linear(24, 3))


def windows():
    return Sequential(
        Conv2d(2, 4, (3, 2), padding="same", padding_mode="circular"),
        MaxPool2d(3, 2, 1, ceil_mode=True),
        Conv2d(4, 4, 3, padding=1, padding_mode="replicate"),
        AvgPool2d((3, 2), 2, 1, ceil_mode=True, count_include_pad=False),
        Conv2d(4, 3, 3, padding=(1, 2), padding_mode="reflect", bias=False),
        AvgPool2d(2, 2, ceil_mode=True),
        AdaptiveMaxPool2d((2, 3)),
        Flatten(),
    )


MODELS = {
    "mlp": mlp,
    "cnn": cnn,
    "lstm": lambda: LSTM(3, 5, num_layers=2, batch_first=True),
    "attention": lambda: MultiheadAttention(8, 2),
    "windows": windows,
    "bidirectional": lambda: GRU(3, 5, 2, bidirectional=True),
    "bidirectional_lstm": lambda: LSTM(3, 4, 2, False, True, bidirectional=True),
    "cross_attention": lambda: MultiheadAttention(8, 2, kdim=6, vdim=3),
}
NAMES = pytest.mark.parametrize("name", MODELS)


def fixture(name):
    """The state_dict, and the input with PyTorch's outputs."""
    folder = fixtures.__path__[0]
    return load_tensors(f"{folder}/{name}.safetensors")[0], load_tensors(f"{folder}/{name}_io.safetensors")[0]


def outputs(name, model, io) -> dict:
    """What ours computes of the outputs in the file."""
    x = io["input"]
    if name in ("lstm", "bidirectional_lstm"):
        y, (h, c) = model.predict_state(x)
        return {"output": y, "h": h, "c": c}
    if name == "bidirectional":
        results = (*model.predict_state(x), *model.predict_state(x, lengths=io["lengths"]))
        return dict(zip(("output", "h", "packed_output", "packed_h"), results, strict=True))
    if name == "cross_attention":
        return cross_outputs(model, x, io)
    if name == "attention":
        padded = model.predict(x, key_padding_mask=io["padding"])
        return {"output": model.predict(x), "padded_output": padded}
    return {"output": model.predict(x)}


def cross_outputs(model, x, io) -> dict:
    memory, value = io["memory"], io["value"]
    y, weights = model.predict(x, memory, value, need_weights=True)
    masks = dict(key_padding_mask=io["padding"], attn_mask=io["hidden"])
    return {
        "output": y,
        "weights": weights,
        "padded_output": model.predict(x, memory, value, **masks),
        "added_output": model.predict(x, memory, value, attn_mask=io["added"]),
    }


@NAMES
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weights_from_torch_give_its_outputs(name, dtype, kernels):
    """In float64 too: PyTorch's float32 is then the only rounding."""
    state, io = fixture(name)
    model = MODELS[name]().to(dtype)
    model.load_state_dict(state)
    io = {key: array.astype(dtype) if array.dtype == np.float32 else array for key, array in io.items()}
    for key, y in outputs(name, model, io).items():
        assert y.dtype == dtype
        np.testing.assert_allclose(y, io[key], rtol=1e-5, atol=1e-5, err_msg=key)


@NAMES
def test_a_round_trip_keeps_every_bit(name, tmp_path):
    state, _ = fixture(name)
    model = MODELS[name]()
    model.load_state_dict(state)
    save_tensors(tmp_path / "ours.safetensors", model.state_dict())
    again, _ = load_tensors(tmp_path / "ours.safetensors")
    assert list(again) == list(state)
    for key, array in state.items():
        assert again[key].dtype == array.dtype
        np.testing.assert_array_equal(again[key], array)


@NAMES
def test_every_weight_matters(name):
    """A name that were loaded into the wrong place, or into none, would show: each array changes some output."""
    state, io = fixture(name)
    model = MODELS[name]()
    model.load_state_dict(state)
    before = outputs(name, model, io)
    for key, array in state.items():
        if key.endswith("num_batches_tracked"):
            continue
        model.load_state_dict({**state, key: array + np.linspace(0.5, 1.5, array.size, dtype=array.dtype).reshape(array.shape)})
        assert any(np.abs(y - before[k]).max() > 1e-3 for k, y in outputs(name, model, io).items()), key


@NAMES
def test_our_weights_give_the_same_outputs_in_torch(name, tmp_path, rng):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    from safetensors.torch import load_file

    from tests.deepnp.fixtures import make

    model = MODELS[name]()
    for p in model.parameters():
        p.data[...] = rng.uniform(-0.7, 0.7, p.shape)
    if name == "cnn":
        for _ in range(3):
            model.forward(rng.normal(1, 2, make.INPUTS[name]).astype(np.float32))
    save_tensors(tmp_path / "ours.safetensors", model.state_dict())
    theirs = make.MODELS[name]()
    theirs.load_state_dict(load_file(tmp_path / "ours.safetensors"), strict=True)
    x = rng.normal(size=make.INPUTS[name]).astype(np.float32)
    expected = {key: tensor.numpy() for key, tensor in make.outputs(name, theirs, torch.from_numpy(x)).items()}
    for key, y in outputs(name, model, {"input": x, **expected}).items():
        np.testing.assert_allclose(y, expected[key], rtol=1e-5, atol=1e-5, err_msg=key)
