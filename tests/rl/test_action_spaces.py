"""PPO in every action space and with every head: it learns, goes on from a file to the bit, and refuses what cannot be."""

import json

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import rl
from rl.experience.actions import ActionLayout
from rl.experience.space_checks import check_space
from rl.experience.spaces import SpaceInfo
from rl.networks.heads import FixedSigma
from rl.networks.squashed_gaussian import SquashedGaussian
from tests.rl.toys import Hybrid, Marked, Target, states, vectorize

QUICK = dict(num_envs=32, steps=16, batch_size=256, lr=2e-2, hidden=(16,), gamma=0.0)
HEADS = {
    "squashed": dict(head="squashed", entropy_coef=1e-3),
    "beta": dict(head="beta"),
    "tanh": dict(squash="tanh"),
    "sigma network": dict(sigma="network", sigma_hidden=(4,), sigma_beta=1.2, sigma_scale=6.0),
    "annealed": dict(sigma="fixed", initial_sigma=0.8, anneal_sigma=0.1),
}


@pytest.mark.parametrize("name", HEADS)
def test_every_head_learns(name):
    agent = rl.PPO(lambda: Target(), rl.PPOConfig(**QUICK, **HEADS[name]), seed=0).learn(512 * 12)
    assert rl.evaluate(agent, lambda: Target(), 100).mean() > -0.02


@pytest.mark.parametrize(("head", "nested"), [("gaussian", False), ("squashed", True), ("beta", False)])
def test_several_parts_are_learned(head, nested):
    agent = rl.PPO(lambda: Hybrid(nested), rl.PPOConfig(**QUICK, head=head), seed=0).learn(512 * 12)
    assert rl.evaluate(agent, vectorize(lambda: Hybrid(nested), 50), 50).mean() > -0.03


def test_two_of_five_are_learned():
    agent = rl.PPO(Marked, rl.PPOConfig(**QUICK, choose=2), seed=0).learn(512 * 12)
    assert rl.evaluate(agent, Marked, 100).mean() > 0.97


@pytest.mark.parametrize("algorithm", ["A2C", "TRPO", "REINFORCE"])
def test_others_learn_in_them_too(algorithm):
    settings = dict(num_envs=8, steps=8, hidden=(8,))
    for env, extra in ((Hybrid, {}), (Hybrid, {"head": "beta"}), (Marked, {"choose": 2})):
        entry = rl.ALGORITHMS[algorithm]
        agent = entry.cls(env, entry.config(**settings, **extra))
        before = agent.policy.flat.data.copy()
        agent.learn(192)
        assert (agent.policy.flat.data != before).any()


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (Hybrid, {}),
        (Hybrid, dict(head="beta")),
        (Marked, dict(choose=2)),
        (lambda: gymnasium.make("Pendulum-v1"), dict(sigma="fixed", anneal_sigma=0.1)),
        (lambda: gymnasium.make("Pendulum-v1"), dict(head="squashed", entropy_coef=0.01)),
    ],
)
def test_resume_equals_uninterrupted(make, settings, tmp_path):
    config = rl.PPOConfig(num_envs=2, steps=16, batch_size=16, hidden=(8,), **settings)

    def half_way(agent, _):
        if agent.steps == 64:
            agent.save(tmp_path / "agent.safetensors")

    whole = rl.PPO(make, config, seed=3).learn(128, callback=half_way)
    resumed = rl.PPO.load(tmp_path / "agent.safetensors", make).learn(128)
    for name, array in states(whole).items():
        np.testing.assert_array_equal(states(resumed)[name], array, err_msg=name)


class TestAnnealedSigma:
    def test_it_goes_linearly(self):
        found = []

        def note(agent, _):
            (sigma,) = [m.sigma for m in agent.policy.modules() if isinstance(m, FixedSigma)]
            found.append(float(sigma[0]))

        config = rl.PPOConfig(num_envs=1, steps=25, hidden=(4,), sigma="fixed", initial_sigma=1.0, anneal_sigma=0.2)
        rl.PPO("Pendulum-v1", config).learn(100, callback=note)
        np.testing.assert_allclose(found, [1.0, 0.8, 0.6, 0.4], rtol=1e-6)

    def test_without_it_a_file_is_what_it_was(self):
        agent = rl.PPO("Pendulum-v1", rl.PPOConfig(hidden=(4,), sigma="fixed"))
        assert not [name for name in agent.policy.state_dict() if "fixed" in name]

    def test_of_several_parts(self):
        agent = rl.PPO(Hybrid, rl.PPOConfig(num_envs=1, steps=8, hidden=(4,), sigma="fixed", anneal_sigma=0.5)).learn(16)
        assert agent.policy.predict(np.zeros((1, 1), np.float32)).parts[0].sigma == 0.75


