"""A whole epoch of PPO in one call does and refuses what its plain steps do and refuse, and leaves alone what it does not know."""

import math

import numpy as np
import pytest
from gymnasium import spaces

import deepnp
from deepnp import NonFiniteError
from rl import PPO, PPOConfig
from rl.algorithms.policy_gradient import ppo
from rl.experience.actions import ActionLayout
from rl.experience.masks import has_choice
from rl.experience.samples import Samples
from rl.losses.surrogate import value_loss

SETTINGS = dict(hidden=(24, 16), epochs=3, batch_size=64, lr=2e-3, anneal_lr=False)
EVERY_TERM = dict(entropy_coef=0.05, value_clip=0.3, clip=0.1)
BOX, TWO, THREE = spaces.Box(-1, 1, (3,), np.float32), spaces.Discrete(2), spaces.MultiDiscrete([2, 3, 4])
CASES = {
    "as it is": (BOX, {}),
    "every term": (BOX, EVERY_TERM),
    "σ fixed": (BOX, dict(sigma="fixed", initial_sigma=0.7, **EVERY_TERM)),
    "raw advantages": (BOX, dict(normalize_advantages=False, value_coef=0.2)),
    "long gradients": (BOX, dict(max_grad_norm=1e9, **EVERY_TERM)),
    "short gradients": (BOX, dict(max_grad_norm=0.01, **EVERY_TERM)),
    "minibatches of one": (BOX, dict(batch_size=1, epochs=1)),
    "one minibatch": (BOX, dict(batch_size=10_000)),
    "rectifiers": (BOX, dict(activation="relu")),
    "sines": (BOX, dict(activation="sine")),
    "a linear policy": (BOX, dict(hidden=())),
    "stopped by KL": (BOX, dict(target_kl=1e-9)),
    "rolled back": (BOX, dict(target_kl=1e-9, rollback=True)),
    "KL penalty": (BOX, dict(penalty="kl-fixed", kl_coef=3.0)),
    "KL penalty, σ fixed": (BOX, dict(penalty="kl-fixed", kl_coef=3.0, sigma="fixed", initial_sigma=0.7)),
    "neither penalty nor clip": (BOX, dict(penalty="none")),
    "two choices": (TWO, {}),
    "two choices, every term": (TWO, EVERY_TERM),
    "three branches": (THREE, EVERY_TERM),
    "three branches, KL penalty": (THREE, dict(penalty="kl-fixed", kl_coef=3.0, entropy_coef=0.05)),
}
UNKNOWN = {
    "a squashed Gaussian": (BOX, dict(head="squashed")),
    "Beta distributions": (BOX, dict(head="beta")),
    "noise that depends on the state": (BOX, dict(sde_interval=4)),
    "a tuple": (spaces.Tuple((BOX, TWO)), {}),
    "σ a network": (BOX, dict(sigma="network")),
    "another activation": (BOX, dict(activation="gelu")),
    "switches": (spaces.MultiBinary(4), {}),
}


def learner(actions, **settings):
    """An untrained agent, away from where it starts."""
    agent = PPO.of_spaces(spaces.Box(-9, 9, (5,), np.float32), actions, PPOConfig(**{**SETTINGS, **settings}), seed=1)
    rng = np.random.default_rng(2)
    for module in (agent.policy, agent.value):
        module.flat.data[...] += (0.3 * rng.normal(size=len(module.flat))).astype(np.float32)
    return agent


def samples(agent, rng, rows=250):
    """Rows as a rollout gives them, of a policy that is not quite the present one; 250 are no multiple of 64."""
    observations = rng.normal(size=(rows, 5)).astype(np.float32)
    actions = agent.policy.predict(observations).sample(rng)
    advantages, values, noise = rng.normal(size=(3, rows)).astype(np.float32)
    return Samples(observations, actions, advantages, values, values + noise)


def update(agent, data, monkeypatch, fused: bool) -> dict:
    """Both descents; by plain steps unless `fused`, which must be possible then."""
    taken = []

    def given(function):
        def epoch(*arguments):
            result = function(*arguments) if fused else None
            taken.append(result is not None)
            return result

        return epoch

    with monkeypatch.context() as patch:
        patch.setattr(ppo, "policy_epoch", given(ppo.policy_epoch))
        patch.setattr(ppo, "value_epoch", given(ppo.value_epoch))
        old, c = agent.policy.predict(data.observations), agent.config
        metrics = {**agent.fit_policy(data, old, c), **agent.fit_value(data, c)}
    assert set(taken) == {fused}
    return metrics


