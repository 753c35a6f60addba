"""What policy gradients promise, on a process whose gradient is known exactly, and where algorithms must agree."""

import numpy as np
import pytest

from benchmarks import three_states as mdp
from deepnp.gradcheck import numerical_gradient
from rl import A2C, PPO, A2CConfig, PPOConfig
from rl.algorithms.policy_gradient.descent import policy_step
from rl.losses.baselines import minimum_variance, time_means
from rl.losses.importance import log_weights, weights_of
from rl.losses.returns import ESTIMATORS, advantages_of, monte_carlo_returns
from tests.rl.references.worlds import Choices, World

EPISODES = 40_000
THETA = np.random.default_rng(1).normal(size=(mdp.STATES, mdp.ACTIONS))
DISCOUNTS = mdp.GAMMA ** np.arange(mdp.HORIZON)[:, None]


@pytest.fixture(scope="module")
def played():
    return mdp.play(THETA, EPISODES, np.random.default_rng(3))


@pytest.fixture(scope="module")
def others():
    """Episodes of another policy, and ln ρ of their actions under θ."""
    old = THETA + 0.3 * np.random.default_rng(4).normal(size=THETA.shape)
    played = mdp.play(old, EPISODES, np.random.default_rng(5))
    return played, np.log((mdp.policy(THETA) / mdp.policy(old))[played.states, played.actions])


def to_go(played):
    return monte_carlo_returns(played.rewards, np.zeros_like(played.rewards), played.ended, mdp.GAMMA)


def assert_unbiased(estimates, exact):
    """The mean lies within five standard errors, and these are small beside the gradient."""
    error = estimates.std(axis=0) / np.sqrt(len(estimates))
    assert error.max() < 0.1 * np.abs(exact).max()
    assert (np.abs(estimates.mean(axis=0) - exact) < 5 * error + 1e-12).all()


def test_the_exact_gradient_is_the_derivative():
    np.testing.assert_allclose(mdp.gradient(THETA), numerical_gradient(mdp.value, THETA), rtol=1e-6, atol=1e-8)


def test_over_endless_episodes_the_gradient_has_the_factor_that_the_notes_leave_out():
    """E over d_γ, which sums to 1, is 1 − γ times the gradient: here with the sum over t cut at H."""
    d = (1 - mdp.GAMMA) * DISCOUNTS * mdp.occupancy(THETA)
    printed = np.einsum("ts,sa,saij,tsa->ij", d, mdp.policy(THETA), mdp.scores(THETA), mdp.action_values(THETA))
    np.testing.assert_allclose(printed / (1 - mdp.GAMMA), mdp.gradient(THETA), rtol=1e-12)
    assert np.abs(printed - mdp.gradient(THETA)).max() > 0.5 * np.abs(mdp.gradient(THETA)).max()


class TestUnbiased:
    def test_reward_to_go(self, played):
        assert_unbiased(mdp.estimates(THETA, played, DISCOUNTS * to_go(played)), mdp.gradient(THETA))

    def test_total_return(self, played):
        total = (DISCOUNTS * played.rewards).sum(axis=0)
        assert_unbiased(mdp.estimates(THETA, played, np.broadcast_to(total, played.rewards.shape)), mdp.gradient(THETA))

    @pytest.mark.parametrize("baseline", [[3.0, -5.0, 7.0], [0.0, 0.0, 100.0]])
    def test_any_baseline_of_the_state_leaves_the_mean(self, played, baseline):
        psi = to_go(played) - np.array(baseline)[played.states]
        plain, with_baseline = (mdp.estimates(THETA, played, DISCOUNTS * x) for x in (to_go(played), psi))
        gap = with_baseline - plain
        assert (np.abs(gap.mean(axis=0)) < 5 * gap.std(axis=0) / np.sqrt(EPISODES) + 1e-12).all()

    def test_a_baseline_of_the_action_does_not(self, played):
        psi = to_go(played) - np.where(played.actions == 0, 3.0, 0.0)
        estimates = mdp.estimates(THETA, played, DISCOUNTS * psi)
        with pytest.raises(AssertionError):
            assert_unbiased(estimates, mdp.gradient(THETA))

    def test_without_the_discount_of_steps_it_is_another_direction(self, played):
        """So the page says that it is no gradient of J."""
        estimates = mdp.estimates(THETA, played, to_go(played))
        with pytest.raises(AssertionError):
            assert_unbiased(estimates, mdp.gradient(THETA))

    def test_time_means_reduce_the_variance(self, played):
        g = to_go(played)
        ages = np.broadcast_to(np.arange(mdp.HORIZON)[:, None], g.shape)
        psi = g - time_means(g.ravel(), ages.ravel()).reshape(g.shape)
        plain, less = (mdp.estimates(THETA, played, DISCOUNTS * x).var(axis=0).sum() for x in (g, psi))
        assert_unbiased(mdp.estimates(THETA, played, DISCOUNTS * psi), mdp.gradient(THETA))
        assert less < 0.9 * plain


