"""Spaces of every kind: what an observation is laid out as, what an action becomes, and agents that learn in them."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import rl
from deepnp import ReLU
from rl.experience import trees
from rl.experience.exploration import replace_by_random
from rl.experience.spaces import SpaceInfo
from rl.networks.encoders import network
from rl.networks.parallel import Halves
from tests.rl.toys import vectorize

BOX = spaces.Box(-1, 1, (2,), np.float32)
IMAGE = spaces.Box(0, 255, (12, 10, 3), np.uint8)
OBSERVATIONS = {
    "scalar": spaces.Box(-1, 1, (), np.float32),
    "vector": BOX,
    "matrix": spaces.Box(-1, 1, (2, 3), np.float64),
    "integers": spaces.Box(0, 9, (4,), np.int64),
    "bytes": spaces.Box(0, 255, (5,), np.uint8),
    "half": spaces.Box(-1, 1, (3,), np.float16),
    "image": IMAGE,
    "stacked images": spaces.Box(0, 255, (4, 40, 40), np.uint8),
    "float image": spaces.Box(0, 1, (1, 9, 9), np.float32),
    "discrete": spaces.Discrete(5, start=-2),
    "multi-discrete": spaces.MultiDiscrete([3, 2], start=[1, 0]),
    "multi-discrete matrix": spaces.MultiDiscrete([[3, 2], [2, 2]]),
    "multi-binary": spaces.MultiBinary(3),
    "dict": spaces.Dict(a=BOX, b=spaces.Discrete(3), image=IMAGE),
    "tuple": spaces.Tuple((spaces.Discrete(2), BOX)),
    "nested": spaces.Dict(inner=spaces.Dict(x=BOX), pair=spaces.Tuple((spaces.MultiBinary(2), IMAGE))),
}
WIDTHS = {"scalar": 1, "vector": 2, "matrix": 6, "integers": 4, "bytes": 5, "half": 3, "image": 0, "stacked images": 0}
WIDTHS |= {"float image": 0, "discrete": 5, "multi-discrete": 5, "multi-discrete matrix": 9, "multi-binary": 3}
WIDTHS |= {"dict": 5, "tuple": 4, "nested": 4}
ACTIONS = {
    "box": spaces.Box(-2, 2, (2,), np.float32),
    "discrete": spaces.Discrete(3, start=4),
    "multi-discrete": spaces.MultiDiscrete([2, 3], start=[0, 7]),
    "multi-binary": spaces.MultiBinary(4),
}


class Anything(gymnasium.Env):
    """Observations and rewards drawn at random, from and for any spaces."""

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space = observation_space, action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.count = 0
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action), f"{action!r} is not in {self.action_space}"
        self.count += 1
        return self.observation_space.sample(), float(self.np_random.normal()), self.count % 5 == 0, self.count % 7 == 0, {}


@pytest.mark.parametrize("name", OBSERVATIONS)
class TestObservations:
    def test_layout(self, name):
        info = SpaceInfo.of(OBSERVATIONS[name], BOX)
        assert info.observations == WIDTHS[name]
        assert SpaceInfo.from_json(info.to_json()) == info

    def test_a_batch_is_what_its_rows_are(self, name):
        space, layout = OBSERVATIONS[name], SpaceInfo.of(OBSERVATIONS[name], BOX).observation
        space.seed(0)
        env = vectorize(lambda: Anything(space, BOX), 3)
        batch = env.reset(seed=1)[0]
        whole = trees.parts(layout.split(batch))
        assert not any(np.shares_memory(part, np.asarray(leaf.find(batch))) for part in whole for leaf in layout.leaves)
        single, is_single = layout.batched(gymnasium.vector.utils.iterate(env.observation_space, batch).__next__())
        assert is_single
        for part, of_one in zip(whole, trees.parts(layout.split(single)), strict=True):
            np.testing.assert_array_equal(part[:1], of_one)
            assert part.dtype == of_one.dtype

    def test_ppo_learns_from_it(self, name):
        config = rl.PPOConfig(steps=8, batch_size=8, epochs=1, hidden=(8,))
        agent = rl.PPO(vectorize(lambda: Anything(OBSERVATIONS[name], BOX), 2), config)
        before = agent.policy.flat.data.copy()
        agent.learn(32)
        assert (agent.policy.flat.data != before).any()
        env = Anything(OBSERVATIONS[name], BOX)
        assert agent.predict(env.reset(seed=0)[0]).shape == (2,)

    def test_sac_learns_from_it_and_goes_on_from_a_file(self, name, tmp_path):
        config = rl.SACConfig(warmup=8, batch_size=8, memory=64, hidden=(8,), updates=1, update_interval=4)
        agent = rl.SAC(vectorize(lambda: Anything(OBSERVATIONS[name], BOX), 2), config)
        agent.learn(24)
        agent.save(tmp_path / "agent.safetensors")
        with pytest.warns(UserWarning, match="Anything begins new episodes"):
            loaded = rl.load(tmp_path / "agent.safetensors", vectorize(lambda: Anything(OBSERVATIONS[name], BOX), 2))
        assert loaded.learn(40).steps == 40


def test_one_of_n():
    layout = SpaceInfo.of(spaces.MultiDiscrete([3, 2], start=[1, 0]), BOX).observation
    np.testing.assert_array_equal(layout.split(np.array([[1, 1], [3, 0]])), [[1, 0, 0, 0, 1], [0, 0, 1, 1, 0]])
    with pytest.raises(ValueError, match=r"expected choices in \[\(1, 3\), \(0, 1\)\], given"):
        layout.split(np.array([[0, 1]]))
    with pytest.raises(ValueError, match="expected choices in"):
        layout.split(np.array([[1.5, 1]]))
    np.testing.assert_array_equal(layout.split(np.array([[1.0, 1.0]])), [[1, 0, 0, 0, 1]])
    np.testing.assert_array_equal(layout.split(np.array([[3, 1]], np.uint64)), [[0, 0, 1, 0, 1]])


def test_images_stay_bytes_in_the_memory_and_reach_the_network_as_shares():
    agent = rl.TD3(vectorize(lambda: Anything(IMAGE, BOX), 2), rl.TD3Config(warmup=10, batch_size=8, memory=64, hidden=(8,)))
    agent.learn(24)
    vector, image = agent.memory.observations
    assert vector.shape == (64, 0)
    assert image.dtype == np.uint8
    assert image.shape == (64, 3, 12, 10)
    assert image[:12].any()


def test_large_images_get_the_convolutions_of_mnih_et_al(rng):
    layout = SpaceInfo.of(spaces.Box(0, 255, (4, 36, 36), np.uint8), BOX).observation
    net = network(layout, (8,), 1, ReLU, rng)
    kernels = [p.shape for p in net.parameters() if len(p.shape) == 4]
    assert kernels == [(32, 4, 8, 8), (64, 32, 4, 4), (64, 64, 3, 3)]


def test_the_gradient_of_an_image_network_reaches_every_parameter(rng):
    """Through convolutions and perceptron, against central differences."""
    from deepnp import Tanh
    from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error
    from rl.networks.encoders import network

    space = SpaceInfo.of(spaces.Dict(a=BOX, b=spaces.Box(0, 255, (8, 8, 1), np.uint8)), BOX)
    net = network(space.observation, (5,), 2, Tanh, rng)
    net.to(np.float64)
    x = rng.normal(size=(6, 2)), rng.integers(0, 255, (6, 1, 8, 8)).astype(np.uint8)
    upstream = rng.normal(size=(6, 2))

    y = net.forward(x)
    dvector = net.backward(upstream)
    given = net.flat.grad.copy()
    theta, chosen = net.flat.data.copy(), rng.choice(len(net.flat), 60, replace=False)

    def of_some(values):
        net.flat.data[...] = theta
        net.flat.data[chosen] = values
        return float((net.predict(x) * upstream).sum())

    assert relative_error(given[chosen], numerical_gradient(of_some, theta[chosen])) < TOLERANCE
    net.flat.data[...] = theta
    of_vector = numerical_gradient(lambda v: float((net.predict((v, x[1])) * upstream).sum()), x[0])
    assert relative_error(dvector, of_vector) < TOLERANCE
    np.testing.assert_allclose(y, net.predict(x))


@pytest.mark.parametrize("name", ACTIONS)
class TestActions:
    def test_ppo_acts_inside_the_space_and_learns(self, name):
        config = rl.PPOConfig(steps=16, batch_size=8, epochs=2, hidden=(8,), entropy_coef=0.01, target_kl=10.0)
        agent = rl.PPO(vectorize(lambda: Anything(BOX, ACTIONS[name]), 2), config)
        agent.learn(64)
        rows = np.zeros((50, 2), np.float32)
        for deterministic in (True, False):
            assert all(ACTIONS[name].contains(action) for action in agent.predict(rows, deterministic))
        assert ACTIONS[name].contains(agent.predict(rows[0]))

    def test_random_actions_are_everywhere_in_the_space(self, name, rng):
        layout = SpaceInfo.of(BOX, ACTIONS[name]).action
        drawn = layout.random(2000, rng)
        shape, dtype = layout.stored
        assert drawn.shape == (2000, *shape)
        assert drawn.dtype == dtype
        actions = layout.to_environment(drawn)
        assert all(ACTIONS[name].contains(action) for action in actions)
        if name != "box":
            assert len({tuple(np.ravel(a)) for a in actions}) == np.prod(layout.choices)

    def test_the_memory_keeps_them_as_they_are(self, name, rng):
        from rl.experience.replay import ReplayMemory

        info = SpaceInfo.of(BOX, ACTIONS[name])
        memory = ReplayMemory(10, info)
        memory.prepare(2)
        actions, s, flags = info.action.random(2, rng), np.zeros((2, 2), np.float32), np.zeros(2, bool)
        memory.add(s, actions, np.zeros(2), s, flags, flags, ~flags)
        batch = memory.batch(np.array([0, 5]), 0.9)
        np.testing.assert_array_equal(batch.actions, actions)
        assert batch.actions.dtype == info.action.stored[1]


@pytest.mark.parametrize("kind", ["MultiDiscrete", "MultiBinary"])
def test_ppo_finds_the_right_choices(kind):
    class Right(gymnasium.Env):
        """One step: a reward for every choice that is the right one."""

        observation_space = spaces.Box(-1, 1, (1,), np.float32)
        action_space = spaces.MultiDiscrete([3, 4]) if kind == "MultiDiscrete" else spaces.MultiBinary(2)
        right = np.array([2, 1] if kind == "MultiDiscrete" else [1, 0])

        def reset(self, *, seed=None, options=None):
            return np.zeros(1, np.float32), {}

        def step(self, action):
            return np.zeros(1, np.float32), float((action == self.right).sum()), True, False, {}

    config = rl.PPOConfig(steps=32, batch_size=64, epochs=4, hidden=(16,), lr=5e-3)
    agent = rl.PPO(vectorize(Right, 8), config).learn(4000)
    assert rl.evaluate(agent, Right(), 5).mean() == 2


class TestBounds:
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    @pytest.mark.parametrize(("low", "high"), [(-0.1, 0.1), (0.1, 0.7), (-1 / 3, 1e-3), (-50.0, 49.9)])
    def test_actions_are_in_the_space_to_the_last_bit(self, rng, dtype, low, high):
        space = spaces.Box(low, high, (4,), dtype)
        layout = SpaceInfo.of(BOX, space).action
        drawn = np.concatenate([rng.normal(0, 2, (256, 4)), np.ones((1, 4)), -np.ones((1, 4))]).astype(np.float32)
        actions = layout.to_environment(drawn)
        assert actions.dtype == dtype
        assert all(space.contains(a) for a in actions)
        rounding = 2 * np.finfo(dtype).eps * (high - low)
        np.testing.assert_allclose(actions[-2:].astype(float), [space.high, space.low], rtol=0, atol=rounding)

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_the_widest_bounds_are_used_in_full(self, dtype):
        info = np.finfo(dtype)
        space = spaces.Box(info.min, info.max, (1,), dtype)
        actions = SpaceInfo.of(BOX, space).action.to_environment(np.float32([[-3], [-1], [-0.5], [0], [0.5], [1], [3]]))
        expected = np.array([[info.min]] * 2 + [[info.min / 2], [0], [info.max / 2]] + [[info.max]] * 2, dtype)
        np.testing.assert_allclose(actions, expected, rtol=1e-3)
        assert all(space.contains(a) for a in actions)

    def test_unbounded_actions_are_passed_on(self):
        space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
        actions = np.float32([[-7], [12]])
        np.testing.assert_array_equal(SpaceInfo.of(BOX, space).action.to_environment(actions), actions)

    @pytest.mark.parametrize("name", ACTIONS)
    def test_what_the_environment_does_with_its_actions_is_its_own_business(self, name, rng):
        """They are a new array, in a type that the space knows."""
        wide = [spaces.Box(-np.inf, np.inf, (2,), dtype) for dtype in (np.float16, np.float32, np.float64)]
        for space in (ACTIONS[name], *wide):
            layout = SpaceInfo.of(BOX, space).action
            actions = layout.random(5, rng)
            given = layout.to_environment(actions)
            assert not np.shares_memory(actions, given)
            assert all(space.contains(action) for action in given)


class TestRefusals:
    @pytest.mark.parametrize("name", [n for n in ACTIONS if n != "box"])
    @pytest.mark.parametrize("algorithm", [a for a in rl.ALGORITHMS.values() if a.takes.actions == ("Box",)], ids=lambda a: a.name)
    def test_what_an_algorithm_cannot_take_is_refused_by_its_name(self, algorithm, name):
        kind = type(ACTIONS[name]).__name__
        with pytest.raises(ValueError, match=rf"{algorithm.name} takes continuous actions \(a Box\), given {kind}"):
            algorithm.cls(Anything(BOX, ACTIONS[name]), algorithm.config(num_envs=1))

    @pytest.mark.parametrize(
        "space", [spaces.Text(5), spaces.Graph(BOX, None), spaces.Sequence(BOX)], ids=lambda s: type(s).__name__
    )
    def test_other_observations(self, space):
        with pytest.raises(ValueError, match=r"expected observations in a Box, Discrete, .* given"):
            SpaceInfo.of(space, BOX)
        with pytest.raises(ValueError, match=r"expected observations in a Box, Discrete, .* given"):
            SpaceInfo.of(spaces.Dict(a=BOX, b=space), BOX)

    def test_more_choices_than_a_row_can_hold(self):
        with pytest.raises(ValueError, match="at most 100,000 choices in an observation"):
            SpaceInfo.of(spaces.Discrete(10**9), BOX)

    def test_wrong_observations_are_named(self):
        agent = rl.PPO.of_spaces(OBSERVATIONS["dict"], BOX)
        good = OBSERVATIONS["dict"].sample()
        assert agent.predict(good).shape == (2,)
        for wrong, message in (
            ({"a": good["a"]}, r"expected an observation with \['a', 'b', 'image'\], given \['a'\]"),
            ({**good, "a": np.zeros(3)}, r"an observation a of shape \(2,\) or \(B, 2\), given \(3,\)"),
            ({**good, "a": np.array([np.nan, 0])}, "finite observation"),
            (np.zeros(3), r"expected an observation with .*, given ndarray"),
        ):
            with pytest.raises(ValueError, match=message):
                agent.predict(wrong)

    def test_what_differs_between_two_environments_is_named(self):
        one, two = spaces.Dict(a=BOX), spaces.Dict(a=BOX, b=BOX)
        for other, message in (
            (one, "observations of 2 parts, given 1"),
            (spaces.Dict(a=BOX, b=IMAGE), "observation kind vector, given"),
        ):
            with pytest.raises(ValueError, match=f"does not fit the agent: expected {message}"):
                SpaceInfo.of(two, BOX).check(SpaceInfo.of(other, BOX))


def test_acting_and_learning_see_the_same_numbers():
    """Observations of 1.7e9 + n differ in float64 only: what is stored must be what was acted on."""

    class Clock(Anything):
        def __init__(self):
            super().__init__(spaces.Box(-np.inf, np.inf, (1,), np.float64), BOX)

        def reset(self, *, seed=None, options=None):
            self.count = 0
            return np.array([1.7e9]), {}

        def step(self, action):
            self.count += 1
            return np.array([1.7e9 + self.count]), 0.0, False, self.count == 50, {}

    config = rl.SACConfig(warmup=20, batch_size=8, memory=64, hidden=(8,), normalize_observations=True)
    agent, acted = rl.SAC(Clock(), config), []
    explore = agent.explore
    agent.explore = lambda observations, rng: acted.append(observations.copy()) or explore(observations, rng)
    agent.learn(40)
    stored = agent.observe(agent.memory.observations[:40])
    assert len(np.unique(agent.memory.observations[:40])) == 40
    assert len(np.unique(stored)) == 40
    assert agent.memory.observations.dtype == np.float64
    assert len(np.unique(np.concatenate(acted))) == len(acted)


def test_halves_take_observations_of_several_parts(rng):
    from deepnp import Tanh
    from rl.networks.encoders import network

    space = SpaceInfo.of(OBSERVATIONS["dict"], BOX)
    net = network(space.observation, (5,), 2, Tanh, rng)
    x = rng.normal(size=(70, 5)).astype("f"), rng.integers(0, 255, (70, 3, 12, 10)).astype(np.uint8)
    joined = Halves(net).map(lambda nets, half: nets.policy.predict(half), x)
    np.testing.assert_allclose(joined, net.predict(x), rtol=1e-5, atol=1e-6)


class TestExploration:
    @pytest.mark.parametrize("name", ACTIONS)
    def test_a_share_of_the_actions_is_replaced(self, name, rng):
        layout = SpaceInfo.of(BOX, ACTIONS[name]).action
        shape, dtype = layout.stored
        own = np.full((4000, *shape), 7 if dtype is np.float32 else 1, dtype)
        mixed = replace_by_random(own.copy(), 0.3, layout, rng)
        changed = (mixed != own).reshape(4000, -1).any(axis=1).mean()
        same_by_chance = 0 if name == "box" else 1 / np.prod(layout.choices)
        assert changed == pytest.approx(0.3 * (1 - same_by_chance), abs=0.03)
        np.testing.assert_array_equal(replace_by_random(own.copy(), 0.0, layout, rng), own)
