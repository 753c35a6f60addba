"""TRPO and the natural policy gradients: whole updates, the length of a step, what the natural gradient does not depend on."""

from unittest import mock

import numpy as np
import pytest

import rl
from deepnp import Linear, Module, NonFiniteError, Sequential, Tanh
from rl.algorithms.policy_gradient import trpo
from rl.algorithms.policy_gradient.trust_region import Outcome, TrustRegion
from rl.experience.samples import Samples
from rl.networks.fisher import Fisher
from tests.rl.references import adapter
from tests.rl.references.worlds import Choices, Worlds
from tests.rl.test_updates import assert_equal, trajectories
from tests.rl.toys import Target, states, vectorize

METHODS = ("trpo", "tnpg", "npg", "dual")
SMALL = dict(hidden=(8, 6), batch_size=16, epochs=3, steps=12, lr=1e-2)
UPDATES = {
    "trpo": {},
    "a small part of the rows": dict(sub_sampling=3),
    "far": dict(max_kl=2.0, shrink=0.6, cg_steps=4),  # more steps would make rounding larger
    "nowhere": dict(max_kl=2.0, backtracks=1, cg_steps=4),
    "raw advantages": dict(normalize_advantages=False, activation="relu"),
    "σ a network": dict(sigma="network", hidden=(5,)),
    "σ fixed": dict(sigma="fixed", initial_sigma=0.75),
    "choices": {},
    "tnpg": dict(method="tnpg", cg_steps=3),
    "npg": dict(method="npg", damping=0.5),
    "npg, fixed α": dict(method="npg", step_size=0.05, damping=0.5),
    "dual": dict(method="dual", policy_lr=0.01, multiplier=2.0),
    "dual, far": dict(method="dual", policy_lr=0.1, multiplier=0.5),
}


@pytest.mark.parametrize("case", UPDATES)
def test_update_equals_the_reference(rng, case):
    env = Choices() if case == "choices" else Worlds(4)
    agent = adapter.learner("TRPO", env, **{**SMALL, **UPDATES[case]})
    reference, shares = adapter.reference(agent), []
    for i in range(5):
        given, expected = adapter.update_from_rollout(agent, reference, trajectories(rng, case == "choices"), i / 8)
        assert given["step"] == expected["step"]
        assert given["kl"] == pytest.approx(expected["kl"], rel=1e-6)
        assert given.get("multiplier", expected["multiplier"]) == pytest.approx(expected["multiplier"], rel=1e-9)
        assert_equal(agent, reference)
        shares.append(given["step"])
    if case in ("far", "dual, far"):
        assert min(shares) < 1
    if case == "nowhere":
        assert 0 in shares


def samples(agent, rng, rows: int = 40) -> Samples:
    observations = rng.normal(size=(rows, 3))
    actions = agent.policy.predict(observations).sample(rng)
    return Samples(observations, actions, rng.normal(size=rows), rng.normal(size=rows), rng.normal(size=rows))


def region_of(agent, s: Samples) -> TrustRegion:
    old = agent.policy.forward(s.observations)
    return TrustRegion(s.observations, s.actions, s.advantages, old, old.log_prob(s.actions), agent.config.max_kl)