def assert_alike(fused, plain):
    """What training changes, to float32's rounding."""
    for given, expected in zip(vectors(fused), vectors(plain), strict=True):
        assert np.linalg.norm(given - expected) <= 1e-5 * np.linalg.norm(expected)
    assert fused.policy_optimizer.t == plain.policy_optimizer.t
    assert fused.value_optimizer.t == plain.value_optimizer.t


def vectors(agent) -> list[np.ndarray]:
    """Parameters and Adam's moments, in double precision."""
    pairs = (agent.policy, agent.policy_optimizer), (agent.value, agent.value_optimizer)
    return [x.astype(np.float64) for net, adam in pairs for x in (net.flat.data, adam.state["m"], adam.state["v"])]


@pytest.mark.parametrize("penalty", [dict(entropy_coef=0.05), dict(penalty="kl-fixed", kl_coef=3.0)], ids=["entropy", "KL"])
@pytest.mark.parametrize("actions", [spaces.Discrete(5), THREE], ids=str)
def test_masked_choices(actions, penalty, rng, monkeypatch):
    layout = ActionLayout.of(actions)
    observation = spaces.Dict(x=spaces.Box(-9, 9, (5,), np.float32), action_mask=spaces.MultiBinary(sum(layout.choices)))
    fused, plain = (PPO.of_spaces(observation, actions, PPOConfig(**{**SETTINGS, **penalty}), seed=1) for _ in range(2))
    mask = rng.random((250, sum(layout.choices))) < 0.6
    mask[:, np.cumsum((0, *layout.choices[:-1]))] |= ~has_choice(mask, layout.choices)
    observations = rng.normal(size=(250, 5)).astype(np.float32), mask
    advantages, values, noise = rng.normal(size=(3, 250)).astype(np.float32)
    data = Samples(observations, plain.policy.predict(observations).sample(rng), advantages, values, values + noise)
    for _ in range(2):
        given, expected = update(fused, data, monkeypatch, True), update(plain, data, monkeypatch, False)
        for name, value in expected.items():
            assert given[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name
    assert_alike(fused, plain)


@pytest.mark.parametrize("case", CASES)
def test_an_update_is_that_of_the_plain_steps(case, rng, monkeypatch):
    actions, settings = CASES[case]
    fused, plain = learner(actions, **settings), learner(actions, **settings)
    data = samples(plain, rng)
    kept = [x.copy() for x in data]
    for _ in range(2):
        given, expected = update(fused, data, monkeypatch, True), update(plain, data, monkeypatch, False)
        assert given.keys() == expected.keys()
        for name, value in expected.items():
            assert given[name] == pytest.approx(value, rel=1e-4, abs=1e-6), name
    assert_alike(fused, plain)
    np.testing.assert_allclose(fused.policy.flat.grad, plain.policy.flat.grad, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(fused.value.flat.grad, plain.value.flat.grad, rtol=1e-3, atol=1e-5)
    for x, before in zip(data, kept, strict=True):
        np.testing.assert_array_equal(x, before)


def test_numbers_differ_by_what_they_are_told(rng, monkeypatch):
    """The comparison above would not see a setting that both forms ignore, nor one that makes no difference here."""
    results = []
    for case in (
        "as it is",
        "every term",
        "raw advantages",
        "long gradients",
        "short gradients",
        "KL penalty",
        "neither penalty nor clip",
    ):
        agent = learner(BOX, **CASES[case][1])
        update(agent, samples(learner(BOX), np.random.default_rng(0)), monkeypatch, True)
        results.append(np.concatenate([agent.policy.flat.data, agent.value.flat.data]))
    distances = [np.abs(a - b).max() for i, a in enumerate(results) for b in results[:i]]
    assert min(distances) > 1e-4


@pytest.mark.parametrize("case", UNKNOWN)
def test_what_it_does_not_know_takes_the_plain_steps(case, rng, monkeypatch):
    actions, settings = UNKNOWN[case]
    agent = learner(actions, **settings)
    assert decline(agent, samples(agent, rng), monkeypatch) == (True, case == "another activation")


def test_without_kernels_in_double_precision_and_after_a_move_it_declines(rng, monkeypatch):
    agent = learner(BOX)
    data = samples(agent, rng)
    deepnp.use_kernels(False)
    try:
        assert decline(agent, data, monkeypatch) == (True, True)
    finally:
        deepnp.use_kernels(True)
    doubles = Samples(*(x.astype(np.float64) for x in data))
    assert decline(agent, doubles, monkeypatch) == (True, True)
    agent.value.to(np.float64)  # the optimizer still holds the vector that these parameters have left
    with pytest.raises(RuntimeError, match="the parameters have moved"):
        agent.fit_value(doubles, agent.config)


def decline(agent, data, monkeypatch) -> tuple[bool, bool]:
    """Whether the policy's and the value's epoch are declined; they are trained either way."""
    results = []
    with monkeypatch.context() as patch:
        for name in ("policy_epoch", "value_epoch"):
            plain = getattr(ppo, name)
            patch.setattr(ppo, name, lambda *arguments, plain=plain: (results.append(plain(*arguments)), results[-1])[1])
        t = agent.policy_optimizer.t
        agent.fit_policy(data, agent.policy.predict(data.observations), agent.config)
        agent.fit_value(data, agent.config)
    assert agent.policy_optimizer.t == t + 12
    assert len(results) == 6
    return all(x is None for x in results[:3]), all(x is None for x in results[3:])


def test_choices_that_do_not_exist_never_reach_a_kernel(rng):
    agent = learner(THREE)
    data = samples(agent, rng)
    old = agent.policy.predict(data.observations)
    for wrong in (-9, 4):
        actions = data.actions.copy()
        actions[7, 2] = wrong
        with pytest.raises(IndexError):
            agent.fit_policy(data._replace(actions=actions), old, agent.config)


class TestNonFinite:
    """Both forms stop at the same step, with the same words; the steps before are taken, and training can go on."""

    def compare(self, monkeypatch, agents, data, match):
        messages = []
        for fused, agent in zip((True, False), agents, strict=True):
            with pytest.raises(NonFiniteError, match=match) as caught, np.errstate(all="ignore"):
                update(agent, data, monkeypatch, fused)
            messages.append(str(caught.value))
        assert messages[0] == messages[1]
        assert_alike(*agents)

    @pytest.mark.parametrize("actions", [BOX, TWO], ids=["numbers", "choices"])
    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    @pytest.mark.parametrize("field", ["advantages", "targets"])
    def test_loss(self, field, value, actions, rng, monkeypatch):
        settings = dict(normalize_advantages=False, value_clip=0.2)
        agents = learner(actions, **settings), learner(actions, **settings)
        data = samples(agents[0], rng)
        broken = getattr(data, field).copy()
        broken[11] = value
        name = "policy" if field == "advantages" else "value"
        self.compare(monkeypatch, agents, data._replace(**{field: broken}), f"^the {name} loss is (nan|inf|-inf)$")
        for fused, agent in zip((True, False), agents, strict=True):
            update(agent, data, monkeypatch, fused)
        assert_alike(*agents)

    @pytest.mark.parametrize(("size", "match"), [(1e38, "gradient of parameter .* holds"), (1e25, "gradient overflows float32")])
    def test_gradient(self, size, match, rng, monkeypatch):
        """Hidden units that are 0 keep the values finite, whatever they are multiplied by; their gradient is not."""
        agents = learner(BOX), learner(BOX)
        for agent in agents:
            agent.value.flat.data[:] = 0
            agent.value[-1].weight.data[:] = size
        data = samples(agents[0], rng)
        self.compare(monkeypatch, agents, data._replace(targets=100 * data.targets), match)


@pytest.mark.parametrize("clip", [None, 0.3])
@pytest.mark.parametrize("broken", [None, 0, 1, 2])
def test_value_loss_in_both_forms(clip, broken, rng):
    """Also of values, old values or targets that are NaN."""
    arrays = rng.normal(size=(3, 50)).astype(np.float32)
    if broken is not None:
        arrays[broken, 7] = np.nan
    with np.errstate(invalid="ignore"):
        value, gradient = value_loss(*arrays, clip)
        deepnp.use_kernels(False)
        try:
            expected, plain = value_loss(*arrays, clip)
        finally:
            deepnp.use_kernels(True)
    np.testing.assert_allclose(gradient, plain, rtol=1e-6)
    assert value == pytest.approx(expected, rel=1e-5, nan_ok=True)
    assert math.isnan(value) == (broken in (0, 2) or (broken == 1 and clip is not None))
