"""Learned models: gradients, units, bootstraps, elites, the held-out stop, and what they say of data that they know."""

import numpy as np
import pytest
from gymnasium import spaces

import deepnp
from deepnp.gradcheck import TOLERANCE, check_module, numerical_gradient, relative_error
from deepnp.optim import Adam
from rl.experience.actions import ActionLayout
from rl.losses.models import bound_log_variance, bounded_nll
from rl.networks import dynamics_fit
from rl.networks.dynamics import Dynamics
from rl.networks.dynamics_fit import Schedule, Transitions, fit
from rl.networks.members import members_mlp, predict_one

BOX = ActionLayout.of(spaces.Box(-1, 1, (2,)))
PLAN = Schedule(batch_size=32, epochs=30, holdout=0.2, patience=5)


def made(rng, gaussian=True, members=3, action=BOX, elites=None, hidden=(16, 16)):
    return Dynamics(3, action, members, hidden, deepnp.SiLU, gaussian, rng, elites=elites)


def linear_world(rng, rows=600, noise=0.0):
    """s′ = s + M[s, a] + noise in the first number only, r = s_0 + 2a_1; it terminates where s_0 > 1."""
    s, a = rng.normal(size=(rows, 3)).astype("f"), rng.uniform(-1, 1, (rows, 2)).astype("f")
    matrix = np.random.default_rng(5).normal(size=(5, 3))
    following = s + np.concatenate([s, a], axis=1) @ matrix
    following[:, 0] += noise * rng.normal(size=rows)
    return Transitions(s, a, s[:, 0] + 2 * a[:, 1], following.astype("f"), s[:, 0] > 1)


def fitted(rng, data, plan=PLAN, **settings):
    model = made(rng, **settings)
    return model, fit(model, Adam(model.flat, 3e-3), data, plan, rng)


class TestMembers:
    def test_gradients(self, rng):
        body = members_mlp(3, (4, 6, 2), deepnp.SiLU, rng)
        assert max(check_module(body, rng.normal(size=(3, 5, 4))).values()) < TOLERANCE

    def test_each_is_a_network_of_its_own(self, rng):
        body, x = members_mlp(3, (4, 6, 2), deepnp.Tanh, rng), rng.normal(size=(7, 4)).astype("f")
        parameters = {name: p.data for name, p in body.named_parameters()}
        for e in range(3):
            hidden = np.tanh(x @ parameters["0.weight"][e] + parameters["0.bias"][e])
            expected = hidden @ parameters["2.weight"][e] + parameters["2.bias"][e]
            np.testing.assert_allclose(predict_one(body, x, e), expected, atol=1e-5)
            np.testing.assert_allclose(body.predict(x[None])[e], expected, atol=1e-5)
        assert not np.allclose(parameters["0.weight"][0], parameters["0.weight"][1])

    @pytest.mark.parametrize("shape", [(2, 5, 4), (3, 5, 3), (5, 4)])
    def test_refuses_other_shapes(self, rng, shape):
        with pytest.raises(ValueError, match=r"expected input of shape \(3 or 1, B, 4\), given"):
            members_mlp(3, (4, 2), deepnp.Tanh, rng).forward(np.zeros(shape, "f"))


class TestLosses:
    """Their gradients are checked by the harness of operations, by their CASES."""

    def test_by_the_definition(self, rng):
        mean, raw, t = rng.normal(size=(3, 2, 4, 2))
        low, high = np.array([-3.0, -2.0]), np.array([0.5, 1.0])
        log_v = bound_log_variance(raw, low, high)
        expected = np.sum(0.5 * ((t - mean) ** 2 / np.exp(log_v) + log_v)) / 4 + 0.01 * (high - low).sum()
        assert bounded_nll(mean, raw, low, high, t)[0] == pytest.approx(expected, rel=1e-12)

    def test_variances_stay_between_their_bounds(self):
        raw = np.array([-1e4, -3.0, 0.0, 1e4])[None, :, None]
        log_v = bound_log_variance(raw, np.array([-4.0]), np.array([1.0]))
        assert log_v.min() == pytest.approx(-4, abs=0.01)
        assert log_v.max() == pytest.approx(1, abs=0.01)
        assert (np.diff(log_v[0, :, 0]) > 0).all()


