"""What every registered environment promises, single and vector: actions, arrays of its own, checked states, copies, closing."""

import copy
import inspect
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode

import envs
from envs.bodies.arm import ArmReach
from envs.bodies.v5.runners import Hopper
from envs.checks import nested
from envs.planar import sorter
from envs.single import SingleEnv
from envs.vector import CoreVectorEnv
from envs.wrappers import DecisionPeriod, GeometricReward, StackedInputs
from tests.envs import same

NAMES = [*envs.BODIES, *envs.GAMES]
LIMBED = ["Walker-v0", "Crawler-v0", "ArmReach-v0", "ArmPush-v0"]
CORES = {  # wrapped ones, some twice: each wrapper's state must keep apart from the others'
    "Period": lambda copies: DecisionPeriod(DecisionPeriod(ArmReach(copies), 2), 2),
    "Stacked": lambda copies: StackedInputs(StackedInputs(sorter.Sorter(copies), 2), 3),
    "Geometric": lambda copies: GeometricReward(DecisionPeriod(Hopper(copies), 2), ("reward_forward", "reward_survive")),
}
EVERY = [*NAMES, *CORES]

every = pytest.mark.parametrize("name", EVERY)


def vector(name, copies=3, **settings):
    """With ends by a limit, and resets in the same step."""
    settings = {"max_episode_steps": 12, "autoreset_mode": AutoresetMode.SAME_STEP, **settings}
    if name in CORES:
        return CoreVectorEnv(CORES[name](copies), **settings)
    return gymnasium.make_vec(f"deepnp/{name}", copies, "vector_entry_point", **settings)


def single(name, **settings):
    if name in CORES:
        return SingleEnv(CORES[name](1), **settings)
    return gymnasium.make(f"deepnp/{name}", **settings)


def walk(env, steps, seed=0):
    """Everything that random steps return, final observations of the copies that ended included."""
    rng, results = np.random.default_rng(seed), []
    for _ in range(steps):
        results.append(env.step(same.random_actions(env, rng)))
    return results


def same_results(a, b):
    for (observations, *rest, infos), (others, *other_rest, other_infos) in zip(a, b, strict=True):
        same.same(observations, others)
        same.same_infos(infos, other_infos)
        for x, y in zip(rest, other_rest, strict=True):
            np.testing.assert_array_equal(x, y)


def arrays(results):
    """The arrays in anything that step or reset returns."""
    if isinstance(results, np.ndarray):
        return [results] if results.dtype != object else [a for part in results for a in arrays(part)]
    parts = results.values() if isinstance(results, dict) else results if isinstance(results, tuple | list) else ()
    return [array for part in parts for array in arrays(part)]


def alone(env, seed, steps=8):
    """A trajectory of a single environment, flat."""
    env.action_space.seed(seed)
    rows = []
    for _ in range(steps):
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        rows.append((same.parts(observation), reward, terminated, truncated, sorted(info.items())))
        if terminated or truncated:
            break
    return rows


def same_alone(a, b):
    for (observations, *rest), (others, *other_rest) in zip(a, b, strict=True):
        assert rest == other_rest
        for x, y in zip(observations, others, strict=True):
            np.testing.assert_array_equal(x, y)


