"""SAC, TD3, DDPG, TD2, SACLite up the ladder: gradients → a trivial environment → truncation → determinism → resume → bad input."""

import dataclasses

import numpy as np
import pytest
from gymnasium import spaces

import deepnp
import envs  # noqa: F401  (registers deepnp/…)
import rl
from deepnp import NonFiniteError, ReLU
from deepnp.gradcheck import TOLERANCE, check_module, numerical_gradient, relative_error
from rl import evaluate
from rl.experience.exploration import OrnsteinUhlenbeck
from rl.experience.spaces import SpaceInfo
from rl.loops.off_policy import explore
from rl.networks import squashed
from rl.networks.actors import SquashedGaussianPolicy, deterministic_policy, value_gradient
from rl.networks.critic_networks import NORMALIZATIONS, critic_network
from rl.networks.critics import Critics
from rl.networks.encoders import network
from rl.networks.parallel import Halves
from tests.rl.toys import Counter, Endless, Target, space, suited, vectorize

ALGORITHMS = {name: a.cls for name, a in rl.ALGORITHMS.items() if not (a.takes.on_policy or a.takes.tables)}
MODEL = dict(model_hidden=(8,), members=2, elites=2, model_epochs=2, horizon=3, candidates=10, plan_elites=2, particles=2)
SMALL = dict(hidden=(32, 32), batch_size=64, warmup=200, memory=10_000, lr=3e-3, **MODEL)


@pytest.fixture(params=ALGORITHMS)
def algorithm(request):
    return ALGORITHMS[request.param]


def make_critics(rng, hidden, lr=1e-3, normalization=None):
    """Twins that read three numbers and two actions."""
    between = NORMALIZATIONS.get(normalization)
    layout = space(3, 2).observation
    return Critics([network(layout, hidden, 1, deepnp.Tanh, rng, beside=2, normalization=between) for _ in range(2)], lr)


def small(algorithm, env, seed=0, **settings):
    known = {f.name for f in dataclasses.fields(algorithm.Config)}
    shared = {name: value for name, value in SMALL.items() if name in known}
    return algorithm(env, algorithm.Config(**{**shared, **settings}), seed=seed)


