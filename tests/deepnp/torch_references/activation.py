"""deepnp.ops.activation in PyTorch."""

import torch
from torch.nn import functional as F

TORCH = {
    "activation.relu": lambda x: F.relu(x),
    "activation.tanh": lambda x: torch.tanh(x),
    "activation.sigmoid": lambda x: torch.sigmoid(x),
    "activation.softplus": lambda x, beta=1.0, scale=1.0: scale * F.softplus(x, beta, threshold=700),
    "activation.softmax": lambda x, temperature=1.0: F.softmax(x / temperature, dim=-1),
}
ABSENT = {}
