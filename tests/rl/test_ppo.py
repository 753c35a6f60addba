"""PPO up the ladder: gradients → a solved trivial environment → truncation → determinism → exact resume → saving → bad input."""

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import envs  # noqa: F401  (registers deepnp/…)
from deepnp import NonFiniteError
from rl import PPO, PPOConfig, evaluate
from rl.experience.minibatches import minibatches, shuffle
from rl.experience.samples import Samples
from tests.rl.toys import Counter, Endless, Target, vectorize

SMALL = dict(steps=32, batch_size=64, epochs=4, hidden=(16,), lr=5e-3)


def small(env, seed=0, **settings):
    return PPO(env, PPOConfig(**{**SMALL, **settings}), seed=seed)


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
@pytest.mark.parametrize("sigma", ["vector", "network", "fixed"])
def test_solves_a_trivial_continuous_environment(mode, sigma):
    agent = small(vectorize(Target, 16, mode), sigma=sigma, initial_sigma=0.3, num_envs=16, batch_size=128, anneal_lr=False)
    agent.learn(6000)
    assert evaluate(agent, Target(), 20).mean() > -0.02


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_solves_a_trivial_discrete_environment(mode):
    agent = small(vectorize(lambda: Target(True), 16, mode), num_envs=16, batch_size=128).learn(4000)
    assert evaluate(agent, Target(True), 20).mean() == 1


@pytest.mark.parametrize("sigma", ["vector", "network"])
def test_first_gradient_is_the_policy_gradient(sigma, rng):
    """At ratio 1, with no clipping in force, PPO's gradient is −E[A ∇ ln π]."""
    agent = small(vectorize(Target, 4), epochs=1, batch_size=128, num_envs=4, sigma=sigma, max_grad_norm=1e9, lr=0.0)
    observations = rng.normal(size=(128, 1)).astype(np.float32)
    old = agent.policy.predict(observations)
    actions, advantages = old.sample(rng), rng.normal(size=128).astype(np.float32)
    agent.fit_policy(Samples(observations, actions, advantages, advantages, advantages), old, agent.config)
    given = agent.policy.flat.grad.copy()
    agent.policy.zero_grad()
    d = agent.policy.forward(observations)
    weights = -(advantages - advantages.mean()) / advantages.std() / 128
    agent.policy.backward(d.log_prob_backward(actions, weights))
    np.testing.assert_allclose(given, agent.policy.flat.grad, rtol=1e-3, atol=1e-6)


def test_entropy_bonus_raises_sigma():
    results = []
    for coefficient in (0.0, 1.0):
        agent = small(vectorize(Endless, 4), num_envs=4, entropy_coef=coefficient)
        agent.learn(2000)
        results.append(float(agent.policy.predict(np.zeros((1, 1), np.float32)).sigma[0]))
    assert results[1] > results[0] + 0.2


def train(seed=0, steps=1024, **settings):
    return small("deepnp/Walker-v0", seed, num_envs=4, **settings).learn(steps)


@pytest.mark.parametrize("discrete", [False, True])
def test_save_and_load_predict_the_same(tmp_path, discrete, rng):
    agent = small(vectorize(lambda: Target(discrete), 4), num_envs=4).learn(256)
    agent.save(tmp_path / "agent.safetensors")
    loaded = PPO.load(tmp_path / "agent.safetensors")
    x = rng.normal(size=(10, 1)).astype(np.float32)
    np.testing.assert_array_equal(agent.predict(x), loaded.predict(x))
    assert agent.predict(x[0]).shape == (() if discrete else (1,))
    with pytest.raises(RuntimeError, match="set_env"):
        loaded.learn(512)
    loaded.set_env(vectorize(lambda: Target(discrete), 4))
    assert loaded.learn(512).steps == 512


def test_actions_are_stretched_onto_the_space_and_inside_it(rng):
    agent = small(vectorize(Target, 4), num_envs=4, initial_sigma=5.0)
    actions = agent.predict(rng.normal(size=(500, 1)).astype(np.float32), deterministic=False)
    assert actions.min() == -2
    assert actions.max() == 2


def test_actions_stay_inside_the_space_whatever_the_rounding(rng):
    env = Target()
    env.action_space = spaces.Box(np.float32([0.1, -0.3]), np.float32([0.7, 0.4]))
    actions = small(env, initial_sigma=100.0).predict(rng.normal(size=(500, 1)), deterministic=False, rng=rng)
    assert all(env.action_space.contains(a) for a in actions.astype(np.float32))


def test_observations_are_copied_from_the_environments_buffer():
    env = SyncVectorEnv([lambda: Counter(50)] * 2, copy=False, autoreset_mode=AutoresetMode.SAME_STEP)
    agent = small(env, normalize_observations=False, steps=8)
    rollouts, update = [], agent.update
    agent.update = lambda rollout, progress: (rollouts.append(rollout), update(rollout, progress))[1]
    agent.learn(16)
    np.testing.assert_array_equal(rollouts[0].observations[:, 0, 0], np.arange(8))


