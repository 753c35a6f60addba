"""Environments of Gymnasium's, and a user's, tell their state: what goes on from it is the same to the last bit."""

import gymnasium
import numpy as np
import pytest
from gymnasium import wrappers
from gymnasium.envs.box2d.bipedal_walker import BipedalWalker
from gymnasium.envs.classic_control.pendulum import PendulumEnv
from gymnasium.envs.mujoco.ant_v5 import AntEnv
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import transform_observation

import envs  # noqa: F401  (registers deepnp/…)
from rl.experience.capture import obstacle_of
from rl.experience.capture_replay import NotReproduced
from rl.experience.capture_values import pack, unpack
from rl.experience.environments import Resumable, make_vector
from tests.rl.toys import Counter, Remembering

CLASSIC = "CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1", "Acrobot-v1"
TABLES = "FrozenLake-v1", "CliffWalking-v1", "Taxi-v4", "Blackjack-v1"
BOX2D = "LunarLander-v3", "LunarLanderContinuous-v3", "BipedalWalker-v3"
RUNNERS = "HalfCheetah", "Hopper", "Walker2d", "Ant", "Humanoid", "HumanoidStandup", "Swimmer"
MUJOCO = [f"{name}-v5" for name in (*RUNNERS, "Reacher", "Pusher", "InvertedPendulum", "InvertedDoublePendulum")]


def of(name, wrap=lambda env: env, **settings):
    """A factory of wrapped environments."""
    return lambda: wrap(gymnasium.make(name, **settings))


class Plain(gymnasium.Wrapper):
    """A wrapper that holds nothing."""

    def step(self, action):
        observation, reward, *rest = self.env.step(action)
        return observation, 10 * reward, *rest


class Every(gymnasium.Wrapper):
    """A wrapper that counts, and tells of it."""

    def __init__(self, env):
        super().__init__(env)
        self.count = 0

    def step(self, action):
        self.count += 1
        observation, reward, *rest = self.env.step(action)
        return observation, reward * (self.count % 3), *rest

    def state(self):
        return {"count": self.count}

    def set_state(self, state):
        self.count = state["count"]


class Named(gymnasium.Wrapper):
    """A wrapper that counts, and names what it counts with."""

    state_attributes = ("count",)

    def __init__(self, env):
        super().__init__(env)
        self.count, self.rate = 0, 3

    def step(self, action):
        self.count += 1
        observation, reward, *rest = self.env.step(action)
        return observation, reward * (self.count % self.rate), *rest


class Moody:
    """To be mixed into an environment: pays by a mood that changes at random."""

    state_attributes = ("mood",)

    def reset(self, *, seed=None, options=None):
        self.mood = [1.0]
        observation, info = super().reset(seed=seed, options=options)  # Box2D's take a step in it
        self.mood = [self.np_random.normal()]
        return observation, info

    def step(self, action):
        observation, reward, *rest = super().step(action)
        self.mood[0] += 0.1 * self.np_random.normal()
        return observation, reward + self.mood[0], *rest


class MoodyAnt(Moody, AntEnv):
    """A MuJoCo task of somebody's own."""


class MoodyPendulum(Moody, PendulumEnv):
    """A task that inherits from one of Gymnasium's."""


class MoodyWalker(Moody, BipedalWalker):
    """A task in Box2D."""


class Quiet(AntEnv):
    """A MuJoCo task that says nothing of itself."""


WRAPPED = {
    "statistics": of("Hopper-v5", wrappers.RecordEpisodeStatistics),
    "normalized": of("Hopper-v5", lambda e: wrappers.NormalizeReward(wrappers.NormalizeObservation(e))),
    "stacked": of("CartPole-v1", lambda e: wrappers.FrameStackObservation(e, 4)),
    "delayed": of("CartPole-v1", lambda e: wrappers.DelayObservation(e, 3)),
    "timed": of("Pendulum-v1", wrappers.TimeAwareObservation),
    "skipping": of("Pendulum-v1", lambda e: wrappers.MaxAndSkipObservation(e, 3)),
    "sticky": of("LunarLander-v3", lambda e: wrappers.StickyAction(e, 0.3, (1, 3))),
    "walker": of("BipedalWalker-v3", lambda e: wrappers.FrameStackObservation(wrappers.NormalizeObservation(e), 2)),
    "clipped": of("Pendulum-v1", lambda e: wrappers.ClipAction(wrappers.RescaleAction(e, -1, 1))),
    "repeated": of("CartPole-v1", lambda e: wrappers.RepeatAction(e, 2)),
    "flattened": of("CartPole-v1", lambda e: wrappers.FlattenObservation(wrappers.DtypeObservation(e, np.float64))),
    "rescaled": of("MountainCarContinuous-v0", lambda e: wrappers.RescaleObservation(e, -1, 1)),
    "function": of("Pendulum-v1", lambda e: wrappers.TransformReward(e, lambda r: r / 10)),
    "limited": of("Pendulum-v1", lambda e: wrappers.TimeLimit(e, 30)),
    "plain": of("Pendulum-v1", Plain),
    "counting": of("Pendulum-v1", Every),
    "a user's": lambda: wrappers.TimeLimit(Every(Remembering()), 30),
    "naming": of("Pendulum-v1", Named),
    "a user's in MuJoCo": lambda: wrappers.TimeLimit(MoodyAnt(), 50),
    "a user's pendulum": lambda: wrappers.TimeLimit(MoodyPendulum(), 50),
    "a user's walker": lambda: wrappers.TimeLimit(MoodyWalker(), 50),
    "our own, single": of("deepnp/HalfCheetah-v5"),
}
VECTORS = {
    "next": lambda: SyncVectorEnv([of("CartPole-v1")] * 2),
    "same": lambda: SyncVectorEnv([of("Hopper-v5")] * 2, autoreset_mode=AutoresetMode.SAME_STEP),
    "a list": lambda: ["Pendulum-v1", gymnasium.make("Pendulum-v1", g=3.0)],
    "an Env": of("LunarLander-v3"),
}
PLACES = {**{name: name for name in (*CLASSIC, *TABLES, *BOX2D, *MUJOCO)}, **WRAPPED}


