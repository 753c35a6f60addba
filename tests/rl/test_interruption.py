"""Ctrl-C at any moment, real signals, many times in a row in one process with two threads: nothing hangs, nothing is half done."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import rl
from rl.interruption import SafePoint
from rl.runs.interrupt import Interrupt
from rl.training.resume import resume
from tests.rl.toys import Counter, states, vectorize

ROOT = Path(__file__).resolve().parents[2]
STORM = """
import faulthandler, os, random, signal, sys, threading, time
import numpy as np
faulthandler.dump_traceback_later({limit}, exit=True)
import deepnp, deepnp.threads, rl
from tests.deepnp.always import Always
from tests.rl.toys import Counter, states, vectorize

deepnp.set_num_threads(2)
deepnp.threads._chooser = Always()
config = rl.{name}Config(**{settings})
agent = rl.{name}(vectorize(lambda: Counter(1000, truncates=True), 2), config)
agent.learn(600)                                   # kernels are compiled
random.seed({seed})
caught = sent = 0
running = True

def shoot():
    global sent
    while running and sent < {count}:
        time.sleep(random.random() * 0.02)
        sent += 1
        os.kill(os.getpid(), signal.SIGINT)

shooter = threading.Thread(target=shoot, daemon=True)
shooter.start()
while True:
    try:
        if not shooter.is_alive():
            break
        agent.learn(agent.steps + 10**6, lambda a, m: shooter.is_alive())
    except KeyboardInterrupt:
        caught += 1
for _ in range(5):                                 # signals that are still under way
    try:
        time.sleep(0.02)
    except KeyboardInterrupt:
        caught += 1
assert caught > {count} // 4, caught
memory = getattr(agent, "memory", None)
if memory is not None:                             # every transition is one that happened
    filled = np.concatenate([np.arange(size) + n * memory.slots for n, size in enumerate(memory.sizes)])
    np.testing.assert_array_equal(memory.next_observations[filled, 0] - memory.observations[filled, 0], 1)
