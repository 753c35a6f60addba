"""Weights to and from PyTorch, and policies of Stable-Baselines3."""

from pathlib import Path

import numpy as np
import pytest
from gymnasium import spaces

import rl
from deepnp.storage import load_metadata, load_tensors, save_tensors
from rl import DDPG, PPO, SAC, TD3
from rl.training.export import export_torch, import_torch

FIXTURES = Path(__file__).parent / "fixtures"
VECTOR, BOUNDED = spaces.Box(-np.inf, np.inf, (3,), np.float32), spaces.Box(np.float32([-2, -0.5]), np.float32([1, 4]))
HIDDEN = (8, 6)


def agent_of(cls, action=BOUNDED, seed=0, **settings):
    if cls.takes.tables:
        return cls.of_spaces(spaces.Discrete(20), action, cls.Config(initial_value=float(seed), **settings), seed)
    widths = {"model_hidden" if cls is rl.PETS else "hidden": HIDDEN}
    return cls.of_spaces(VECTOR, action, cls.Config(**widths, **settings), seed)


@pytest.fixture
def observations(rng):
    return rng.standard_normal((20, 3)).astype(np.float32)


@pytest.mark.parametrize("name", rl.ALGORITHMS)
def test_there_and_back(name, observations, tmp_path):
    cls = rl.ALGORITHMS[name].cls
    action = BOUNDED if "Box" in cls.takes.actions else spaces.Discrete(3)
    agent, other = agent_of(cls, action), agent_of(cls, action, seed=1)
    if agent.normalizer:
        agent.normalizer.update(observations * 3 + 5)
    export_torch(agent, tmp_path / "new" / "policy.safetensors")
    assert load_metadata(tmp_path / "new" / "policy.safetensors")["algorithm"].startswith(f"{name}, after 0")
    import_torch(other, tmp_path / "new" / "policy.safetensors")
    observations = np.arange(20) if cls.takes.tables else observations
    if cls is not rl.PETS:  # which searches with draws of its own seed
        np.testing.assert_allclose(other.predict(observations), agent.predict(observations), atol=1e-6)
    for one in ("policy", "target_policy"):
        if one in agent.parts():
            given, expected = other.parts()[one].state_dict(), agent.parts()["policy"].state_dict()
            assert all(np.array_equal(given[key], x) for key, x in expected.items())


def test_pytorch_computes_the_same_from_the_file(observations, tmp_path):
    torch = pytest.importorskip("torch")
    load_file, nn = pytest.importorskip("safetensors.torch").load_file, torch.nn
    agent = agent_of(PPO)
    agent.normalizer.update(observations * 3 + 5)
    export_torch(agent, tmp_path / "policy.safetensors")
    file = load_file(tmp_path / "policy.safetensors")
    network = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 2))
    network.load_state_dict({key.removeprefix("mean."): x for key, x in file.items() if key.startswith("mean.")})
    x = (torch.tensor(observations) - file["normalizer.mean"]) / (file["normalizer.sigma"] + 1e-4)
    y = network(x.clip(-10, 10).float()).clip(-1, 1)
    low, high = torch.tensor(BOUNDED.low), torch.tensor(BOUNDED.high)
    actions = (low + (y + 1) / 2 * (high - low)).detach().numpy()
    np.testing.assert_allclose(actions, agent.predict(observations), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "cls", "action", "settings"),
    [
        ("ppo", PPO, BOUNDED, {"normalize_observations": False}),
        ("ppo_choices", PPO, spaces.Discrete(3), {"normalize_observations": False}),
        ("sac", SAC, BOUNDED, {}),
        ("sac", SAC, BOUNDED, {"shared": False}),
        ("td3", TD3, BOUNDED, {}),
        ("td3", DDPG, BOUNDED, {}),
    ],
)
def test_policies_of_stable_baselines_act_as_they_did(name, cls, action, settings):
    """Their actions are in the fixtures; tests/rl/fixtures/make.py wrote them."""
    agent, (saved, _) = agent_of(cls, action, **settings), load_tensors(FIXTURES / f"{name}_io.safetensors")
    import_torch(agent, FIXTURES / f"{name}.safetensors")
    np.testing.assert_allclose(agent.predict(saved["observations"]), saved["actions"], atol=1e-5)


