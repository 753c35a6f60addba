"""The same operations in PyTorch, where it is installed: functions of the same arguments as tensors.

One file per folder of deepnp.ops. An operation that PyTorch does not have stands in ABSENT with the reason.
"""

from tests.deepnp.torch_references import (
    activation,
    attention,
    convolution,
    embedding,
    normalization,
    recurrent,
    regularization,
    top,
)

FILES = (top, activation, normalization, regularization, convolution, recurrent, embedding, attention)
TORCH = {name: reference for file in FILES for name, reference in file.TORCH.items()}
ABSENT = {name: reason for file in FILES for name, reason in file.ABSENT.items()}
