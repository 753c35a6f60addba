"""Action masks: what is forbidden is never done, by a policy or at random; and nothing becomes NaN."""

import json

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

import rl
from deepnp import Tanh
from deepnp.gradcheck import TOLERANCE, numerical_gradient, relative_error
from rl.experience.action_mask import ActionMask, VectorActionMask
from rl.experience.actions import ActionLayout
from rl.experience.exploration import replace_by_random
from rl.experience.masks import has_choice
from rl.experience.space_checks import check_space
from rl.experience.spaces import SpaceInfo
from rl.networks.branches import Bernoulli, MultiCategorical
from rl.networks.distributions import Categorical
from rl.networks.masks import masked
from rl.networks.policies import ChoicePolicy, choices
from tests.rl.toys import Allowed, vectorize

ACTIONS = {
    "choice": spaces.Discrete(5, start=3),
    "branches": spaces.MultiDiscrete([2, 4, 1], start=[0, 7, 1]),
    "matrix": spaces.MultiDiscrete([[2, 3], [2, 2]]),
    "switches": spaces.MultiBinary((2, 2)),
}
BY_KIND = pytest.mark.parametrize("name", ACTIONS)
X = spaces.Box(-1, 1, (3,), np.float32)


def observed(action, mask=None):
    size = sum(ActionLayout.of(action).choices)
    return spaces.Dict(x=X, action_mask=spaces.MultiBinary(size) if mask is None else mask)


def random_masks(layout, rows, rng):
    mask = rng.random((rows, sum(layout.choices))) < 0.5
    mask[:, np.cumsum((0, *layout.choices[:-1]))] |= ~has_choice(mask, layout.choices)
    return mask


def is_allowed(layout, actions, mask):
    numbers = np.reshape(actions, (len(actions), -1)).astype(int)
    return mask[np.arange(len(mask))[:, None], numbers + np.cumsum((0, *layout.choices[:-1]))]


@BY_KIND
class TestDistributions:
    def make(self, name, rng, dtype=np.float64):
        layout = ActionLayout.of(ACTIONS[name])
        mask = random_masks(layout, 200, rng)
        return layout, mask, rng.normal(size=(200, layout.outputs)).astype(dtype) * 3

    def test_what_is_forbidden_has_no_probability_and_no_gradient(self, name, rng):
        layout, mask, logits = self.make(name, rng, np.float32)
        p, q = (choices(layout, masked(layout, z, mask)) for z in (logits, logits[::-1].copy()))
        draws = [p.sample(rng) for _ in range(20)]
        assert all(is_allowed(layout, a, mask).all() for a in [*draws, p.mode()])
        one = np.ones(200, np.float32)
        for a in draws:
            assert np.isfinite(p.log_prob(a)).all()
        values = p.entropy(), p.kl(q), *p.log_prob_backward(draws[0], one), *p.entropy_backward(one), *p.kl_backward(q, one)
        assert all(np.isfinite(x).all() and x.dtype == np.float32 for x in values)
        assert (p.entropy() >= 0).all()
        free = np.repeat(has_several(mask, layout), 1 if name == "switches" else layout.choices, axis=1)
        reachable = free if name == "switches" else mask & free
        for gradient in values[2:]:
            assert not gradient[~reachable].any()
        assert values[2][reachable].any()

    def test_the_rest_is_what_it_would_be_without_them(self, name, rng):
        """The distribution over what is allowed, made of nothing else."""
        layout, mask, logits = self.make(name, rng)
        p = choices(layout, masked(layout, logits, mask))
        alone = np.zeros(200)
        for k, part in enumerate(np.split(mask, np.cumsum(layout.choices)[:-1], axis=1)):
            for b in range(200):
                z = np.array([0, logits[b, k]]) if name == "switches" else np.split(logits[b], np.cumsum(layout.choices)[:-1])[k]
                alone[b] += Categorical(z[None, part[b]]).entropy()[0]
        np.testing.assert_allclose(p.entropy(), alone, atol=1e-12)

    def test_gradients(self, name, rng):
        layout, mask, logits = self.make(name, rng)
        mask, logits, upstream = mask[:6], logits[:6], rng.normal(size=6)
        p, other = (choices(layout, masked(layout, z, mask)) for z in (logits, rng.normal(size=logits.shape)))
        actions = p.sample(rng)

        def check(f, gradient):
            numerical = numerical_gradient(lambda z: float(upstream @ f(choices(layout, masked(layout, z, mask)))), logits)
            assert relative_error(gradient, numerical) < TOLERANCE

        check(lambda d: d.log_prob(actions), p.log_prob_backward(actions, upstream)[0])
        check(lambda d: d.entropy(), p.entropy_backward(upstream)[0])
        check(lambda d: d.kl(other), p.kl_backward(other, upstream)[0])
        check(lambda d: other.kl(d), other.kl_backward(p, upstream)[1])

    def test_random_actions(self, name, rng):
        layout, mask, _ = self.make(name, rng)
        counts = np.zeros(mask.shape)
        for _ in range(400):
            actions = layout.random(200, rng, mask)
            shape, dtype = layout.stored
            assert actions.shape == (200, *shape)
            assert actions.dtype == dtype
            assert is_allowed(layout, actions, mask).all()
            columns = np.reshape(actions, (200, -1)) + np.cumsum((0, *layout.choices[:-1]))
            np.add.at(counts, (np.arange(200)[:, None], columns), 1)
        shares = 1 / np.repeat(sizes(mask, layout), layout.choices, axis=1)
        np.testing.assert_allclose(counts[mask] / 400, shares[mask], atol=0.15)
        replaced = replace_by_random(layout.random(200, rng), 1.0, layout, rng, mask)
        assert is_allowed(layout, replaced, mask).all()