def without_time(value):
    """Infos, but for how many seconds an episode took."""
    if isinstance(value, dict):
        return {key: without_time(item) for key, item in value.items() if key != "t"}
    return value


def assert_go_on_alike(one, other, steps):
    for _ in range(steps):
        action = one.action_space.sample()
        (*results, infos), (*other_results, other_infos) = one.step(action), other.step(action)
        for a, b in zip(results, other_results, strict=True):
            np.testing.assert_array_equal(a, b)
        assert repr(without_time(infos)) == repr(without_time(other_infos))


def same_state(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def captured(env, copies=2, steps=60):
    """A vector environment somewhere in its episodes."""
    vector = make_vector(env, copies)
    assert isinstance(vector, Resumable)
    assert obstacle_of(vector) is None
    vector.reset(seed=1)
    vector.action_space.seed(0)
    for _ in range(steps):
        vector.step(vector.action_space.sample())
    return vector


@pytest.mark.parametrize("name", PLACES)
def test_a_fresh_environment_goes_on_with_the_same_bits(name):
    one, other = captured(PLACES[name]), make_vector(PLACES[name], 2)
    state = one.state()
    other.set_state(state)
    assert same_state(other.state(), state)
    assert_go_on_alike(one, other, 120)


@pytest.mark.parametrize("name", VECTORS)
def test_so_do_those_that_were_handed_in(name):
    one, other = captured(VECTORS[name](), 1), make_vector(VECTORS[name]())
    other.set_state(one.state())
    assert_go_on_alike(one, other, 60)


@pytest.mark.parametrize("name", ["CartPole-v1", "Hopper-v5", "BipedalWalker-v3"])
def test_an_environment_that_was_elsewhere_comes_back(name):
    one = captured(name)
    state = one.state()
    for seed in (5, 6):
        one.reset(seed=seed)
        for _ in range(30):
            one.step(one.action_space.sample())
    assert not same_state(one.state(), state)
    one.set_state(state)
    assert same_state(one.state(), state)


def test_pictures_are_not_drawn_again_in_a_replay(monkeypatch):
    one, other = captured("CarRacing-v3", 1, 12), make_vector("CarRacing-v3")
    state, car, drawn = one.state(), other.envs[0].unwrapped, []
    monkeypatch.setattr(type(car), "_render", lambda *_: drawn.append(1))
    other.set_state(state)
    monkeypatch.undo()
    assert not drawn
    assert_go_on_alike(one, other, 3)


def test_a_walk_depends_on_its_seed_alone():
    """In a world that was used before, BipedalWalker's episodes would depend on all before them."""
    one, other = make_vector("BipedalWalker-v3"), make_vector("BipedalWalker-v3")
    one.action_space.seed(3)
    for seed in range(6):
        one.reset(seed=seed)
        for _ in range(50):
            one.step(one.action_space.sample())
    one.reset(seed=7), other.reset(seed=7)
    assert_go_on_alike(one, other, 150)


def make_counter(rate):
    return wrappers.TransformReward(gymnasium.make("Pendulum-v1"), lambda r: r * rate)


class Unsaid(Every):
    """Counts and does not tell."""

    state = set_state = None


NOT_CAPTURED = {
    "environment": (Counter, "it offers no state() and set_state(state)"),
    "wrapper": (of("Pendulum-v1", Unsaid), "its wrapper Unsaid holds count, offers no state() and set_state(state)"),
    "closure": (lambda: make_counter(0.1), "its wrapper TransformReward holds func"),
    "subclass": (
        of("Pendulum-v1", lambda e: type("Own", (transform_observation.ReshapeObservation,), {})(e, (3, 1))),
        "its wrapper Own holds",
    ),
    "a subclass of MuJoCo's": (Quiet, "it offers no state() and set_state(state)"),
    "no tuple": (of("Pendulum-v1", type("Own", (Named,), {"state_attributes": "count"})), "expected state_attributes of Own as a"),
    "no limit": (of("LunarLander-v3", max_episode_steps=-1), "its episodes have to be replayed: expected a time limit"),
    "a vector of Box2D's": (SyncVectorEnv([of("LunarLander-v3")] * 2), "its episodes have to be replayed"),
    "a vector of somebody's": (type("Own", (SyncVectorEnv,), {})([of("Pendulum-v1")]), "Own is a vector environment of somebody's"),
}


@pytest.mark.parametrize("name", NOT_CAPTURED)
def test_what_nobody_knows_is_not_captured(name):
    env, reason = NOT_CAPTURED[name]
    vector = make_vector(env)
    assert not isinstance(vector, Resumable)
    assert reason in obstacle_of(vector)


def test_copies_in_other_processes_are_not_captured():
    vector = make_vector(gymnasium.make_vec("CartPole-v1", 2, "async"))
    assert not isinstance(vector, Resumable)
    assert obstacle_of(vector) == "a AsyncVectorEnv offers no state() and set_state(state)"
    vector.close()


def values_of(state, copy=0):
    return unpack({part: state[f"{copy}.{part}"] for part in ("form", "arrays")})


def changed(state, layer, change):
    """A state in which the value of one layer of the second copy is another."""
    values = values_of(state, 1)
    values[layer] = change(values[layer])
    return state | {f"1.{name}": array for name, array in pack(values).items()}


DAMAGE = [
    ("CartPole-v1", 1, lambda held: {"_elapsed_steps": -1}),
    ("CartPole-v1", 1, lambda held: {"_elapsed_steps": 2.5}),
    ("CartPole-v1", 1, lambda held: {}),
    ("CartPole-v1", 1, lambda held: None),
    ("CartPole-v1", 4, lambda held: held | {"state": np.zeros(3)}),
    ("CartPole-v1", 4, lambda held: held | {"state": np.array([0, 0, np.nan, 0])}),
    ("CartPole-v1", 5, lambda held: {"_np_random": 3}),
    ("FrozenLake-v1", 4, lambda held: held | {"s": 16}),
    ("Hopper-v5", 4, lambda held: held | {"integration": held["integration"][1:]}),
    ("Hopper-v5", 4, lambda held: held | {"integration": held["integration"] * np.inf}),
    ("Hopper-v5", 4, lambda held: held | {"derived": held["derived"] | {"xpos": np.zeros((2, 3))}}),
    ("Hopper-v5", 4, lambda held: held | {"derived": {}}),
    ("LunarLander-v3", 0, lambda held: held | {"actions": held["actions"] + 4}),
    ("LunarLander-v3", 0, lambda held: held | {"generator": None}),
    ("LunarLander-v3", 4, lambda held: held[:, :3]),
    ("BipedalWalker-v3", 0, lambda held: held | {"actions": held["actions"] * np.nan}),
    ("BipedalWalker-v3", 0, lambda held: held | {"actions": held["actions"][:, :2]}),
]


@pytest.mark.parametrize(("name", "layer", "change"), DAMAGE)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_state_that_is_none_is_refused_and_nothing_is_changed(name, layer, change):
    vector = captured(name, 2, 20)
    state = vector.state()
    with np.errstate(all="ignore"):
        wrong = changed(state, layer, change)
    vector.step(vector.action_space.sample())
    before = vector.state()
    with pytest.raises(ValueError, match="expected"):
        vector.set_state(wrong)
    assert same_state(vector.state(), before)
    vector.set_state(state)


def test_a_state_of_other_copies_is_refused():
    vector = captured("CartPole-v1")
    one = captured("CartPole-v1", 1).state()
    acrobot = captured("Acrobot-v1").state()
    for wrong in (None, {}, one, acrobot, vector.state() | {"more": np.zeros(1)}, vector.state() | {"1.form": np.zeros(3)}):
        with pytest.raises(ValueError, match="expected"):
            vector.set_state(wrong)


def test_an_episode_that_comes_out_differently_is_noticed():
    vector = captured("LunarLander-v3", 2, 20)
    wrong = changed(vector.state(), 4, lambda bodies: bodies + 1e-6)
    with pytest.raises(NotReproduced, match="LunarLander's episode came out differently"):
        vector.set_state(wrong)


def test_what_somebody_does_below_is_seen_in_the_state():
    """The environment that was handed in is stepped, or given a new episode, past the vector."""
    for name in ("CartPole-v1", "Hopper-v5", "LunarLander-v3"):
        env = gymnasium.make(name)
        vector = captured(env, 1, 5)
        states = [vector.state()]
        for act in (lambda env: env.step(env.action_space.sample()), lambda env: env.reset(), lambda env: env.reset(seed=3)):
            act(env)
            states.append(vector.state())
        assert not any(same_state(a, b) for i, a in enumerate(states) for b in states[:i])