class TestStep:
    @pytest.mark.parametrize("damping", [0.0, 0.1])
    @pytest.mark.parametrize("method", ["trpo", "tnpg", "npg"])
    def test_its_length_is_that_of_the_trust_region(self, rng, method, damping):
        """½(αx)ᵀF(αx) = δ, wherever conjugate gradients end."""
        agent = adapter.learner("TRPO", Worlds(), method=method, damping=damping, cg_steps=4, max_kl=0.02, hidden=(3,))
        data = samples(agent, rng)
        region = region_of(agent, data)
        step, metrics = agent.natural_step(region, data, agent.config)
        agent.policy.forward(region.observations)
        assert step @ Fisher(agent.policy, region.old, damping)(step) / 2 == pytest.approx(0.02, rel=1e-9)
        assert metrics["cg_steps"] == 4 or method == "npg"

    def test_a_fixed_one_is_a_multiple_of_the_direction(self, rng):
        agent = adapter.learner("TRPO", Worlds(), method="npg", damping=0.3, hidden=(3,))
        data, c = samples(agent, rng), agent.config
        region = region_of(agent, data)
        natural, metrics = agent.natural_step(region, data, c)
        agent.policy.forward(region.observations)
        fixed, _ = agent.natural_step(region, data, trpo.TRPOConfig(method="npg", damping=0.3, step_size=0.25))
        np.testing.assert_allclose(fixed, 0.25 / metrics["step_size"] * natural, rtol=1e-9)

    def test_with_the_identity_for_f_it_is_gradient_ascent(self, rng):
        agent = adapter.learner("TRPO", Worlds(), method="npg", step_size=0.1)
        data = samples(agent, rng)
        region = region_of(agent, data)
        with mock.patch.object(trpo, "Fisher", return_value=lambda v: v):
            step, metrics = agent.natural_step(region, data, agent.config)
        agent.policy.forward(region.observations)
        np.testing.assert_allclose(step, -0.1 * region.gradient(agent.policy, region.old), rtol=1e-12)
        assert metrics["cg_steps"] == 1

    def test_no_gradient_no_step(self, rng):
        agent = adapter.learner("TRPO", Worlds())
        before = agent.policy.flat.data.copy()
        metrics = agent.policy_step(samples(agent, rng)._replace(advantages=np.zeros(40)), agent.config)
        assert (metrics["step"], metrics["rejected"], metrics["kl"]) == (0, 1, 0)
        np.testing.assert_array_equal(agent.policy.flat.data, before)

    def test_nan_among_the_advantages_is_refused(self, rng):
        agent = adapter.learner("TRPO", Worlds())
        before, bad = agent.policy.flat.data.copy(), samples(agent, rng)
        bad.advantages[3] = np.nan
        for method in METHODS:
            with pytest.raises(NonFiniteError, match="policy loss is nan"):
                agent.policy_step(bad, trpo.TRPOConfig(method=method))
        np.testing.assert_array_equal(agent.policy.flat.data, before)


def test_a_step_beyond_all_bounds_is_refused_and_undone():
    agent = rl.TRPO("Pendulum-v1", rl.TRPOConfig(steps=64, hidden=(8,), method="npg", step_size=1e5))
    before = agent.policy.flat.data.copy()
    with pytest.raises(NonFiniteError, match="KL of the policy's step"):
        agent.learn(64)
    np.testing.assert_array_equal(agent.policy.flat.data, before)


def test_steps_of_the_dual_that_end_nowhere_are_undone(rng):
    agent = adapter.learner("TRPO", Worlds(), method="dual")
    before, nowhere = agent.policy.flat.data.copy(), Outcome(np.nan, np.nan, np.nan)
    with mock.patch.object(TrustRegion, "outcome", return_value=nowhere), pytest.raises(NonFiniteError, match="KL of the policy"):
        agent.policy_step(samples(agent, rng), agent.config)
    np.testing.assert_array_equal(agent.policy.flat.data, before)
    assert agent.multiplier.value == 1


def test_such_a_step_can_be_left_out():
    agent = rl.TRPO("Pendulum-v1", rl.TRPOConfig(steps=64, hidden=(8,), method="npg", step_size=1e5))
    before = agent.policy.flat.data.copy()
    with pytest.warns(UserWarning, match="a training step was left out"):
        agent.learn(128, on_nonfinite="skip")
    np.testing.assert_array_equal(agent.policy.flat.data, before)


class Mixed(Module):
    """x (B, I) -> x Mᵀ, which nobody trains."""

    def __init__(self, matrix):
        self.matrix = matrix

    def forward(self, x):
        return x @ self.matrix.T

    predict = forward

    def backward(self, dy, params=True, inputs=True):
        return dy @ self.matrix

    def _tangent(self, v, vx):
        return vx @ self.matrix.T


def test_the_natural_gradient_does_not_depend_on_how_the_last_layer_is_written(rng):
    """y = W h and y = (W M⁻¹) M h are one policy. The natural gradient changes it alike, the plain one does not."""
    matrix = np.eye(4) + 0.6 * rng.normal(size=(4, 4))
    changes = {}
    for mixed in (False, True):
        agent = adapter.learner("TRPO", Worlds(), method="tnpg", damping=0.0, cg_steps=1000, max_kl=1e-8, hidden=(4,))
        weights = np.random.default_rng(5)
        first, last = Linear(3, 4, rng=weights), Linear(4, 2, rng=weights)
        agent.policy.mean = Sequential(first, Tanh(), *([Mixed(matrix)] if mixed else []), last).to(np.float64)
        if mixed:
            last.weight.data[...] = last.weight.data @ np.linalg.inv(matrix)
        data = samples(agent, np.random.default_rng(6), 60)
        region = region_of(agent, data)
        before = agent.policy.predict(data.observations).mean
        plain = -1e-4 * region.gradient(agent.policy, region.old)
        natural, _ = agent.natural_step(region, data, agent.config)
        for kind, step in (("plain", plain), ("natural", natural)):
            agent.policy.flat.data[...] += step
            changes[kind, mixed] = agent.policy.predict(data.observations).mean - before
            agent.policy.flat.data[...] -= step
    size = np.abs(changes["natural", False]).max()
    np.testing.assert_allclose(changes["natural", True], changes["natural", False], atol=1e-6 * size)
    assert np.abs(changes["plain", True] - changes["plain", False]).max() > 0.1 * np.abs(changes["plain", False]).max()