class TestGradients:
    @pytest.mark.parametrize("argument", ["mean", "log_sigma", "noise"])
    def test_of_the_squashed_gaussian(self, rng, kernels, argument):
        x = dict(mean=rng.normal(size=(6, 3)), log_sigma=rng.normal(-1, 1, (6, 3)), noise=rng.normal(size=(6, 3)))
        x["log_sigma"][0, :2] = -20.5, 2.5  # held there: no gradient
        (a, log_prob), cache = squashed.forward(**x)
        da, dlog_prob = rng.normal(size=a.shape), rng.normal(size=log_prob.shape)
        gradient = dict(zip(("mean", "log_sigma", "noise"), squashed.backward((da, dlog_prob), cache), strict=True))[argument]

        def loss(v):
            (a, log_prob), _ = squashed.forward(**{**x, argument: v})
            return float((da * a).sum() + (dlog_prob * log_prob).sum())

        assert relative_error(gradient, numerical_gradient(loss, x[argument])) < TOLERANCE

    def test_squashed_kernels_equal_the_plain_form(self, rng):
        x = [rng.normal(size=(50, 3)).astype("f"), rng.normal(-1, 2, (50, 3)).astype("f"), rng.normal(size=(50, 3)).astype("f")]
        da, dlog_prob, results = rng.normal(size=(50, 3)).astype("f"), rng.normal(size=50).astype("f"), []
        for enabled in (True, False):
            deepnp.use_kernels(enabled)
            drawn, cache = squashed.forward(*x)
            results.append((*drawn, *squashed.backward((da, dlog_prob), cache)))
        deepnp.use_kernels(True)
        for fast, plain in zip(*results, strict=True):
            np.testing.assert_allclose(fast, plain, rtol=1e-5, atol=1e-5)

    def test_squashed_density_integrates_to_one(self):
        """Over a = tanh u, with the log-probability that `forward` gives to each u."""
        u = np.linspace(-12, 12, 200_001)[:, None]
        (a, log_prob), _ = squashed.forward(np.full_like(u, 0.3), np.full_like(u, -0.4), (u - 0.3) / np.exp(-0.4))
        assert np.trapezoid(np.exp(log_prob), a[:, 0]) == pytest.approx(1, abs=1e-6)

    def test_far_out_the_density_stays_finite(self):
        (a, log_prob), cache = squashed.forward(*np.array([[[50.0]], [[0.0]], [[1.0]]], np.float32))
        assert a[0, 0] == 1
        assert np.isfinite(log_prob).all()
        assert np.isfinite(squashed.backward((np.ones((1, 1), "f"), np.ones(1, "f")), cache)).all()

    @pytest.mark.parametrize("shared", [True, False])
    def test_of_the_policy_s_parameters(self, rng, shared):
        policy = SquashedGaussianPolicy(space(4, 2), (8,), deepnp.Tanh, shared, rng).to(np.float64)
        policy.flat.data[...] += 0.3 * rng.normal(size=len(policy.flat))
        x, noise, da, dlog_prob = (rng.normal(size=shape) for shape in ((5, 4), (5, 2), (5, 2), (5,)))
        policy.forward(x, noise)
        policy.zero_grad()
        dx = policy.backward((da, dlog_prob))

        def loss(v):
            a, log_prob = policy.predict(v, noise)
            return float((da * a).sum() + (dlog_prob * log_prob).sum())

        assert relative_error(dx, numerical_gradient(loss, x)) < TOLERANCE
        theta, given = policy.flat.data.copy(), policy.flat.grad.copy()

        def of_parameters(v):
            policy.flat.data[...] = v
            return loss(x)

        assert relative_error(given, numerical_gradient(of_parameters, theta)) < TOLERANCE

    def test_of_the_smaller_critic_with_respect_to_the_actions(self, rng):
        critics = make_critics(rng, (16,))
        for q in critics.networks:
            q.to(np.float64)
        s, a = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))

        def smallest(v):
            return np.minimum(*(q.predict(np.concatenate([s, v], axis=1))[:, 0] for q in critics.networks))

        before = [q.flat.grad.copy() for q in critics.networks]
        value, gradient = critics.action_gradient(s, a, dvalue=-0.25)
        np.testing.assert_allclose(value, smallest(a))
        assert relative_error(gradient, numerical_gradient(lambda v: -0.25 * float(smallest(v).sum()), a)) < TOLERANCE
        for q, grad in zip(critics.networks, before, strict=True):
            np.testing.assert_array_equal(q.flat.grad, grad)

    def test_of_the_critics_loss(self, rng):
        critics = make_critics(rng, (8,), 0.0)
        s, a, y, w = rng.normal(size=(7, 3)), rng.normal(size=(7, 2)), rng.normal(size=7), rng.uniform(0.2, 1, 7)
        for q in critics.networks:
            q.to(np.float64)
        critics.optimizers = [deepnp.optim.Adam(q.flat, 0.0) for q in critics.networks]
        loss, errors = critics.fit(s, a, targets=y, weights=w)
        losses, gaps = [], []
        for q in critics.networks:
            theta, given = q.flat.data.copy(), q.flat.grad.copy()

            def of_parameters(v, q=q):
                q.flat.data[...] = v
                return float((w * (q.predict(np.concatenate([s, a], axis=1))[:, 0] - y) ** 2).mean())

            assert relative_error(given, numerical_gradient(of_parameters, theta)) < 1e-5  # 2/B is a float32 there
            losses.append(of_parameters(theta))
            gaps.append(np.abs(q.predict(np.concatenate([s, a], axis=1))[:, 0] - y))
        assert loss == pytest.approx(np.mean(losses))
        np.testing.assert_allclose(errors, np.mean(gaps, axis=0), rtol=1e-6)

    @pytest.mark.parametrize("normalization", ["layer", "group", "batch"])
    def test_of_normalised_critics_with_respect_to_the_actions(self, rng, normalization):
        critics = make_critics(rng, (64, 64), normalization=normalization)
        s, a, y, w = rng.normal(size=(20, 3)), rng.normal(size=(20, 2)), rng.normal(size=20), np.ones(20)
        for q in (*critics.networks, *critics.targets):
            q.to(np.float64)
        critics.optimizers = [deepnp.optim.Adam(q.flat, 1e-2) for q in critics.networks]
        critics.fit(s, a, targets=y, weights=w)  # running statistics are no longer 0 and 1
        reader, before = critics.twin(), [dict(q.state_dict()) for q in critics.networks]

        def smallest(v):
            return np.minimum(*(q.predict(np.concatenate([s, v], axis=1))[:, 0] for q in critics.networks))

        value, gradient = reader.action_gradient(s, a)
        np.testing.assert_allclose(value, smallest(a))
        assert relative_error(gradient, numerical_gradient(lambda v: float(smallest(v).sum()), a)) < TOLERANCE
        for q, state in zip(critics.networks, before, strict=True):
            for name, array in q.state_dict().items():
                np.testing.assert_array_equal(array, state[name], err_msg=name)

    def test_of_the_deterministic_policy(self, rng):
        policy, critics = deterministic_policy(space(3, 2), (8,), ReLU, rng), make_critics(rng, (16,), 0.0)
        for module in (policy, *critics.networks, *critics.targets):
            module.to(np.float64)
        critic, s = critics.networks[0], rng.normal(size=(6, 3))
        q = Halves(policy, critics=critics).step(value_gradient, deepnp.optim.Adam(policy.flat, 0.0), s)
        theta, given = policy.flat.data.copy(), policy.flat.grad.copy()

        def of_parameters(v):
            policy.flat.data[...] = v
            return -float(critic.predict(np.concatenate([s, policy.predict(s)], axis=1)).mean())

        assert -q.mean() == pytest.approx(of_parameters(theta))
        assert relative_error(given, numerical_gradient(of_parameters, theta)) < TOLERANCE

    @pytest.mark.parametrize("rows", [30, 101])
    def test_of_sac_s_policy_is_that_of_all_rows(self, rng, rows):
        agent = small(rl.SAC, vectorize(Target, 2), lr=1e-12, temperature=0.3)
        s, noise, alpha = rng.normal(size=(rows, 1)).astype("f"), rng.normal(size=(rows, 1)).astype("f"), agent.temperature.alpha
        agent.policy.flat.data[...] += 0.1 * rng.normal(size=len(agent.policy.flat)).astype("f")
        q, log_prob = agent.halves.step(agent.policy_loss_gradient, agent.policy_optimizer, s, noise)
        given = agent.policy.flat.grad.copy()
        actions, whole = agent.policy.forward(s, noise)
        values, dq = agent.critics.action_gradient(s, actions, -1 / rows)
        agent.policy.zero_grad()
        agent.policy.backward((dq, np.full(rows, alpha / rows, np.float32)))
        assert np.abs(given).max() > 1e-3
        np.testing.assert_allclose(given, agent.policy.flat.grad, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(q, values, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(log_prob, whole, rtol=1e-5, atol=1e-5)

    def test_the_temperature_rises_where_the_policy_is_too_sure(self):
        for target, rises in ((5.0, True), (-50.0, False)):
            agent = small(rl.SAC, vectorize(Target, 2), target_entropy=target).learn(1000)
            assert (agent.temperature.alpha > 1) == rises


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_the_actions_is_random(share):
    agent = small(rl.TD3, vectorize(Target, 400), exploration=0.0)
    agent.learn(400)
    actions, own = explore(agent, share), agent.act(agent.observe(agent.collector.observations), None)
    others = (actions != own).any(axis=1)
    assert others.mean() == pytest.approx(share, abs=0.08)
    if share:
        assert np.abs(actions[others]).mean() == pytest.approx(0.5, abs=0.08)  # uniform in [−1, 1]


def critic_of(rng, **settings):
    """A float64 critic of four numbers and two actions, as these settings ask for it."""
    return critic_network(space(4, 2), rl.TD3Config(activation="tanh", **settings), 2, rng).to(np.float64)


BLOCKS = dict(critic_blocks=(7, 5), block_width=6)


NORMALIZED = [dict(critic_normalization=kind) for kind in ("l2", "spectral")]
NORMALIZED_BLOCKS = [dict(critic_normalization=kind, **BLOCKS) for kind in ("layer", "l2")]


@pytest.mark.parametrize("settings", [BLOCKS, *NORMALIZED, *NORMALIZED_BLOCKS])
def test_gradients_of_critics(rng, settings):
    q = critic_of(rng, **{"hidden": (5, 4, 3), **settings})
    for module in q.modules():
        if isinstance(module, deepnp.SpectralNorm):
            module.frozen = True  # u and v are held constant
    check_module(q, rng.normal(size=(4, 6)))


def test_a_residual_critic_is_the_sum_of_its_blocks(rng):
    q = critic_of(rng, **BLOCKS)
    p = {name: parameter.data for name, parameter in q.named_parameters()}
    x = rng.normal(size=(3, 6))
    h = x @ p["0.weight"].T + p["0.bias"]
    for k in (1, 2):
        inner = np.maximum(h @ p[f"{k}.body.0.weight"].T + p[f"{k}.body.0.bias"], 0)
        h = h + inner @ p[f"{k}.body.2.weight"].T + p[f"{k}.body.2.bias"]
    np.testing.assert_allclose(q.predict(x), h @ p["3.weight"].T + p["3.bias"], rtol=1e-12)
    assert np.linalg.norm(p["3.weight"]) == pytest.approx(1)
    assert np.linalg.norm(dict(critic_of(rng, critic_gain=3.0, **BLOCKS).named_parameters())["3.weight"].data) == pytest.approx(3)


def test_spectral_norm_bounds_the_inner_layers_alone(rng):
    q = critic_of(rng, hidden=(5, 4, 3), critic_normalization="spectral")
    assert [isinstance(layer, deepnp.SpectralNorm) for _, layer in q.children()] == [False, False, True, False, True, False, False]
    images = SpaceInfo.of(spaces.Box(0, 255, (3, 16, 16), np.uint8), spaces.Box(-1, 1, (2,)))
    *_, (_, head) = critic_network(images, rl.TD3Config(hidden=(5, 4), critic_normalization="spectral"), 2, rng).children()
    assert [isinstance(layer, deepnp.SpectralNorm) for _, layer in head.children()] == [False, False, True, False, False]
    with pytest.raises(ValueError, match=r"expected vectors .* given images"):
        critic_network(images, rl.TD3Config(**BLOCKS), 2, rng)


def test_features_of_length_1_bound_the_value(rng):
    images = SpaceInfo.of(spaces.Box(0, 255, (3, 16, 16), np.uint8), spaces.Box(-1, 1, (2,)))
    of_images = critic_network(images, rl.TD3Config(hidden=(5,), critic_normalization="l2"), 2, rng)
    for q in (
        critic_of(rng, hidden=(5,), critic_normalization="l2"),
        critic_of(rng, critic_normalization="l2", **BLOCKS),
        of_images,
    ):
        *_, norm, last = list(q.modules())
        assert [type(norm), type(last)] == [deepnp.L2Norm, deepnp.Linear]
    q = critic_of(rng, hidden=(5,), critic_normalization="l2", critic_gain=3.0)
    assert np.abs(q.predict(1e6 * rng.normal(size=(50, 6)))).max() <= 3 * (1 + 1e-12)


@pytest.mark.parametrize("affine", [True, False])
def test_normalisation_may_have_a_scale_of_its_own(rng, affine):
    q = critic_of(rng, hidden=(5,), critic_normalization="layer", critic_affine=affine)
    assert ("1.weight" in dict(q.named_parameters())) == affine
    blocks = critic_of(rng, critic_normalization="layer", critic_affine=affine, **BLOCKS)
    assert sum(isinstance(module, deepnp.LayerNorm) for module in blocks.modules()) == 2


def test_a_network_that_is_its_own_target_has_no_other(rng, tmp_path):
    agent = small(rl.DDPG, vectorize(Target, 2), targets=False).learn(300)
    assert "target_policy" not in agent.parts()
    assert not [name for name in agent.critics.state_dict() if name.startswith("target")]
    s, a = rng.normal(size=(5, 1)).astype("f"), rng.uniform(-1, 1, (5, 1)).astype("f")
    np.testing.assert_array_equal(agent.critics.target(s, a), agent.critics.action_gradient(s, a)[0])
    agent.save(tmp_path / "agent.safetensors")
    loaded = rl.load(tmp_path / "agent.safetensors").critics
    assert all(target is network for target, network in zip(loaded.targets, loaded.networks, strict=True))


@pytest.mark.parametrize("normalization", ["layer", "group", "batch", "l2", "spectral"])
def test_normalised_critics_learn_and_their_targets_follow(normalization):
    settings = dict(hidden=(64, 64), critic_normalization=normalization)
    agent = small(rl.TD3, vectorize(Target, 2), **settings).learn(3000)
    assert evaluate(agent, Target(), 20).mean() > -0.03
    for q, target in zip(agent.critics.networks, agent.critics.targets, strict=True):
        for (name, fast), (_, slow) in zip(q.named_buffers(), target.named_buffers(), strict=True):
            if fast.data.dtype.kind == "f":
                np.testing.assert_allclose(slow.data, fast.data, rtol=0.5, atol=0.2, err_msg=name)


def test_groups_must_divide_the_hidden_widths():
    for width in (24, 16):
        with pytest.raises(ValueError, match="multiples of 16"):
            rl.TD3Config(hidden=(width,), critic_normalization="group")


@pytest.mark.parametrize("settings", [BLOCKS, dict(hidden=(8,)), dict(critic_hidden=())])
def test_spectral_normalisation_of_nothing_is_refused(settings):
    with pytest.raises(ValueError, match="expected perceptrons with inner weights, of two hidden layers or more"):
        rl.TD3Config(critic_normalization="spectral", **settings)


def test_the_value_network_s_target_is_the_soft_value():
    """Always truncated, reward 1 a step, α fixed: V = 1/(1 − γ) + α·(entropy of the rest), so without entropy 5."""
    agent = small(rl.SACValue, vectorize(Endless, 2), gamma=0.8, tau=0.05, temperature=0.0).learn(6000)
    value = agent.value.target(np.zeros((1, 1), np.float32))
    assert value[0] == pytest.approx(5, rel=0.03)


def test_a_loaded_agent_predicts_as_before_and_has_its_memory(algorithm, tmp_path, rng):
    agent = small(algorithm, vectorize(suited(algorithm, Target), 2)).learn(400)
    agent.save(tmp_path / "agent.safetensors")
    loaded = algorithm.load(tmp_path / "agent.safetensors")
    x = rng.uniform(-1, 1, (10, 1)).astype(np.float32)
    np.testing.assert_array_equal(loaded.predict(x), agent.predict(x))
    assert (loaded.memory.copies, len(loaded.memory)) == (2, 400)
    assert (np.abs(agent.predict(x, deterministic=False)) <= 2).all()


def test_ornstein_uhlenbeck_noise_has_its_deviation(rng):
    noise = OrnsteinUhlenbeck(sigma=0.2, theta=0.5, dt=0.1)
    zero = np.zeros((2000, 1), np.float32)
    for _ in range(200):
        last = noise(zero, rng)
    assert last.std() == pytest.approx(0.2 / np.sqrt(2 * 0.5), rel=0.08)
    noise.reset(np.arange(2000) < 5)
    assert not noise.noise[:5].any()
    agent = small(rl.DDPG, vectorize(Target, 2), noise="ornstein-uhlenbeck", exploration=0.3).learn(2000)
    assert evaluate(agent, Target(), 20).mean() > -0.02


class TestBadInput:
    def test_unbounded_actions(self, algorithm):
        if algorithm.takes.actions[0] == "Box" and not algorithm.takes.bounded:
            pytest.skip("it takes them")
        env = Target()
        env.action_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        with pytest.raises(ValueError, match=r"takes (bounded actions|actions in a Discrete space)"):
            small(algorithm, env)

    def test_batch_larger_than_the_memory(self, algorithm):
        if not hasattr(algorithm.Config, "batch_size"):
            pytest.skip("learns from all that is remembered")
        with pytest.raises(ValueError, match="batch_size <= memory, given 64 and 32"):
            algorithm.Config(batch_size=64, memory=32)

    def test_more_memory_than_there_is(self, algorithm):
        agent = small(algorithm, vectorize(suited(algorithm, Target), 2), memory=10**13)
        with pytest.raises(MemoryError, match=r"needs .* GiB, but only .* GiB are free"):
            agent.learn(1)

    @pytest.mark.parametrize("broken", ["reward", "observation"])
    def test_nan_from_the_environment(self, algorithm, broken):
        agent = small(algorithm, vectorize(suited(algorithm, lambda: Counter(broken=broken)), 2))
        with pytest.raises(NonFiniteError, match=f"{broken} nan"):
            agent.learn(100)
