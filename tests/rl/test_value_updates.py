"""Whole updates of value-based methods equal their references: parameters, targets and errors, after each of ten updates."""

import numpy as np
import pytest

from rl.experience.replay import Batch
from tests.rl.references import adapter, values
from tests.rl.references.off_policy import Data
from tests.rl.references.worlds import Choices, World

SMALL = dict(hidden=(8, 6), lr=3e-3, batch_size=16, memory=100, activation="tanh")
CASES = {
    "DQN": ("DQN", dict(target_interval=4)),
    "DQN, following": ("DQN", dict(targets="polyak", tau=0.1, error_limit=0.5)),
    "DQN, its own target": ("DQN", dict(targets="none")),
    "Double DQN": ("DQN", dict(double=True, target_interval=3, activation="relu")),
    "DQN, soft": ("DQN", dict(boltzmann=0.7, soft_target=True, targets="polyak", tau=0.1)),
    "C51": ("C51", dict(atoms=7, lowest=-3.0, highest=2.0, target_interval=4)),
    "C51, double": ("C51", dict(atoms=5, double=True, targets="polyak", tau=0.1)),
    "QR-DQN": ("QRDQN", dict(quantiles=4, target_interval=4)),
    "QR-DQN, double": ("QRDQN", dict(quantiles=3, quantile_limit=0.4, double=True, targets="polyak", tau=0.1)),
    "DiscreteSAC": ("DiscreteSAC", dict(initial_temperature=0.5, tau=0.1)),
    "DiscreteSAC, fixed temperature": ("DiscreteSAC", dict(temperature=0.3, tau=0.1, activation="relu")),
    "NAF": ("NAF", dict(tau=0.1)),
    "NAF, Huber": ("NAF", dict(tau=0.1, error_limit=0.3)),
}


def batch(rng, choices: bool, rows: int = 16) -> Data:
    """Transitions of which some terminated, and some look two steps ahead."""

    def draw(*shape):
        return rng.normal(size=shape).astype(np.float32).astype(np.float64)

    actions = rng.integers(3, size=rows) if choices else np.tanh(draw(rows, 2))
    return Data(draw(rows, 3), actions, draw(rows) - 1, draw(rows, 3), rng.choice([0, 0.8, 0.64], rows), rng.uniform(0.2, 1, rows))


def body(module) -> dict[str, np.ndarray]:
    """Copies of a network's parameters, under its layers' numbers."""
    return {name.partition(".")[2]: p for name, p in adapter.parameters(module).items()}


def reference_of(agent):
    cls = getattr(values, type(agent).__name__)
    if cls is not values.DiscreteSAC:
        network = body(agent.policy)
        return cls(agent.config, network, network if agent.target_policy is agent.policy else body(agent.target_policy))
    pairs = zip(agent.critics.networks, agent.critics.targets, strict=True)
    critics = [(adapter.parameters(network), adapter.parameters(target)) for network, target in pairs]
    log_alpha = np.array(agent.temperature.log_alpha.data)
    return cls(agent.config, body(agent.policy), critics, log_alpha, agent.temperature.target_entropy)


def compared(agent, reference):
    """Pairs of named arrays: the agent's and the reference's."""
    if not isinstance(reference, values.DiscreteSAC):
        return [(body(agent.policy), reference.network), (body(agent.target_policy), reference.target)]
    pairs = [(body(agent.policy), reference.policy), ({"log_alpha": agent.temperature.log_alpha.data}, reference.log_alpha)]
    for i, (network, target) in enumerate(reference.critics):
        pairs += [(adapter.parameters(agent.critics.networks[i]), network), (adapter.parameters(agent.critics.targets[i]), target)]
    return pairs


@pytest.mark.parametrize("case", CASES)
def test_update_equals_the_reference(rng, case):
    name, settings = CASES[case]
    agent = adapter.learner(name, World if name == "NAF" else Choices, **{**SMALL, **settings})
    reference = reference_of(agent)
    for _ in range(10):
        data = batch(rng, name != "NAF")
        columns = data.observations, data.actions, data.rewards, data.next_observations, data.discounts, data.weights
        _, errors = agent.update(Batch(*columns, np.arange(16)))
        np.testing.assert_allclose(errors, reference.update(data), rtol=1e-7, atol=1e-9)
        for given, expected in compared(agent, reference):
            for key, x in expected.items():
                np.testing.assert_allclose(given[key], x, rtol=1e-9, atol=1e-9, err_msg=f"{key}")
