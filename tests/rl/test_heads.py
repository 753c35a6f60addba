"""Distributions over a Box other than the plain Gaussian, over subsets, and over several parts: derivatives, values, learning."""

import math

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import rl
from deepnp import Tanh
from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error
from rl.experience.actions import ActionLayout
from rl.experience.spaces import SpaceInfo
from rl.networks.beta import Beta
from rl.networks.branches import Bernoulli, MultiCategorical
from rl.networks.distributions import Categorical, DiagonalGaussian
from rl.networks.gamma import digamma, ln_gamma, trigamma
from rl.networks.heads import HeadSettings
from rl.networks.joint import Joint
from rl.networks.policies import outputs_of, stochastic_policy
from rl.networks.squashed_gaussian import SquashedGaussian
from rl.networks.subset import Subset

ROWS, SIZE = 5, 3
HYBRID = spaces.Dict(
    move=spaces.Box(-2, 3, (2,), np.float32),
    rest=spaces.Tuple((spaces.Discrete(3, start=1), spaces.MultiBinary(2))),
    which=spaces.MultiDiscrete([[2, 3]], dtype=np.int32),
)
LAYOUT = ActionLayout.of(HYBRID)


def beta(rng):
    return Beta(*(1 + np.exp(rng.normal(size=(2, ROWS, SIZE)))))


def squashed(rng):
    return SquashedGaussian(rng.normal(size=(ROWS, SIZE)), np.exp(rng.normal(size=SIZE) * 0.3))


def squashed_by_row(rng):
    return SquashedGaussian(rng.normal(size=(ROWS, SIZE)), np.exp(rng.normal(size=(ROWS, SIZE)) * 0.3))


def subset(rng):
    return Subset(rng.normal(size=(ROWS, SIZE)), 2)


def joint(rng):
    gaussian = DiagonalGaussian(rng.normal(size=(ROWS, 2)), np.exp(rng.normal(size=2)))
    switches, branches = Bernoulli(rng.normal(size=(ROWS, 2))), MultiCategorical(rng.normal(size=(ROWS, 5)), (2, 3))
    return Joint(LAYOUT, (gaussian, Categorical(rng.normal(size=(ROWS, 3))), switches, branches))


MAKERS = pytest.mark.parametrize("make", [beta, squashed, squashed_by_row, subset, joint])


def parameters(d):
    if isinstance(d, Joint):
        return [x for part in d.parts for x in parameters(part)]
    return [value for value in vars(d).values() if isinstance(value, np.ndarray)]


def like(d, arrays):
    """A distribution of the same kind with other parameters."""
    arrays = list(arrays)
    if isinstance(d, Joint):
        return Joint(d.action, tuple(like(part, [arrays.pop(0) for _ in parameters(part)]) for part in d.parts))
    others = [value for value in vars(d).values() if not isinstance(value, np.ndarray)]
    return type(d)(*arrays, *others)


def check(d, f, gradients):
    """f maps a distribution to a number; gradients are claimed for each of d's parameters."""
    assert len(gradients) == len(parameters(d))
    for i, gradient in enumerate(gradients):

        def of_parameter(x, i=i):
            return f(like(d, [x if j == i else p for j, p in enumerate(parameters(d))]))

        assert relative_error(gradient, numerical_gradient(of_parameter, parameters(d)[i])) < TOLERANCE