@pytest.mark.parametrize("gaussian", [True, False])
def test_gradient_of_the_whole_loss(rng, gaussian):
    model = made(rng, gaussian, hidden=(5,)).to(np.float64)
    x, targets, ended = rng.normal(size=(3, 6, 5)), rng.normal(size=(3, 6, 4)), rng.integers(0, 2, (3, 6)).astype(float)
    model.zero_grad()
    model.add_gradient(x, targets, ended)
    given, theta = model.flat.grad.copy(), model.flat.data.copy()

    def loss(v):
        model.flat.data[...] = v
        return model.add_gradient(x, targets, ended)

    assert relative_error(given, numerical_gradient(loss, theta)) < TOLERANCE


class TestFit:
    def test_a_world_that_is_linear_is_learned_in_its_units(self, rng):
        model, metrics = fitted(rng, linear_world(rng), gaussian=False)
        data = linear_world(rng, 200)
        following, rewards, ended = model.step(data.observations, data.actions, np.arange(200) % 3, None)
        assert np.square(following - data.following).mean() < 0.05 * data.following.var()
        assert np.square(rewards - data.rewards).mean() < 0.05 * data.rewards.var()
        assert (ended == data.terminated).mean() > 0.9
        assert metrics["model_error"] < 0.1

    def test_gaussian_members_know_chance_from_ignorance(self, rng):
        model, _ = fitted(rng, linear_world(rng, 1500, noise=1.0))
        seen = linear_world(rng, 300, noise=1.0)
        aleatoric, epistemic = model.uncertainty(seen.observations, seen.actions)
        assert 0.5 < aleatoric[:, 0].mean() < 2.0  # the noise that is there
        assert aleatoric[:, 1].mean() < 0.3  # and that is not
        _, far = model.uncertainty(seen.observations * 10, seen.actions)
        assert far.mean() > 10 * epistemic.mean()

    def test_draws_have_the_variance_that_is_predicted(self, rng):
        model, _ = fitted(rng, linear_world(rng, noise=1.0))
        s, a = np.zeros((20_000, 3), "f"), np.zeros((20_000, 2), "f")
        mean, variance, _ = (x[1, 0] for x in model.outlook(s[:1], a[:1]))
        following, _, _ = model.step(s, a, np.ones(20_000, int), rng)
        assert following[:, 0].mean() == pytest.approx(mean[0], abs=0.05)
        assert following[:, 0].var() == pytest.approx(variance[0], rel=0.05)
        np.testing.assert_array_equal(model.step(s[:9], a[:9], np.ones(9, int), None)[0][0], mean[:3])

    def test_members_learn_from_bootstraps_of_their_own(self, rng, monkeypatch):
        drawn = []
        monkeypatch.setattr(dynamics_fit, "one_pass", lambda model, optimizer, columns, rows, size: drawn.append(rows) or 0.0)
        fitted(rng, linear_world(rng, 500), Schedule(32, 2, 0.2, 5))
        first = [np.sort(rows) for rows in drawn[0]]
        assert drawn[0].shape == (3, 400)
        assert all(len(np.unique(rows)) < 300 for rows in first)  # with replacement: some 63 %
        assert not np.array_equal(first[0], first[1])
        np.testing.assert_array_equal(first[0], np.sort(drawn[1][0]))  # the same in every pass, in another order

    def test_elites_are_the_best_on_held_out_rows_and_stand_as_they_were_then(self, rng, monkeypatch):
        errors = iter([[3.0, 1.0, 2.0], [0.5, 9.0, 9.0], [9.0, 9.0, 9.0], [9.0, 9.0, 9.0]])
        monkeypatch.setattr(dynamics_fit, "held_out_losses", lambda *_: np.array(next(errors)))
        monkeypatch.setattr(dynamics_fit, "squared_errors", lambda *_: np.array([0.5, 1.0, 7.0]))
        passes = []

        def one_pass(model, *_):
            passes.append(1)
            for p in model.body.parameters():
                p.data[...] = len(passes)
            return 0.0

        monkeypatch.setattr(dynamics_fit, "one_pass", one_pass)
        model, metrics = fitted(rng, linear_world(rng), Schedule(32, 30, 0.2, 1), elites=2)
        assert metrics["model_epochs"] == 4  # two passes in which nothing got better are one too many
        np.testing.assert_array_equal(model.elites, [0, 1])
        weight = model.body.parameters()[0].data
        assert [weight[e].max() for e in range(3)] == [2, 1, 1]
        assert metrics["model_error"] == pytest.approx(0.75)

    @pytest.mark.parametrize("gaussian", [True, False])
    def test_held_out_losses_by_the_definition(self, rng, gaussian):
        model, data = made(rng, gaussian), linear_world(rng, 40)
        x, y = model.inputs(data.observations, data.actions), model.targets(data.observations, data.rewards, data.following)
        ended, rows = data.terminated.astype(float), rng.permutation(40)[:25]
        given = dynamics_fit.held_out_losses(model, (x, y, ended), rows)
        mean, variance, logits = model.outlook(data.observations[rows], data.actions[rows])  # its units are its targets'
        squares = (mean - y[rows]) ** 2
        numbers = 0.5 * (squares / variance + np.log(variance)) if gaussian else 0.5 * np.log(squares.mean(1) + 1e-6)[:, None]
        p = 1 / (1 + np.exp(-logits.astype(float)))
        ends = -np.log(np.where(ended[rows] > 0, p, 1 - p)).mean(1)
        np.testing.assert_allclose(given, (numbers.mean(1).sum(1) + ends) / 5, rtol=1e-5)

    def test_what_never_changes_stays(self, rng):
        data = linear_world(rng)
        s, f = data.observations.copy(), data.following.copy()
        s[:, 2] = f[:, 2] = 7
        model, _ = fitted(rng, data._replace(observations=s, following=f))
        following = model.step(s, data.actions, np.zeros(len(s), int), rng)[0]
        np.testing.assert_allclose(following[:, 2], 7, atol=1e-5)

    def test_no_prediction_runs_away(self, rng):
        data = linear_world(rng)
        model, _ = fitted(rng, data)
        following, _, _ = model.step(np.full((5, 3), 1e6, "f"), np.zeros((5, 2), "f"), np.zeros(5, int), rng)
        width = np.ptp(data.following, axis=0)
        assert (following <= data.following.max(axis=0) + 1.01 * width).all()
        assert (following >= data.following.min(axis=0) - 1.01 * width).all()

    @pytest.mark.parametrize("rows", [1, 3])
    def test_a_few_rows_are_enough_to_begin(self, rng, rows):
        model, metrics = fitted(rng, linear_world(rng, rows))
        assert np.isfinite(list(metrics.values())).all()
        assert np.isfinite(model.flat.data).all()

    def test_none_is_refused(self, rng):
        with pytest.raises(ValueError, match="expected transitions to fit a model to, given none"):
            fitted(rng, linear_world(rng, 0))


def test_choices_are_read_as_columns(rng):
    model = made(rng, action=ActionLayout.of(spaces.Discrete(4)))
    x = model.inputs(np.zeros((3, 3), "f"), np.array([0, 3, 1]))
    np.testing.assert_array_equal(x[:, 3:], np.eye(4)[[0, 3, 1]])


def test_a_state_that_fits_no_ensemble_is_refused(rng):
    model = made(rng, elites=2)
    state = {name: np.array(x) for name, x in model.state_dict().items()}
    with pytest.raises(ValueError, match="expected elites among 3 members"):
        model.load_state_dict(state | {"_elites": np.array([0, 3])})
    with pytest.raises(ValueError, match="scales of inputs and targets that are positive"):
        model.load_state_dict(state | {"scale": np.zeros(4, "f")})
    model.load_state_dict(state)
