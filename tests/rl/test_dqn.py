"""DQN: its loss, its heads, its targets, what it explores with, and the fast form of its step."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import deepnp
import rl
from deepnp.gradcheck import TOLERANCE, check_module
from deepnp.optim import Adam
from rl import DQN, DQNConfig
from rl.experience.spaces import SpaceInfo
from rl.networks.dueling import Dueling
from rl.networks.q_networks import drawn, q_body, soft_maximum
from rl.networks.q_steps import choice_step
from tests.rl.references.worlds import Choices
from tests.rl.toys import Allowed, Target, vectorize

SMALL = dict(hidden=(16, 16), batch_size=32, warmup=100, memory=1000, random_steps=200)
VECTOR = SpaceInfo.of(spaces.Box(-1, 1, (4,), np.float32), spaces.Discrete(3))


class TestDueling:
    def network(self, rng, numbers=2):
        parts = deepnp.Linear(4, 5, rng=rng), deepnp.Linear(5, numbers, rng=rng), deepnp.Linear(5, 3 * numbers, rng=rng)
        return Dueling(deepnp.Sequential(parts[0], deepnp.Tanh()), *parts[1:], choices=3)

    def test_gradients(self, rng):
        network = self.network(rng).to(np.float64)
        assert max(check_module(network, rng.normal(size=(6, 4))).values()) < TOLERANCE

    def test_the_mean_over_the_choices_is_the_state_s_value(self, rng):
        network, x = self.network(rng), rng.normal(size=(6, 4)).astype("f")
        y = network.predict(x).reshape(6, 3, 2)
        np.testing.assert_allclose(y.mean(axis=1), network.value.predict(network.trunk.predict(x)), rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(network.forward(x), network.predict(x))

    def test_it_needs_two_hidden_layers(self):
        with pytest.raises(ValueError, match=r"expected two hidden layers or more with dueling heads, given hidden \(8,\)"):
            DQNConfig(dueling=True, hidden=(8,))


class TestStep:
    def networks(self):
        made = [q_body(VECTOR, DQNConfig(hidden=(8, 6)), 1, np.random.default_rng(0)) for _ in range(2)]
        return [(network, Adam(network.flat, 1e-2)) for network in made]

    @pytest.mark.parametrize("limit", [np.inf, 0.5])
    def test_the_fast_form_is_the_plain_one(self, rng, limit):
        x, targets = rng.normal(size=(20, 4)).astype("f"), rng.normal(size=20).astype("f")
        weights, choices, results = rng.uniform(0.2, 1, 20).astype("f"), rng.integers(3, size=20), []
        for fast, (network, optimizer) in zip((True, False), self.networks(), strict=True):
            deepnp.use_kernels(fast)
            steps = [choice_step(network, optimizer, x, choices, targets, weights, limit) for _ in range(5)]
            results.append([*map(np.hstack, steps), network.flat.data.copy()])
        deepnp.use_kernels(True)
        for fast, plain in zip(*results, strict=True):
            np.testing.assert_allclose(fast, plain, rtol=1e-4, atol=1e-5)

    def test_choices_that_are_not_there_are_refused(self, rng):
        (network, optimizer), *_ = self.networks()
        x, y = rng.normal(size=(5, 4)).astype("f"), np.zeros(5, "f")
        with pytest.raises(ValueError, match=r"expected values \(B, C\) and choices \(B,\)"):
            choice_step(network, optimizer, x, np.zeros(4, int), y, y)


class TestExploration:
    def test_the_random_share_falls_in_a_straight_line(self):
        c = DQNConfig(warmup=100, random_share=0.1, random_steps=1000)
        assert [c.share_at_random(n, 0.1) for n in (0, 99, 500, 1000, 9999)] == pytest.approx([1, 1, 0.55, 0.1, 0.1])
        assert DQNConfig(warmup=0, random_steps=0).share_at_random(0, 0.05) == 0.05

    def test_softmax_of_values(self, rng):
        q = np.tile(np.float32([[1.0, 0.0, -np.inf]]), (20_000, 1))
        for tau, share in ((1e-6, 0.5), (1.0, np.e / (1 + np.e)), (1e6, 1.0)):
            chosen = drawn(q, tau, rng)
            assert (chosen == 0).mean() == pytest.approx(share, abs=0.02)
            assert not (chosen == 2).any()

    def test_soft_maximum(self):
        q = np.float32([[1.0, 2.0, -np.inf], [1e4, 0.0, 1e4]])
        np.testing.assert_allclose(soft_maximum(q, 0.5), [2 * np.log(np.exp(0.5) + np.exp(1)), 1e4 + 2 * np.log(2)], rtol=1e-6)
        np.testing.assert_allclose(soft_maximum(q, 1e6), [2.0, 1e4], rtol=1e-6)

    def test_it_explores_by_them_and_predicts_the_best(self):
        agent = DQN(vectorize(lambda: Target(discrete=True), 2), DQNConfig(**SMALL, boltzmann=1e-6))
        x = np.zeros((400, 1), np.float32)
        assert 120 < agent.predict(x, deterministic=False, rng=np.random.default_rng(0)).sum() < 280
        assert len(set(agent.predict(x))) == 1

    def test_a_soft_target_needs_its_temperature(self):
        with pytest.raises(ValueError, match="expected soft_target with boltzmann and without double"):
            DQNConfig(soft_target=True)


class TestTargets:
    def agent(self, **settings):
        return DQN(Choices, DQNConfig(**{**SMALL, **settings}), seed=1)

    def same(self, agent):
        return np.array_equal(agent.policy.flat.data, agent.target_policy.flat.data)

    def test_a_periodic_one_is_copied_every_c_gradient_steps_exactly(self):
        agent, copied = self.agent(target_interval=7), []
        update = agent.update
        agent.update = lambda batch: (update(batch), copied.append(self.same(agent)))[0]
        agent.learn(130)
        assert copied == [i % 7 == 0 for i in range(1, 31)]

    def test_a_copy_takes_the_statistics_of_a_network_of_one_s_own_with_it(self, rng):
        width = DQN(Choices, DQNConfig(**SMALL)).space.observations
        inner = deepnp.SpectralNorm(deepnp.Linear(16, 16, rng=rng), rng=rng)
        network = deepnp.Sequential(deepnp.Linear(width, 16, rng=rng), inner, deepnp.ReLU(), deepnp.Linear(16, 3, rng=rng))
        agent = DQN(Choices, DQNConfig(**SMALL, target_interval=7), policy=network).learn(107)
        for own, target in zip(agent.policy.state_dict().values(), agent.target_policy.state_dict().values(), strict=True):
            np.testing.assert_array_equal(own, target)

    def test_one_that_follows_and_none(self):
        agent = self.agent(targets="polyak", tau=0.5).learn(101)
        distance = np.abs(agent.policy.flat.data - agent.target_policy.flat.data).max()
        assert 0 < distance < 1e-3  # half of Adam's first step
        assert self.agent(targets="none").target_policy is not None
        assert "target_policy" not in self.agent(targets="none").parts()


class TestMasks:
    @pytest.mark.parametrize("settings", [{}, dict(double=True), dict(boltzmann=3.0, soft_target=True), dict(dueling=True)])
    def test_what_is_excluded_is_never_chosen_nor_counted(self, settings):
        """The task raises at a choice that is forbidden; the last one that is allowed pays 1, the others nothing."""

        def make():
            return Allowed(spaces.Discrete(4))

        agent = DQN(vectorize(make, 2), DQNConfig(**SMALL, **settings), seed=0).learn(600)
        if not agent.config.soft_target:
            assert rl.evaluate(agent, make, 20).mean() > 0.7

    def test_the_target_s_maximum_leaves_it_out(self):
        agent = DQN(lambda: Allowed(spaces.Discrete(4)), DQNConfig(**SMALL))
        rows, mask = np.zeros((2, 1), np.float32), np.array([[1, 0, 0, 0], [0, 0, 0, 0]], bool)
        q = agent.target_policy.outputs((rows, mask))
        np.testing.assert_array_equal(agent.next_value(agent.now, (rows, mask)), [q[0, 0], q[1].max()])


def test_images_go_through_convolutions():
    class Lamp(gymnasium.Env):
        """One step an episode: 1 for saying whether the picture is bright."""

        observation_space, action_space = spaces.Box(0, 255, (8, 8, 1), np.uint8), spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.bright = int(self.np_random.integers(2))
            return np.full((8, 8, 1), 250 * self.bright, np.uint8), {}

        def step(self, action):
            return np.full((8, 8, 1), 250 * self.bright, np.uint8), float(action == self.bright), True, False, {}

    agent = DQN(Lamp, DQNConfig(**SMALL, dueling=True), seed=0).learn(400)
    assert agent.memory.observations[1].dtype == np.uint8
    assert rl.evaluate(agent, Lamp, 20).mean() == 1


def test_other_actions_are_refused():
    with pytest.raises(ValueError, match="DQN takes actions in a Discrete space, given Box"):
        DQN("Pendulum-v1")