def test_the_noise_of_stable_baselines_comes_along():
    agent, (theirs, _) = agent_of(PPO, normalize_observations=False), load_tensors(FIXTURES / "ppo.safetensors")
    import_torch(agent, FIXTURES / "ppo.safetensors")
    sigma = agent.policy.state_free_sigma() * (BOUNDED.high - BOUNDED.low) / 2
    np.testing.assert_allclose(sigma, np.exp(theirs["log_std"]), rtol=1e-6)
    one, two = agent_of(SAC), agent_of(SAC, shared=False)
    (theirs, _), x = load_tensors(FIXTURES / "sac.safetensors"), np.ones((1, 3), np.float32)
    for layer in ("actor.latent_pi.0", "actor.latent_pi.2"):
        x = np.maximum(x @ theirs[f"{layer}.weight"].T + theirs[f"{layer}.bias"], 0)
    log_sigma = x @ theirs["actor.log_std.weight"].T + theirs["actor.log_std.bias"]
    for agent in (one, two):
        import_torch(agent, FIXTURES / "sac.safetensors")
    ones = np.ones((1, 3), np.float32)
    np.testing.assert_allclose(one.policy.body.predict(ones)[:, 2:], log_sigma, rtol=1e-5)
    np.testing.assert_allclose(two.policy.log_sigma.predict(ones), log_sigma, rtol=1e-5)


def test_statistics_beside_a_policy_of_stable_baselines_are_taken(observations, tmp_path):
    theirs, _ = load_tensors(FIXTURES / "ppo.safetensors")
    mean, sigma = np.array([1.0, -2.0, 0.0]), np.array([0.5, 3.0, 0.0])
    statistics = {"normalizer.count": np.array(40.0), "normalizer.mean": mean, "normalizer.sigma": sigma}
    save_tensors(tmp_path / "a.safetensors", theirs | statistics)
    plain, agent = agent_of(PPO, normalize_observations=False), agent_of(PPO)
    import_torch(plain, FIXTURES / "ppo.safetensors")
    import_torch(agent, tmp_path / "a.safetensors")
    expected = plain.predict(np.clip((observations - mean) / (sigma + 1e-4), -10, 10))
    np.testing.assert_allclose(agent.predict(observations), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("fixture", "agent", "message"),
    [
        ("ppo", lambda: agent_of(PPO), r"expected \['normalizer.count', .*normalize_observations of PPOConfig\), given none"),
        ("ppo", lambda: agent_of(PPO, sigma="network", normalize_observations=False), 'expected an agent with sigma="vector"'),
        ("ppo", lambda: agent_of(SAC), "expected 'actor.mu.weight' of Stable-Baselines3's, for SAC"),
        ("sac", lambda: agent_of(PPO, normalize_observations=False), "expected 'action_net.weight' of Stable-Baselines3's"),
        ("sac", lambda: agent_of(TD3), "missing"),
        ("sac", lambda: SAC.of_spaces(VECTOR, BOUNDED), "body.0"),
        ("sac_io", lambda: agent_of(SAC), "unknown"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_written(fixture, agent, message):
    agent = agent()
    before = {key: np.array(x) for key, x in agent.policy.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        import_torch(agent, FIXTURES / f"{fixture}.safetensors")
    assert all(np.array_equal(before[key], x) for key, x in agent.policy.state_dict().items())


def test_more_that_is_refused(observations, tmp_path):
    agent, path = agent_of(PPO), tmp_path / "a.safetensors"
    with pytest.raises(ValueError, match=r"ends in .safetensors, given .*a.pt"):
        export_torch(agent, tmp_path / "a.pt")
    with pytest.raises(FileNotFoundError):
        import_torch(agent, path)
    export_torch(agent, path)
    with pytest.raises(ValueError, match=r"expected no normalizer in .*, given \['count', 'mean', 'sigma'\]"):
        import_torch(agent_of(PPO, normalize_observations=False), path)
    tensors, _ = load_tensors(path)
    agent = agent_of(PPO, seed=1)
    before = agent.predict(observations)
    for key, x in (
        ("normalizer.mean", np.zeros(4)),
        ("normalizer.sigma", np.full(3, np.nan)),
        ("mean.0.bias", np.full(8, np.nan, "f")),
    ):
        save_tensors(path, {**tensors, key: x})
        with pytest.raises(ValueError, match=r"expected a finite|mean.0.bias"):
            import_torch(agent, path)
        np.testing.assert_array_equal(agent.predict(observations), before)
    save_tensors(path, {"features_extractor.cnn.0.weight": np.zeros(3), "action_net.weight": np.zeros(3)})
    with pytest.raises(ValueError, match="expected the weights of an MlpPolicy"):
        import_torch(agent_of(PPO, normalize_observations=False), path)
