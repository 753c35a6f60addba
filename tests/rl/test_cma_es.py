"""CMA-ES: known minima, and a state that files can hold."""

import sys
import warnings

import numpy as np
import pytest

import rl
from rl.solvers.evolution import Evolution
from tests.rl.toys import Target

pytest.importorskip("cma")


def cigar(x: np.ndarray) -> np.ndarray:
    """A valley along no axis: (P, D) -> (P,)."""
    along = x.sum(axis=1) ** 2 / x.shape[1]
    return along + 100 * ((x**2).sum(axis=1) - along)


def descend(search: Evolution, function, generations: int) -> Evolution:
    for _ in range(generations):
        search.tell(function(search.ask()))
    return search


class TestEvolution:
    @pytest.mark.parametrize("diagonal", [False, True])
    def test_finds_the_bottom_of_a_sphere(self, diagonal):
        search = Evolution(np.full(6, 2.0), 0.5, 9, diagonal, 0)
        descend(search, lambda x: ((x - 1) ** 2).sum(axis=1), 150)
        np.testing.assert_allclose(search.mean, 1, atol=1e-3)
        assert search.sigma < 0.01
        assert search.generations == 150

    def test_all_of_the_covariance_finds_a_valley_sooner(self):
        left = [float(cigar(descend(Evolution(np.full(8, 2.0), 0.5, 10, d, 0), cigar, 250).mean[None])[0]) for d in (False, True)]
        assert left[0] < 1e-3 * left[1]

    @pytest.mark.parametrize("asked", [False, True])
    @pytest.mark.parametrize("diagonal", [False, True])
    def test_goes_on_from_its_state_to_the_bit(self, diagonal, asked):
        search = descend(Evolution(np.full(6, 2.0), 0.5, 9, diagonal, 3), cigar, 40)
        if asked:
            search.ask()
        state = {name: np.array(array) for name, array in search.state_dict().items()}
        again = Evolution(np.zeros(6), 1.0, 9, diagonal, 0)
        again.load_state_dict(state)
        for _ in range(10):
            np.testing.assert_array_equal(search.ask(), again.ask())
            search.tell(cigar(search.ask()))
            again.tell(cigar(again.ask()))
        np.testing.assert_array_equal(search.mean, again.mean)

    def test_candidates_stay_until_their_values_are_told(self):
        search = Evolution(np.zeros(4), 0.5, 8, False, 0)
        first = search.ask()
        np.testing.assert_array_equal(first, search.ask())
        search.tell(cigar(first))
        assert (search.ask() != first).any()

    def test_it_is_its_seed_and_leaves_numpys_own_numbers_alone(self):
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        asked = [Evolution(np.zeros(4), 0.5, 8, False, seed).ask() for seed in (0, 0, 1)]
        np.testing.assert_array_equal(asked[0], asked[1])
        assert (asked[0] != asked[2]).any()
        np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002

    def test_another_mean_than_the_saved_one_begins_anew_there(self):
        """As another version of the package might find it."""
        search = descend(Evolution(np.full(4, 2.0), 0.5, 8, False, 0), cigar, 20)
        state = {name: np.array(array) for name, array in search.state_dict().items()}
        state["mean"] += search.sigma
        again = Evolution(np.zeros(4), 1.0, 8, False, 0)
        again.load_state_dict(state)
        with pytest.warns(UserWarning, match="begins anew at the mean and σ that were saved: cma 4"):
            candidates = again.ask()
        assert np.abs(candidates - state["mean"]).max() < 5 * search.sigma
        assert again.generations == 0
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            descend(again, cigar, 3)

    def test_equal_values_are_taken(self):
        assert np.isfinite(descend(Evolution(np.zeros(4), 0.5, 8, False, 0), lambda x: np.zeros(len(x)), 30).mean).all()

    def test_a_state_that_does_not_fit_is_refused(self):
        search = Evolution(np.zeros(4), 0.5, 8, False, 0)
        good = {name: np.array(array) for name, array in search.state_dict().items()}
        for name, wrong in {"mean": np.zeros(3), "values": np.zeros((2, 7)), "sigma": np.array(-1.0), "seed": np.array(-1)}.items():
            with pytest.raises(ValueError, match="expected"):
                search.load_state_dict({**good, name: wrong})


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "cma", None)
    with pytest.raises(ImportError, match=r'pip install "deepnp-rl\[cma\]"'):
        rl.CMAES(Target())


def test_the_distribution_is_what_the_settings_say():
    few, many = rl.CMAES(Target(), rl.CMAESConfig(hidden=())), rl.CMAES(Target(), rl.CMAESConfig(hidden=(), full_covariance=1))
    assert (few.evolution.diagonal, many.evolution.diagonal) == (False, True)
    assert few.generation.candidates.shape == (6, 2)  # 4 + ⌊3 ln 2⌋
    assert rl.CMAES(Target(), rl.CMAESConfig(population=9)).generation.candidates.shape[0] == 9


def test_larger_returns_are_better():
    agent = rl.CMAES(Target(), rl.CMAESConfig(hidden=(), population=20), seed=0)
    for _ in range(60):
        candidates = agent.draw()
        agent.update(candidates, -((candidates - 3) ** 2).sum(axis=1))
    np.testing.assert_allclose(agent.policy.flat.data, 3, atol=1e-2)


def test_cart_pole_with_few_steps():
    """A linear policy balances for 500 steps after 50,000."""
    agent = rl.CMAES("CartPole-v1", rl.CMAESConfig(num_envs=4, hidden=()), seed=0).learn(50_000)
    assert rl.evaluate(agent, "CartPole-v1", 10).mean() > 450