def sizes(mask, layout):
    return np.add.reduceat(mask, np.cumsum((0, *layout.choices[:-1])), axis=1, dtype=int)


def has_several(mask, layout):
    return sizes(mask, layout) > 1


def test_one_branch_is_a_categorical(rng):
    z, w = rng.normal(size=(2, 6, 4))
    mask = random_masks(ActionLayout.of(spaces.Discrete(4)), 6, rng)
    z, w = (np.where(mask, x, -np.inf) for x in (z, w))
    one, branches = (Categorical(z), Categorical(w)), (MultiCategorical(z, (4,)), MultiCategorical(w, (4,)))
    a, upstream = one[0].sample(rng), rng.normal(size=6)
    np.testing.assert_array_equal(one[0].log_prob(a), branches[0].log_prob(a[:, None]))
    np.testing.assert_array_equal(one[0].entropy(), branches[0].entropy())
    np.testing.assert_array_equal(one[0].kl(one[1]), branches[0].kl(branches[1]))
    np.testing.assert_array_equal(one[0].log_prob_backward(a, upstream)[0], branches[0].log_prob_backward(a[:, None], upstream)[0])
    np.testing.assert_array_equal(one[0].kl_backward(one[1], upstream), branches[0].kl_backward(branches[1], upstream))


def test_two_branches_are_their_joint_table(rng):
    """ln p, H and KL of two branches, from the table of all pairs."""
    z, w = rng.normal(size=(2, 1, 5))
    mask = np.array([[True, False, True, True, False]])
    d, e = (MultiCategorical(np.where(mask, x, -np.inf), (2, 3)) for x in (z, w))
    pairs = [(i, j) for i in range(2) for j in range(3)]

    def table(logits):
        weight = np.exp(logits[0]) * mask[0]
        first, second = weight[:2] / weight[:2].sum(), weight[2:] / weight[2:].sum()
        return np.array([first[i] * second[j] for i, j in pairs])

    p, q = table(z), table(w)
    happens = p > 0
    given = np.array([np.exp(d.log_prob(np.array([pair])))[0] for pair in pairs])
    np.testing.assert_allclose(given, p, atol=1e-15)
    assert given.sum() == pytest.approx(1)
    assert d.entropy()[0] == pytest.approx(-(p[happens] * np.log(p[happens])).sum())
    assert d.kl(e)[0] == pytest.approx((p[happens] * np.log(p[happens] / q[happens])).sum())


def test_the_largest_draw_stays_within_what_is_allowed():
    """u·total is below the total for the largest u < 1 that there is, whatever the total is rounded to."""

    class Largest:
        def random(self, size, dtype):
            return np.full(size, np.nextafter(dtype.type(1), dtype.type(0)))

    logits = np.float32(np.random.default_rng(0).normal(size=(5000, 6)))
    logits[:, 4:] = -np.inf
    assert Categorical(logits).sample(Largest()).max() == 3


@BY_KIND
def test_a_row_that_excludes_everything_is_left_as_it_is(name, rng):
    layout = ActionLayout.of(ACTIONS[name])
    logits, nothing = rng.normal(size=(3, layout.outputs)), np.zeros((3, sum(layout.choices)), bool)
    np.testing.assert_array_equal(masked(layout, logits, nothing), logits)


