"""Whole updates equal their references: parameters, moments, targets and errors, after one update and after ten."""

import numpy as np
import pytest

from deepnp.gradcheck import numerical_gradient
from rl.state import EpisodeAware
from tests.rl.references import adapter, networks
from tests.rl.references.networks import mlp
from tests.rl.references.off_policy import Data
from tests.rl.references.ppo import Trajectories
from tests.rl.references.worlds import Choices, Worlds

SMALL = dict(hidden=(8, 6), lr=3e-3, tau=0.1, batch_size=16, memory=100, activation="tanh")
BOUNDED = dict(clip_targets=True, gamma=0.8)
OFF_POLICY = {
    "DDPG": ("DDPG", {}),
    "DDPG of ReLU": ("DDPG", dict(activation="relu")),
    "DDPG, targets clipped": ("DDPG", BOUNDED),
    "DDPG, layer normalisation": ("DDPG", dict(critic_normalization="layer")),
    "DDPG, group normalisation": ("DDPG", dict(critic_normalization="group", hidden=(64,))),
    "DDPG, features of length 1": ("DDPG", dict(critic_normalization="l2")),
    "DDPG, batch normalisation": ("DDPG", dict(critic_normalization="batch")),
    "DDPG, its own target": ("DDPG", dict(targets=False, critic_normalization="batch")),
    "DDPG, asymmetric": ("DDPG", dict(asymmetry=0.8, error_limit=1.0)),
    "DDPG, plain descent": ("DDPG", dict(critic_optimizer="sgd", asymmetry=0.1)),
    "TD2": ("TD2", {}),
    "TD2, the plain form": ("TD2", dict(policy_noise=0.0, target_actor=True)),
    "TD2, its own target": ("TD2", dict(targets=False, policy_noise=0.9)),
    "TD3": ("TD3", dict(smoothing=0.6, smoothing_clip=0.3)),
    "TD3, every third": ("TD3", dict(smoothing=0.2, delay=3, critic_normalization="layer")),
    "TD3, its own target": ("TD3", dict(targets=False)),
    "TD3, targets clipped": ("TD3", dict(smoothing=0.3, **BOUNDED)),
    "QAscent": ("QAscent", dict(ascent_rate=3.0)),
    "QAscent, its own target": ("QAscent", dict(ascent_steps=3, targets=False, critic_normalization="l2")),
    "SAC": ("SAC", dict(initial_temperature=0.5)),
    "SAC, two networks": ("SAC", dict(shared=False, target_entropy=0.3)),
    "SAC, fixed temperature": ("SAC", dict(temperature=0.25)),
    "SAC, batch normalisation": ("SAC", dict(critic_normalization="batch")),
    "SAC, its own target": ("SAC", dict(targets=False, asymmetry=0.9)),
    "SACLite": ("SACLite", dict(initial_temperature=0.5)),
    "SACLite, targets clipped": ("SACLite", BOUNDED),
    "SACLite of one critic": ("SACLite", dict(twin=False, critic_normalization="l2")),
    "SAC of one critic": ("SAC", dict(twin=False)),
    "SACValue": ("SACValue", dict(initial_temperature=0.5)),
    "SACValue, fixed temperature": ("SACValue", dict(temperature=0.25, critic_normalization="layer")),
    "SACValue, its own target": ("SACValue", dict(targets=False, asymmetry=0.9, critic_optimizer="sgd", critic_normalization="l2")),
}
LEARNED = dict(lr=1e-2, adam_eps=1e-2, hidden=(8, 6), batch_size=16, epochs=3, steps=12)
EVERY_TERM = dict(
    entropy_coef=0.05, value_clip=0.3, gae_horizon=3, max_grad_norm=0.4, clip=0.1, anneal_clip=True, anneal_entropy=True
)
PPO = {
    "as it is": {},
    "every term": EVERY_TERM,
    "σ a network": dict(sigma="network", **EVERY_TERM),
    "σ fixed": dict(sigma="fixed", initial_sigma=0.75, **EVERY_TERM),
    "raw advantages": dict(normalize_advantages=False, value_coef=0.2, activation="relu", anneal_lr=False),
    "stopped by KL": dict(target_kl=1e-3, **EVERY_TERM),
    "rolled back": dict(target_kl=2e-2, rollback=True, **{**EVERY_TERM, "clip": 0.3}),
    "mirrored": dict(mirror=True, **EVERY_TERM),
    "choices": dict(**EVERY_TERM),
    "no penalty": dict(penalty="none", clip=0.01),
    "fixed KL": dict(penalty="kl-fixed", kl_coef=3.0, entropy_coef=0.05),
    "fixed KL, σ a network": dict(penalty="kl-fixed", kl_coef=3.0, sigma="network"),
    "adaptive KL": dict(penalty="kl-adaptive", kl_coef=0.5, kl_target=3e-3),
    "adaptive KL of choices": dict(penalty="kl-adaptive", kl_target=1e-3),
    "one trunk": dict(shared=True, **EVERY_TERM),
    "one trunk, choices": dict(shared=True, penalty="kl-fixed", activation="relu"),
    "one trunk, σ a head": dict(shared=True, sigma="network", target_kl=1e-3),
}
PLAIN = dict(lr=1e-2, hidden=(8, 6), steps=12, entropy_coef=0.05, max_grad_norm=0.4)
POLICY_GRADIENT = {
    "REINFORCE": ("REINFORCE", {}),
    "REINFORCE, by the book": (
        "REINFORCE",
        dict(returns="total", baseline="none", fragments="drop", normalize_advantages=False),
    ),
    "REINFORCE, mean": ("REINFORCE", dict(baseline="mean", normalize_advantages=False, gamma=0.7, discount_steps=True)),
    "REINFORCE, value of the whole": ("REINFORCE", dict(returns="total", normalize_advantages=False, gamma=0.8)),
    "REINFORCE, time": ("REINFORCE", dict(baseline="time", returns="total", gamma=0.9)),
    "REINFORCE, least variance": ("REINFORCE", dict(baseline="minimum-variance", normalize_advantages=False)),
    "REINFORCE of choices": ("REINFORCE", dict(baseline="minimum-variance", fragments="drop")),
    "A2C": ("A2C", {}),
    "A2C, Adam": ("A2C", dict(optimizer="adam", normalize_advantages=True, anneal_lr=False)),
    "A2C, Monte Carlo": ("A2C", dict(estimator="mc", sigma="network")),
    "A2C, one step": ("A2C", dict(estimator="td", gamma=0.8, value_coef=2.0)),
    "A2C, three steps": ("A2C", dict(estimator="n-step", n_step=3, activation="relu")),
    "A2C of choices": ("A2C", dict(lam=0.7)),
    "OffPolicyPG": ("OffPolicyPG", dict(policy_steps=2)),
    "OffPolicyPG, per decision": ("OffPolicyPG", dict(weights="decision", truncation=1e9, normalize_advantages=False)),
    "OffPolicyPG, per trajectory": ("OffPolicyPG", dict(weights="trajectory", truncation=5.0, self_normalize=True, reuse=2)),
    "OffPolicyPG of choices": ("OffPolicyPG", dict(weights="decision", self_normalize=True, reuse=0)),
}