class TestActions:
    @every
    def test_wrong_ones_are_refused_and_nothing_moves(self, name):
        env, twin, one = vector(name), vector(name), single(name)
        env.reset(seed=0), twin.reset(seed=0), one.reset(seed=0)
        right, lone = env.action_space.sample(), one.action_space.sample()
        continuous = isinstance(env.single_action_space, Box)
        wrong = [
            (right[:2], lone[..., None] if np.ndim(lone) else [[lone]], "shape"),
            (np.asarray(right)[..., None], np.repeat([lone], 2, axis=0), "shape"),
            (None, None, "shape" if env.action_space.shape != () else "dtype"),
            (np.asarray(right).astype(str), np.asarray(lone).astype(str), "dtype"),
            (np.asarray(right).astype(complex), np.asarray(lone).astype(complex), "dtype"),
            (np.full(env.action_space.shape, np.nan), np.full(env.single_action_space.shape, np.nan), "finite|integer"),
            (np.full(env.action_space.shape, -np.inf), np.full(env.single_action_space.shape, np.inf), "finite|integer"),
        ]
        if not continuous:
            wrong += [(np.full(3, n), np.int64(n), r"actions in \[") for n in (-1, env.single_action_space.n)]
            wrong += [(np.full(3, 2**63, np.uint64), np.uint64(2**63), r"actions in \[")]
            wrong += [(np.ones(3, bool), True, "integer"), (np.ones(3), 1.0, "integer")]
        for several, lone_wrong, message in wrong:
            with pytest.raises(ValueError, match=message):
                env.step(several)
            with pytest.raises(ValueError, match=f"{message}|dtype"):
                one.unwrapped.step(lone_wrong)
        same_results(walk(env, 5), walk(twin, 5))

    @every
    def test_lists_and_other_types_are_the_same_action(self, name):
        """Of numbers that all types hold exactly."""
        for form in (np.ndarray.tolist, *((lambda a, t=t: a.astype(t)) for t in (">i4", np.int8, np.uint8, np.int64))):
            env, twin = vector(name), vector(name)
            env.reset(seed=0), twin.reset(seed=0)
            ones = np.ones(env.action_space.shape, env.action_space.dtype)
            same_results([env.step(form(ones))], [twin.step(ones)])

    @every
    def test_beyond_the_box_they_are_clipped(self, name):
        """All but Gymnasium's tasks, whose costs are of the actions as they are given; these stay finite."""
        env, twin = vector(name), vector(name)
        if not isinstance(env.single_action_space, Box):
            pytest.skip("its actions are choices, and others are refused")
        env.reset(seed=0), twin.reset(seed=0)
        rng, low, high = np.random.default_rng(0), env.action_space.low, env.action_space.high
        for largest in (1.5, 1e30, 3e38, 1e300):
            for dtype in (np.float32, np.float64) if largest < 1e39 else (np.float64,):
                far = (rng.choice([-1.0, 1.0], low.shape) * largest).astype(dtype)
                inside = np.clip(far, low, high).astype(np.float32)
                (observations, rewards, *_), (expected, clipped_rewards, *_) = env.step(far), twin.step(inside)
                same.same(observations, expected)
                assert np.isfinite(rewards).all()
                if not (name.endswith("v5") or name == "Geometric"):
                    np.testing.assert_array_equal(rewards, clipped_rewards)


@every
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_what_is_returned_belongs_to_the_caller(name, mode):
    """Whatever is written into it, the environment goes on as its twin does; and it is not written to later."""
    env, twin, rng = vector(name, autoreset_mode=mode), vector(name, autoreset_mode=mode), np.random.default_rng(0)
    results, expected = env.reset(seed=0), twin.reset(seed=0)
    for _ in range(30):
        kept = copy.deepcopy(results)
        actions = same.random_actions(env, rng)
        given, next_results = actions.copy(), env.step(actions)
        np.testing.assert_array_equal(actions, given)
        for a, b, c in zip(arrays(results), arrays(kept), arrays(expected), strict=True):
            np.testing.assert_array_equal(a, b)
            np.testing.assert_array_equal(a, c)
            if a.flags.writeable:
                a[...] = 1
        for array in arrays((env.core.observe(), env.core.info(), env.state(), env.core.state())):
            array[...] = 1
        results, expected = next_results, twin.step(actions)