def test_any_false_stops_and_none_does_not():
    for answer, iterations in ((None, 4), (True, 4), (False, 1), (np.False_, 1)):
        agent = small(vectorize(Target, 4), num_envs=4).learn(512, lambda a, m, answer=answer: answer)
        assert agent.iterations == iterations


def test_a_vector_environment_brings_its_own_number_and_can_be_exchanged():
    agent = small(vectorize(Target, 3), num_envs=7)
    assert agent.config.num_envs == 3
    agent.learn(96)
    agent.set_env(vectorize(Target, 5))
    assert agent.learn(300).steps == 301  # 41 steps of 5 copies


def test_a_rollout_between_episodes_learns_nothing():
    agent = small(vectorize(lambda: Counter(2), 2, AutoresetMode.NEXT_STEP), steps=1, num_envs=2)
    assert agent.learn(12).steps == 12
    assert agent.iterations == 8  # two of them lie between episodes: nothing happens there


def test_target_kl_stops_the_epochs_and_rollback_undoes_the_last():
    def once(**settings):
        agent = small(vectorize(Target, 8), num_envs=8, epochs=10, lr=0.05, anneal_lr=False, **settings)
        metrics = []
        agent.learn(256, lambda a, m: metrics.append(m))
        return agent, metrics[0]

    _, free = once()
    _, stopped = once(target_kl=0.05)
    rolled_back, _ = once(target_kl=1e-9, rollback=True)
    assert free["epochs"] == 10
    assert free["kl"] > 0.05
    assert stopped["epochs"] < 10
    untouched = small(vectorize(Target, 8), num_envs=8)
    np.testing.assert_array_equal(rolled_back.policy.flat.data, untouched.policy.flat.data)
    assert rolled_back.policy_optimizer.t == 0
    assert (rolled_back.value.flat.data != untouched.value.flat.data).any()


def test_mirror_images_are_learned_from():
    """The normaliser must be exactly symmetric, and every experience must come with its reflection."""
    agent = train(mirror=True, steps=512)
    m, moments = agent.mirror, agent.normalizer.moments
    np.testing.assert_allclose(moments.mean, m.observations(moments.mean), atol=1e-9)
    np.testing.assert_allclose(moments.sigma, moments.sigma[m.observation_index], rtol=1e-6)
    seen = {}

    def capture(samples, old, settings):
        seen.update(samples._asdict())
        return {}

    agent.fit_policy = capture
    agent.learn(agent.steps + 128)
    for name, reflect in (("observations", m.observations), ("actions", m.actions), ("advantages", lambda x: x)):
        original, mirrored = np.split(seen[name], 2)
        assert len(original) == 128
        np.testing.assert_array_equal(mirrored, reflect(original))


def test_mirror_needs_an_environment_that_knows_its_reflection():
    with pytest.raises(ValueError, match="expected an environment with mirror"):
        small(vectorize(Target, 4), mirror=True)


def test_mirror_images_of_images_are_refused():
    """The reflection is one of the vector: the image beside it would stay as it is."""

    class Picture(Target):
        def __init__(self):
            super().__init__()
            self.observation_space = spaces.Box(0, 255, (8, 8, 3), np.uint8)

    class Mirrored(SyncVectorEnv):
        def mirror(self):
            index, sign = np.arange(1), np.ones(1, np.float32)
            return dict(observation_index=index[:0], observation_sign=sign[:0], action_index=index, action_sign=-sign)

    with pytest.raises(ValueError, match="given images, which it does not reflect"):
        small(Mirrored([Picture] * 2, autoreset_mode=AutoresetMode.SAME_STEP), mirror=True)


def test_annealing_goes_to_zero():
    agent = small(vectorize(Target, 4), num_envs=4, anneal_clip=True, anneal_entropy=True, entropy_coef=0.1)
    rates = []
    agent.learn(1280, lambda a, m: rates.append(m["lr"]))
    np.testing.assert_allclose(rates, 5e-3 * (1 - np.arange(10) / 10))


def test_minibatches_cover_everything_once(rng):
    for size, batch in [(100, 30), (10, 64), (64, 64), (7, 1)]:
        numbers = np.arange(size)
        order, parts = minibatches((numbers, 10 * numbers), batch, rng)
        firsts, seconds = zip(*parts, strict=True)
        np.testing.assert_array_equal(np.concatenate(firsts), order)
        np.testing.assert_array_equal(np.concatenate(seconds), 10 * order)
        assert sorted(order.tolist()) == list(range(size))
        assert max(map(len, firsts)) - min(map(len, firsts)) <= 1


def test_a_shuffle_knows_its_parts(rng):
    shuffled = shuffle(10, 4, rng)
    assert shuffled.parts == 2
    np.testing.assert_array_equal(shuffled.bounds, [0, 5, 10])
    np.testing.assert_array_equal(shuffled.last, shuffled.order[5:])
    np.testing.assert_array_equal(shuffled.last, shuffled.minibatches((np.arange(10),))[-1][0])