class TestSquash:
    @pytest.mark.parametrize("settings", [dict(squash="tanh"), dict(head="squashed")])
    def test_what_the_environment_gets(self, settings):
        agent = rl.PPO.of_spaces(spaces.Box(-1, 1, (2,)), spaces.Box(-2, 6, (3,), np.float64), rl.PPOConfig(**settings))
        u = np.float32([[0, 1, -30]])
        np.testing.assert_allclose(agent.space.action.to_environment(u), [2 + 4 * np.tanh([0.0, 1.0, -30.0])], rtol=1e-6)

    def test_the_probabilities_differ_by_the_volume_alone(self):
        """With head="squashed" ratios are those of squash="tanh"; the entropy is not."""
        agents = [
            rl.PPO.of_spaces(spaces.Box(-1, 1, (2,)), spaces.Box(-1, 1, (3,)), rl.PPOConfig(**settings))
            for settings in (dict(squash="tanh"), dict(head="squashed"))
        ]
        x, rng = np.zeros((4, 2), np.float32), np.random.default_rng(0)
        tanh, squashed = (agent.policy.predict(x) for agent in agents)
        u = tanh.sample(rng)
        assert isinstance(squashed, SquashedGaussian)
        volume = np.log(1 - np.tanh(u.astype(float)) ** 2).sum(axis=1)
        np.testing.assert_allclose(tanh.log_prob(u) - squashed.log_prob(u), volume, atol=1e-4)
        assert (squashed.entropy() < tanh.entropy()).all()

    def test_training_without_entropy_is_that_of_tanh(self):
        """The volume cancels in every ratio, so the two settings train alike, to rounding."""
        config = dict(num_envs=2, steps=32, batch_size=32, hidden=(8,), epochs=2)
        agents = [rl.PPO("Pendulum-v1", rl.PPOConfig(**config, **kind)) for kind in (dict(squash="tanh"), dict(head="squashed"))]
        one, other = (agent.learn(64).policy.flat.data for agent in agents)
        np.testing.assert_allclose(one, other, atol=1e-5)


class TestLayouts:
    NESTED = spaces.Tuple(
        (spaces.Dict(a=spaces.Discrete(3, start=2), b=spaces.Box(-1, 4, (2, 2), np.float64)), spaces.MultiBinary(2))
    )

    def test_as_json(self):
        space = SpaceInfo.of(spaces.Box(-1, 1, (2,)), self.NESTED)
        read = SpaceInfo.from_json(json.loads(json.dumps(space.to_json())))
        check_space(read)
        assert read == space
        assert read.action.stored == ((7,), np.float32)

    def test_actions_are_in_the_space(self, rng):
        layout = ActionLayout.of(self.NESTED)
        actions = layout.to_environment(layout.random(6, rng) * 3)
        for action in gymnasium.vector.utils.iterate(gymnasium.vector.utils.batch_space(self.NESTED, 6), actions):
            assert action[0]["b"].dtype == np.float64
        one = layout.to_environment(layout.random(6, rng))
        assert all(
            self.NESTED.contains(a) for a in gymnasium.vector.utils.iterate(gymnasium.vector.utils.batch_space(self.NESTED, 6), one)
        )

    @pytest.mark.parametrize("space", [spaces.Dict(), spaces.Tuple(()), spaces.Dict(a=spaces.Dict())], ids=str)
    def test_nothing(self, space):
        with pytest.raises(ValueError, match="at least one part"):
            ActionLayout.of(space)

    def test_parts_that_nobody_can_handle(self):
        with pytest.raises(ValueError, match=r"expected actions in a Box of floats, .*, given Text"):
            ActionLayout.of(spaces.Dict(a=spaces.Discrete(2), b=spaces.Text(3)))


class TestRefusals:
    X, UNBOUNDED = spaces.Box(-1, 1, (2,)), spaces.Box(-np.inf, np.inf, (2,), np.float32)

    @pytest.mark.parametrize("settings", [dict(squash="tanh"), dict(head="squashed"), dict(head="beta")])
    def test_without_bounds(self, settings):
        for action in (self.UNBOUNDED, spaces.Dict(a=spaces.Discrete(2), b=self.UNBOUNDED)):
            with pytest.raises(ValueError, match=r"expected bounded actions .* given an unbounded Box"):
                rl.PPO.of_spaces(self.X, action, rl.PPOConfig(**settings))

    @pytest.mark.parametrize(
        "action", [spaces.Discrete(4), spaces.MultiBinary(2), spaces.Tuple((spaces.MultiBinary(4),)), UNBOUNDED]
    )
    def test_choosing(self, action):
        with pytest.raises(
            ValueError, match="expected MultiBinary actions of at least 3 switches without a mask, to choose 3, given"
        ):
            rl.PPO.of_spaces(self.X, action, rl.PPOConfig(choose=3))

    def test_choosing_among_masked(self):
        observation = spaces.Dict(x=self.X, action_mask=spaces.MultiBinary(8))
        with pytest.raises(ValueError, match="given MultiBinary of 4, with an action mask"):
            rl.PPO.of_spaces(observation, spaces.MultiBinary(4), rl.PPOConfig(choose=3))

    def test_settings_that_exclude_one_another(self):
        with pytest.raises(ValueError, match='expected squash="clip" with head="beta"'):
            rl.PPOConfig(head="beta", squash="tanh")
        with pytest.raises(ValueError, match='expected anneal_sigma with sigma="fixed", given sigma="vector"'):
            rl.PPOConfig(anneal_sigma=0.1)

    def test_other_algorithms(self):
        with pytest.raises(ValueError, match=r"SAC takes continuous actions \(a Box\), given Dict"):
            rl.SAC(Hybrid)