@MAKERS
class TestDerivatives:
    def test_log_prob(self, make, rng, kernels):
        d, upstream = make(rng), rng.normal(size=ROWS)
        actions = d.sample(rng)
        check(d, lambda q: float(upstream @ q.log_prob(actions)), d.log_prob_backward(actions, upstream))

    def test_entropy(self, make, rng):
        d, upstream = make(rng), rng.normal(size=ROWS)
        check(d, lambda q: float(upstream @ q.entropy()), d.entropy_backward(upstream))

    def test_kl_with_respect_to_both(self, make, rng):
        p, q, upstream = make(rng), make(rng), rng.normal(size=ROWS)
        gradients, count = p.kl_backward(q, upstream), len(parameters(p))
        check(p, lambda d: float(upstream @ d.kl(q)), gradients[:count])
        check(q, lambda d: float(upstream @ p.kl(d)), gradients[count:])

    def test_float32_stays_float32(self, make, rng):
        d, e = (like(x, [p.astype(np.float32) for p in parameters(x)]) for x in (make(rng), make(rng)))
        actions, one = d.sample(rng), np.ones(ROWS, np.float32)
        assert actions.dtype in (np.float32, np.int64)
        pairs = d.log_prob_backward(actions, one), d.entropy_backward(one), d.kl_backward(e, one)
        for x in (d.log_prob(actions), d.entropy(), d.kl(e), *(g for gradients in pairs for g in gradients)):
            assert x.dtype == np.float32
            assert np.isfinite(x).all()

    def test_rows(self, make, rng):
        p, q = make(rng), make(rng)
        rows, actions = np.array([3, 0, 3]), p.sample(rng)
        few = p.take(rows)
        np.testing.assert_allclose(few.log_prob(actions[rows]), p.log_prob(actions)[rows])
        np.testing.assert_allclose(few.entropy(), p.entropy()[rows])
        np.testing.assert_allclose(few.kl(q.take(rows)), p.kl(q)[rows])
        np.testing.assert_array_equal(few.mode(), p.mode()[rows])


@pytest.mark.parametrize("make", [beta, squashed, joint])
def test_entropy_and_kl_are_what_samples_say(make, rng):
    p, q = make(rng), make(rng)
    many = np.tile(np.arange(ROWS), 10_000)
    draws = p.take(many).sample(rng)
    surprise = p.take(many).log_prob(draws).reshape(-1, ROWS)
    np.testing.assert_allclose(-surprise.mean(axis=0), p.entropy(), atol=0.06)
    difference = surprise - q.take(many).log_prob(draws).reshape(-1, ROWS)
    errors = 5 * difference.std(axis=0) / 100 + 1e-3
    assert (np.abs(difference.mean(axis=0) - p.kl(q)) < errors).all()
    np.testing.assert_allclose(p.kl(p), 0, atol=1e-12)


@pytest.mark.parametrize("make", [beta, squashed, joint])
def test_the_mode_is_most_probable(make, rng):
    d = make(rng)
    best = d.log_prob(d.mode())
    if isinstance(d, SquashedGaussian):  # the peak of u's density, not that of tanh u: what SAC plays, too
        best = DiagonalGaussian.log_prob(d, d.mode())
        assert all((best >= DiagonalGaussian.log_prob(d, d.sample(rng))).all() for _ in range(100))
    else:
        assert all((best >= d.log_prob(d.sample(rng)) - 1e-6).all() for _ in range(300))


