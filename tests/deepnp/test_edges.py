"""At their edges: bounds that are met exactly, barely, and barely not. Sampled mutants (benchmarks.mutants) survived without."""

import math

import numpy as np
import pytest

from deepnp.optim import clip_grad_norm
from deepnp.parameters import Parameter, ParameterVector


@pytest.mark.parametrize("order", [2, 1, math.inf])
def test_gradient_is_shortened_from_its_bound_on_and_no_earlier(order, rng):
    g = rng.normal(size=7)
    g /= np.linalg.norm(g, order)
    for norm, shortened in ((0.999, False), (1.0, False), (1.001, True)):
        vector = ParameterVector({"a": Parameter(np.zeros(7))})
        vector.grad[...] = norm / 4 * g
        clip_grad_norm(vector, 0.25 * (1 + 1e-12), order)
        expected = min(norm, 1.0) / 4 if shortened else norm / 4
        np.testing.assert_allclose(vector.grad, expected * g, rtol=1e-5 if shortened else 0)