class TestSearch:
    def test_it_refuses_what_leaves_the_region_and_what_is_no_better(self, rng):
        agent = adapter.learner("TRPO", Worlds(), max_kl=0.01)
        region, theta = region_of(agent, samples(agent, rng)), agent.policy.flat.data
        before, uphill = theta.copy(), -region.gradient(agent.policy, region.old).copy()
        for step in (1e3 * uphill, 1e300 * uphill, -1e-3 * uphill):
            outcome, share = region.search(agent.policy, step, 0.8, 10)
            assert share == 0
            assert outcome.kl == 0
            np.testing.assert_array_equal(theta, before)
        outcome, share = region.search(agent.policy, 1e-3 * uphill, 0.8, 10)
        assert share == 1
        assert 0 < outcome.kl <= 0.01
        assert outcome.surrogate > region.advantages.mean()

    @pytest.mark.parametrize("method", ["trpo", "dual"])
    @pytest.mark.parametrize("max_kl", [1e-4, 0.5])
    def test_whatever_is_accepted_lies_in_the_region(self, method, max_kl):
        config = rl.TRPOConfig(num_envs=4, steps=32, hidden=(8,), method=method, max_kl=max_kl, policy_lr=0.02, damping=1e-3)
        metrics = []
        rl.TRPO("Pendulum-v1", config).learn(2000, lambda _, m: metrics.append(m))
        assert all(m["kl"] <= max_kl for m in metrics)
        assert any(m["kl"] > max_kl / 10 for m in metrics)
        assert all(m["kl"] == 0 for m in metrics if m["rejected"])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_a_trivial_task(method):
    config = rl.TRPOConfig(num_envs=16, steps=32, hidden=(16,), initial_sigma=0.3, method=method, policy_lr=5e-3)
    agent = rl.TRPO(vectorize(Target, 16), config).learn(6000)
    assert rl.evaluate(agent, Target(), 20).mean() > -0.02


@pytest.mark.parametrize("method", METHODS)
def test_choices_are_learned_too(method):
    config = rl.TRPOConfig(num_envs=16, steps=32, hidden=(16,), method=method, max_kl=0.1, policy_lr=0.02)
    agent = rl.TRPO(vectorize(lambda: Target(discrete=True), 16), config).learn(6000)
    assert rl.evaluate(agent, Target(discrete=True), 20).mean() > 0.95


def test_the_multiplier_is_saved(tmp_path):
    agent = rl.TRPO("Pendulum-v1", rl.TRPOConfig(method="dual", steps=64, policy_lr=0.02)).learn(128)
    assert agent.multiplier.value != 1
    agent.save(tmp_path / "agent.safetensors")
    assert rl.TRPO.load(tmp_path / "agent.safetensors").multiplier.value == agent.multiplier.value


def test_the_value_s_epochs_in_one_call_are_its_steps():
    """To the last bit."""
    results = []
    for fused in (True, False):
        agent = rl.TRPO("Pendulum-v1", rl.TRPOConfig(steps=128, hidden=(16,), epochs=2))
        with mock.patch.object(trpo, "value_epoch", trpo.value_epoch if fused else lambda *_: None):
            results.append(states(agent.learn(384)))
    for name, array in results[0].items():
        np.testing.assert_array_equal(array, results[1][name], err_msg=name)


def test_a_network_of_ones_own_without_a_forward_mode_is_told():
    class Opaque(Linear):
        def _tangent(self, v, vx):
            return Module._tangent(self, v, vx)

    agent = rl.TRPO("Pendulum-v1", rl.TRPOConfig(steps=32), policy=Opaque(3, 1))
    with pytest.raises(NotImplementedError, match="Opaque has no jvp"):
        agent.learn(32)
