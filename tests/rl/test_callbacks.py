"""Callbacks: who hears what, in which order, and how they end a training."""

import numpy as np
import pytest

import envs  # noqa: F401  (registers deepnp/…)
import rl
from rl import PPO, SAC, Callback, PPOConfig, SACConfig
from rl.runs.callbacks import Callbacks, FunctionCallback, callbacks_of
from tests.rl.toys import Counter, Target, vectorize

TINY = PPOConfig(num_envs=2, steps=16, batch_size=16, epochs=1, hidden=(8,))
SMALL = SACConfig(warmup=8, batch_size=8, hidden=(8,), memory=1000)


class Diary(Callback):
    def __init__(self):
        self.pages = []

    def on_start(self, agent):
        self.pages.append(("start", agent.steps, agent.total_steps))

    def on_step(self, agent, step):
        self.pages.append(("step", agent.steps, len(step.rewards)))

    def on_update(self, agent, metrics):
        self.pages.append(("update", agent.steps, metrics["steps"]))

    def on_end(self, agent, error):
        self.pages.append(("end", agent.steps, error))


def test_everything_is_heard_in_its_order():
    diary = Diary()
    PPO(vectorize(lambda: Counter(20), 2), TINY).learn(64, diary)
    rollout = lambda before: [("step", before + n, 2) for n in range(2, 33, 2)]  # noqa: E731
    expected = [("start", 0, 64), *rollout(0), ("update", 32, 32), *rollout(32), ("update", 64, 64), ("end", 64, None)]
    assert diary.pages == expected


@pytest.mark.parametrize("make", [lambda: PPO(Target(), PPOConfig(steps=16, batch_size=8)), lambda: SAC(Target(), SMALL)])
def test_a_step_can_end_the_training(make):
    class Stop(Callback):
        def on_step(self, agent, step):
            return agent.steps < 20

    agent = make().learn(1000, Stop())
    assert agent.steps == 20
    assert agent.learn(30).steps == 30  # and it goes on afterwards


def test_a_training_that_was_stopped_off_policy_goes_on_to_the_same_bits():
    class Stop(Callback):
        def on_step(self, agent, step):
            return agent.steps < 33

    through = SAC("deepnp/Navigation-v0", SMALL).learn(50)
    stopped = SAC("deepnp/Navigation-v0", SMALL)
    stopped.learn(50, Stop())
    assert stopped.steps == 33
    stopped.learn(50)
    np.testing.assert_array_equal(through.policy.flat.data, stopped.policy.flat.data)


def test_all_hear_of_it_when_one_stops():
    calls = []
    agent = PPO(vectorize(Target, 2), TINY)
    agent.learn(320, [lambda *_: calls.append("first"), lambda *_: False, lambda *_: calls.append("last")])
    assert calls == ["first", "last"]
    assert agent.steps == 32


def test_the_end_comes_after_an_error_too():
    diary, agent = Diary(), PPO(vectorize(Target, 2), TINY)

    def fail(*_):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        agent.learn(320, [diary, fail])
    assert diary.pages[-1][0] == "end"
    assert isinstance(diary.pages[-1][2], KeyError)
    assert not agent.callbacks.callbacks


def test_a_failing_end_hides_nothing():
    class Bad(Callback):
        def on_end(self, agent, error):
            raise OSError("disk full")

    diary, agent = Diary(), PPO(vectorize(Target, 2), TINY)
    with pytest.raises(OSError, match="disk full"):
        agent.learn(32, [Bad(), diary])
    assert diary.pages[-1][0] == "end"

    def fail(*_):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") as caught:
        agent.learn(64, [Bad(), fail])
    assert "disk full" in caught.value.__notes__[0]


def test_steps_cost_nothing_where_nobody_listens():
    assert Callbacks([FunctionCallback(print)])._each_step == []


@pytest.mark.parametrize("given", [3, "csv", Diary, [Diary], {"a": print}])
def test_what_is_no_callback_is_refused(given):
    with pytest.raises(TypeError, match="expected callback as a Callback, a function"):
        callbacks_of(given)


def test_callbacks_of_callbacks():
    diary = Diary()
    assert callbacks_of([diary, (diary, None)]) == [diary, diary]
    assert rl.Callback is Callback


def test_a_mistyped_kind_of_log_makes_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match='did you mean "tensorboard"'):
        PPO(vectorize(Target, 2), TINY).learn(32, log="tensorbord")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("total_steps", [32, 10])
def test_a_training_without_steps_left_is_told_and_leaves_no_folder(tmp_path, monkeypatch, total_steps):
    monkeypatch.chdir(tmp_path)
    agent, diary = PPO(vectorize(Target, 2), TINY).learn(32), Diary()
    with pytest.warns(UserWarning, match=f"nothing to learn: 32 steps were taken already, given total_steps={total_steps}; steps"):
        agent.learn(total_steps, diary, log="csv")
    assert not list(tmp_path.iterdir())
    assert not diary.pages
