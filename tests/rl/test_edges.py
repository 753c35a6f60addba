"""At their edges, like tests/deepnp/test_edges.py: what sampled mutants survived without."""

import numpy as np
import pytest

from rl.experience.normalize import ObservationNormalizer, RewardScaler
from rl.losses.surrogate import clipped_surrogate


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
