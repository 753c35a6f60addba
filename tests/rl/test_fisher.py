"""Products with the Fisher information, against the expectation that defines it."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from gymnasium import spaces

from deepnp import Tanh
from rl.experience.spaces import SpaceInfo
from rl.networks.fisher import Fisher, information
from rl.networks.heads import HeadSettings
from rl.networks.policies import stochastic_policy

BOX = spaces.Box(-1, 1, (3,), np.float32)
IMAGE = spaces.Dict({"camera": spaces.Box(0, 255, (9, 9, 1), np.uint8), "speed": spaces.Box(-1, 1, (2,), np.float32)})
TWO = spaces.Box(-1, 1, (2,), np.float32)
HYBRID = spaces.Dict({"gear": spaces.Discrete(3), "pedal": TWO, "lamps": spaces.MultiBinary(2)})
# Exact for polynomials of degree 9 in z ~ N(0, 1); the score's square is of degree 4.
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(5)
SUMMED = {  # over all actions, or over nodes
    "σ a vector": (BOX, TWO, {}),
    "σ fixed": (BOX, TWO, dict(sigma="fixed")),
    "σ a network": (BOX, TWO, dict(sigma="network")),
    "choices": (BOX, spaces.Discrete(4), {}),
    "branches": (BOX, spaces.MultiDiscrete([2, 3]), {}),
    "switches": (BOX, spaces.MultiBinary(3), {}),
    "an image": (IMAGE, spaces.Discrete(3), {}),
}
CASES = SUMMED | {
    "squashed": (BOX, TWO, dict(kind="squashed")),
    "beta": (BOX, TWO, dict(kind="beta")),
    "two of four": (BOX, spaces.MultiBinary(4), dict(choose=2)),
    "several parts": (BOX, HYBRID, {}),
    "several parts, beta": (BOX, HYBRID, dict(kind="beta")),
    "several parts, σ of the state": (BOX, HYBRID, dict(sigma="network")),
}


def policy_of(case, rng):
    """A float64 policy far from where it starts, and observations of 5 rows."""
    observation, action, settings = CASES[case]
    space, settings = SpaceInfo.of(observation, action), dict(settings)
    space = replace(space, action=replace(space.action, choose=settings.pop("choose", None)))
    policy = stochastic_policy(space, (6,), Tanh, HeadSettings(**settings, initial_sigma=0.5), rng).to(np.float64)
    policy.flat.data[...] += 0.2 * rng.normal(size=len(policy.flat))
    observation.seed(int(rng.integers(2**31)))
    rows = [space.observation.batched(observation.sample())[0] for _ in range(5)]
    return policy, space.observation.split(np.concatenate(rows) if isinstance(rows[0], np.ndarray) else stacked(rows), np.float64)


def stacked(rows):
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def every_action(action_space, distribution):
    """(actions of all rows, probability of each row's): all of them, or the nodes of a quadrature."""
    if isinstance(action_space, spaces.Box):
        for places in itertools.product(range(len(NODES)), repeat=action_space.shape[0]):
            weight = np.prod(WEIGHTS[list(places)] / np.sqrt(2 * np.pi))
            yield distribution.mean + distribution.sigma * NODES[list(places)], np.full(len(distribution.mean), weight)
        return
    if isinstance(action_space, spaces.Discrete):
        actions = [np.array(a) for a in range(action_space.n)]
    else:
        sizes = action_space.nvec if isinstance(action_space, spaces.MultiDiscrete) else [2] * action_space.n
        actions = [np.array(a) for a in itertools.product(*map(range, sizes))]
    rows = len(distribution.logits)
    for a in actions:
        repeated = np.repeat(a[None], rows, axis=0)
        yield repeated, np.exp(distribution.log_prob(repeated))


def explicit(policy, observations, action_space, v) -> np.ndarray:
    """(1/B) Σ_b Σ_a π(a|s_b) ∇ln π (∇ln πᵀ v), a row and an action at a time."""
    distribution = policy.forward(observations)
    rows, total = len(distribution.entropy()), np.zeros_like(v)
    for actions, probabilities in every_action(action_space, distribution):
        for b in range(rows):
            one = np.zeros(rows)
            one[b] = 1
            policy.zero_grad()
            policy.backward(distribution.log_prob_backward(actions, one), inputs=False)
            total += probabilities[b] * policy.flat.grad * (policy.flat.grad @ v) / rows
    return total


@pytest.mark.parametrize("case", SUMMED)
def test_product_is_the_expectation_of_the_score_s_square(rng, case):
    policy, observations = policy_of(case, rng)
    v = rng.normal(size=len(policy.flat))
    expected = explicit(policy, observations, CASES[case][1], v)
    product = Fisher(policy, policy.forward(observations), 0.0)(v)
    np.testing.assert_allclose(product, expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())
    assert np.abs(expected).max() > 1e-3


@pytest.mark.parametrize("case", sorted(CASES.keys() - {"an image"}))  # whose pixels are float32
def test_product_is_the_second_derivative_of_the_divergence(rng, case):
    """KL(π_θ‖π_{θ+Δ}) = ½ΔᵀFΔ up to third order: what is left falls by eight as Δ halves."""
    policy, observations = policy_of(case, rng)
    theta, v = policy.flat.data.copy(), rng.normal(size=len(policy.flat))
    v *= 0.05 / np.linalg.norm(v)
    old = policy.forward(observations)
    square = v @ Fisher(policy, old, 0.0)(v)

    def remainder(share):
        policy.flat.data[...] = theta + share * v
        return old.kl(policy.predict(observations)).mean() - share**2 * square / 2

    assert abs(remainder(1.0)) < 0.1 * square
    assert remainder(1.0) / remainder(0.5) == pytest.approx(8, rel=0.2)


@pytest.mark.parametrize("case", CASES)
def test_tangent_of_a_policy_is_the_transpose_of_its_backward_pass(rng, case):
    policy, observations = policy_of(case, rng)
    v = rng.normal(size=len(policy.flat))
    policy.forward(observations)
    tangents = policy.jvp(v)
    dy = tuple(rng.normal(size=u.shape) for u in tangents)
    policy.zero_grad()
    policy.backward(dy, inputs=False)
    assert policy.flat.grad @ v == pytest.approx(sum((d * u).sum() for d, u in zip(dy, tangents, strict=True)), rel=1e-10)


def test_damping_is_added(rng):
    policy, observations = policy_of("choices", rng)
    v, distribution = rng.normal(size=len(policy.flat)), policy.forward(observations)
    plain, damped = Fisher(policy, distribution, 0.0)(v), Fisher(policy, distribution, 0.3)(v)
    np.testing.assert_allclose(damped, plain + 0.3 * v, rtol=1e-12)


def test_a_product_leaves_its_vector_and_the_last_pass_alone(rng):
    policy, observations = policy_of("σ a network", rng)
    v = rng.normal(size=len(policy.flat))
    before, product = v.copy(), Fisher(policy, policy.forward(observations), 0.1)
    np.testing.assert_array_equal(product(v), product(v))
    np.testing.assert_array_equal(v, before)


def test_other_distributions_are_refused_in_words():
    with pytest.raises(TypeError, match="expected a distribution whose Fisher information is known, given str"):
        information("normal", ())
