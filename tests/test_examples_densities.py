"""The examples on densities: gradients of both models of two moons, the maximum of entropy, errors that tell what is strange."""

import math

import numpy as np
import pytest

from deepnp.gradcheck import numerical_gradient, relative_error
from deepnp.models import RealNVP, mlp
from examples import digits_anomaly, maximum_entropy, two_moons
from examples.maximum_entropy import ENERGY, X, boltzmann, dual_value, entropy, most_entropy, moved
from tests.test_examples_data import check_picture, mnist, output_of

__all__ = ["mnist"]  # a fixture


def test_two_moons(tmp_path):
    output = output_of("two_moons", tmp_path, "--steps", 40)
    lines = [line.split() for line in output.splitlines() if " of 40" in line]
    for name, first in (("flow", 2.6), ("energy", 2.9)):
        before, after = (float(line[line.index(name) + 1]) for line in (lines[0], lines[-1]))
        assert after < before
        assert after < first
    surprise = {line.split(":")[0]: float(line.split()[-4]) for line in output.splitlines()[-3:]}
    assert surprise["surprise of the density itself"] < min(
        surprise["surprise of the flow"], surprise["surprise of the energy model"]
    )
    check_picture(tmp_path / "runs" / "two_moons" / "picture.png")


def test_the_moons_density_is_that_of_their_points(rng):
    grid = two_moons.centres()
    p = np.exp(two_moons.log_density(grid))
    assert p.sum() * two_moons.AREA == pytest.approx(1, abs=1e-3)
    x = two_moons.moons(20_000, rng)
    np.testing.assert_allclose(x.mean(axis=0), (p[:, None] * grid).sum(axis=0) * two_moons.AREA, atol=0.02)
    assert ((x[:, 0] > 0.5) & (x[:, 1] > 0.7)).mean() == pytest.approx(
        p[(grid > [0.5, 0.7]).all(axis=1)].sum() * two_moons.AREA, abs=0.01
    )


def test_both_gradients_are_those_of_the_likelihood(rng):
    x, grid = rng.normal(size=(7, 2)), two_moons.centres()[::37]
    flow = RealNVP(2, layers=2, hidden=(5,), rng=rng).to(np.float64)
    energy = mlp((2, 5, 1), rng=rng, dtype=np.float64)
    flow.flat.data[...] = rng.normal(size=len(flow.flat)) * 0.3
    losses = {
        flow: (lambda: two_moons.flow_gradient(flow, x), lambda: -two_moons.flow_density(flow, x).mean()),
        energy: (lambda: two_moons.energy_gradient(energy, x, grid), lambda: two_moons.energy_surprise(energy, x, grid).mean()),
    }
    for model, (gradient, loss) in losses.items():
        assert gradient() == pytest.approx(loss(), rel=1e-12)
        given, theta = model.flat.grad.copy(), model.flat.data.copy()

        def at(v, model=model, loss=loss):
            model.flat.data[...] = v
            return float(loss())

        assert relative_error(given, numerical_gradient(at, theta)) < 1e-6


def test_the_energy_model_s_density_integrates_to_one(rng):
    energy, grid = mlp((2, 5, 1), rng=rng), two_moons.centres().astype(np.float32)
    assert np.exp(two_moons.energy_density(energy, grid)).sum() * two_moons.AREA == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("mean", [0.1, 0.5, 2.0])
def test_boltzmann_s_distribution_has_the_most_entropy(mean, rng):
    features = (ENERGY - ENERGY.min())[None]
    p, beta = most_entropy(features, np.array([mean]))
    assert features @ p == pytest.approx([mean], rel=1e-7)
    np.testing.assert_allclose(p, boltzmann(features, beta))
    assert dual_value(features, np.array([mean]), beta) == pytest.approx(entropy(p), rel=1e-7)
    for _ in range(100):
        other = moved(p, features, rng)
        assert other.min() >= 0
        assert other.sum() == pytest.approx(1, rel=1e-12)
        assert features @ other == pytest.approx(features @ p, rel=1e-9)
        assert entropy(other) < entropy(p)
        surprise = -(other * np.log(np.maximum(p, 1e-300))).sum()
        assert surprise == pytest.approx(entropy(p), rel=1e-9)  # the same for all of these means


def test_the_dual_s_gradient_is_the_gap_between_the_means():
    features, means, beta = np.stack([X, X**2]), np.array([0.3, 2.0]), np.array([-0.1, 0.4])
    gradient = means - features @ boltzmann(features, beta)
    assert relative_error(gradient, numerical_gradient(lambda b: dual_value(features, means, b), beta)) < 1e-6


def test_of_a_mean_and_a_variance_it_is_the_gaussian():
    p, beta = most_entropy(np.stack([X, X**2]), np.array([0.7, 1.5 + 0.49]))
    np.testing.assert_allclose(beta, [-0.7 / 1.5, 1 / 3.0], rtol=1e-9)  # (x − μ)²/(2σ²), multiplied out
    assert entropy(p) + math.log(X[1] - X[0]) == pytest.approx(0.5 * math.log(2 * math.pi * math.e * 1.5), rel=1e-9)


def test_means_that_nothing_has_are_refused():
    with pytest.raises(ValueError, match="expected means that a distribution on the grid has"):
        most_entropy((ENERGY - ENERGY.min())[None], np.array([-1.0]))


def test_maximum_entropy(tmp_path):
    output = output_of("maximum_entropy", tmp_path)
    assert output.count("1,000 others") == len(maximum_entropy.MEANS)
    check_picture(tmp_path / "runs" / "maximum_entropy" / "picture.png")


def test_the_area_under_the_curve_counts_pairs(rng):
    strange, usual = rng.integers(5, size=30).astype(float), rng.integers(4, size=20).astype(float)
    pairs = np.sign(strange[:, None] - usual)
    assert digits_anomaly.auc(strange, usual) == pytest.approx((pairs == 1).mean() + (pairs == 0).mean() / 2)
    assert digits_anomaly.auc(np.ones(3), np.zeros(4)) == 1


def test_digits_anomaly(tmp_path, rng):
    pytest.importorskip("sklearn")
    output = output_of("digits_anomaly", tmp_path, "--steps", 400)
    noise, unseen = (float(line.split()[-1]) for line in output.splitlines()[-2:])
    assert noise > 0.99
    assert unseen > 0.85
    check_picture(tmp_path / "runs" / "digits_anomaly" / "picture.png")
