"""What the settings ask of critics holds for every off-policy actor-critic, and for every value network that it has."""

import numpy as np
import pytest

import rl
from deepnp import GroupNorm, L2Norm, LayerNorm, Linear
from deepnp.optim import SGD, Adam
from rl.algorithms.actor_critic.config import OffPolicyConfig
from tests.rl.references.adapter import critics_of
from tests.rl.toys import states

NAMES = [name for name, a in rl.ALGORITHMS.items() if issubclass(a.config, OffPolicyConfig)]
SMALL = dict(hidden=(32, 32), batch_size=16, warmup=20, memory=500, lr=1e-3, num_envs=2)
SETTINGS = {
    "SGD": dict(critic_optimizer="sgd", critic_lr=1e-2),
    "gains": dict(critic_gain=3.0, actor_gain=0.5),
    "own widths": dict(critic_hidden=(8,), activation="sine"),
    "layer": dict(critic_normalization="layer", critic_affine=False),
    "group": dict(critic_normalization="group", critic_affine=False),
    "batch": dict(critic_normalization="batch", critic_affine=False),
    "l2": dict(critic_normalization="l2"),
    "spectral": dict(critic_normalization="spectral"),
    "blocks": dict(critic_blocks=(8, 8), block_width=16, critic_normalization="layer"),
    "no targets": dict(targets=False, critic_normalization="layer"),
    "Huber, asymmetric": dict(error_limit=0.1, asymmetry=0.8),
}


def made(name: str, settings: dict):
    return getattr(rl, name)("Pendulum-v1", getattr(rl, f"{name}Config")(**SMALL | settings), seed=0)


def networks(agent) -> list:
    return [network for values in critics_of(agent) for network in values.networks]


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("name", NAMES)
def test_it_learns_and_goes_on_to_the_bit(name, settings, tmp_path):
    if name == "MVE" and settings is SETTINGS["SGD"]:
        settings = dict(settings, critic_lr=1e-3)  # rewards of three steps in a target: plain SGD diverges at ten times that
    whole = made(name, settings)
    start = {key: array.copy() for key, array in states(whole).items()}
    whole.learn(40).save(tmp_path / "half.safetensors")
    half, given = rl.load(tmp_path / "half.safetensors", "Pendulum-v1").learn(60), states(whole.learn(60))
    for key, array in states(half).items():
        np.testing.assert_array_equal(given[key], array, err_msg=key)
        assert "target" in key or not key.endswith("weight") or (array != start[key]).any(), key


@pytest.mark.parametrize("name", NAMES)
def test_the_optimizer_is_the_one_that_was_asked_for(name):
    for kind, wanted in (("sgd", SGD), ("adam", Adam)):
        agent = made(name, dict(critic_optimizer=kind, critic_lr=0.02))
        optimizers = [optimizer for values in critics_of(agent) for optimizer in values.optimizers]
        assert [(type(optimizer), optimizer.lr) for optimizer in optimizers] == [(wanted, 0.02)] * len(optimizers)
        assert type(agent.policy_optimizer) is Adam
        assert agent.policy_optimizer.lr == 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_gains_are_the_lengths_of_the_last_weights(name):
    agent = made(name, dict(critic_gain=3.0, actor_gain=0.5))
    last = [[m for m in network.modules() if isinstance(m, Linear)][-1] for network in [*networks(agent), agent.policy]]
    *critics, policy = (np.linalg.norm(layer.weight.data, axis=1) for layer in last)
    np.testing.assert_allclose(critics, 3, rtol=1e-5)
    np.testing.assert_allclose(policy, 0.5, rtol=1e-5)


@pytest.mark.parametrize(("kind", "layer", "count"), [("layer", LayerNorm, 2), ("group", GroupNorm, 2), ("l2", L2Norm, 1)])
@pytest.mark.parametrize("name", NAMES)
def test_normalisations_have_parameters_of_their_own_or_none(name, kind, layer, count):
    for affine in (True, False):
        for network in networks(made(name, dict(critic_normalization=kind, critic_affine=affine))):
            norms = [m for m in network.modules() if isinstance(m, layer)]
            assert len(norms) == count
            assert {bool(list(norm.parameters())) for norm in norms} == {affine and layer is not L2Norm}


@pytest.mark.parametrize("name", NAMES)
def test_without_targets_the_networks_are_their_own(name):
    agent = made(name, dict(targets=False)).learn(60)
    assert all(
        values.targets == values.networks for values in critics_of(agent)
    )  # the very objects: modules have no other equality
    assert not [key for key in states(agent) if "target" in key and "network" not in key]


def test_a_soft_agent_may_have_one_critic():
    for name in ("SAC", "SACLite", "SACValue"):
        assert [len(made(name, dict(twin=twin)).critics.networks) for twin in (True, False)] == [2, 1]


def test_the_smaller_target_is_the_larger_error_of_each_critic():
    """Σ_j (Q_j − r − γ min_i Q̄_i)² = Σ_j (max_i [Q_j − r − γ Q̄_i])²: twins punish the worst overestimate there is."""
    agent = made("TD3", {})
    rng = np.random.default_rng(0)
    s, s_next = (rng.normal(size=(16, 3)).astype(np.float32) for _ in range(2))
    a, rewards, gamma = rng.uniform(-1, 1, (16, 1)).astype(np.float32), rng.normal(size=16).astype(np.float32), 0.9
    values = [network.predict(np.hstack([s, a]))[:, 0].astype(np.float64) for network in agent.critics.networks]
    following = [target.predict(np.hstack([s_next, a]))[:, 0].astype(np.float64) for target in agent.critics.targets]
    largest = [np.max([q - rewards - gamma * q_next for q_next in following], axis=0) for q in values]
    y = (rewards + gamma * agent.critics.target(s_next, a)).astype(np.float32)
    loss, _ = agent.critics.fit(s, a, targets=y, weights=np.ones(16, np.float32))
    assert loss == pytest.approx(np.mean(np.square(largest)), rel=1e-5)
