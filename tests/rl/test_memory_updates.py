"""Whole updates of PPO with memory equal a float64 reference that reads every sequence step by step."""

from contextlib import contextmanager
from unittest import mock

import numpy as np
import pytest

from rl.algorithms.policy_gradient import networks
from rl.networks import memories
from tests.rl.references import adapter, ppo
from tests.rl.references.memory import RememberingPPO
from tests.rl.references.worlds import Choices, Worlds
from tests.rl.test_updates import EVERY_TERM, LEARNED, assert_equal, trajectories

SMALL = {**LEARNED, "hidden": (5,), "memory_size": 4, "epochs": 2}
CASES = {
    "GRU": dict(memory="gru", memory_span=4),
    "LSTM": dict(memory="lstm", memory_span=5, **EVERY_TERM),
    "burn-in": dict(memory="gru", memory_span=4, burn_in=3, penalty="kl-fixed"),
    "choices": dict(memory="lstm", memory_span=12, burn_in=2, target_kl=1e-2),
}


@contextmanager
def double_precision():
    """What networks with memory are made of besides, in float64."""

    def doubled(make):
        return lambda *arguments, **settings: make(*arguments, **settings).to(np.float64)

    with (
        mock.patch.object(memories, "RecurrentMemory", doubled(memories.RecurrentMemory)),
        mock.patch.object(networks, "mlp", doubled(networks.mlp)),
    ):
        yield


def reference(agent) -> RememberingPPO:
    c = agent.config
    known = {field: getattr(c, field) for field in ppo.Settings.__dataclass_fields__ if hasattr(c, field)}
    settings = ppo.Settings(**known | {"horizon": c.gae_horizon, "discrete": agent.space.action.kind == "Discrete"})
    both = adapter.parameters(agent.policy), adapter.parameters(agent.value)
    return RememberingPPO(settings, *both, c.memory, c.memory_size, c.memory_span, c.burn_in, c.num_envs)


def remembered(agent, data):
    """The rollout as the agent collects it: it acts at every step, and hears of ends."""
    rollout = adapter.rollout_of(data)
    agent.recall.open()
    for t, observations in enumerate(data.observations):
        agent.recall.act(observations, None)
        agent.recall.starts = data.terminated[t] | data.truncated[t]
    rollout.sequences = agent.recall.close(rollout)
    return rollout


@pytest.mark.parametrize("case", CASES)
def test_update_equals_the_reference(rng, case):
    choices = case == "choices"
    with double_precision():
        agent = adapter.learner("PPO", Choices if choices else Worlds(4), **{**SMALL, **CASES[case], "num_envs": 4})
    agent.recall.begin(4)
    expected, recorders = reference(agent), [agent.rngs[name] for name in ("policy", "value")]
    for i in range(4):
        data = trajectories(rng, choices)
        for recorder in recorders:
            recorder.drawn.clear()
        given = agent.update(remembered(agent, data), i / 6)
        metrics = expected.update(data, i / 6, *(iter(recorder.drawn) for recorder in recorders))
        assert given["epochs"] == metrics["epochs"]
        assert given["kl"] == pytest.approx(metrics["kl"], rel=1e-6)
        assert_equal(agent, expected)