def batch(rng, rows: int = 16) -> Data:
    """Transitions of which some terminated, some were cut, some look two and three steps ahead; all of float32's numbers."""

    def draw(*shape):
        return rng.normal(size=shape).astype(np.float32).astype(np.float64)

    discounts = rng.choice([0, 0.8, 0.8**2, 0.8**3], rows)
    weights = rng.uniform(0.2, 1, rows)
    return Data(draw(rows, 3), np.tanh(draw(rows, 2)), draw(rows) - 1, draw(rows, 3), discounts, weights)


def trajectories(rng, choices: bool, steps: int = 12, copies: int = 4) -> Trajectories:
    """Episodes that terminate and are truncated, with observations that resets replaced, and steps that never happened."""
    valid = rng.random((steps, copies)) < 0.9
    ended = valid & (rng.random((steps, copies)) < 0.3)
    terminated = ended & (rng.random((steps, copies)) < 0.5)
    truncated = ended & ~terminated
    actions = rng.integers(3, size=(steps, copies)) if choices else rng.normal(size=(steps, copies, 2))
    final = {(int(t), int(n)): rng.normal(size=3) for t, n in np.argwhere(truncated)}
    seen, rewards, last = rng.normal(size=(steps, copies, 3)), rng.normal(size=(steps, copies)), rng.normal(size=(copies, 3))
    return Trajectories(seen, actions, rewards, terminated, truncated, valid, last, final)


