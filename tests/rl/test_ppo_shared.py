"""PPO with one trunk for policy and value: gradients, learning, acting, saving, exporting, and what it refuses."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import envs  # noqa: F401  (registers deepnp/…)
from deepnp import Linear
from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error
from rl import PPO, PPOConfig, evaluate
from rl.cluster.sharded import ShardedVector
from rl.networks.shared import SharedPolicy
from rl.training.export.torch_file import import_torch
from tests.rl.references.adapter import double_precision
from tests.rl.test_export import WAYS, check
from tests.rl.test_export_torch import FIXTURES
from tests.rl.toys import Target, states, vectorize

SMALL = dict(shared=True, num_envs=4, steps=32, batch_size=64, epochs=4, hidden=(16,), lr=5e-3)
X, BOX, BRANCHES = spaces.Box(-1, 1, (3,), np.float32), spaces.Box(-1, 1, (2,), np.float32), spaces.MultiDiscrete([2, 3])
IMAGE = spaces.Box(0, 255, (8, 9, 3), np.uint8)
MASKED = spaces.Dict(x=X, image=IMAGE, action_mask=spaces.MultiBinary(5))


class Picture(gymnasium.Env):
    """One step an episode: 1 for saying whether a picture is bright."""

    def __init__(self):
        self.observation_space, self.action_space = spaces.Dict(image=IMAGE), spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.bright = int(self.np_random.integers(2))
        return self._observe(), {}

    def step(self, action):
        return self._observe(), float(action == self.bright), True, False, {}

    def _observe(self):
        return {"image": self.np_random.integers(100 * self.bright, 155 + 100 * self.bright, IMAGE.shape).astype(np.uint8)}


def small(env=None, seed=1, **settings):
    return PPO(vectorize(Target, 4) if env is None else env, PPOConfig(**{**SMALL, **settings}), seed=seed)


@pytest.mark.parametrize("sigma", ["vector", "network"])
def test_gradient_is_that_of_both_heads(sigma, rng):
    """Of a random direction in μ, σ and V, with respect to every parameter."""
    with double_precision():
        shared = PPO.of_spaces(X, BOX, PPOConfig(shared=True, hidden=(5, 4), sigma=sigma)).policy
    assert isinstance(shared, SharedPolicy)
    shared.to(np.float64)
    shared.flat.data[...] += 0.3 * rng.normal(size=len(shared.flat))
    x, theta = rng.normal(size=(6, 3)), shared.flat.data
    distribution, values = shared.forward(x)
    directions = rng.normal(size=(6, 2)), rng.normal(size=distribution.sigma.shape), rng.normal(size=(6, 1))

    def along(parameters):
        before = theta.copy()
        theta[...] = parameters
        new, v = shared.predict(x), shared.predict_value(x)
        theta[...] = before
        return float(sum((d * y).sum() for d, y in zip(directions, (new.mean, new.sigma, v), strict=True)))

    shared.zero_grad()
    dx = shared.backward((directions[:2], directions[2]))
    assert relative_error(shared.flat.grad, numerical_gradient(along, theta.copy())) < TOLERANCE
    assert dx.shape == x.shape
    np.testing.assert_array_equal(distribution.mean, shared.predict(x).mean)
    np.testing.assert_array_equal(values, shared.predict_value(x))


@pytest.mark.parametrize("discrete", [False, True])
def test_solves_a_trivial_task(discrete):
    env = vectorize(lambda: Target(discrete), 16)
    agent = small(env, num_envs=16, batch_size=128, initial_sigma=0.3, anneal_lr=False).learn(6000)
    assert evaluate(agent, Target(discrete), 20).mean() > (0.95 if discrete else -0.03)


def test_solves_a_task_of_pictures_with_one_encoder():
    agent = small(vectorize(Picture, 8), num_envs=8, lr=2e-3, anneal_lr=False).learn(1792)
    assert evaluate(agent, Picture(), 20).mean() == 1
    alone = small(vectorize(Picture, 8), num_envs=8, shared=False)
    both = len(alone.policy.flat) + len(alone.value.flat)
    assert len(agent.policy.flat) < 0.51 * both


def test_value_and_metrics_are_those_of_two_networks():
    log = []
    agent = small().learn(256, lambda a, m: log.append(m))
    assert {"policy_loss", "value_loss", "kl", "entropy", "approx_kl", "explained_variance"} <= log[-1].keys()
    assert agent.value.predict(np.zeros((3, 1), np.float32)).shape == (3, 1)
    assert agent.policy_optimizer.t == 2 * 4 * 2  # iterations, epochs, minibatches


@pytest.mark.parametrize("settings", [{}, dict(penalty="kl-adaptive"), dict(target_kl=1e-9, rollback=True)])
def test_a_resumed_training_has_the_same_bits(settings, tmp_path):
    whole, half = (small("Pendulum-v1", **settings) for _ in range(2))
    whole.learn(512)
    half.learn(512, lambda agent, metrics: agent.steps < 256)
    half.save(tmp_path / "half.safetensors")
    rest = PPO.load(tmp_path / "half.safetensors", "Pendulum-v1").learn(512)
    for name, array in states(whole).items():
        np.testing.assert_array_equal(array, states(rest)[name], err_msg=name)
    assert not any(name.startswith("value") for name in states(whole))


def test_replicas_of_a_cluster_act_with_it():
    """They take over all parameters, and what the normaliser knows."""
    settings = dict(normalizer="min-max", steps=16, batch_size=32, num_envs=5)
    first, second = (small(ShardedVector("deepnp/Navigation-v0", 5, 2), **settings).learn(160) for _ in range(2))
    np.testing.assert_array_equal(first.policy.flat.data, second.policy.flat.data)
    assert first.normalizer.count == 160
    assert not first.policy.flat.stale


@WAYS
@pytest.mark.parametrize(("observations", "actions"), [(X, BOX), (MASKED, BRANCHES)], ids=["vector", "masked picture"])
def test_it_exports(observations, actions, actions_of, tmp_path):
    check(PPO.of_spaces(observations, actions, PPOConfig(shared=True, hidden=(12, 8))), actions_of, tmp_path)


def test_masks_reach_the_policy_past_the_trunk(rng):
    agent = PPO.of_spaces(MASKED, BRANCHES, PPOConfig(shared=True))
    mask = np.tile(np.array([0, 1, 1, 0, 0], np.int8), (30, 1))
    x = {"x": np.float32(rng.normal(size=(30, 3))), "image": rng.integers(0, 256, (30, *IMAGE.shape)).astype(np.uint8)}
    drawn = agent.predict(x | {"action_mask": mask}, deterministic=False, rng=rng)
    np.testing.assert_array_equal(drawn, np.tile([1, 0], (30, 1)))


@pytest.mark.parametrize("settings", [dict(hidden=()), dict(value_hidden=(8,)), dict(value_lr=1e-3), dict(memory="gru")])
def test_settings_that_contradict_it_are_named(settings):
    with pytest.raises(ValueError, match=f"expected (hidden layers|{next(iter(settings))} None).*given"):
        PPOConfig(**{"shared": True, **settings})


def test_networks_of_ones_own_are_refused():
    with pytest.raises(ValueError, match=r"expected no networks of one's own beside shared=True, given \['policy'\]"):
        PPO(Target(), PPOConfig(shared=True), policy=Linear(1, 1))


def test_weights_of_stable_baselines_are_refused():
    agent = PPO.of_spaces(X, BOX, PPOConfig(shared=True, normalize_observations=False))
    with pytest.raises(ValueError, match="expected an agent with shared=False"):
        import_torch(agent, FIXTURES / "ppo.safetensors")
