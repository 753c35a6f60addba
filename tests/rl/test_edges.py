"""At their edges, like tests/deepnp/test_edges.py: what sampled mutants survived without."""

import numpy as np
import pytest

from rl.losses.surrogate import clipped_surrogate


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_clip_fraction_is_the_share_outside(share, kernels):
    """Of ratios at 1.3 and 0.9 with ε = 0.2: those at 1.3."""
    outside = round(10 * share)
    ratio = np.repeat([1.3, 0.9], [outside, 10 - outside])
    _, _, info = clipped_surrogate(np.log(ratio), np.zeros(10), np.ones(10), 0.2)
    assert info["clip_fraction"] == pytest.approx(share)
