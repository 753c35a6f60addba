"""A step that is not finite is never taken: the training stops with its name, or leaves it out and counts it."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import deepnp
import rl
from deepnp import Linear, NonFiniteError
from rl import cli
from rl.algorithms.policy_gradient import ppo
from rl.guards import Guard
from rl.loops import off_policy
from rl.losses.checks import check_arrays, check_gradient
from rl.networks import critics
from rl.state import state_of
from tests.rl.references.worlds import World
from tests.rl.toys import suited

SMALL = dict(hidden=(6, 6), batch_size=8, memory=200, warmup=10, num_envs=2)
WITHOUT_BATCHES = ("PETS",)  # which fits its model to all that it remembers
OFF_POLICY = [
    name
    for name, a in rl.ALGORITHMS.items()
    if not (a.takes.on_policy or a.takes.dataset or a.takes.tables) and name not in WITHOUT_BATCHES
]


def learner(name, **settings):
    algorithm = getattr(rl, name)
    base = (
        dict(hidden=(6, 6), batch_size=8, steps=16, epochs=2, num_envs=2)
        if name == "PPO"
        else {**SMALL, "update_interval": 1, "updates": 1}
    )
    known = algorithm.Config.__dataclass_fields__
    return algorithm(
        suited(algorithm, World), algorithm.Config(**{k: v for k, v in {**base, **settings}.items() if k in known}), seed=1
    )


def vectors(agent):
    return {name: np.array(x) for name, x in state_of(agent.parts()).items() if not name.startswith("memory")}


@pytest.fixture
def every_fifth_reward_is_nan(monkeypatch):
    """Of the batches that an off-policy learner draws."""
    draw, drawn = off_policy.draw_batch, []

    def poisoned(agent, progress):
        drawn.append(None)
        batch = draw(agent, progress)
        if len(drawn) % 5 == 0:
            batch.rewards[0] = np.nan
        return batch

    monkeypatch.setattr(off_policy, "draw_batch", poisoned)
    return drawn


@pytest.mark.parametrize("name", OFF_POLICY)
@pytest.mark.usefixtures("every_fifth_reward_is_nan")
def test_an_off_policy_training_stops_with_the_name_and_the_step(name):
    agent = learner(name)
    with pytest.raises(NonFiniteError, match="at step 16: the critic loss is nan"):
        agent.learn(60)
    check_arrays("agent", vectors(agent))


@pytest.mark.parametrize("name", OFF_POLICY)
def test_or_leaves_the_update_out(name, every_fifth_reward_is_nan):
    agent, metrics = learner(name), []
    with pytest.warns(UserWarning, match="left out: the critic loss is nan") as warned:
        agent.learn(60, lambda _, m: metrics.append(m), on_nonfinite="skip")
    assert len(warned) == 1
    assert agent.steps == 60
    assert sum(m["skipped"] for m in metrics) == len(every_fifth_reward_is_nan) // 5 > 3
    check_arrays("agent", vectors(agent))


@pytest.mark.parametrize("name", ["PPO", "SAC", "TD3"])
def test_where_all_is_finite_both_ways_are_the_same(name):
    one, other = learner(name), learner(name)
    one.learn(60)
    metrics = []
    other.learn(60, lambda _, m: metrics.append(m), on_nonfinite="skip")
    for (key, a), b in zip(vectors(one).items(), vectors(other).values(), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=key)
    assert {m["skipped"] for m in metrics} == {0}


@pytest.mark.parametrize("fused", [True, False])
def test_ppo_leaves_out_the_minibatches_with_the_bad_row(fused, monkeypatch):
    samples_of = ppo.samples_of

    def poisoned(*arguments):
        samples = samples_of(*arguments)
        samples.advantages[3] = np.nan
        samples.targets[5] = np.nan
        return samples

    monkeypatch.setattr(ppo, "samples_of", poisoned)
    if not fused:
        monkeypatch.setattr(ppo, "policy_epoch", lambda *_: None)
        monkeypatch.setattr(ppo, "value_epoch", lambda *_: None)
    with pytest.raises(NonFiniteError, match="the policy loss is nan"):
        learner("PPO").learn(32)
    agent, metrics = learner("PPO"), []
    with pytest.warns(UserWarning, match="loss is nan"):
        agent.learn(64, lambda _, m: metrics.append(m), on_nonfinite="skip")
    assert [m["skipped"] for m in metrics] == [4, 4]  # one of four in each of two epochs, of policy and value
    assert agent.policy_optimizer.t == agent.value_optimizer.t == 2 * 2 * 3
    assert np.isfinite([m["value_loss"] for m in metrics] + [m["policy_loss"] for m in metrics]).all()
    check_arrays("agent", vectors(agent))


def test_what_is_left_out_does_not_depend_on_threads(monkeypatch):
    """One critic's gradient is bad now and then: the other takes its step, on one thread and on two."""
    add, results = critics.add_td_gradient, []

    def poisoned(networks, *arguments):
        answer, (network,) = add(networks, *arguments), networks
        calls[network] = calls.get(network, 0) + 1
        if network is agent.critics.networks[0] and calls[network] % 3 == 0:
            network.flat.grad[2] = np.inf
        return answer

    monkeypatch.setattr(critics, "add_td_gradient", poisoned)
    threads = deepnp.get_num_threads()
    try:
        for count in (1, 2):
            calls = {}
            deepnp.set_num_threads(count)
            agent = learner("SAC", batch_size=64, hidden=(64, 64), warmup=70)
            with pytest.warns(UserWarning, match="critic's gradient of parameter"):
                agent.learn(90, on_nonfinite="skip")
            results.append(vectors(agent))
    finally:
        deepnp.set_num_threads(threads)
    for (key, a), b in zip(results[0].items(), results[1].values(), strict=True):
        np.testing.assert_array_equal(a, b, err_msg=key)