agent.learn(agent.steps + 600)
assert all(np.isfinite(a).all() for name, a in states(agent).items() if a.dtype.kind == "f" and "priorities" not in name)
print("survived", caught)
"""


def storm(name, count, seed, **settings):
    code = STORM.format(name=name, count=count, seed=seed, settings=settings, limit=240)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "survived" in done.stdout


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("name", ["SAC", "PPO"])
def test_two_hundred_interrupts_in_one_process(name):
    settings = dict(hidden=(64, 64))
    off_policy = dict(batch_size=128, warmup=200, memory=4000, priority_exponent=0.5)
    on_policy = dict(steps=64, batch_size=128, epochs=2)
    storm(name, 200, 0, **settings, **(off_policy if name == "SAC" else on_policy))


class Interrupting(rl.Callback):
    """Ctrl-C in the midst of a step."""

    def __init__(self, step):
        self.step = step

    def on_step(self, agent, step):
        if agent.steps == self.step:
            os.kill(os.getpid(), signal.SIGINT)
        return True


STOPPED = {
    "SAC": dict(batch_size=16, warmup=30, memory=400, hidden=(8,)),
    "DQN": dict(batch_size=16, warmup=30, memory=400, hidden=(8,)),
    "QLearning": {},
    "CEM": dict(population=4, hidden=(8,)),
}


@pytest.mark.parametrize("name", STOPPED)
@pytest.mark.parametrize("again", ["resumed", "in this process"])
def test_after_an_interrupt_training_goes_on_to_the_bit(name, again, tmp_path):
    env = {"SAC": "Pendulum-v1", "QLearning": "FrozenLake-v1"}.get(name, "CartPole-v1")

    def begun():
        return rl.ALGORITHMS[name].cls(env, rl.ALGORITHMS[name].config(**STOPPED[name]), seed=0)

    whole, stopped = begun().learn(120), begun()
    with pytest.raises(KeyboardInterrupt) as caught:
        stopped.learn(120, Interrupting(53), log=tmp_path / "run")
    assert caught.value.__traceback__ is not None  # as an interactive interpreter keeps it: the run is free even so
    assert stopped.collector is not None
    if again == "resumed":
        with pytest.warns(UserWarning, match=r"progress\.csv ends before the checkpoint"):
            stopped, _ = resume(tmp_path / "run")
    stopped.learn(120)
    for key, value in states(whole).items():
        np.testing.assert_array_equal(states(stopped)[key], value, err_msg=key)


class TestSafePoint:
    def test_the_first_waits_and_the_second_does_not(self):
        passed = []

        def interrupted(times, reached):
            with SafePoint() as point:
                for _ in range(times):
                    os.kill(os.getpid(), signal.SIGINT)
                    passed.append(times)
                if reached:
                    point.reached()
                passed.append("beyond")

        with pytest.raises(KeyboardInterrupt):
            interrupted(1, reached=True)
        with pytest.raises(KeyboardInterrupt):
            interrupted(2, reached=False)
        assert passed == [1, 2]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    @pytest.mark.parametrize("quiet", [False, True])
    def test_the_first_is_acknowledged_at_once(self, capfd, quiet):
        before = signal.signal(signal.SIGINT, lambda *_: None)
        try:
            with SafePoint() as point:
                point.quiet = quiet
                for _ in range(2):
                    os.kill(os.getpid(), signal.SIGINT)
                    assert capfd.readouterr().err.count("stopping as soon as no step is half done") == (not quiet)
                    point.reached()
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)  # not told again
                assert capfd.readouterr().err.count("stopping") == (not quiet)
        finally:
            signal.signal(signal.SIGINT, before)

    def test_one_that_comes_after_the_last_safe_point_is_not_lost(self):
        with pytest.raises(KeyboardInterrupt), SafePoint():
            os.kill(os.getpid(), signal.SIGINT)

    @pytest.mark.parametrize("when", ["entered", "left", "restored"])
    def test_one_that_comes_while_handlers_change(self, monkeypatch, when):
        """It is raised in the end, and the next block waits as the first one did."""
        set_handler, point = signal.signal, SafePoint()

        def interrupted(number, handler):
            installs = handler == point._hold
            if when == "left" and not installs:
                os.kill(os.getpid(), signal.SIGINT)
            set_handler(number, handler)
            if when == ("entered" if installs else "restored"):
                os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr(signal, "signal", interrupted)
        with pytest.raises(KeyboardInterrupt), point:
            pass
        monkeypatch.undo()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        passed = []

        def again():
            with point:
                os.kill(os.getpid(), signal.SIGINT)
                passed.append("held")
                point.reached()
                passed.append("beyond")

        with pytest.raises(KeyboardInterrupt):
            again()
        assert passed == ["held"]

    def test_somebody_else_s_handler_is_called_at_the_safe_point(self):
        calls = []
        before = signal.signal(signal.SIGINT, lambda *_: calls.append("called"))
        try:
            handler = signal.getsignal(signal.SIGINT)
            with SafePoint() as point:
                os.kill(os.getpid(), signal.SIGINT)
                calls.append("held")
                point.reached()
                point.reached()
            assert signal.getsignal(signal.SIGINT) is handler
        finally:
            signal.signal(signal.SIGINT, before)
        assert calls == ["held", "called"]

    def test_the_second_interrupt_of_a_run_waits_too(self):
        """`Interrupt` asks at the first and raises at the second: at a safe point, where every transition is whole."""
        config = rl.TD3Config(warmup=10**6, memory=400, batch_size=16, hidden=(8,))
        agent = rl.TD3(vectorize(lambda: Counter(1000, truncates=True), 1), config).learn(50)
        add, calls = agent.memory.add, []

        def interrupted_twice(*row):
            calls.append(row)
            if len(calls) in (3, 5):
                os.kill(os.getpid(), signal.SIGINT)
            return add(*row)

        agent.memory.add = interrupted_twice
        with Interrupt() as interrupt, pytest.raises(KeyboardInterrupt):
            agent.learn(2000)
        assert interrupt.requested
        assert len(agent.memory) == 55

    def test_other_threads_do_without(self):
        agent, done = rl.PPO(vectorize(Counter, 2), rl.PPOConfig(steps=8, epochs=1, hidden=(8,))), []
        thread = threading.Thread(target=lambda: done.append(agent.learn(32).steps))
        thread.start()
        thread.join()
        assert done == [32]

    def test_an_interrupted_training_goes_on_with_whole_transitions(self):
        config = rl.TD3Config(warmup=10**6, memory=400, batch_size=16, hidden=(8,))
        agent = rl.TD3(vectorize(lambda: Counter(1000, truncates=True), 1), config)

        def interrupt(agent, metrics):
            os.kill(os.getpid(), signal.SIGINT)

        agent.learn(50)
        with pytest.raises(KeyboardInterrupt):
            agent.learn(2000, interrupt)
        agent.learn(agent.steps + 50)
        filled = slice(0, int(agent.memory.sizes[0]))
        np.testing.assert_array_equal(agent.memory.next_observations[filled, 0] - agent.memory.observations[filled, 0], 1)