class TestState:
    @every
    def test_a_damaged_one_is_refused_and_nothing_changes(self, name):
        env, twin = vector(name), vector(name)
        env.reset(seed=0), twin.reset(seed=0)
        walk(env, 5), walk(twin, 5)
        other = vector(name)
        other.reset(seed=7)
        walk(other, 9)
        state = other.state()  # if any of it were taken over, it would show
        for key, array in state.items():
            for damaged in self._damaged(key, array):
                with pytest.raises(ValueError, match=r"expected .*given"):
                    env.set_state({**state, key: damaged})
                if key.startswith("core."):
                    with pytest.raises(ValueError, match=r"expected .*given"):
                        env.core.set_state({**nested("core", state), key.removeprefix("core."): damaged})
            with pytest.raises(ValueError, match=f"without .*{key}"):
                env.set_state({k: v for k, v in state.items() if k != key})
        for not_a_state in (None, [], {**state, "more": np.zeros(1)}, {**state, 3: np.zeros(1)}, vector(name, 2).state()):
            with pytest.raises(ValueError, match=r"expected .*given"):
                env.set_state(not_a_state)
        same_results(walk(env, 20), walk(twin, 20))

    def _damaged(self, key, array):
        yield array.tolist()
        yield array[:-1]
        yield array[..., None]
        with np.errstate(over="ignore"):
            yield array.astype(np.float16)
        yield array.astype(array.dtype.newbyteorder()) if array.dtype.itemsize > 1 else array.view(np.int8)
        if array.dtype.kind == "f" and array.size:
            for bad in (np.nan, np.inf, -np.inf):
                damaged = array.copy()
                damaged.flat[-1] = bad
                yield damaged
        if array.dtype == bool:
            damaged = array.copy()
            damaged.view(np.uint8).flat[-1] = 7
            yield damaged
        if key == "rngs":
            yield from (np.full_like(array, word) for word in (2, 2**64 - 1))
            yield np.where(np.arange(len(array))[:, None] == 0, array, np.uint64(0))

    @pytest.mark.parametrize(
        ("name", "key", "values"),
        [
            ("Sorter-v0", "core.found", (-1, 11, 2**31 - 1, -(2**31))),
            ("Survivor-v0", "core.gun", (-1, 3)),
            ("Survivor-v0", "core.rounds", (-1, 13)),
            ("Survivor-v0", "core.wait", (-1, 101)),
            ("Survivor-v0", "core.clock", (-1, 2**31 - 1)),
            ("Dodger-v0", "core.clock", (-1, 2**31 - 1)),
            ("Driver-v0", "core.at", (2**31 - 1, -(2**31))),
            ("Driver-v0", "core.spacing", (0.0, -1.0, 1e-30, 1e30)),
            ("Driver-v0", "core.paid", (-1,)),
            ("Walker-v0", "core.targets", (-1.01, 1.01)),
            ("Walker-v0", "core.strengths", (-1.01, 1.01)),
            ("ArmPush-v0", "core.targets", (-2.0, 2.0)),
            ("Walker-v0", "elapsed", (-1,)),
        ],
    )
    def test_values_out_of_range_are_refused(self, name, key, values):
        env = vector(name)
        env.reset(seed=0)
        for value in values:
            state = env.state()
            state[key].flat[-1] = value
            with pytest.raises(ValueError, match=f"'{key}|'{key.removeprefix('core.')}"):
                env.set_state(state)

    @pytest.mark.parametrize("name", NAMES)
    def test_whatever_is_accepted_is_stepped(self, name):
        """Wild numbers in every array: refused, or stepped without a crash."""
        rng, accepted = np.random.default_rng(0), 0
        env = vector(name, 2, max_episode_steps=None)
        env.reset(seed=0)
        for _ in range(30):
            state = env.state()
            key = rng.choice([k for k in state if k.startswith("core.")])
            if state[key].dtype.kind == "f":
                state[key][...] = rng.normal(size=state[key].shape) * 10.0 ** rng.integers(-3, 38)
            elif state[key].dtype.kind == "i":
                state[key][...] = rng.integers(-3, 15, state[key].shape)
            try:
                env.set_state(state)
            except ValueError:
                continue
            accepted += 1
            with np.errstate(all="ignore"):
                walk(env, 4)
            env.reset(seed=0)
        assert accepted > 5

    @every
    def test_before_the_first_reset(self, name):
        """There is a state then, too; it has no random generators yet."""
        env, other = vector(name), vector(name)
        env.reset(seed=0)
        env.set_state(other.state())
        with pytest.raises(RuntimeError, match="before the first step"):
            env.step(env.action_space.sample())
        same.same(env.reset(seed=4)[0], other.reset(seed=4)[0])


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda env: pickle.loads(pickle.dumps(env))}


@pytest.mark.parametrize("way", COPIES)
class TestCopies:
    @every
    def test_of_a_vector_go_on_bit_for_bit_and_apart(self, name, way):
        env = vector(name)
        env.reset(seed=0)
        walk(env, 7)
        twin = COPIES[way](env)
        same.same(twin.core.observe(), env.core.observe())
        same.same_infos(twin.core.info(), env.core.info())
        expected = walk(env, 30)
        same_results(walk(twin, 30), expected)

    @every
    def test_of_a_single_one_go_on_bit_for_bit_and_apart(self, name, way):
        env = single(name)
        env.reset(seed=0)
        alone(env, 0, steps=3)
        twin = COPIES[way](env)
        same_alone(alone(twin, 1), alone(env, 1))
        (a, info_a), (b, info_b) = env.reset(), twin.reset()  # drawn from the copied generator
        same.same(a, b)
        assert info_a == info_b


