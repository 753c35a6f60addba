"""What stands at a position in PyTorch means the same at that position here, or can be given by name only.

The table holds the positional parameters of PyTorch 2.13's layers, in order.
"""

import inspect

import pytest

from deepnp import layers

PADS = ("padding",)
CONVOLUTION = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias", "padding_mode")
TRANSPOSED = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "output_padding", "groups", "bias", "dilation")
MAX_POOL = ("kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode")
RECURRENT = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")
BATCH_NORM = ("num_features", "eps", "momentum", "affine", "track_running_stats")
ATTENTION = ("embed_dim", "num_heads", "dropout", "bias", "add_bias_kv", "add_zero_attn", "kdim", "vdim", "batch_first")
TORCH = {
    "AdaptiveAvgPool1d": ("output_size",),
    "AdaptiveAvgPool2d": ("output_size",),
    "AdaptiveMaxPool1d": ("output_size", "return_indices"),
    "AdaptiveMaxPool2d": ("output_size", "return_indices"),
    "AvgPool1d": ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
    "AvgPool2d": ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
    "BatchNorm1d": BATCH_NORM,
    "BatchNorm2d": BATCH_NORM,
    "CircularPad1d": PADS,
    "CircularPad2d": PADS,
    "Conv1d": CONVOLUTION,
    "Conv2d": CONVOLUTION,
    "ConvTranspose1d": (*TRANSPOSED, "padding_mode"),
    "ConvTranspose2d": (*TRANSPOSED, "padding_mode"),
    "Dropout": ("p", "inplace"),
    "Dropout1d": ("p", "inplace"),
    "Dropout2d": ("p", "inplace"),
    "ELU": ("alpha", "inplace"),
    "Embedding": ("num_embeddings", "embedding_dim", "padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse"),
    "Flatten": ("start_dim", "end_dim"),
    "GELU": ("approximate",),
    "GLU": ("dim",),
    "GRU": RECURRENT,
    "GroupNorm": ("num_groups", "num_channels", "eps", "affine"),
    "Hardtanh": ("min_val", "max_val", "inplace"),
    "InstanceNorm1d": BATCH_NORM,
    "InstanceNorm2d": BATCH_NORM,
    "LSTM": RECURRENT,
    "LayerNorm": ("normalized_shape", "eps", "elementwise_affine", "bias"),
    "LeakyReLU": ("negative_slope", "inplace"),
    "Linear": ("in_features", "out_features", "bias"),
    "LogSoftmax": ("dim",),
    "MaxPool1d": MAX_POOL,
    "MaxPool2d": MAX_POOL,
    "Mish": ("inplace",),
    "MultiheadAttention": ATTENTION,
    "PReLU": ("num_parameters", "init"),
    "RMSNorm": ("normalized_shape", "eps", "elementwise_affine"),
    "RNN": ("input_size", "hidden_size", "num_layers", "nonlinearity", "bias", "batch_first", "dropout", "bidirectional"),
    "RReLU": ("lower", "upper", "inplace"),
    "ReLU": ("inplace",),
    "ReflectionPad1d": PADS,
    "ReflectionPad2d": PADS,
    "ReplicationPad1d": PADS,
    "ReplicationPad2d": PADS,
    "SELU": ("inplace",),
    "SiLU": ("inplace",),
    "Sigmoid": (),
    "Softmax": ("dim",),
    "Softplus": ("beta", "threshold"),
    "Tanh": (),
    "ZeroPad1d": PADS,
    "ZeroPad2d": PADS,
}
POOLS = ("AvgPool1d", "AvgPool2d", "MaxPool1d", "MaxPool2d")
DEFAULTS = {  # PyTorch's, by the parameter's name; it has no default for dim, where ours is the last axis
    **dict.fromkeys(("bias", "affine", "elementwise_affine", "count_include_pad"), True),
    **dict.fromkeys(("inplace", "batch_first", "bidirectional", "ceil_mode"), False),
    **dict.fromkeys(("stride", "dilation", "groups", "num_layers", "num_parameters", "start_dim"), 1),
    **dict.fromkeys(("padding", "output_padding", "dropout"), 0),
    **dict(alpha=1.0, negative_slope=0.01, min_val=-1.0, max_val=1.0, beta=1.0, init=0.25, lower=1 / 8, upper=1 / 3),
    **dict(p=0.5, eps=1e-5, dim=-1, padding_idx=None, approximate="none", nonlinearity="tanh", padding_mode="zeros"),
}
EXCEPT = {"RMSNorm": {"eps": None}} | {name: {"stride": None} for name in POOLS}
ELSEWHERE = {  # what PyTorch does not have, or does not have as a layer
    "Activation",
    "BatchRenorm1d",
    "Conv",
    "ConvTranspose",
    "Fork",
    "Heads",
    "Identity",
    "Join",
    "L2Norm",
    "Positions",
    "RNNBase",
    "Reshape",
    "Residual",
    "RotaryPositions",
    "Sequential",
    "Sine",
    "SinusoidalPositions",
    "SoftPlusPlus",
    "SpectralNorm",
    "TransformerEncoderBlock",
}


def test_every_layer_is_in_the_table():
    assert not set(layers.__all__) - TORCH.keys() - ELSEWHERE


@pytest.mark.parametrize("name", sorted(TORCH.keys() & set(layers.__all__)))
def test_positions_mean_what_they_mean_in_pytorch(name):
    parameters = inspect.signature(getattr(layers, name)).parameters.values()
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert tuple(positional) == TORCH[name][: len(positional)]


@pytest.mark.parametrize("name", sorted(TORCH.keys() & set(layers.__all__)))
def test_defaults_are_those_of_pytorch(name):
    parameters = inspect.signature(getattr(layers, name)).parameters.values()
    given = {p.name: p.default for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is not p.empty}
    assert given == {p: (DEFAULTS | EXCEPT.get(name, {}))[p] for p in given}