class TestGamma:
    def test_against_the_library_and_differences(self):
        x = np.concatenate([np.linspace(1, 30, 200), [1e3, 1e6]])
        np.testing.assert_allclose(ln_gamma(x), [math.lgamma(v) for v in x], rtol=1e-13, atol=1e-13)
        middle, h = x[:200], 1e-5
        np.testing.assert_allclose(digamma(middle), (ln_gamma(middle + h) - ln_gamma(middle - h)) / (2 * h), rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(trigamma(middle), (digamma(middle + h) - digamma(middle - h)) / (2 * h), rtol=1e-8, atol=1e-9)

    def test_known_values(self):
        one = np.ones(1)
        assert digamma(one)[0] == pytest.approx(-np.euler_gamma, rel=1e-13)
        assert trigamma(one)[0] == pytest.approx(math.pi**2 / 6, rel=1e-13)

    def test_steps_by_one(self, rng):
        x = rng.uniform(1, 50, 100)
        np.testing.assert_allclose(digamma(x + 1), digamma(x) + 1 / x, rtol=1e-12)
        np.testing.assert_allclose(trigamma(x + 1), trigamma(x) - 1 / x**2, rtol=1e-11)


class TestBeta:
    def test_density_is_one_in_all(self):
        d, a = Beta(np.full((20_001, 1), 2.5), np.full((20_001, 1), 1.5)), np.linspace(-1, 1, 20_003)[1:-1, None]
        density = np.exp(d.log_prob(a))
        assert density.sum() * 2 / 20_002 == pytest.approx(1, abs=1e-4)

    def test_draws_stay_inside(self, rng):
        for alpha, beta in ((1.0, 1e6), (1e6, 1.0), (1.0, 1.0), (1e8, 1e8)):
            d = Beta(np.full((1000, 1), alpha, np.float32), np.full((1000, 1), beta, np.float32))
            a = d.sample(rng)
            assert (np.abs(a) < 1).all()
            assert np.isfinite(d.log_prob(a)).all()
            assert np.isfinite(d.mode()).all()
        assert d.mode().dtype == np.float32

    def test_agrees_with_torch(self, rng):
        torch = pytest.importorskip("torch")
        p, q = beta(rng), beta(rng)
        a, upstream = p.sample(rng), torch.from_numpy(rng.normal(size=ROWS))
        tensors = [torch.from_numpy(x).requires_grad_() for x in (p.alpha, p.beta, q.alpha, q.beta)]
        theirs = [torch.distributions.Beta(*tensors[:2]), torch.distributions.Beta(*tensors[2:])]

        def gradients(value):
            return [
                g.numpy()
                for g in torch.autograd.grad((upstream * value.sum(-1)).sum(), tensors, allow_unused=True)
                if g is not None
            ]

        u = upstream.numpy()
        pairs = [
            (p.log_prob_backward(a, u), theirs[0].log_prob(torch.from_numpy((a + 1) / 2))),
            (p.entropy_backward(u), theirs[0].entropy()),
            (p.kl_backward(q, u), torch.distributions.kl_divergence(*theirs)),
        ]
        for ours, value in pairs:
            np.testing.assert_allclose(ours, gradients(value), rtol=1e-9)


class TestSquashed:
    def test_log_prob_is_that_of_what_is_done(self, rng):
        """ln π(a) as the density of a = tanh u, where atanh is exact enough."""
        d = squashed(rng)
        u = d.sample(rng)
        a = np.tanh(u)
        expected = DiagonalGaussian(d.mean, d.sigma).log_prob(np.arctanh(a)) - np.log(1 - a**2).sum(axis=1)
        np.testing.assert_allclose(d.log_prob(u), expected, rtol=1e-8)

    def test_far_out_it_is_finite(self):
        d = SquashedGaussian(np.full((1, 1), 30, np.float32), np.full(1, 0.5, np.float32))
        assert np.isfinite([d.log_prob(np.float32([[30]]))[0], d.entropy()[0]]).all()

    @pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0, 2.0])
    def test_entropy_by_quadrature(self, sigma):
        u, means = np.linspace(-30, 30, 600_001), np.array([[-2.0], [0.0], [0.7]])
        d = SquashedGaussian(means, np.array([sigma]))
        for mean, entropy in zip(means[:, 0], d.entropy(), strict=True):
            density = np.exp(-0.5 * ((u - mean) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))
            slope = 2 * (math.log(2) - u - np.logaddexp(0, -2 * u))
            exact = 0.5 * math.log(2 * math.pi * math.e * sigma**2) + (density * slope).sum() * 1e-4
            assert entropy == pytest.approx(exact, abs=1e-3)

    def test_more_spread_is_not_more_entropy_without_end(self):
        """Beyond some σ the mass gathers at the bounds: a Gaussian's own bonus would push σ on for ever."""
        sigma = np.array([0.3, 0.9, 2.0])
        entropy = [SquashedGaussian(np.zeros((1, 1)), np.array([s])).entropy()[0] for s in sigma]
        assert entropy[1] > entropy[0]
        assert entropy[1] > entropy[2]
        assert max(entropy) < math.log(2)


