"""Networks as ONNX: every layer that has a translation gives in onnxruntime what it gives here."""

import numpy as np
import pytest

import deepnp
from deepnp import (
    ELU,
    GELU,
    GLU,
    SELU,
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool2d,
    AvgPool1d,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    BatchRenorm1d,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    Fork,
    GroupNorm,
    Hardtanh,
    Heads,
    Identity,
    InstanceNorm1d,
    InstanceNorm2d,
    Join,
    L2Norm,
    LayerNorm,
    LeakyReLU,
    Linear,
    LogSoftmax,
    MaxPool1d,
    MaxPool2d,
    Mish,
    MultiheadAttention,
    PReLU,
    ReflectionPad2d,
    ReLU,
    ReplicationPad1d,
    Reshape,
    Residual,
    RMSNorm,
    RReLU,
    Sequential,
    Sigmoid,
    SiLU,
    Sine,
    Softmax,
    Softplus,
    SoftPlusPlus,
    SpectralNorm,
    Tanh,
    ZeroPad2d,
)
from rl.training.export import export_onnx
from rl.training.export.layers import LAYERS

pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

ROWS, SEQUENCE, IMAGE = (3, 8), (3, 8, 12), (3, 4, 12, 14)
CASES = [
    (ROWS, lambda: Linear(8, 3)),
    (ROWS, lambda: Linear(8, 3, bias=False)),
    (SEQUENCE, lambda: Linear(12, 3)),
    (ROWS, lambda: Sequential(Linear(8, 5), Tanh(), Residual(Linear(5, 5)), LayerNorm(5))),
    (ROWS, lambda: Sequential(Linear(8, 5), SiLU()).to(np.float64)),
    *((ROWS, kind) for kind in (ReLU, Tanh, SELU, Sigmoid, GELU, SiLU, Mish, Softplus, Softmax, LogSoftmax, GLU, PReLU, RReLU)),
    (ROWS, lambda: LeakyReLU(0.2)),
    (ROWS, lambda: ELU(0.7)),
    (ROWS, lambda: GELU("tanh")),
    (ROWS, lambda: Softplus(2.0, scale=3.0)),
    (ROWS, lambda: Hardtanh(-0.3, 0.5)),
    (ROWS, lambda: Sine(2.0)),
    (ROWS, lambda: PReLU(8)),
    (ROWS, lambda: SoftPlusPlus(k=-0.7, c=1.5)),
    (IMAGE, lambda: SoftPlusPlus(4)),
    (IMAGE, lambda: PReLU(4)),
    (ROWS, lambda: Softmax(1, temperature=2.0)),
    (IMAGE, lambda: Softmax(1)),
    (IMAGE, lambda: GLU(1)),
    (SEQUENCE, lambda: LogSoftmax(2)),
    (ROWS, lambda: Dropout(0.3)),
    (SEQUENCE, lambda: deepnp.Dropout1d(0.3)),
    (IMAGE, lambda: deepnp.Dropout2d(0.3)),
    (ROWS, Identity),
    (ROWS, lambda: LayerNorm(8, elementwise_affine=False)),
    (ROWS, lambda: LayerNorm(8, bias=False)),
    (IMAGE, lambda: LayerNorm((12, 14))),
    (ROWS, lambda: RMSNorm(8)),
    (ROWS, lambda: L2Norm(8, 0.1)),
    (ROWS, lambda: RMSNorm(8, 0.1, elementwise_affine=False)),
    (ROWS, lambda: GroupNorm(2, 8)),
    (IMAGE, lambda: GroupNorm(2, 4)),
    (IMAGE, lambda: InstanceNorm2d(4)),
    (SEQUENCE, lambda: InstanceNorm1d(8, affine=True)),
    (ROWS, lambda: BatchNorm1d(8)),
    (SEQUENCE, lambda: BatchNorm1d(8, affine=False)),
    (IMAGE, lambda: BatchNorm2d(4)),
    (ROWS, lambda: BatchRenorm1d(8)),
    (IMAGE, lambda: Conv2d(4, 6, 3, 2, 1)),
    (IMAGE, lambda: Conv2d(4, 6, (3, 2), 1, "same", groups=2)),
    (IMAGE, lambda: Conv2d(4, 6, 3, dilation=2, bias=False)),
    (IMAGE, lambda: Conv2d(4, 6, 3, 1, 1, padding_mode="reflect")),
    (IMAGE, lambda: Conv2d(4, 6, 3, 1, (0, 2), padding_mode="replicate")),
    (SEQUENCE, lambda: Conv1d(8, 4, 3, 2, 1)),
    (IMAGE, lambda: MaxPool2d(2)),
    (IMAGE, lambda: MaxPool2d(3, 2, 1, ceil_mode=True)),
    (IMAGE, lambda: MaxPool2d(4, 3, dilation=2)),
    (SEQUENCE, lambda: MaxPool1d(2)),
    (IMAGE, lambda: AvgPool2d(3, 2, 1)),
    (IMAGE, lambda: AvgPool2d(3, 2, 1, count_include_pad=False)),
    (IMAGE, lambda: AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False)),
    (SEQUENCE, lambda: AvgPool1d(2)),
    (IMAGE, lambda: AdaptiveAvgPool2d(2)),
    (IMAGE, lambda: AdaptiveMaxPool2d((3, 1))),
    (SEQUENCE, lambda: deepnp.AdaptiveMaxPool1d(4)),
    (SEQUENCE, lambda: AdaptiveAvgPool1d(1)),
    (IMAGE, lambda: ZeroPad2d((1, 2, 0, 3))),
    (SEQUENCE, lambda: deepnp.ZeroPad1d(2)),
    (IMAGE, lambda: ReflectionPad2d(2)),
    (SEQUENCE, lambda: deepnp.ReflectionPad1d((2, 1))),
    (IMAGE, lambda: deepnp.ReplicationPad2d(1)),
    (SEQUENCE, lambda: ReplicationPad1d((1, 2))),
    (IMAGE, Flatten),
    (IMAGE, lambda: Flatten(2)),
    (ROWS, lambda: Reshape((4, 2))),
    (ROWS, lambda: Sequential(Fork(Linear(8, 3), Linear(8, 2)), Join(1))),
    (ROWS, lambda: Sequential(Fork(Linear(8, 3), Linear(8, 3), Linear(8, 3)), Join())),
    (ROWS, lambda: Heads(value=Linear(8, 1), policy=Tanh())),
]


