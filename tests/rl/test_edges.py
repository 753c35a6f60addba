"""At their edges, like tests/deepnp/test_edges.py: what sampled mutants survived without."""

import numpy as np
import pytest
from gymnasium.spaces import Box

from rl.experience.normalize import ObservationNormalizer, RewardScaler
from rl.experience.replay import ReplayMemory
from rl.experience.samples import Samples
from rl.experience.spaces import SpaceInfo
from rl.losses.surrogate import clipped_surrogate
from rl.networks import squashed


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_clip_fraction_is_the_share_outside(share, kernels):
    """Of ratios at 1.3 and 0.9 with ε = 0.2: those at 1.3."""
    outside = round(10 * share)
    ratio = np.repeat([1.3, 0.9], [outside, 10 - outside])
    _, _, info = clipped_surrogate(np.log(ratio), np.zeros(10), np.ones(10), 0.2)
    assert info["clip_fraction"] == pytest.approx(share)


def test_normalised_observations_are_held_on_both_sides(rng, kernels):
    """At ±10, and the floor under σ is 1e-4; before two values were seen, σ is 1."""
    normalizer = ObservationNormalizer(2)
    np.testing.assert_allclose(normalizer(np.array([[0.5, -50.0]])), [[0.5 / (1 + 1e-4), -10]], rtol=1e-6)
    seen = np.column_stack([rng.normal(3, 1e-4, 40), rng.normal(-1, 2, 40)])
    normalizer.update(seen)
    mean, sigma = seen.mean(axis=0), seen.std(axis=0, ddof=1)
    x = mean + np.array([[1e9, -1e9], [-1e9, 1e9], [2e-4, -3.0], [0.0, 0.0]])
    np.testing.assert_allclose(normalizer(x), np.clip((x - mean) / (sigma + 1e-4), -10, 10), rtol=1e-5, atol=1e-6)


def test_scaled_rewards_are_held_on_both_sides(rng):
    scaler = RewardScaler(0.9)
    scaler.begin(3)
    for _ in range(20):
        scaler(rng.normal(size=3), np.zeros(3, bool), np.ones(3, bool))
    scaled = scaler(np.array([1e6, -1e6, 0.0]), np.zeros(3, bool), np.zeros(3, bool))  # no step: nothing is learned
    np.testing.assert_array_equal(scaled, [10, -10, 0])


@pytest.mark.parametrize(("factor", "share"), [(1.0, 1.0), (0.0, 0.0), (-1.0, -3.0), (0.5, 0.75)])
def test_explained_variance_is_of_what_remains(rng, factor, share):
    targets = rng.normal(size=50)
    samples = Samples(np.zeros((50, 1)), np.zeros(50), np.zeros(50), factor * targets, targets)
    assert samples.explained_variance() == pytest.approx(share)


@pytest.mark.parametrize("which", range(3))
def test_tangents_of_a_squashed_draw_are_of_its_shape(rng, which):
    arrays = [rng.normal(size=(5, 2)) for _ in range(3)]
    _, cache = squashed.forward(*arrays)
    tangents = [np.ones((5, 2)) for _ in range(3)]
    squashed.jvp(*tangents, cache)
    tangents[which] = np.ones((5, 1))
    with pytest.raises(ValueError, match="expected"):
        squashed.jvp(*tangents, cache)


def test_a_row_of_the_memory_takes_what_it_says():
    space = SpaceInfo.of(Box(-1, 1, (3,), np.float32), Box(-1, 1, (2,), np.float32))
    memory = ReplayMemory(10, space)
    memory.prepare(1)
    columns = memory.observations, memory.next_observations, memory.actions, memory.rewards, memory.terminated, memory.truncated
    assert memory.bytes_per_row == sum(column.nbytes for column in columns) / 10
