"""Schedules against their equations: ends, halves, kinks, and what lies outside [0, 1]."""

import math

import pytest

from deepnp.optim import cosine, exponential, linear, one_cycle, step

OUTSIDE_AND_INSIDE = (-1, 0, 0.25, 0.5, 1, 2)


def test_linear():
    assert [linear(1.0, 0.2, p) for p in (-1, 0, 0.5, 1, 2)] == pytest.approx([1.0, 1.0, 0.6, 0.2, 0.2])


def test_step():
    assert [step(8.0, 0.5, (0.25, 0.5), p) for p in (-1, 0, 0.2, 0.25, 0.4, 0.5, 1, 2)] == [8, 8, 8, 4, 4, 2, 2, 2]
    assert step(8.0, 0.5, (), 0.7) == 8


def test_exponential():
    assert [exponential(1.0, 1e-4, p) for p in OUTSIDE_AND_INSIDE] == pytest.approx([1, 1, 0.1, 0.01, 1e-4, 1e-4])
    gamma = 0.99
    assert exponential(2.0, 2.0 * gamma**1000, 300 / 1000) == pytest.approx(2.0 * gamma**300)
    with pytest.raises(ValueError, match=r"start > 0 and end > 0, given 1\.0 and 0\.0"):
        exponential(1.0, 0.0, 0.5)


def test_cosine():
    quarter = 0.2 + 0.4 * (1 + math.cos(math.pi / 4))
    assert [cosine(1.0, 0.2, p) for p in OUTSIDE_AND_INSIDE] == pytest.approx([1, 1, quarter, 0.6, 0.2, 0.2])


def test_cosine_warms_up():
    values = [cosine(1.0, 0.2, p, warmup=0.5) for p in (-1, 0, 0.25, 0.5, 0.75, 1, 2)]
    assert values == pytest.approx([0, 0, 0.5, 1, 0.6, 0.2, 0.2])
    for warmup in (-0.1, 1.0):
        with pytest.raises(ValueError, match=r"warmup in \[0, 1\)"):
            cosine(1.0, 0.0, 0.5, warmup)


def test_one_cycle():
    values = [one_cycle(0.1, 1.0, 0.0, p, warmup=0.5) for p in (-1, 0, 0.25, 0.5, 0.75, 1, 2)]
    assert values == pytest.approx([0.1, 0.1, 0.55, 1, 0.5, 0, 0])
    assert one_cycle(0.1, 1.0, 0.0, 0.3) == pytest.approx(1.0)  # the peak, by default
    for warmup in (0.0, 1.0):
        with pytest.raises(ValueError, match=r"warmup in \(0, 1\)"):
            one_cycle(0.1, 1.0, 0.0, 0.5, warmup)
