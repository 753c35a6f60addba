"""Whole updates of offline methods equal their references: parameters, targets and errors, after each of ten updates."""

from dataclasses import fields

import numpy as np
import pytest

from rl.experience.next_actions import NextBatch
from rl.experience.replay import Batch
from tests.rl.references import adapter, off_policy, offline
from tests.rl.references.off_policy import Settings
from tests.rl.references.worlds import Choices, World
from tests.rl.test_updates import batch
from tests.rl.test_value_updates import batch as batch_of

SMALL = dict(hidden=(8, 6), lr=3e-3, batch_size=16, memory=100, activation="tanh", normalize_observations=False)
VALUES = SMALL | dict(tau=0.1)
CLOSE = dict(max_grad_norm=0.3)
CASES = {
    "BC": ("BC", SMALL | CLOSE),
    "TD3BC": ("TD3BC", VALUES | dict(smoothing=0.6, smoothing_clip=0.3)),
    "TD3BC, values first": ("TD3BC", VALUES | dict(value_weight=40.0, delay=1, activation="relu")),
    "SACBC": ("SACBC", VALUES),
    "SACBC, values first": ("SACBC", VALUES | dict(value_weight=40.0, temperature=0.3, activation="relu")),
    "DDQNBC": ("DDQNBC", VALUES),
    "DDQNBC, sharp": ("DDQNBC", VALUES | dict(choice_temperature=0.4, imitation=3.0, activation="relu")),
    "FittedSARSA": ("FittedSARSA", VALUES),
    "AWR": ("AWR", SMALL | CLOSE | dict(beta=0.7, largest_weight=3.0)),
    "AWAC": ("AWAC", VALUES | CLOSE | dict(beta=0.5)),
    "AWAC, three draws": ("AWAC", VALUES | dict(draws=3, largest_weight=1.5, beta=0.1)),
    "ForwardKL": ("ForwardKL", VALUES | CLOSE | dict(beta=0.7)),
    "ForwardKL, values first": ("ForwardKL", VALUES | dict(beta=0.02, initial_sigma=1.0, activation="relu")),
    "ReverseKL": ("ReverseKL", VALUES | CLOSE | dict(beta=0.7)),
    "ReverseKL, values first": ("ReverseKL", VALUES | dict(beta=0.02, initial_sigma=1.0, activation="relu")),
    "IQL": ("IQL", VALUES | CLOSE | dict(expectile=0.8)),
    "IQL, low": ("IQL", VALUES | dict(expectile=0.3, largest_weight=2.0, beta=0.1, activation="relu")),
    "CQL": ("CQL", VALUES | dict(draws=3)),
    "CQL, policy": ("CQL", VALUES | dict(draws=2, penalty="policy", temperature=0.3, conservatism=1.0)),
    "CQL, uniform": ("CQL", VALUES | dict(draws=2, penalty="uniform", target_entropy=0.5)),
}


def settings_of(c) -> Settings:
    known = {f.name for f in fields(Settings)}
    given = {f.name: getattr(c, f.name) for f in fields(c) if f.name in known}
    return Settings(**{**given, "target_entropy": -2.0} if given.get("target_entropy", 0) is None else given)


CHOICES = ("DDQNBC", "FittedSARSA")


def body(module):
    return adapter.parameters(module)


def critic(values, i, settings):
    network = body(values.networks[i])
    target = network if values.targets is values.networks else body(values.targets[i])
    return off_policy.Critic(network, target, settings)


def reference_of(agent):
    c, name = agent.config, type(agent).__name__
    settings, policy = settings_of(c), body(agent.policy)
    critics = [critic(agent.critics, i, settings) for i in range(2)] if hasattr(agent, "critics") else []
    if name == "TD3BC":
        return offline.TD3BC(settings, policy, body(agent.target_policy), critics, c.value_weight)
    if name in CHOICES:
        return getattr(offline, name)(c, policy, body(agent.target_policy))
    if name == "SACBC":
        log_alpha = np.array(agent.temperature.log_alpha.data)
        return offline.SACBC(settings, policy, critics, log_alpha, c.value_weight)
    if name == "CQL":
        return offline.CQL(settings, policy, critics, np.array(agent.temperature.log_alpha.data), c)
    if name == "IQL":
        return offline.IQL(c, policy, critics, body(agent.value.networks[0]))
    if name == "ForwardKL":
        return offline.ForwardKL(c, policy, critics)
    if name == "ReverseKL":
        return offline.ReverseKL(c, policy, critics, body(agent.behavior))
    if name == "AWR":
        return offline.AWR(c, policy, critic(agent.value, 0, settings))
    return offline.AWAC(c, policy, critics) if critics else offline.BC(c, policy)


def compared(agent, reference):
    """Pairs of named arrays: the agent's and the reference's."""
    pairs = [(body(agent.policy), reference.policy)]
    for i, own in enumerate(getattr(reference, "critics", [])):
        pairs += [(body(agent.critics.networks[i]), own.network), (body(agent.critics.targets[i]), own.target)]
    if hasattr(reference, "value"):
        value = reference.value
        pairs.append((body(agent.value.networks[0]), value if isinstance(value, dict) else value.network))
    if hasattr(reference, "target_policy"):
        pairs.append((body(agent.target_policy), reference.target_policy))
    if hasattr(reference, "behavior"):
        pairs.append((body(agent.behavior), reference.behavior))
    if hasattr(reference, "log_alpha"):
        pairs.append(({"log_alpha": agent.temperature.log_alpha.data}, reference.log_alpha))
    return pairs


@pytest.mark.parametrize("case", CASES)
def test_update_equals_the_reference(rng, case):
    name, settings = CASES[case]
    agent = adapter.learner(name, Choices if name in CHOICES else World, **settings)
    reference, noise = reference_of(agent), agent.rngs.get("noise")
    for _ in range(10):
        data = batch_of(rng, choices=True) if name in CHOICES else batch(rng)
        if noise is not None:
            noise.drawn.clear()
        columns = data.observations, data.actions, data.rewards, data.next_observations, data.discounts, data.weights
        own = (rng.integers(3, size=16),) if name == "FittedSARSA" else ()
        _, errors = agent.update(NextBatch(*columns, np.arange(16), *own) if own else Batch(*columns, np.arange(16)))
        if name == "CQL":
            data.weights[...] = 1  # it has no priorities
        expected = reference.update(data, *(noise.drawn if noise is not None else own))
        np.testing.assert_allclose(errors, expected, rtol=1e-7, atol=1e-9)
        for given, wanted in compared(agent, reference):
            for key, x in wanted.items():
                np.testing.assert_allclose(given[key], x, rtol=1e-9, atol=1e-9, err_msg=f"{key}")
