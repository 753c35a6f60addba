"""Numba kernels that stand under float32 only, or that the op harness does not reach."""

import subprocess
import sys

import numpy as np
import pytest

from deepnp.ops.activation import relu, tanh


def test_float32_tanh_is_right_everywhere():
    x = np.concatenate([np.linspace(-12, 12, 100_001), np.geomspace(1e-30, 1, 1000), -np.geomspace(1e-30, 1, 1000)])
    x = x.astype(np.float32).reshape(1, -1)
    exact = np.tanh(x.astype(np.float64))
    fast = tanh.add_bias(x.copy(), np.zeros(x.shape[1], np.float32))
    assert (np.abs(fast - exact) <= 3e-7 * np.abs(exact) + 1e-44).all()


def test_float32_tanh_of_infinity_and_nan():
    x = np.array([[np.inf, -np.inf, np.nan, 1e30, -1e30]], np.float32)
    y = tanh.add_bias(x, np.zeros(5, np.float32))[0]
    np.testing.assert_array_equal(y, [1, -1, np.nan, 1, -1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_relu_at_its_kink_has_slope_zero(dtype, kernels):
    y, cache = relu.forward(np.zeros(3, dtype))
    np.testing.assert_array_equal(y, 0)
    np.testing.assert_array_equal(relu.backward(np.ones(3, dtype), cache), 0)


def test_a_second_process_does_not_compile():
    code = """
import numpy as np
from deepnp.ops.activation import tanh
tanh.add_bias(np.zeros((2, 3), np.float32), np.zeros(3, np.float32))
stats = tanh._add_bias.compiled.stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""
    outputs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout for _ in range(2)]
    assert outputs[1].split() == ["1", "0"]