def test_the_mask_is_neither_read_nor_normalised(rng):
    action = ACTIONS["branches"]
    space = SpaceInfo.of(observed(action), action)
    assert space.observations == 3
    policy = ChoicePolicy(space, (4,), Tanh, rng)
    assert policy.parameters()[0].shape == (4, 3)
    x, mask = rng.normal(size=(5, 3)).astype(np.float32), random_masks(space.action, 5, rng)
    everything = policy.predict((x, np.ones_like(mask))).logits
    np.testing.assert_array_equal(policy.predict((x, mask)).logits[mask], everything[mask])
    agent = rl.PPO.of_spaces(observed(action), action)
    assert agent.normalizer.moments.mean.shape == (3,)


@BY_KIND
def test_spaces_as_json(name):
    space = SpaceInfo.of(observed(ACTIONS[name]), ACTIONS[name])
    read = SpaceInfo.from_json(json.loads(json.dumps(space.to_json())))
    check_space(read)
    assert read == space
    assert read.observation.mask.choices == space.action.choices


def test_of_numbers_it_is_an_ordinary_part():
    assert SpaceInfo.of(spaces.Dict(x=X, action_mask=spaces.MultiBinary(2)), X).observations == 5


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (spaces.MultiBinary(4), "a value for each of 5 choices, given shape \\(4,\\)"),
        (spaces.Discrete(5), "a value for each of 5 choices, given shape \\(\\)"),
        (spaces.Box(0, 1, (5,), np.float32), "expected action_mask of bools or integers, given float32"),
    ],
)
def test_masks_that_do_not_fit(mask, message):
    with pytest.raises(ValueError, match=message):
        rl.PPO.of_spaces(observed(ACTIONS["choice"], mask), ACTIONS["choice"])


def test_masks_of_other_forms():
    for mask in (spaces.Box(0, 1, (5,), np.uint8), spaces.MultiDiscrete([2] * 5), spaces.Box(0, 1, (5, 1), bool)):
        space = SpaceInfo.of(observed(ACTIONS["choice"], mask), ACTIONS["choice"])
        batch = {"x": np.zeros((2, 3), np.float32), "action_mask": np.ones((2, *mask.shape), mask.dtype)}
        assert space.observation.mask_of(space.observation.split(batch)).shape == (2, 5)


class TestPredict:
    agent = rl.PPO.of_spaces(observed(ACTIONS["choice"]), ACTIONS["choice"])
    x = np.zeros(3, np.float32)

    def test_it_obeys(self):
        for i in range(5):
            for deterministic in (True, False):
                given = {"x": self.x, "action_mask": np.eye(5, dtype=int)[i].tolist()}
                assert self.agent.predict(given, deterministic) == i + 3

    @pytest.mark.parametrize(
        ("mask", "message"),
        [
            (np.zeros(5), "expected action_mask to allow a choice, given one that allows none in row 0"),
            (np.ones(4), "action_mask of shape \\(5,\\)"),
            (np.full(5, 2), "expected action_mask of 0 and 1, given 2"),
            (np.array(list("01101")), "numbers, given <U1"),
        ],
    )
    def test_refusals(self, mask, message):
        with pytest.raises(ValueError, match=message):
            self.agent.predict({"x": self.x, "action_mask": mask})

    def test_without_a_mask(self):
        with pytest.raises(ValueError, match="expected an observation with"):
            self.agent.predict({"x": self.x})


@BY_KIND
def test_ppo_solves_what_only_the_mask_tells(name):
    agent = rl.PPO(
        lambda: Allowed(ACTIONS[name]), rl.PPOConfig(num_envs=16, steps=32, batch_size=256, lr=2e-2, hidden=(8,), gamma=0.0), seed=0
    )
    agent.learn(512 * 8)
    assert rl.evaluate(agent, lambda: Allowed(ACTIONS[name]), 100).mean() > 0.95


@BY_KIND
@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_told_in_infos(name, mode):
    def make():
        return Allowed(ACTIONS[name], "info")

    config = rl.PPOConfig(steps=32, hidden=(8,), batch_size=32, epochs=2)
    alone = rl.PPO(vectorize(lambda: ActionMask(make()), 3, mode), config).learn(192)
    together = rl.PPO(VectorActionMask(vectorize(make, 3, mode)), config).learn(192)
    np.testing.assert_array_equal(alone.policy.flat.data, together.policy.flat.data)
    assert rl.evaluate(alone, VectorActionMask(vectorize(make, 3, mode)), 3).shape == (3,)


