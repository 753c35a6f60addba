"""Policies with memory as ONNX files: step after step they act as the agent does."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from rl import PPO, PPOConfig
from rl.training.export import export_onnx
from tests.rl.toys import Allowed

SMALL = dict(num_envs=2, steps=16, hidden=(8,), memory_size=6, memory_span=8, batch_size=16, epochs=1)
RECURRENT = ("rnn", "gru", "lstm")


def session_of(agent, folder):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    export_onnx(agent, folder / "policy.onnx")
    return runtime.InferenceSession(str(folder / "policy.onnx"), providers=["CPUExecutionProvider"])


def stirred(agent):
    """Weights that say something."""
    rng = np.random.default_rng(1)
    agent.policy.flat.data[...] += rng.normal(0, 0.5, len(agent.policy.flat)).astype(np.float32)
    return agent


@pytest.mark.parametrize("kind", RECURRENT)
@pytest.mark.parametrize("env", ["Pendulum-v1", "CartPole-v1"])
def test_it_acts_as_the_agent_step_after_step(kind, env, tmp_path, rng):
    agent = stirred(PPO(env, PPOConfig(**SMALL, memory=kind)).learn(64))
    session, state = session_of(agent, tmp_path), agent.initial_state(4)
    names = ["state_h", "state_c"][: len(state)]
    assert [x.name for x in session.get_inputs()] == ["observation", *names]
    assert [x.name for x in session.get_outputs()] == ["action", *(f"next_{name}" for name in names)]
    given = dict(zip(names, state, strict=True))
    for observations in rng.normal(size=(6, 4, *agent.env.single_observation_space.shape)).astype(np.float32):
        action, *following = session.run(None, {"observation": observations, **given})
        expected, state = agent.predict(observations, state=state)
        np.testing.assert_allclose(action, expected, atol=1e-4)
        for part, own in zip(following, state, strict=True):
            np.testing.assert_allclose(part, own, atol=1e-5)
        given = dict(zip(names, following, strict=True))


def test_masks_go_past_the_memory(tmp_path):
    agent = PPO([lambda: Allowed(spaces.Discrete(4))] * 2, PPOConfig(**SMALL, memory="gru"))
    session = session_of(agent, tmp_path)
    inputs = {x.name: np.zeros((1, *x.shape[1:]), {"tensor(float)": np.float32}.get(x.type, np.int8)) for x in session.get_inputs()}
    observation, _ = gymnasium.wrappers.OrderEnforcing(Allowed(spaces.Discrete(4))).reset(seed=0)
    inputs |= {name: np.asarray(value)[None] for name, value in observation.items()}
    action, _ = session.run(None, inputs)
    assert observation["action_mask"][action[0]]