def test_a_moment_that_overflowed_ends_the_training():
    """Adam would never move that parameter again, and nothing else would tell."""
    agent = learner("PPO")

    def spoil(agent, _):
        agent.value_optimizer.state["v"][0] = np.inf

    for answer in ("stop", "skip"):
        with pytest.raises(NonFiniteError, match=r"at step \d+: value_optimizer.v holds NaN or infinity"):
            agent.learn(320, spoil, on_nonfinite=answer)
        agent.value_optimizer.state["v"][0] = 0


@pytest.mark.usefixtures("every_fifth_reward_is_nan")
def test_the_error_names_the_last_good_checkpoint(tmp_path):
    agent = learner("SAC")
    with pytest.raises(NonFiniteError) as caught:
        agent.learn(60, log=tmp_path / "run")
    (note,) = caught.value.__notes__
    assert note == f"the last good checkpoint is {tmp_path / 'run' / 'checkpoints' / 'last.safetensors'}, at step 0"
    assert rl.load(tmp_path / "run" / "checkpoints" / "last.safetensors").steps == 0


class Breaking(gymnasium.Env):
    """Returns NaN at its 47th step, as `what`, and never before."""

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self, what):
        self.what, self.count = what, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.count += 1
        number = np.nan if self.count == 47 else 0.5
        observation = np.full(2, number if self.what == "observation" else 0.5, np.float32)
        return observation, number if self.what == "reward" else 0.5, False, self.count % 10 == 0, {}


@pytest.mark.parametrize("name", ["SAC", "PPO"])
@pytest.mark.parametrize("what", ["observation", "reward"])
def test_what_was_learned_before_the_environment_broke_is_kept(name, what, tmp_path):
    """The environment is at fault, the agent is good: it is saved as it is, and can go on."""
    settings = dict(steps=16) if name == "PPO" else dict(warmup=8, batch_size=8, memory=100)
    algorithm = getattr(rl, name)
    agent = algorithm(Breaking(what), algorithm.Config(hidden=(4,), **settings))
    with pytest.raises(NonFiniteError, match=f"at step 46: the environment returned {what} nan") as caught:
        agent.learn(100, log=tmp_path / "run")
    last = tmp_path / "run" / "checkpoints" / "last.safetensors"
    assert caught.value.__notes__ == [f"the last good checkpoint is {last}, at step 46"]
    with pytest.warns(UserWarning, match="Breaking begins new episodes"):
        loaded = rl.load(last, Breaking(""))
    assert loaded.steps == 46
    np.testing.assert_array_equal(loaded.policy.flat.data, agent.policy.flat.data)
    assert loaded.learn(60).steps == 60


def test_a_broken_agent_is_not_saved_where_the_environment_breaks_too(tmp_path):
    class Spoilt(rl.Callback):
        def on_step(self, agent, step):
            if agent.steps == 45:
                agent.policy.flat.data[0] = np.nan

    config = rl.SACConfig(hidden=(4,), warmup=100, batch_size=8, memory=100)  # actions are random: none is the policy's
    with pytest.raises(NonFiniteError, match=r"policy.*holds NaN") as caught:
        rl.SAC(Breaking("reward"), config).learn(100, Spoilt(), log=tmp_path / "run")
    assert caught.value.__notes__[0].endswith("at step 0")


class TestGradient:
    @pytest.mark.parametrize(("value", "match"), [(np.nan, 'gradient of parameter "bias" holds nan'), (1e30, "gradient overflows")])
    def test_is_refused(self, value, match):
        layer = Linear(3, 2)
        layer.flat.grad[-1] = value
        with pytest.raises(NonFiniteError, match=match):
            check_gradient("policy's gradient", layer.flat)

    def test_of_ordinary_size_passes(self):
        layer = Linear(3, 2)
        layer.flat.grad[:] = 1e15
        check_gradient("policy's gradient", layer.flat)


def test_another_word_is_refused():
    with pytest.raises(ValueError, match=r'expected on_nonfinite as "stop" or "skip", given .ignore.'):
        learner("PPO").learn(10, on_nonfinite="ignore")
    with pytest.raises(ValueError, match="given None"):
        Guard(None)


def test_the_command_line_prints_the_note_too(capsys):
    error = NonFiniteError("at step 3: the critic loss is nan")
    error.add_note("the last good checkpoint is here")
    assert cli._failed(f"error: {error}", error, 1) == 1
    assert capsys.readouterr().err == f"error: {error}; the last good checkpoint is here\n"
