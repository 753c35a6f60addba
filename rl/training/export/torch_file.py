"""Policies to and from PyTorch, as safetensors: weights under the names that PyTorch gives them.

mean.0.weight, …                             the policy's `state_dict`; what stands before the number is the network's name
normalizer.mean, normalizer.sigma (O,)       where the agent normalises: x̂ = clip((x − μ)/(σ + 1e-4), ±observation_clip)
normalizer.low, normalizer.high (O,)         with normalizer="min-max" instead: x̂ = clip((x − low)/(high − low), ±observation_clip)
normalizer.count                             how many observations these were taken from
"""

import os

import numpy as np

from deepnp.module import Module
from deepnp.storage import load_tensors, save_tensors
from rl.agent import Agent
from rl.experience.normalize import ObservationNormalizer
from rl.state import part
from rl.training.export import stable_baselines
from rl.training.export.describe import checked_path, facts
from rl.training.export.policies import policy_of


def export_torch(agent: Agent, path: str | os.PathLike) -> None:
    """Write the weights of the agent's policy to a file that `safetensors.torch.load_file` reads.

    docs/export.md has the PyTorch side.

    Raises
    ------
    ValueError
        If the path does not end in .safetensors.
    TypeError
        If the agent has no policy network.
    """
    path = checked_path(path, ".safetensors")
    tensors = dict(policy_of(agent).state_dict())
    if agent.normalizer is not None:
        tensors |= {f"normalizer.{name}": x for name, x in _statistics(agent.normalizer).items()}
    save_tensors(path, tensors, facts(agent))


def import_torch(agent: Agent, path: str | os.PathLike) -> None:
    """Give the agent the policy of a safetensors file: one written by `export_torch`, or with PyTorch under the same names.

    The `state_dict` of a policy of Stable-Baselines3 does as well: an MlpPolicy of PPO, A2C, SAC, TD3 or DDPG, saved
    with `safetensors.torch.save_file(model.policy.state_dict(), path)`. Its layers must be the agent's: widths,
    and activations, which a file does not tell. Values, and the optimizer's moments, stay what they are.

    Raises
    ------
    ValueError
        If names or shapes are not the policy's, if a number is not finite, or if one of the file and the agent
        normalises observations and the other does not. Then nothing is written.
    TypeError
        If the agent has no policy network.
    FileNotFoundError
        If there is no such file.
    """
    policy, own = policy_of(agent), agent.parts()
    tensors, _ = load_tensors(path)
    moments = _moments(agent, part(tensors, "normalizer"), path)
    weights = {name: x for name, x in tensors.items() if not name.startswith("normalizer.")}
    if stable_baselines.is_theirs(weights):
        weights = stable_baselines.converted(agent, policy, weights)
    for network in (own["policy"], own.get("target_policy")):
        if isinstance(network, Module):
            network.load_state_dict(weights)
    if agent.normalizer is not None:
        agent.normalizer.load_state_dict(moments)


def _statistics(normalizer):
    """What a file says of a normaliser: σ itself in the place of the sum of squares."""
    if not isinstance(normalizer, ObservationNormalizer):
        return normalizer.state_dict()
    moments = normalizer.moments
    return {"count": np.array(moments.count), "mean": moments.mean, "sigma": moments.sigma}


def _moments(agent, given, path):
    """What the agent's normaliser loads; ValueError unless there is such a thing exactly where there is a normaliser."""
    if agent.normalizer is None and not given:
        return {}
    own = {} if agent.normalizer is None else _statistics(agent.normalizer)
    if given.keys() != own.keys():
        wanted = sorted(f"normalizer.{name}" for name in own) if own else "no normalizer"
        hint = f"see normalize_observations of {type(agent.config).__name__}"
        raise ValueError(f"expected {wanted} in {path}, as in the agent ({hint}), given {sorted(given) or 'none'}")
    count, shape = float(given["count"]), agent.normalizer.shift.shape
    for name in own.keys() - {"count"}:
        if given[name].shape != shape or not np.isfinite(given[name]).all() or not np.isfinite(count):
            raise ValueError(f"expected a finite normalizer.{name} of shape {shape} in {path}, given shape {given[name].shape}")
    if "sigma" not in given:
        return given
    return {"count": count, "mean": given["mean"], "squares": given["sigma"] ** 2 * max(count - 1, 0)}
