"""Agents whose networks are on the GPU: they learn what those on the CPU learn, and go on there."""

import copy
import pickle
import sys
from dataclasses import fields

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import rl
from deepnp import Linear, NonFiniteError, Sequential
from deepnp.backend import device_of
from rl.experience.replay import Batch
from rl.training.export import export_numpy, import_torch
from rl.training.overestimation import overestimation
from tests.rl.references import adapter
from tests.rl.references.worlds import World, Worlds
from tests.rl.test_updates import OFF_POLICY, SMALL, assert_equal, batch

NAMES = ["DDPG", "TD3", "TD2", "SAC", "SACLite", "SACValue"]
EVERY = [name for name in rl.ALGORITHMS if "device" in {f.name for f in fields(getattr(rl, name).Config)}]
LITTLE = dict(hidden=(8, 8), activation="tanh", batch_size=8, memory=100, warmup=20, update_interval=2)
OTHERS = {
    "residual": ("TD3", dict(critic_blocks=(16, 8), block_width=8, critic_normalization="layer", critic_optimizer="sgd")),
    "spectral": ("DDPG", dict(critic_normalization="spectral", hidden=(8, 8, 8))),
    "OU noise": ("DDPG", dict(noise="ornstein-uhlenbeck")),
    "priorities": ("TD3", dict(priority_exponent=0.5, normalize_observations=True)),
    "variational": ("SACLite", dict(actor="variational", latent=3)),
    "two networks": ("SAC", dict(shared=False)),
}


class Pictures(gymnasium.Env):
    """Random images and vectors."""

    def __init__(self):
        image, vector = spaces.Box(0, 255, (3, 12, 12), np.uint8), spaces.Box(-1, 1, (2,), np.float32)
        self.observation_space = spaces.Dict(image=image, vector=vector)
        self.action_space, self.left = spaces.Box(-1, 1, (2,), np.float32), 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 5
        return self._observe(), {}

    def step(self, action):
        self.left -= 1
        return self._observe(), float(action.sum()), False, self.left == 0, {}

    def _observe(self):
        image = self.np_random.integers(0, 256, (3, 12, 12), np.uint8)
        return {"image": image, "vector": self.np_random.uniform(-1, 1, 2).astype(np.float32)}


def trained(name, env=Worlds, steps=60, device="cuda", **settings):
    algorithm = getattr(rl, name)
    agent = algorithm(env() if callable(env) else env, algorithm.Config(**{**LITTLE, **settings}, device=device), seed=3)
    return agent.learn(steps)


def states(agent):
    """Everything that training changes, on the CPU."""
    return {f"{name}.{key}": x for name, thing in agent.parts().items() for key, x in rl.state.snapshot(thing).items()}


