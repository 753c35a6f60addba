"""What ends a training: a good return, no progress, a signal."""

import os
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import envs  # noqa: F401  (registers deepnp/…)
from deepnp.storage import load_tensors
from rl import PPO, SAC, Callback, PPOConfig, SACConfig
from rl.runs import StopOnNoProgress, StopOnReturn
from rl.runs.interrupt import Interrupt
from rl.runs.retention import checkpoint_of
from rl.runs.run import Run, read_progress
from rl.training.evaluations import Evaluations
from rl.training.resume import resume
from tests.rl.toys import Counter, Target, vectorize

ROOT = Path(__file__).resolve().parents[2]
TINY = PPOConfig(num_envs=2, steps=16, batch_size=16, epochs=1, hidden=(8,))
SMALL = SACConfig(warmup=8, batch_size=8, hidden=(8,), memory=2000)


def returns(*values):
    return {"return": np.array(values, float)}


def test_a_good_evaluation_ends_it():
    agent = PPO(vectorize(Target, 2), TINY)
    stop = StopOnReturn(3)
    assert stop.on_update(agent, {"episode_return": 100.0})
    assert stop.on_evaluation(agent, returns(2, 3))
    assert not stop.on_evaluation(agent, returns(2, 4))
    agent = PPO(vectorize(lambda: Counter(3), 2), TINY)  # every episode's return is 6
    agent.learn(320, [Evaluations(None, lambda: Counter(3), 64), StopOnReturn(6)])
    assert agent.steps == 64
    agent.learn(320, [Evaluations(None, lambda: Counter(3), 64), StopOnReturn(6.1)])
    assert agent.steps == 320


def test_a_good_return_while_training_ends_it():
    agent = PPO(vectorize(lambda: Counter(3), 2), TINY)
    agent.learn(320, StopOnReturn(6, of="training"))
    assert agent.steps == 32
    stop = StopOnReturn(6, of="training")
    assert stop.on_update(agent, {})  # no episode ended
    assert stop.on_evaluation(agent, returns(100))


def test_no_progress_ends_it():
    agent, stop = PPO(vectorize(Target, 2), TINY), StopOnNoProgress(2)
    assert [stop.on_evaluation(agent, returns(mean)) for mean in (1, 2, 2, 3, 2.9)] == [True] * 5
    assert not stop.on_evaluation(agent, returns(3))
    agent.learn(3200, [Evaluations(None, lambda: Target(), 32, 1), stop := StopOnNoProgress(1, least_steps=100)])
    assert 100 <= agent.steps < 3200
    late = StopOnNoProgress(1, least_steps=10_000)
    assert [late.on_evaluation(agent, returns(mean)) for mean in (2, 1, 0)] == [True] * 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StopOnReturn(np.nan), "threshold as a finite number, given nan"),
        (lambda: StopOnReturn("475"), "threshold as a finite number, given '475'"),
        (lambda: StopOnReturn(1, of="episode"), 'of as "evaluation" or "training", given'),
        (lambda: StopOnNoProgress(0), "evaluations as an integer >= 1"),
        (lambda: StopOnNoProgress(3, -1), "least_steps as an integer >= 0"),
    ],
)
def test_what_makes_no_sense_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


SCRIPT = """
import os, signal, sys
import numpy as np
import envs, rl
from rl.runs.callbacks import Callback

class End(Callback):
    def on_start(self, agent):
        print("learning", flush=True)
    def on_step(self, agent, step):
        if agent.steps == {after}:
            os.kill(os.getpid(), signal.{name})
    def on_end(self, agent, error):
        print("end", flush=True)

agent = rl.{algorithm}("deepnp/Navigation-v0", rl.{algorithm}Config(**{settings}))
try:
    agent.learn(10**6, End(), log=sys.argv[1])
finally:
    print("cleaned up", flush=True)
print("not reached", flush=True)
"""


class StopAt(Callback):
    """On-policy, at the end of an iteration."""

    def __init__(self, steps):
        self.steps = steps

    def on_step(self, agent, step):
        return agent.takes.on_policy or agent.steps < self.steps

    def on_update(self, agent, metrics):
        return agent.steps < self.steps


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize(("name", "cls", "config", "ends"), [("SIGHUP", PPO, TINY, 96), ("SIGTERM", SAC, SMALL, 70)])
def test_a_signal_saves_everything_and_ends_the_process(tmp_path, name, cls, config, ends):
    """Without `train` around it; and the training goes on exactly."""
    given = {f.name: getattr(config, f.name) for f in fields(config) if getattr(config, f.name) != f.default}
    code = SCRIPT.format(name=name, after=70, algorithm=cls.__name__, settings=given)
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "run"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 128 + signal.Signals[name], done.stderr
    assert done.stdout.split("\n") == ["learning", "end", "cleaned up", ""]
    assert load_tensors(checkpoint_of(tmp_path / "run"))[1]["steps"] == ends
    agent, run = resume(tmp_path / "run")
    agent.learn(ends + 30, log=run)
    through = cls("deepnp/Navigation-v0", config).learn(10**6, StopAt(ends)).learn(ends + 30)
    np.testing.assert_array_equal(agent.policy.flat.data, through.policy.flat.data)


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_block_around_it_ends_the_training_alone(tmp_path):
    agent = PPO(vectorize(Target, 2), TINY)
    with Interrupt() as interrupt:
        agent.learn(320, lambda *_: os.kill(os.getpid(), signal.SIGTERM), log=Run(tmp_path, agent, "Target", 320))
    assert interrupt.requested
    assert agent.steps == 64  # the first iteration's callback came after the run's
    assert read_progress(tmp_path)["steps"] == [32, 64]
    agent.learn(96)  # nothing is left of it
    assert agent.steps == 96
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