class TestBadInput:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            *[("gamma", 1.5), ("lr", -1), ("epochs", 0), ("batch_size", 2.5), ("hidden", (64, 0)), ("sigma", "wide")],
            *[("activation", "gelu7"), ("gae_horizon", 0), ("clip", -0.1), ("rollback", 1), ("num_envs", 0), ("lam", float("nan"))],
        ],
    )
    def test_config_names_field_expected_and_given(self, field, value):
        with pytest.raises(ValueError, match=f"expected PPOConfig.{field} as .*given") as caught:
            PPOConfig(**{field: value})
        assert repr(value) in str(caught.value)

    def test_unknown_environment(self):
        with pytest.raises(ValueError, match='unknown environment "deepnp/Wlaker-v0"'):
            PPO("deepnp/Wlaker-v0")

    def test_what_is_no_environment(self):
        with pytest.raises(ValueError, match="an Env, a VectorEnv, a factory or a list, given int"):
            PPO(3)

    def test_unsupported_spaces(self):
        env = Target()
        env.action_space = spaces.Box(-1, 1, (3,), np.int64)
        with pytest.raises(ValueError, match=r"Box of floats, .* space, given Box\(-1, 1, \(3,\), int64"):
            PPO(env)
        env.action_space = spaces.Box(np.float32([-1, -np.inf]), np.float32([1, np.inf]))
        with pytest.raises(ValueError, match="all finite or all infinite"):
            PPO(env)
        env.observation_space = spaces.Text(3)
        with pytest.raises(ValueError, match=r"expected observations in a Box, .*, given Text"):
            PPO(env)

    def test_wrong_observations(self):
        agent = small(Target())
        with pytest.raises(ValueError, match=r"shape \(1,\) or \(B, 1\), given \(2,\)"):
            agent.predict(np.zeros(2))
        with pytest.raises(ValueError, match="finite observation"):
            agent.predict(np.array([np.nan]))

    def test_wrong_files(self, tmp_path):
        agent = small(Target())
        path = tmp_path / "agent.safetensors"
        agent.save(path)
        path.write_bytes(path.read_bytes()[:-7])
        with pytest.raises(ValueError, match="not a complete safetensors file"):
            PPO.load(path)
        deepnp_file = tmp_path / "net.safetensors"
        from deepnp.storage import save_tensors

        save_tensors(deepnp_file, agent.policy.state_dict())
        with pytest.raises(ValueError, match="is no agent: expected format"):
            PPO.load(deepnp_file)

    def test_incomplete_checkpoints(self, tmp_path):
        from deepnp.storage import load_tensors, save_tensors

        path = tmp_path / "agent.safetensors"
        small(Target()).save(path)
        tensors, metadata = load_tensors(path)
        for lost in ("algorithm", "config", "space", "seed", "steps", "rngs"):
            save_tensors(path, tensors, {k: v for k, v in metadata.items() if k != lost})
            with pytest.raises(ValueError, match=rf"is not a whole agent: its metadata lacks \['{lost}'\]"):
                PPO.load(path)
        for lost in ("agent.policy.log_sigma", "agent.policy_optimizer.m", "normalizer.count"):
            save_tensors(path, {k: v for k, v in tensors.items() if k != lost}, metadata)
            with pytest.raises(ValueError, match=r"not a whole agent|missing \['log_sigma'\]"):
                PPO.load(path)
        save_tensors(path, tensors, {**metadata, "rngs": {}})
        with pytest.raises(ValueError, match="expected random generators"):
            PPO.load(path)

    def test_environment_that_does_not_fit_a_loaded_agent(self, tmp_path):
        small(Target()).save(tmp_path / "agent.safetensors")
        with pytest.raises(ValueError, match=r"expected observation shape \(1,\), given \(2,\)"):
            PPO.load(tmp_path / "agent.safetensors", Counter())

    def test_nan_reward_stops_training(self):
        with pytest.raises(NonFiniteError, match="at step 3: the environment returned reward nan"):
            small(Counter(3, broken="reward"), steps=8).learn(100)

    def test_exploding_loss_stops_training_and_is_named(self):
        agent = small(vectorize(Target, 4), num_envs=4)
        agent.value.flat.data[3] = np.nan
        with pytest.raises(NonFiniteError, match=r"at step 128: the (value|policy) loss is nan"), np.errstate(all="ignore"):
            agent.learn(512)

    @pytest.mark.usefixtures("kernels")
    def test_non_finite_gradient_is_named_with_its_step(self):
        agent = small(vectorize(Target, 4), num_envs=4).learn(128)
        agent.policy.flat.data[:] = 0  # hidden units that are 0 keep the actions finite, but not the gradient
        agent.policy.mean[-1].weight.data[:] = 1e38
        with (
            pytest.raises(NonFiniteError, match="at step 256: the policy's gradient overflows float32"),
            np.errstate(all="ignore"),
        ):
            agent.learn(512)

    def test_wrong_config_type_and_seed(self):
        with pytest.raises(TypeError, match="expected a PPOConfig, given dict"):
            PPO(Target(), {"lr": 1})
        with pytest.raises(ValueError, match="seed as an integer >= 0"):
            PPO(Target(), seed=-1)
        with pytest.raises(ValueError, match="total_steps as an integer >= 1"):
            small(Target()).learn(0)