def settled(module, rng):
    """The module with parameters and statistics that are none of those that it begins with."""
    state = {name: x for name, x in module.state_dict().items() if x.dtype.kind == "f"}
    moved = {name: x + 0.5 * rng.random(x.shape).astype(x.dtype) for name, x in state.items()}
    module.load_state_dict({**module.state_dict(), **moved})
    return module


def run(path, *inputs):
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip([x.name for x in session.get_inputs()], inputs, strict=True)))


@pytest.mark.parametrize(("shape", "make"), CASES, ids=[f"{i}-{make().__class__.__name__}" for i, (_, make) in enumerate(CASES)])
def test_onnxruntime_gives_what_the_layer_does(shape, make, rng, tmp_path):
    module = settled(make(), rng)
    dtype = next((p.data.dtype for p in module.parameters()), np.float32)
    x = rng.standard_normal((2 * shape[0], *shape[1:])).astype(dtype)
    export_onnx(module, tmp_path / "network.onnx", x[: shape[0]])
    y, expected = run(tmp_path / "network.onnx", x), module.predict(x)  # another number of rows than the example's
    for a, b in zip(y, expected if isinstance(expected, tuple) else (expected,), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_every_translation_is_tried():
    tried = {type(part) for _, make in CASES for part in make().modules()}
    assert set(LAYERS) <= tried


def test_layers_without_a_translation_are_known():
    """docs/export.md names them, by kind; bases of others are no layers."""
    bases = {"Activation", "Conv", "ConvTranspose", "RNNBase"}
    recurrent = {"GRU", "LSTM", "RNN"}
    attention = {
        "MultiheadAttention",
        "TransformerEncoderBlock",
        "Embedding",
        "Positions",
        "RotaryPositions",
        "SinusoidalPositions",
    }
    others = {"ConvTranspose1d", "ConvTranspose2d", "CircularPad1d", "CircularPad2d", "SpectralNorm"}
    layers = {name: getattr(deepnp, name) for name in deepnp.layers.__all__}
    without = {name for name, layer in layers.items() if isinstance(layer, type) and layer not in LAYERS}
    assert without == bases | recurrent | attention | others


@pytest.mark.parametrize(
    ("shape", "module", "message"),
    [
        (SEQUENCE, lambda: MultiheadAttention(12, 2), "given network, a MultiheadAttention: export_torch .*translations="),
        (ROWS, lambda: Sequential(Linear(8, 4), SpectralNorm(Linear(4, 4))), r"given network\.1, a SpectralNorm"),
        (IMAGE, lambda: Sequential(ConvTranspose2d(4, 4, 2)), r"given network\.0, a ConvTranspose2d"),
        (IMAGE, lambda: Conv2d(4, 4, 3, 1, 1, padding_mode="circular"), "given 'circular' in Conv2d"),
        (IMAGE, lambda: AdaptiveAvgPool2d(5), r"expected an output size that divides \(12, 14\)"),
        (IMAGE, lambda: AvgPool2d(3, 2, 1, ceil_mode=True), "expected count_include_pad=False"),
    ],
)
def test_what_has_no_translation_is_refused_by_name(shape, module, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export_onnx(module(), tmp_path / "network.onnx", np.zeros(shape, np.float32))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("example", [None, 3, [1.0], np.float32(1)])
def test_a_network_needs_an_example(example, tmp_path):
    with pytest.raises(TypeError, match="expected an example of the network's input"):
        export_onnx(Linear(2, 2), tmp_path / "network.onnx", example)


def test_several_inputs(rng, tmp_path):
    x = rng.standard_normal((2, 3)).astype(np.float32), rng.standard_normal((2, 4)).astype(np.float32)
    export_onnx(Join(1), tmp_path / "network.onnx", x)
    (y,) = run(tmp_path / "network.onnx", *x)
    np.testing.assert_array_equal(y, np.concatenate(x, axis=1))
