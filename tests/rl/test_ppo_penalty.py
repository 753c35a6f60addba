"""What holds PPO's policy near the old one: gradients of its losses, the adaptive coefficient, and what saving keeps of it."""

import math
from itertools import pairwise

import numpy as np
import pytest
from gymnasium import spaces

from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error
from rl import PPO, PPOConfig
from rl.algorithms.policy_gradient.kl_coefficient import AdaptiveCoefficient
from rl.algorithms.policy_gradient.ppo_config import PENALTIES
from rl.algorithms.policy_gradient.ppo_loss import policy_loss
from rl.experience.samples import Samples
from rl.losses.surrogate import kl_penalty
from tests.rl.test_distributions import KINDS, actions_for, like, parameters
from tests.rl.toys import Target, vectorize

ROWS = 5
SMALL = dict(steps=32, num_envs=4, batch_size=64, epochs=4, hidden=(16,), lr=5e-3)


def value_of(new, actions, advantages, old, c) -> float:
    """L_π, as the docstring of ppo_loss.py has it: with all its terms."""
    ratio = np.exp(new.log_prob(actions) - old.log_prob(actions))
    surrogate = ratio * advantages
    if c.penalty == "clip":
        surrogate = np.minimum(surrogate, np.clip(ratio, 1 - c.clip, 1 + c.clip) * advantages)
    kl = c.kl_coef * old.kl(new) if c.penalty.startswith("kl") else 0.0
    return float(np.mean(-surrogate - c.entropy_coef * new.entropy() + kl))


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(("make", "shared"), KINDS)
def test_gradient_of_the_whole_loss(make, shared, penalty, rng, kernels):
    """With respect to every parameter of π, where ratios lie inside the clip and outside."""
    old, advantages = make(rng, shared), rng.normal(size=ROWS)
    new = like(old, *(p * rng.uniform(0.6, 1.5, p.shape) for p in parameters(old)))
    actions = old.sample(rng)
    c = PPOConfig(penalty=penalty, clip=0.05, kl_coef=0.7, entropy_coef=0.3, normalize_advantages=False)
    (loss, kl, outside), gradient = policy_loss(new, actions, advantages, old.log_prob(actions), old, c)
    for i, own in enumerate(gradient):

        def of_parameter(x, i=i):
            moved = like(new, *[x if j == i else p for j, p in enumerate(parameters(new))])
            return value_of(moved, actions, advantages, old, c)

        assert relative_error(own, numerical_gradient(of_parameter, parameters(new)[i])) < TOLERANCE
    assert (outside > 0) == (penalty == "clip")
    assert kl > 0
    plain = PPOConfig(penalty=penalty, clip=0.05, kl_coef=0.0, normalize_advantages=False)
    assert loss == pytest.approx(value_of(new, actions, advantages, old, plain), rel=1e-12)


@pytest.mark.parametrize(("make", "shared"), KINDS)
def test_at_ratio_one_all_losses_have_the_policy_gradient(make, shared, rng):
    d, advantages = make(rng, shared), rng.normal(size=ROWS)
    actions = actions_for(d, rng)
    expected = d.log_prob_backward(actions, -advantages / ROWS)
    for penalty in PENALTIES:
        c = PPOConfig(penalty=penalty, normalize_advantages=False)
        _, gradient = policy_loss(d, actions, advantages, d.log_prob(actions), d, c)
        for given, wanted in zip(gradient, expected, strict=True):
            np.testing.assert_allclose(given, wanted, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("make", "shared"), KINDS)
def test_penalty_is_of_the_old_policy_first(make, shared, rng):
    old, new = make(rng, shared), make(rng, shared)
    value, gradient = kl_penalty(old, new, 2.5)
    assert value == pytest.approx(2.5 * old.kl(new).mean(), rel=1e-12)
    assert value != pytest.approx(2.5 * new.kl(old).mean(), rel=1e-3)
    assert [g.shape for g in gradient] == [p.shape for p in parameters(new)]


class TestAdaptiveCoefficient:
    @pytest.mark.parametrize(
        ("kl", "factor"),
        [(0.0, 0.5), (0.0066, 0.5), (0.0067, 1.0), (0.01, 1.0), (0.0149, 1.0), (0.0151, 2.0), (math.inf, 2.0), (math.nan, 1.0)],
    )
    def test_it_moves_by_a_factor_of_two_outside_a_band(self, kl, factor):
        coefficient = AdaptiveCoefficient(3.0)
        coefficient.adapt(kl, 0.01)
        assert coefficient.value == 3.0 * factor

    def test_it_is_held_in_a_range_and_comes_back(self):
        coefficient = AdaptiveCoefficient(1.0)
        for kl, end in ((0.0, 1e-4), (1.0, 1e4)):
            for _ in range(40):
                coefficient.adapt(kl, 0.01)
            assert coefficient.value == end
        assert AdaptiveCoefficient(0.0).value == 1e-4
        assert AdaptiveCoefficient(1e9).value == 1e4

    @pytest.mark.parametrize("value", [math.nan, 0.0, 2e4, -1.0])
    def test_a_damaged_one_is_refused(self, value):
        with pytest.raises(ValueError, match="expected a coefficient of KL in"):
            AdaptiveCoefficient(1.0).load_state_dict({"value": np.array(value)})


