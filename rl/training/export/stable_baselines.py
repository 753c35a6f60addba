"""Policies of Stable-Baselines3 under our names.

    PPO, A2C      mlp_extractor.policy_net.0, .2, …, action_net        log_std
    SAC           actor.latent_pi.0, .2, …, actor.mu                   actor.log_std, a layer beside mu
    TD3, DDPG     actor.mu.0, .2, …

Their PPO acts on the environment's own scale, ours in [−1, 1]: a = (their a − middle)/half, so the last
layer and σ are divided by half the range.
"""

import re

import numpy as np

from deepnp.module import Module
from rl.agent import Agent
from rl.networks.actors import SquashedGaussianPolicy
from rl.networks.policies import ChoicePolicy, GaussianPolicy
from rl.networks.shared import SharedPolicy

Tensors = dict[str, np.ndarray]
THEIRS = ("mlp_extractor.", "action_net.", "actor.")


def is_theirs(tensors: Tensors) -> bool:
    """Whether the names are those of a policy of Stable-Baselines3."""
    return any(name.startswith(THEIRS) for name in tensors)


def converted(agent: Agent, policy: Module, tensors: Tensors) -> Tensors:
    """Their policy under the names of ours; ValueError where something is missing."""
    if any("features_extractor." in name for name in tensors):
        raise ValueError("expected the weights of an MlpPolicy, given ones with a feature extractor")
    if isinstance(policy, SharedPolicy):
        raise ValueError("expected an agent with shared=False, as an MlpPolicy has networks apart, given shared=True")
    try:
        if isinstance(policy, SquashedGaussianPolicy):
            return squashed(policy, tensors)
        if isinstance(policy, ChoicePolicy):
            return under("logits", layers(tensors, "mlp_extractor.policy_net", "action_net"))
        if isinstance(policy, GaussianPolicy):
            return gaussian(agent, policy, tensors)
        return hidden(tensors, "actor.mu")
    except KeyError as error:
        raise ValueError(
            f"expected {error} of Stable-Baselines3's, for {agent.config.algorithm}, given {sorted(tensors)}"
        ) from error


def gaussian(agent: Agent, policy: GaussianPolicy, tensors: Tensors) -> Tensors:
    if policy.kind != "vector":
        raise ValueError(f'expected an agent with sigma="vector", as theirs is, given {policy.kind!r}')
    mean, log_sigma = layers(tensors, "mlp_extractor.policy_net", "action_net"), tensors["log_std"]
    if agent.space.action.low is not None:
        low, high = (bound.astype(np.float64) for bound in agent.space.action.bounds[:2])
        half, middle = (high - low) / 2, (high + low) / 2
        *_, weight, bias = mean
        mean[weight] = (mean[weight] / half[:, None]).astype(np.float32)
        mean[bias] = ((mean[bias] - middle) / half).astype(np.float32)
        log_sigma = (log_sigma - np.log(half)).astype(np.float32)
    return {**under("mean", mean), "log_sigma": log_sigma}


def squashed(policy: SquashedGaussianPolicy, tensors: Tensors) -> Tensors:
    mean, log_sigma = (layers(tensors, "actor.latent_pi", f"actor.{name}") for name in ("mu", "log_std"))
    if not policy.shared:
        return under("mean", mean) | under("log_sigma", log_sigma)
    *_, weight, bias = mean
    return under("body", mean | {name: np.concatenate([mean[name], log_sigma[name]]) for name in (weight, bias)})


def layers(tensors: Tensors, body: str, last: str) -> Tensors:
    """The hidden layers, and the last one under the number that follows: "0.weight", "0.bias", "2.weight", …"""
    found = hidden(tensors, body)
    return found | {f"{len(found)}.{name}": tensors[f"{last}.{name}"] for name in ("weight", "bias")}


def hidden(tensors: Tensors, prefix: str) -> Tensors:
    """The layers under a prefix, in the order of their numbers, weights before biases."""
    names = [name for name in tensors if re.fullmatch(rf"{re.escape(prefix)}\.\d+\.(weight|bias)", name)]
    numbers = sorted({int(name.split(".")[-2]) for name in names})
    return {f"{i}.{name}": tensors[f"{prefix}.{i}.{name}"] for i in numbers for name in ("weight", "bias")}


def under(name: str, tensors: Tensors) -> Tensors:
    """The same, as those of a module of this name."""
    return {f"{name}.{key}": x for key, x in tensors.items()}