def assert_close(one, other, tolerance):
    one, other = states(one), states(other)
    assert one.keys() == other.keys()
    for name, x in one.items():
        np.testing.assert_allclose(x, other[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("case", OFF_POLICY)
def test_an_update_equals_the_reference(rng, case):
    name, settings = OFF_POLICY[case]
    agent = adapter.learner(name, Worlds(), **{**SMALL, **settings}, device="cuda")
    assert device_of(agent.policy.flat.data) == "cuda"
    reference = adapter.reference(agent)
    for _ in range(3):
        given, expected = adapter.update(agent, reference, batch(rng))
        np.testing.assert_allclose(given, expected, rtol=1e-7)
        assert_equal(agent, reference)


@pytest.mark.parametrize(("name", "settings"), OTHERS.values(), ids=OTHERS)
def test_an_update_equals_that_on_the_cpu(rng, name, settings):
    data, steps = batch(rng), []
    for device in ("cpu", "cuda"):
        agent = adapter.learner(name, Worlds(), **{**SMALL, **settings}, device=device)
        columns = data.observations, data.actions, data.rewards, data.next_observations, data.discounts, data.weights
        steps.append((agent, [agent.update(Batch(*columns, np.arange(16))) for _ in range(3)]))
    (here, updates), (there, others) = steps
    assert_close(here, there, 1e-5 if "critic_blocks" in settings else 1e-9)  # blocks are float32
    for (metrics, errors), (metrics_there, errors_there) in zip(updates, others, strict=True):
        assert metrics_there == pytest.approx(metrics, rel=1e-5)
        np.testing.assert_allclose(errors_there, errors, rtol=1e-4)


@pytest.mark.parametrize("env", [Worlds, Pictures])
@pytest.mark.parametrize("name", NAMES)
def test_it_learns_as_on_the_cpu(name, env):
    """Few updates, so that rounding has not grown."""
    settings = dict(steps=30, env=env, lr=1e-4, critic_optimizer="sgd")
    here, there = trained(name, device="cpu", **settings), trained(name, **settings)
    moments = [k for k in states(here) if "policy_optimizer" in k]  # Adam's first steps are ±α, also where g is rounding alone
    one, other = states(here), states(there)
    for key in one.keys() - moments:
        np.testing.assert_allclose(other[key], one[key], rtol=1e-3, atol=3e-4, err_msg=key)
    observation = here.env.single_observation_space.sample()
    np.testing.assert_allclose(there.predict(observation), here.predict(observation), atol=1e-3)


@pytest.mark.parametrize("name", EVERY)
def test_what_it_gives_and_keeps_is_numpys(name):
    agent = trained(name)
    draws = {"rng": np.random.default_rng(0), "deterministic": False}
    for actions in (agent.predict(np.ones(3)), agent.predict(np.ones((4, 3)), **draws)):
        assert type(actions) is np.ndarray
    assert all(type(x) is np.ndarray for x in agent.memory.columns().values())
    for module in adapter.modules(agent):
        assert device_of(module.flat.data) == "cuda"


@pytest.mark.parametrize("name", ["DDPG", "SACValue"])
def test_a_file_goes_on_there_and_here(name, tmp_path):
    agent = trained(name, "Pendulum-v1")
    agent.save(tmp_path / "agent.safetensors")
    cls = type(agent)
    for device in ("cuda", "cpu"):
        again = cls.load(tmp_path / "agent.safetensors", "Pendulum-v1", device=device)
        assert again.config.device == device == device_of(again.policy.flat.data)
        assert_close(again, agent, 0)
        again.learn(80)
    back = cls.load(tmp_path / "agent.safetensors", device="cpu")
    back.save(tmp_path / "back.safetensors")
    assert_close(cls.load(tmp_path / "back.safetensors", device="cuda"), agent, 0)


def test_resume_on_the_gpu_equals_uninterrupted(tmp_path):
    whole = trained("TD3", "Pendulum-v1", steps=80)
    half = trained("TD3", "Pendulum-v1", steps=50)
    half.save(tmp_path / "agent.safetensors")
    assert_close(rl.TD3.load(tmp_path / "agent.safetensors", "Pendulum-v1").learn(80), whole, 1e-6)


def test_copies_and_pickles_are_on_the_gpu_too():
    agent = trained("SAC")
    for twin in (copy.deepcopy(agent), pickle.loads(pickle.dumps(agent))):
        assert device_of(twin.policy.flat.data) == "cuda"
        assert_close(twin, agent, 0)


def test_a_file_of_the_gpu_goes_on_where_there_is_none(tmp_path, monkeypatch):
    agent = trained("TD2", "Pendulum-v1")
    agent.save(tmp_path / "agent.safetensors")
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.warns(UserWarning, match='here is none that CuPy can use: it goes on on the CPU, device="cpu"'):
        here = rl.TD2.load(tmp_path / "agent.safetensors", "Pendulum-v1")
    assert here.config.device == "cpu"
    assert here.learn(80).steps == 80
    with pytest.raises(ValueError, match='"cuda" needs CuPy and a GPU'):
        rl.TD2.load(tmp_path / "agent.safetensors", device="cuda")


@pytest.mark.parametrize("name", EVERY)
def test_without_a_gpu_it_says_so(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    algorithm = getattr(rl, name)
    with pytest.raises(ValueError, match='device "cuda" needs CuPy and a GPU'):
        algorithm("Pendulum-v1", algorithm.Config(device="cuda"))
    with pytest.raises(ValueError, match=r"device as one of \('cpu', 'cuda'\), given 'gpu'"):
        algorithm.Config(device="gpu")


@pytest.mark.parametrize("name", ["PPO", "A2C", "PreQN", "TRPO", "CEM"])
def test_others_have_no_such_setting(name):
    with pytest.raises(TypeError, match="device"):
        getattr(rl, name).Config(device="cuda")


def test_flows_and_memory_are_refused():
    with pytest.raises(ValueError, match='expected device "cpu" with actor "flow"'):
        rl.SACConfig(actor="flow", device="cuda")
    with pytest.raises(ValueError, match="expected device 'cpu' with recall='lstm'"):
        rl.TD3Config(recall="lstm", device="cuda")


def test_networks_of_ones_own_are_moved():
    def critic(rng):
        return Sequential(Linear(5, 8, rng=rng), Linear(8, 1, rng=rng))

    policy = Sequential(Linear(3, 2, rng=np.random.default_rng(0)))
    agent = rl.DDPG(Worlds(), rl.DDPGConfig(**LITTLE, device="cuda"), policy=policy, critic=critic).learn(40)
    assert device_of(policy.flat.data) == "cuda"
    assert policy[0].weight.data is not None
    np.testing.assert_array_equal(rl.state.snapshot(policy)["0.weight"], rl.state.snapshot(agent.policy)["0.weight"])


def test_a_loss_that_is_not_finite_stops_it():
    agent = trained("TD3")
    agent.critics.networks[1].flat.data[...] = np.inf
    with np.errstate(all="ignore"), pytest.raises(NonFiniteError, match="critic loss"):
        agent.learn(100)


def test_its_policy_is_exported_and_imported(tmp_path):
    agent = trained("DDPG")
    export_numpy(agent, tmp_path / "policy.py")
    rl.training.export.export_torch(agent, tmp_path / "policy.safetensors")
    other = trained("DDPG", steps=30)
    import_torch(other, tmp_path / "policy.safetensors")
    seen = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(other.predict(seen), agent.predict(seen))
    np.testing.assert_array_equal(*(rl.state.snapshot(x)["0.weight"] for x in (other.policy, other.target_policy)))


def test_its_critics_can_be_probed_and_watched():
    agent = trained("TD3")
    values = overestimation(agent, World, episodes=2)
    assert all(type(x) is np.ndarray and np.isfinite(x).all() for x in values.values())
    agent.critics.watched = True
    agent.learn(70)
    assert -1 <= agent.critics.alignment <= 1