def assert_equal(agent, reference, tolerance=1e-9):
    for name, (given, expected) in adapter.compared(agent, reference).items():
        np.testing.assert_allclose(given, expected, rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("case", OFF_POLICY)
def test_off_policy_update_equals_the_reference(rng, case):
    name, settings = OFF_POLICY[case]
    agent = adapter.learner(name, Worlds(), **{**SMALL, **settings})
    reference = adapter.reference(agent)
    for _ in range(10):
        given, expected = adapter.update(agent, reference, batch(rng))
        np.testing.assert_allclose(given, expected, rtol=1e-7)
        assert_equal(agent, reference)


def test_smoothed_actions_are_held_in_the_range(rng):
    """The target policy's actions lie near ±1, where the noise would lead beyond."""
    agent = adapter.learner("TD3", Worlds(), **SMALL, smoothing=0.6)
    for policy in (agent.policy, agent.target_policy):
        policy.flat.data[...] *= 3
    reference, data = adapter.reference(agent), batch(rng)
    actions = np.abs(reference.act(reference.target_policy, data.next_observations))
    assert (actions > 0.8).mean() > 0.2
    for _ in range(3):
        adapter.update(agent, reference, data)
        assert_equal(agent, reference)


@pytest.mark.parametrize("shared", [True, False])
def test_sac_where_sigma_is_held(rng, shared):
    """Some ln σ are beyond 2: no gradient flows through them."""
    agent = adapter.learner("SAC", Worlds(), **SMALL, shared=shared)
    last = (agent.policy.body if shared else agent.policy.log_sigma)[4].bias.data
    last[-2:] += 2.0
    reference, data = adapter.reference(agent), batch(rng)
    policy = reference.policy
    log_sigma = mlp(
        {k.partition(".")[2]: p for k, p in policy.items() if shared or k.startswith("log_sigma")}, data.observations, "tanh"
    )
    assert 0 < (log_sigma[:, -2:] > 2).mean() < 1
    for _ in range(3):
        adapter.update(agent, reference, data)
        assert_equal(agent, reference)


@pytest.mark.parametrize("name", ["DDPG", "TD3", "SAC", "SACValue"])
def test_off_policy_update_sees_normalised_observations(rng, name):
    """Both s and s′, by the running moments of raw ones; a memory keeps these."""
    agent = adapter.learner(name, Worlds(), **SMALL, normalize_observations=True)
    reference, seen = adapter.reference(agent), rng.normal(3, 2, (50, 3)).astype(np.float32)
    agent.normalizer.update(seen)
    mean, deviation = seen.astype(float).mean(axis=0), seen.astype(float).std(axis=0, ddof=1)

    def normalized(observations):
        return np.clip((observations - mean) / (deviation + 1e-4), -10, 10).astype(np.float32).astype(float)

    for _ in range(3):
        raw = batch(rng)
        raw.observations[0] = 1e6  # held at 10
        given, expected = adapter.update(agent, reference, raw, normalized)
        np.testing.assert_allclose(given, expected, rtol=1e-4)
        assert_equal(agent, reference, 1e-6)  # float32's rounding of what is normalised


@pytest.mark.parametrize("case", PPO)
def test_ppo_update_equals_the_reference(rng, case):
    env = Choices() if "choices" in case else Worlds(4)
    agent = adapter.learner("PPO", env, **{**LEARNED, **PPO[case]})
    reference, epochs = adapter.reference(agent), set()
    for i in range(10):
        given, expected = adapter.update_from_rollout(agent, reference, trajectories(rng, "choices" in case), i / 12)
        assert given["epochs"] == expected["epochs"]
        assert given["kl"] == pytest.approx(expected["kl"], rel=1e-6)
        assert_equal(agent, reference)
        epochs.add(given["epochs"])
    if PPO[case].get("target_kl"):
        assert min(epochs) < 3  # stopped at least once


@pytest.mark.parametrize("case", POLICY_GRADIENT)
def test_policy_gradient_update_equals_the_reference(rng, case):
    (name, settings), choices = POLICY_GRADIENT[case], "choices" in case
    settings = {**PLAIN, **({} if name == "A2C" else dict(batch_size=16, epochs=2)), **settings}
    agent = adapter.learner(name, Choices if choices else Worlds(4), **{**settings, "num_envs": 4})
    for part in agent.parts().values():
        if isinstance(part, EpisodeAware):
            part.begin(4)
    reference = adapter.reference(agent)
    for i in range(10):
        adapter.update_from_rollout(agent, reference, trajectories(rng, choices), i / 12)
        assert_equal(agent, reference)


@pytest.mark.parametrize(
    "settings",
    [{}, dict(compatible=False), dict(next_action="taken", gamma=0.8), dict(optimizer="sgd", lr=0.1)],
    ids=lambda settings: ", ".join(f"{name}={value}" for name, value in settings.items()) or "as it is",
)
def test_dpg_update_equals_the_reference(rng, settings):
    agent = adapter.learner("DPG", Worlds(4), **{**dict(lr=1e-2, critic_lr=2e-2, hidden=(8, 6), exploration=0.25), **settings})
    reference = adapter.reference(agent)
    for _ in range(10):
        data, noise = trajectories(rng, choices=False), agent.rngs["actions"]
        noise.drawn.clear()
        agent.update(adapter.rollout_of(data), 0.5)
        reference.update(data, 0.25 * noise.drawn[0] if noise.drawn else None)
        assert_equal(agent, reference)


@pytest.mark.parametrize("settings", [dict(initial_temperature=0.5, target_entropy=0.3), dict(temperature=0.25, epochs=1)], ids=str)
def test_on_policy_sac_update_equals_the_reference(rng, settings):
    c = dict(lr=1e-2, hidden=(8, 6), gamma=0.8, epochs=3)
    agent = adapter.learner("OnPolicySAC", Worlds(4), **{**c, **settings})
    reference = adapter.reference(agent)
    for _ in range(10):
        data, noise = trajectories(rng, choices=False), agent.rngs["noise"]
        noise.drawn.clear()
        data.actions = np.tanh(data.actions)
        agent.update(adapter.rollout_of(data), 0.5)
        reference.update_from(data, 0.8, noise.drawn)
        assert_equal(agent, reference)


class TestReferences:
    """The references' own tools."""

    def test_gradient_is_the_central_difference(self, rng):
        p = {"0.weight": rng.normal(size=(5, 3)), "0.bias": rng.normal(size=5)}
        p |= {"1.weight": np.ones(5), "1.bias": np.zeros(5), "3.weight": rng.normal(size=(2, 5)), "3.bias": rng.normal(size=2)}
        x, target = rng.normal(size=(7, 3)), rng.normal(size=(7, 2))
        for normalization in ("layer", "batch"):

            def loss(named, normalization=normalization):
                error = networks.smaller(mlp(named, x, "relu", normalization), target + 0.3) - target
                return (np.tanh(error) ** 2).sum(axis=(-1, -2))

            for name, gradient in networks.gradient(loss, p).items():
                numerical = numerical_gradient(lambda v, name=name, loss=loss: float(loss({**p, name: v}).real), p[name])
                np.testing.assert_allclose(gradient, numerical, rtol=1e-6, atol=1e-8)