class TestSubset:
    def test_all_orders(self, rng):
        """The table of all draws: its sum, its first draw, and the frequencies of the trick with Gumbel noise."""
        z = rng.normal(size=4)
        orders = [(i, j) for i in range(4) for j in range(4) if i != j]
        d = Subset(np.tile(z, (len(orders), 1)), 2)
        p = np.exp(d.log_prob(np.array(orders)))
        assert p.sum() == pytest.approx(1)
        weight = np.exp(z) / np.exp(z).sum()
        np.testing.assert_allclose(p, [weight[i] * weight[j] / (1 - weight[i]) for i, j in orders])
        draws = Subset(np.tile(z, (40_000, 1)), 2).sample(rng)
        counted = [np.mean((draws == order).all(axis=1)) for order in orders]
        np.testing.assert_allclose(counted, p, atol=0.012)
        best = orders[int(np.argmax(p))]
        np.testing.assert_array_equal(d.mode()[0], best)

    def test_one_of_n_is_a_categorical(self, rng):
        z, w = rng.normal(size=(2, ROWS, SIZE))
        d, c, upstream = Subset(z, 1), Categorical(z), rng.normal(size=ROWS)
        a = c.sample(rng)
        np.testing.assert_array_equal(d.log_prob(a[:, None]), c.log_prob(a))
        np.testing.assert_array_equal(d.log_prob_backward(a[:, None], upstream), c.log_prob_backward(a, upstream))
        np.testing.assert_array_equal(d.kl(Subset(w, 1)), c.kl(Categorical(w)))

    def test_all_of_n(self, rng):
        d = subset(rng)
        every = Subset(d.logits, SIZE)
        assert (np.sort(every.sample(rng), axis=1) == np.arange(SIZE)).all()
        assert np.isfinite(every.log_prob(every.sample(rng))).all()


class TestJoint:
    def test_rows_and_parts(self, rng):
        d = joint(rng)
        rows = d.sample(rng)
        assert rows.shape == (ROWS, 7)
        assert rows.dtype == np.float32
        expected = sum(part.log_prob(a) for part, a in zip(d.parts, LAYOUT.split(rows), strict=True))
        np.testing.assert_array_equal(d.log_prob(rows), expected)
        np.testing.assert_array_equal(d.entropy(), sum(part.entropy() for part in d.parts))
        for i, action in enumerate(gymnasium.vector.utils.iterate(batched(HYBRID, ROWS), LAYOUT.to_environment(rows))):
            assert HYBRID.contains(action), (i, action)

    def test_of_one_part_it_is_that_part(self, rng):
        z = rng.normal(size=(ROWS, 4))
        layout = ActionLayout.of(spaces.Tuple((spaces.Discrete(4),)))
        d, c, upstream = Joint(layout, (Categorical(z),)), Categorical(z), rng.normal(size=ROWS)
        a = c.sample(rng)
        np.testing.assert_array_equal(d.log_prob(a[:, None].astype(np.float32)), c.log_prob(a))
        np.testing.assert_array_equal(
            d.log_prob_backward(a[:, None].astype(np.float32), upstream), c.log_prob_backward(a, upstream)
        )

    def test_random_actions_fill_the_space(self, rng):
        rows = LAYOUT.random(2000, rng)
        move, choice, switches, branches = LAYOUT.split(rows)
        np.testing.assert_allclose(move.mean(axis=0), 0, atol=0.1)
        np.testing.assert_allclose(np.bincount(choice) / 2000, 1 / 3, atol=0.05)
        np.testing.assert_allclose(switches.mean(axis=0), 0.5, atol=0.05)
        np.testing.assert_allclose(branches.mean(axis=0), [0.5, 1], atol=0.1)

    def test_masks_are_those_of_the_parts(self, rng):
        mask = np.ones((50, 12), bool)
        mask[:, [0, 2]] = False  # of the choice, the second is left
        mask[:, 4] = False  # the first switch stays off
        rows = LAYOUT.random(50, rng, mask)
        _, choice, switches, _ = LAYOUT.split(rows)
        assert (choice == 1).all()
        assert not switches[:, 0].any()
        observation = spaces.Dict(x=spaces.Box(-1, 1, (2,)), action_mask=spaces.MultiBinary(12))
        agent = rl.PPO.of_spaces(observation, HYBRID)
        drawn = agent.predict({"x": np.zeros((50, 2), np.float32), "action_mask": mask}, deterministic=False)
        assert (drawn["rest"][0] == 2).all()
        assert not drawn["rest"][1][:, 0].any()
        assert drawn["rest"][1][:, 1].any()