@pytest.mark.parametrize("state", range(mdp.STATES))
def test_no_baseline_has_less_variance_than_the_best(state):
    """E[w²(Q − b)²] over the actions of a state, by enumeration; V, the usual stand-in, is not the best."""
    pi, q = mdp.policy(THETA)[state], mdp.action_values(THETA)[0, state]
    squares = (mdp.scores(THETA)[state] ** 2).sum(axis=(-1, -2))

    def moment(b):
        return (pi * squares * (q - b) ** 2).sum()

    best = minimum_variance(q, pi * squares)
    assert best == pytest.approx((pi * squares * q).sum() / (pi * squares).sum())
    others = [best - 0.1, best + 0.1, 0.0, (pi * q).sum(), q.mean()]
    assert all(moment(best) < moment(b) for b in others)


class TestEstimators:
    @pytest.fixture
    def trajectories(self, rng):
        rewards, values = rng.normal(size=(2, 20, 4))
        ended = rng.random((20, 4)) < 0.2
        return rewards, values, np.where(ended & (rng.random((20, 4)) < 0.5), 0, rng.normal(size=(20, 4))), ended

    @staticmethod
    def continuous(rewards, values, next_values, ended):
        """V(s_{t+1}) is the next step's V within an episode, as in a rollout."""
        following = np.concatenate([values[1:], next_values[-1:]])
        return rewards, values, np.where(ended, next_values, following), ended

    def test_gae_without_a_trace_is_the_td_error(self, trajectories):
        td, gae = (advantages_of(kind, *trajectories, 0.9, 0.0, 1) for kind in ("td", "gae"))
        np.testing.assert_allclose(gae, td, rtol=1e-12)

    def test_gae_with_an_endless_trace_is_monte_carlo(self, trajectories):
        trajectories = self.continuous(*trajectories)
        mc, gae = (advantages_of(kind, *trajectories, 0.9, 1.0, 1) for kind in ("mc", "gae"))
        np.testing.assert_allclose(gae, mc, rtol=1e-10, atol=1e-12)

    def test_n_steps_lie_between_them(self, trajectories):
        trajectories = self.continuous(*trajectories)
        td, mc, one, all_of_them = (
            advantages_of(kind, *trajectories, 0.9, 0.5, n) for kind, n in (("td", 0), ("mc", 0), ("n-step", 1), ("n-step", 99))
        )
        np.testing.assert_allclose(one, td, rtol=1e-12)
        np.testing.assert_allclose(all_of_them, mc, rtol=1e-12)

    def test_an_unknown_one_is_named(self, trajectories):
        assert set(ESTIMATORS) == {"mc", "td", "n-step", "gae"}
        with pytest.raises(ValueError, match=r"expected an estimator among .* given 'monte carlo'"):
            advantages_of("monte carlo", *trajectories, 0.9, 0.5, 1)