def test_resume_equals_uninterrupted(tmp_path):
    def make():
        return ActionMask(gymnasium.make("Taxi-v4"))

    config = rl.PPOConfig(num_envs=2, steps=64, hidden=(8,), anneal_lr=False)
    whole = rl.PPO(make, config, seed=3).learn(512)
    rl.PPO(make, config, seed=3).learn(256).save(tmp_path / "agent.safetensors")
    resumed = rl.PPO.load(tmp_path / "agent.safetensors", make).learn(512)
    np.testing.assert_array_equal(whole.policy.flat.data, resumed.policy.flat.data)


class Careless(Allowed):
    """Gives `mask` in the third step's place."""

    def __init__(self, mask, told):
        super().__init__(ACTIONS["choice"], told)
        self.mask, self.count = mask, 0

    def reset(self, **given):
        observation, info = super().reset(**given)
        self.count += 1
        place = observation if self.told == "observation" else info
        if self.count == 3 and self.mask is None:
            del place["action_mask"]
        elif self.count == 3:
            place["action_mask"] = self.mask
        return observation, info


@pytest.mark.parametrize(
    ("mask", "told", "message"),
    [
        (np.zeros(5, np.int8), "observation", "expected action_mask to allow a choice"),
        (np.zeros(5, np.int8), "info", "expected action_mask to allow a choice"),
        (np.full(5, 3, np.int8), "observation", "expected action_mask of 0 and 1, given 3"),
        (np.ones(5), "observation", "an observation of int8, given an array of float64"),
        (np.ones(4, np.int8), "observation", "an observation of shape \\(5,\\)"),
        (None, "observation", "expected of Careless an observation with \\['x', 'action_mask'\\]"),
        (np.ones(5), "info", 'info\\["action_mask"\\] as an array \\(5,\\) of bools or integers, given float64 \\(5,\\)'),
        ([1] * 5, "info", "given \\[1, 1, 1, 1, 1\\]"),
        (None, "info", "given None"),
    ],
)  # fmt: skip
def test_environments_that_do_not_tell(mask, told, message):
    env = Careless(mask, told)
    with pytest.raises(ValueError, match=message):
        rl.PPO(ActionMask(env) if told == "info" else env, rl.PPOConfig(steps=8, hidden=(4,))).learn(16)


def test_vectors_that_do_not_tell():
    env = VectorActionMask(vectorize(lambda: Careless(None, "info"), 2))
    with pytest.raises(ValueError, match='expected "action_mask" in the infos of each copy, given none of copy 0'):
        rl.PPO(env, rl.PPOConfig(steps=8, hidden=(4,))).learn(16)


def test_wrappers_refuse():
    with pytest.raises(ValueError, match="expected actions that are choices"):
        ActionMask(gymnasium.make("Pendulum-v1"))
    with pytest.raises(ValueError, match='expected observations without "action_mask"'):
        ActionMask(Allowed(ACTIONS["choice"]))


def test_networks_of_ones_own(rng):
    from deepnp.models import mlp

    action = ACTIONS["branches"]
    policy, value = mlp((3, 4, 7), Tanh, rng=rng), mlp((3, 4, 1), Tanh, rng=rng)
    before = policy.flat.data.copy(), value.flat.data.copy()
    env = vectorize(lambda: Allowed(action), 2)
    with pytest.raises(ValueError, match=r"expected policy to read observations \(B, 1\)"):
        rl.PPO(env, policy=policy)
    policy, value = mlp((1, 4, 7), Tanh, rng=rng), mlp((1, 4, 1), Tanh, rng=rng)
    before = policy.flat.data.copy(), value.flat.data.copy()
    rl.PPO(env, rl.PPOConfig(steps=8, batch_size=8), policy=policy, value=value).learn(32)
    assert (policy.flat.data != before[0]).any()
    assert (value.flat.data != before[1]).any()


def test_switches_that_are_held_are_no_bernoulli_of_rounding():
    held = Bernoulli(np.float32([[1e9, -1e9, 0.5]]))
    alone = Bernoulli(np.float32([[0.5]]))
    assert held.log_prob(np.int8([[1, 0, 1]])) == alone.log_prob(np.int8([[1]]))
    assert held.entropy() == alone.entropy()