def batched(space, count):
    return gymnasium.vector.utils.batch_space(space, count)


SETTINGS = {
    "vector": HeadSettings(),
    "fixed": HeadSettings(sigma="fixed", initial_sigma=0.5),
    "network": HeadSettings(sigma="network", sigma_hidden=(3,), sigma_beta=1.2, sigma_scale=6.0, initial_sigma=0.7),
    "squashed": HeadSettings("squashed"),
    "squashed network": HeadSettings("squashed", "network", 0.7),
    "beta": HeadSettings("beta"),
}
SPACES = {"box": spaces.Box(-1, 1, (2,), np.float32), "hybrid": HYBRID}


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("kind", SETTINGS)
class TestPolicies:
    def make(self, name, kind, rng):
        space = SpaceInfo.of(spaces.Box(-1, 1, (4,)), SPACES[name])
        policy = stochastic_policy(space, (6,), Tanh, SETTINGS[kind], rng).to(np.float64)
        policy.flat.data[...] += rng.normal(size=len(policy.flat)) * 0.1
        x, upstream = rng.normal(size=(5, 4)), rng.normal(size=(2, 5))
        actions = policy.predict(x).sample(rng)
        if name == "hybrid" and kind in ("beta", "squashed"):
            actions[:, :2] *= 0.5

        def loss(x, theta=None):
            before = policy.flat.data.copy()
            policy.flat.data[...] = before if theta is None else theta
            d = policy.predict(x)
            policy.flat.data[...] = before
            return float(upstream[0] @ d.log_prob(actions) + upstream[1] @ d.entropy())

        return policy, x, actions, upstream, loss

    def test_gradients_reach_every_parameter(self, name, kind, rng):
        policy, x, actions, upstream, loss = self.make(name, kind, rng)
        d = policy.forward(x)
        policy.zero_grad()
        both = zip(d.log_prob_backward(actions, upstream[0]), d.entropy_backward(upstream[1]), strict=True)
        dx = policy.backward(tuple(a + b for a, b in both))
        numerical = numerical_gradient(lambda theta: loss(x, theta), policy.flat.data.copy())
        assert relative_error(policy.flat.grad, numerical) < TOLERANCE
        assert relative_error(dx, numerical_gradient(loss, x)) < TOLERANCE

    def test_tangents_are_the_transpose(self, name, kind, rng):
        policy, x, *_ = self.make(name, kind, rng)
        d = policy.forward(x)
        v, dy = rng.normal(size=len(policy.flat)), [rng.normal(size=p.shape) for p in parameters(d)]
        forward = sum(float((a * b).sum()) for a, b in zip(dy, policy.jvp(v), strict=True))
        policy.zero_grad()
        policy.backward(tuple(dy), inputs=False)
        assert forward == pytest.approx(float(policy.flat.grad @ v), rel=1e-9)

    def test_a_network_of_ones_own(self, name, kind, rng):
        from deepnp.models import mlp

        settings = SETTINGS[kind]
        space = SpaceInfo.of(spaces.Box(-1, 1, (4,)), SPACES[name])
        body = mlp((4, 5, outputs_of(space, settings)), Tanh, rng=rng)
        config = rl.PPOConfig(head=settings.kind, sigma=settings.sigma, hidden=(4,))
        agent = rl.PPO.of_spaces(spaces.Box(-1, 1, (4,)), SPACES[name], config)
        assert agent.predict(np.zeros(4, np.float32)) is not None
        assert stochastic_policy(space, (4,), Tanh, settings, rng, body).predict(np.zeros((3, 4), np.float32)).entropy().shape == (
            3,
        )


def test_sigma_begins_where_it_is_asked_to(rng):
    for settings in SETTINGS.values():
        if settings.kind == "gaussian":
            policy = stochastic_policy(SpaceInfo.of(spaces.Box(-1, 1, (4,)), SPACES["box"]), (6,), Tanh, settings, rng)
            sigma = policy.predict(rng.normal(size=(5, 4)).astype(np.float32)).sigma
            np.testing.assert_allclose(sigma, settings.initial_sigma, rtol=0.05)
