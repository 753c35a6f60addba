"""One policy network with other parameters for each row: what acts in N environments for as many candidates.

    a_n = π(s_n; θ_n)

The plain form writes each θ_n into the network and asks it. The fast form, for linear layers and
activations one after the other, makes one product of all rows' matrices with their inputs.

Shapes: N rows, D parameters, I inputs and O outputs of a layer.
"""

from collections.abc import Sequence

import numpy as np

from deepnp import Linear, Module, Sequential
from deepnp.layers.activation import Activation
from rl.experience import trees
from rl.experience.trees import Observations
from rl.networks.heads import choices
from rl.networks.masks import Unmasked
from rl.networks.policies import ChoicePolicy, GaussianPolicy, Policy


def act_by_row(policy: Policy, parameters: np.ndarray, observations: Observations) -> np.ndarray:
    """The most probable actions (N, …) for observations (N, …), each with parameters (N, D) of its own."""
    layers = _layers_of(policy)
    if layers is None:
        return act_one_by_one(policy, parameters, observations)
    outputs = outputs_by_row(layers, parameters, trees.vector(observations))
    if isinstance(policy, ChoicePolicy):
        return choices(policy.action, outputs, observations[-1] if policy.masked else None).mode()
    return outputs  # μ


def act_one_by_one(policy: Policy, parameters: np.ndarray, observations: Observations) -> np.ndarray:
    """The plain form: row after row, through the network itself, which is left as it was."""
    own = policy.flat.data
    kept, actions = own.copy(), []
    try:
        for n, theta in enumerate(parameters):
            own[...] = theta
            actions.append(policy.predict(trees.at(observations, slice(n, n + 1))).mode())
    finally:
        own[...] = kept
    return np.concatenate(actions)


def outputs_by_row(layers: Sequence[Module], parameters: np.ndarray, x: np.ndarray) -> np.ndarray:
    """What these layers give for x (N, I) with parameters (N, D), which lie as in the layers' flat vector: (N, O)."""
    y, start = x, 0
    for layer in layers:
        if isinstance(layer, Linear):
            o, i = layer.weight.shape
            middle, stop = start + o * i, start + o * i + o
            weights, biases = parameters[:, start:middle].reshape(-1, o, i), parameters[:, middle:stop]
            y, start = (weights @ y[:, :, None])[:, :, 0] + biases, stop  # (N, O)
        else:
            y = layer.predict(y)
    return y


def _layers_of(policy: Policy) -> list[Module] | None:
    """The layers that read the vector of an observation, where they are linear ones with biases, and activations."""
    body: Module | None = None
    if isinstance(policy, GaussianPolicy) and policy.kind == "fixed":
        body = policy.mean
    elif isinstance(policy, ChoicePolicy):
        body = policy.logits.network if isinstance(policy.logits, Unmasked) else policy.logits
    layers = [layer for _, layer in body.children()] if type(body) is Sequential else []
    known = all((isinstance(x, Linear) and x.bias is not None) or isinstance(x, Activation) for x in layers)
    return layers if layers and known else None