class TestPair:
    def test_the_classes_are_named_documented_and_found_by_pickle(self):
        for cls in (sorter.SorterEnv, sorter.SorterVectorEnv):
            assert pickle.loads(pickle.dumps(cls)) is cls
            assert cls.__module__ == "envs.planar.sorter"
            assert "`Sorter`" in cls.__doc__
        parameters = list(inspect.signature(sorter.SorterVectorEnv).parameters)
        episodes = ["num_envs", "max_episode_steps", "autoreset_mode", "render_mode"]
        assert parameters == [*episodes, "decision_period", "stacked_inputs", "settings"]

    def test_they_have_the_methods_that_their_core_offers_and_no_others(self):
        offered = {name: {m for m in ("mirror", "compute_reward") if hasattr(vector(name), m)} for name in NAMES}
        arms = {"ArmReach-v0": {"compute_reward"}, "ArmPush-v0": {"compute_reward"}}
        assert offered == {**{name: set() for name in NAMES}, "Walker-v0": {"mirror"}, **arms}
        env = single("ArmReach-v0").unwrapped
        goals = np.zeros((2, 3)), np.array([[0, 0, 0.01], [0, 0, 1.0]])
        np.testing.assert_array_equal(env.compute_reward(*goals, {}), [0, -1])


@every
def test_closing_twice_is_closing_once(name):
    for env in (vector(name), single(name, render_mode="rgb_array")):
        env.reset(seed=0)
        env.close()
        env.close()
        env.unwrapped.close()


@pytest.mark.parametrize("name", ["Walker-v0", "ArmReach-v0", "Reacher-v5"])
def test_closing_gives_the_renderer_back(name):
    env = single(name, render_mode="rgb_array")
    env.reset(seed=0)
    image = env.render()
    body = env.unwrapped.core.body
    assert body.has_renderer
    env.close()
    assert not body.has_renderer
    env.close()
    again = single(name, render_mode="rgb_array")
    again.reset(seed=0)
    np.testing.assert_array_equal(again.render(), image)
    again.close()


class TestSettings:
    @pytest.mark.parametrize("name", NAMES)
    def test_unknown_and_wrong_ones_are_refused(self, name):
        for copies in (0, -1, 1.5, 2.0, True):
            with pytest.raises(ValueError, match=f"integer num_envs >= 1, given {copies}"):
                vector(name, copies)
        for make in (vector, single):
            with pytest.raises(TypeError, match="colour"):
                make(name, colour="red")
        with pytest.raises(ValueError, match="render_mode None or one of"):
            vector(name, render_mode="human")
        with pytest.raises(ValueError, match="max_episode_steps >= 1"):
            vector(name, max_episode_steps=0)

    @pytest.mark.parametrize(
        ("name", "settings", "message"),
        [
            *((name, dict(frame_skip=0), "frame_skip >= 1, given 0") for name in LIMBED),
            *((name, dict(frame_skip=1.5), "frame_skip >= 1, given 1.5") for name in LIMBED),
            *((name, dict(num_threads=-1), "num_threads >= 0, given -1") for name in LIMBED),
            *((name, dict(noise=-0.1), "noise in .*, given -0.1") for name in LIMBED),
            *((name, dict(noise=1.1), "noise in .*, given 1.1") for name in LIMBED),
            ("Walker-v0", dict(stride=2.0), "stride in .*, given 2.0"),
            ("Walker-v0", dict(push=-1.0), "push in .*, given -1.0"),
            ("Driver-v0", dict(traffic=-1), "traffic >= 0, given -1"),
            ("Driver-v0", dict(traffic=9), r"traffic in \[0, 8\], given 9"),
            ("Navigation-v0", dict(n=0), "integer n >= 1, given 0"),
            ("Navigation-v0", dict(n=2.5), "integer n >= 1, given 2.5"),
        ],
    )
    def test_an_environments_own(self, name, settings, message):
        with pytest.raises(ValueError, match=message):
            vector(name, **settings)


class TestEpisodes:
    @every
    def test_stepping_before_reset_and_after_the_end_is_refused(self, name):
        env = vector(name, autoreset_mode=AutoresetMode.DISABLED, max_episode_steps=1)
        for one in (env, single(name).unwrapped):
            with pytest.raises(RuntimeError, match=r"reset\(\) before the first step"):
                one.step(one.action_space.sample())
        env.reset(seed=0)
        env.step(env.action_space.sample())
        with pytest.raises(RuntimeError, match="have ended: reset them"):
            env.step(env.action_space.sample())
        env.reset(options={"reset_mask": np.ones(3, bool)})
        env.step(env.action_space.sample())

    @every
    def test_wrong_masks_and_seeds_are_refused(self, name):
        env = vector(name)
        with pytest.raises(ValueError, match=r"bool array of shape \(3,\)"):
            env.reset(options={"reset_mask": np.zeros(2, bool)})
        with pytest.raises(ValueError, match="expected 3 seeds, given 2"):
            env.reset(seed=[1, 2])
