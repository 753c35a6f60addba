"""What all planar games promise: spaces, vector equals singles, seeds, states, pictures, errors."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import envs  # noqa: F401  (registers deepnp/…)
from envs.kernels import uniform
from tests.envs import same

COUNTS = {"Driver": (72, 3), "Sorter": (70, 7), "Dodger": (435, 7), "Survivor": (157, 9), "Navigation": (2, 2)}
LIMITS = {"Driver": 1500, "Sorter": 2000, "Dodger": 3000, "Survivor": 3000, "Navigation": 1000}
PIXELS = {"Driver": {"traffic": 3, "pixels": 24}, "Sorter": {"pixels": 48}, "Dodger": {"pixels": True}, "Survivor": {"pixels": 16}}
VARIANTS = [*((name, {}) for name in COUNTS), ("Driver", {"traffic": 3}), ("Navigation", {"n": 7}), ("Catch", {}), *PIXELS.items()]
MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP]

games = pytest.mark.parametrize("name", COUNTS)
variants = pytest.mark.parametrize(("name", "settings"), VARIANTS, ids=[f"{n}{''.join(s)}" for n, s in VARIANTS])


def vector(name, copies, mode=AutoresetMode.SAME_STEP, **settings):
    return gymnasium.make_vec(f"deepnp/{name}-v0", copies, "vector_entry_point", autoreset_mode=mode, **settings)


@variants
def test_gymnasium_accepts_it(name, settings):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*infinity.*")  # Navigation is honestly unbounded
        check_env(gymnasium.make(f"deepnp/{name}-v0", render_mode="rgb_array", **settings).unwrapped)


@games
def test_counts_and_limits(name):
    env = gymnasium.make(f"deepnp/{name}-v0")
    actions = env.action_space
    observations, choices = COUNTS[name]
    assert env.observation_space.shape == (observations,)
    assert (actions.n if isinstance(actions, gymnasium.spaces.Discrete) else actions.shape[0]) == choices
    assert env.spec.max_episode_steps == LIMITS[name]


@pytest.mark.parametrize("mode", MODES)
@variants
def test_vector_equals_singles_step_for_step(name, settings, mode):
    limit = {"Dodger": 200, "Survivor": 190}.get(name, 60)  # some episodes end by themselves, some by this
    batch = vector(name, 3, mode, max_episode_steps=limit, **settings)
    single = lambda: gymnasium.make(f"deepnp/{name}-v0", max_episode_steps=limit, **settings)  # noqa: E731
    ends, limits = same.vector_equals_singles(batch, SyncVectorEnv([single] * 3, autoreset_mode=mode), 900)
    assert limits > 3 or name == "Catch"
    assert ends > 3 or name in ("Navigation", "Sorter")


@variants
def test_state_continues_bit_for_bit(name, settings):
    same.state_continues(lambda copies, **more: vector(name, copies, **more, **settings))


@pytest.mark.parametrize("name", ["Dodger", "Survivor"])
def test_a_state_holds_the_random_numbers_still_to_come(name):
    """The next ball and the next enemies come from where they would have come from."""
    env, other = vector(name, 20, AutoresetMode.DISABLED), vector(name, 20, AutoresetMode.DISABLED)
    env.reset(seed=0), other.reset(seed=99)
    for _ in range(95):
        env.core.step(np.zeros(20, int))
    other.set_state(env.state())
    for _ in range(40):
        env.core.step(np.zeros(20, int)), other.core.step(np.zeros(20, int))
        np.testing.assert_array_equal(env.core.observe(), other.core.observe())


@variants
def test_same_seed_same_trajectory(name, settings):
    def trajectory(seed):
        env, rng = vector(name, 5, **settings), np.random.default_rng(0)
        rows = [env.reset(seed=seed)[0]]
        return np.array(rows + [env.step(same.random_actions(env, rng))[0] for _ in range(150)])

    one = trajectory(3)
    np.testing.assert_array_equal(one, trajectory(3))
    assert (one != trajectory(4)).any()


@variants
def test_observations_stay_in_their_space(name, settings):
    env, rng = vector(name, 16, **settings), np.random.default_rng(1)
    observations, _ = env.reset(seed=0)
    for _ in range(400):
        assert np.isfinite(observations).all()
        assert env.observation_space.contains(observations)
        observations = env.step(same.random_actions(env, rng))[0]


@variants
def test_pictures_show_something_and_drawing_changes_nothing(name, settings):
    for sensors in (None,) if name in ("Navigation", "Catch") or "pixels" in settings else (False, True):
        more = settings if sensors is None else {**settings, "show_sensors": sensors}
        env, twin = (gymnasium.make(f"deepnp/{name}-v0", render_mode="rgb_array", **more) for _ in range(2))
        env.reset(seed=0), twin.reset(seed=0)
        env.action_space.seed(0)
        for _ in range(120):
            action = env.action_space.sample()
            a, b = env.step(action), twin.step(action)
            if a[2]:
                break
        image = env.render()
        assert image.shape == (480, 480, 3)
        assert image.dtype == np.uint8
        assert len(np.unique(image.reshape(-1, 3), axis=0)) > 30
        np.testing.assert_array_equal(a[0], b[0])
    assert vector(name, 2, **settings).render() is None


def test_rays_are_drawn_only_on_request():
    for name in ("Driver", "Sorter", "Dodger", "Survivor"):
        pictures = []
        for sensors in (False, True):
            env = gymnasium.make(f"deepnp/{name}-v0", render_mode="rgb_array", show_sensors=sensors)
            env.reset(seed=0)
            pictures.append(env.render())
        assert (pictures[0] != pictures[1]).any()


def test_random_numbers_are_even_and_each_copys_own():
    rng_state = np.arange(4, dtype=np.uint64)
    draws = np.array([[uniform(rng_state, i) for _ in range(5000)] for i in range(4)])
    assert draws.min() >= 0
    assert draws.max() < 1
    assert np.abs(np.histogram(draws, 10, (0, 1))[0] / draws.size - 0.1).max() < 0.01
    assert np.abs(np.corrcoef(draws) - np.eye(4)).max() < 0.06
    assert uniform(np.zeros(1, np.uint64), 0) == pytest.approx(0xE220A8397B1DCDAF / 2**64, abs=1e-7)  # SplitMix64's first, seed 0