@pytest.mark.parametrize("penalty", ["clip", "none", "kl-fixed"])
@pytest.mark.parametrize("env", [World, Choices], ids=["numbers", "choices"])
def test_where_nothing_has_moved_ppo_s_gradient_is_that_of_a2c(rng, env, penalty):
    """At ratio 1 no clip binds and the KL's gradient is 0: what is left is A∇ ln π."""
    shared = dict(num_envs=1, hidden=(6,), max_grad_norm=1e9, entropy_coef=0.01, normalize_advantages=False)
    ppo = PPO(env, PPOConfig(**shared, penalty=penalty), seed=5)
    a2c = A2C(env, A2CConfig(**shared), seed=5)
    observations = rng.normal(size=(40, 3)).astype(np.float32)
    old = ppo.policy.predict(observations)
    actions, advantages = old.sample(rng), rng.normal(size=40).astype(np.float32)
    a2c.policy.flat.data[:] = ppo.policy.flat.data
    ppo.policy_step(observations, actions, advantages, old.log_prob(actions), old, ppo.settings_at(0.0))
    policy_step(a2c.policy, a2c.policy_optimizer, observations, actions, advantages, a2c.now)
    np.testing.assert_allclose(ppo.policy.flat.grad, a2c.policy.flat.grad, rtol=1e-4, atol=1e-6)
    assert np.abs(a2c.policy.flat.grad).max() > 1e-3


class TestImportance:
    """Episodes of θ′, weighed so that they count as if θ had played them."""

    @pytest.mark.parametrize("kind", ["decision", "trajectory"])
    def test_products_give_the_gradient_of_the_other_policy(self, others, kind):
        played, log_ratios = others
        w = np.exp(log_weights(kind, log_ratios, played.ended))
        # What comes after t is the old policy's, too: a trajectory's weight corrects it; per decision each reward has its own.
        psi = w * to_go(played) if kind == "trajectory" else weighed_to_go(played, log_ratios)
        assert_unbiased(mdp.estimates(THETA, played, DISCOUNTS * psi), mdp.gradient(THETA))

    def test_with_true_advantages_per_decision_needs_no_more(self, others):
        """E[Σ γ^t w_t ∇ ln π A]: the lecture's form, with index i (E60)."""
        played, log_ratios = others
        q = mdp.action_values(THETA)
        a = (q - (mdp.policy(THETA) * q).sum(axis=2, keepdims=True))[np.arange(mdp.HORIZON)[:, None], played.states, played.actions]
        w = np.exp(log_weights("decision", log_ratios, played.ended))
        assert_unbiased(mdp.estimates(THETA, played, DISCOUNTS * w * a), mdp.gradient(THETA))
        printed = np.exp(log_ratios * np.arange(1, mdp.HORIZON + 1)[:, None])  # ρ_t^{t+1}
        with pytest.raises(AssertionError):
            assert_unbiased(mdp.estimates(THETA, played, DISCOUNTS * printed * a), mdp.gradient(THETA))

    def test_truncation_and_self_normalisation_reduce_the_variance(self, others):
        played, log_ratios = others
        log_w = log_weights("trajectory", log_ratios, played.ended)[-1]
        plain = np.exp(log_w)
        assert plain.mean() == pytest.approx(1, abs=5 * plain.std() / np.sqrt(EPISODES))
        assert weights_of(log_w, 2.0, False).var() < plain.var()
        assert weights_of(log_w, 1e9, True).mean() == pytest.approx(1, rel=1e-12)


def weighed_to_go(played, log_ratios):
    """Σ_{k≥t} γ^{k−t} w_k r_k, with w_k = Π_{i≤k} ρ_i."""
    w = np.exp(log_weights("decision", log_ratios, played.ended))
    return monte_carlo_returns(w * played.rewards, np.zeros_like(w), played.ended, mdp.GAMMA)
