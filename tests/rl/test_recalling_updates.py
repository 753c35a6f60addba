"""Whole updates of SAC and TD3 with memory equal a float64 reference that reads every sequence step by step."""

from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest

from rl.experience.stretches import sequence_batch
from rl.networks import memories
from tests.rl.references import adapter, off_policy, recalling
from tests.rl.references.worlds import Worlds
from tests.rl.test_stretches import lived, places
from tests.rl.test_updates import SMALL, assert_equal

L = 5
CASES = {
    "SAC, GRU": ("SAC", dict(recall="gru", burn_in=3, initial_temperature=0.5)),
    "SAC, LSTM": ("SAC", dict(recall="lstm", temperature=0.25, asymmetry=0.8)),
    "TD3, GRU": ("TD3", dict(recall="gru", burn_in=2, smoothing=0.6, smoothing_clip=0.3)),
}


@contextmanager
def double_precision():
    """Memories are float64."""

    def doubled(*arguments, **settings):
        return memory(*arguments, **settings).to(np.float64)

    memory = memories.RecurrentMemory
    with mock.patch.object(memories, "RecurrentMemory", doubled):
        yield


def reference(agent, name: str):
    c = agent.config
    fields = {field: getattr(c, field) for field in off_policy.Settings.__dataclass_fields__ if hasattr(c, field)}
    settings = off_policy.Settings(**fields | {"target_entropy": -2.0, "limit": np.inf, "optimizer": "adam"})
    critics = [adapter.critic(agent.critics, i, settings) for i in range(2)]
    policy = adapter.parameters(agent.policy)
    if name == "SAC":
        log_alpha = np.array(agent.temperature.log_alpha.data, np.float64)
        return recalling.of(recalling.RememberingSAC(settings, policy, critics, log_alpha), critics)
    return recalling.of(recalling.RememberingTD3(settings, policy, adapter.parameters(agent.target_policy), critics), critics)


@pytest.mark.parametrize("case", CASES)
def test_update_equals_the_reference(rng, case):
    name, settings = CASES[case]
    with double_precision():
        agent = adapter.learner(name, Worlds(), **{**SMALL, "hidden": (5,)}, recall_size=3, recall_span=L, **settings)
    agent.observe = lambda observations: observations  # they come as they are read
    expected, c = reference(agent, name), agent.config
    for _ in range(3):
        memory, told = lived(rng, 40)
        rows, where = places(memory, told)
        chosen = rng.permutation(len(rows))[:4]
        batch = sequence_batch(memory, rows[chosen], L, c.burn_in, c.gamma, lambda s: s.astype(np.float64))
        starts = [(told[where[k][0]], where[k][1]) for k in chosen]
        data = recalling.data_of(starts, c.gamma, kind=c.recall, size=3, length=L, burn_in=c.burn_in, activation=c.activation)
        noise = agent.rngs["noise"]
        noise.drawn.clear()
        _, errors = agent.update(batch)
        np.testing.assert_allclose(errors, expected.update(data, *noise.drawn), rtol=1e-6, atol=1e-9)
        assert_equal(agent, expected)