def small(**settings):
    return PPO(vectorize(Target, 4), PPOConfig(**{**SMALL, **settings}), seed=1)


def logged(**settings) -> list[dict]:
    """The metrics of a training whose steps are large."""
    log = []
    small(**settings, epochs=10, lr=2e-2, anneal_lr=False).learn(2560, lambda agent, metrics: log.append(metrics))
    return log


@pytest.mark.parametrize("start", [1e-3, 1e3])
def test_adaptive_coefficient_steers_the_kl(start):
    """From far too small and from far too large a β, the KL of an iteration comes near its target."""
    log = logged(penalty="kl-adaptive", kl_coef=start, kl_target=0.02)
    coefficients = [m["kl_coef"] for m in log]
    assert coefficients[0] == start
    assert {b / a for a, b in pairwise(coefficients)} == {0.5, 1.0, 2.0}
    assert 0.005 < np.median([m["kl"] for m in log[-10:]]) < 0.08
    assert not 0.005 < log[0]["kl"] < 0.08


def test_fixed_penalty_holds_the_policy_back():
    free, held, fixed = (np.mean([m["kl"] for m in logged(penalty="kl-fixed", kl_coef=beta)[:4]]) for beta in (0.0, 1.0, 30.0))
    assert free > 1.3 * held > 100 * fixed


def test_without_weight_the_penalty_is_none_and_so_is_a_clip_that_never_clips():
    cases = dict(penalty="none"), dict(penalty="kl-fixed", kl_coef=0.0), dict(clip=1e9)
    first, *others = (small(**settings).learn(256).policy.flat.data for settings in cases)
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_adaptive_coefficient_is_saved(tmp_path):
    agent = small(penalty="kl-adaptive", kl_target=10.0).learn(256)
    agent.save(tmp_path / "agent.safetensors")
    assert PPO.load(tmp_path / "agent.safetensors").kl_coefficient.value == agent.kl_coefficient.value == 0.25
    with pytest.raises(ValueError, match="kl_coefficient"):
        PPO.load(tmp_path / "agent.safetensors", penalty="clip")


WRONG = [("penalty", "kl"), ("penalty", None), ("kl_coef", -1.0), ("kl_target", 0.0), ("kl_coef", "1")]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_wrong_settings_are_named(field, value):
    with pytest.raises(ValueError, match=f"expected PPOConfig.{field} as .*given"):
        PPOConfig(**{field: value})


X, BOX = spaces.Box(-1, 1, (3,), np.float32), spaces.Box(-1, 1, (2,), np.float32)
POLICIES = {
    "σ a network": (BOX, dict(sigma="network")),
    "squashed": (BOX, dict(head="squashed")),
    "beta": (BOX, dict(head="beta")),
    "switches": (spaces.MultiBinary(5), {}),
    "two of five": (spaces.MultiBinary(5), dict(choose=2)),
    "branches": (spaces.MultiDiscrete([2, 3]), {}),
    "a box and a choice": (spaces.Dict(a=BOX, b=spaces.Discrete(3)), {}),
}


@pytest.mark.parametrize("shared", [False, True], ids=["two networks", "one trunk"])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_large_weight_holds_every_kind_of_policy(policy, shared, rng):
    """With the same steps the KL is a small share of what it is without."""
    (actions, settings), kls = POLICIES[policy], []
    for coefficient in (0.0, 100.0):
        c = PPOConfig(
            penalty="kl-fixed", kl_coef=coefficient, hidden=(8,), epochs=10, batch_size=32, lr=1e-2, shared=shared, **settings
        )
        agent = PPO.of_spaces(X, actions, c, seed=1)
        observations, numbers = rng.normal(size=(100, 3)).astype(np.float32), rng.normal(size=(3, 100)).astype(np.float32)
        old = agent.policy.predict(observations)
        kls.append(agent.fit_policy(Samples(observations, old.sample(rng), *numbers), old, agent.config)["kl"])
    assert 0 <= kls[1] < kls[0] / 5
