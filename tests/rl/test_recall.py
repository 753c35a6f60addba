"""Agents with memory: they learn what no single observation tells, carry their states, save them, and say what they need."""

from dataclasses import fields

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import deepnp
import envs  # noqa: F401  (registers deepnp/…)
import rl
from examples.memory import Recall
from rl import A2C, PPO, SAC, A2CConfig, PPOConfig, evaluate
from rl.cluster.sharded import ShardedVector
from rl.networks.memory import MEMORIES
from rl.training.adapter import StableBaselinesModel
from rl.training.export import export
from rl.training.playing import Player
from rl.training.video import film
from tests.rl.toys import Allowed, Remembering, Seen, states

SMALL = dict(num_envs=2, steps=24, hidden=(8,), memory_size=8, memory_span=8, batch_size=16, epochs=2)


OTHERS = [rl.REINFORCE, rl.A2C, rl.TRPO, rl.RWR]
UNABLE = [rl.OffPolicyPG, rl.REPS]  # they read single steps


@pytest.fixture(params=MEMORIES)
def memory(request):
    return request.param


def agent(memory, env="Pendulum-v1", seed=0, **settings):
    return PPO(env, PPOConfig(**{**SMALL, **settings}, memory=memory), seed=seed)


def test_a_cue_is_recalled_with_memory_and_guessed_without():
    def make():
        return Recall(delay=2, cues=2)

    settings = dict(num_envs=16, steps=32, batch_size=128, hidden=(16,), lr=1e-2, memory_size=16, memory_span=8, epochs=4)
    returns = {}
    for kind in ("gru", None):
        learner = PPO([make] * 16, PPOConfig(**settings, memory=kind), seed=0).learn(5000)
        returns[kind] = evaluate(learner, [make] * 40, 40).mean()
    assert returns["gru"] > 0.95
    assert returns[None] < 0.8


def test_same_seed_same_bits_whatever_the_threads(memory):
    before, results = deepnp.get_num_threads(), []
    try:
        for threads, seed in ((2, 0), (1, 0), (2, 1)):
            deepnp.set_num_threads(threads)
            results.append(states(agent(memory, seed=seed, num_envs=8, steps=64, batch_size=128).learn(1024)))
    finally:
        deepnp.set_num_threads(before)
    first, second, other = results
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)
    assert any((array != other[name]).any() for name, array in first.items() if name.startswith("policy."))


@pytest.mark.parametrize(("algorithm", "memory"), [*((PPO, kind) for kind in MEMORIES), *((other, "gru") for other in OTHERS)])
def test_resumes_to_the_bit_in_mid_episode(memory, algorithm, tmp_path):
    """Episodes of 200 steps: two rollouts of 24 end within."""
    known = {f.name for f in fields(algorithm.Config)}
    config = algorithm.Config(**{name: value for name, value in SMALL.items() if name in known}, memory=memory)
    whole, half = (algorithm("Pendulum-v1", config, seed=3) for _ in range(2))
    half.total_steps = 192
    whole.learn(192)
    half.learn(192, lambda learner, _: learner.steps < 96)
    half.save(tmp_path / "half.safetensors")
    resumed = algorithm.load(tmp_path / "half.safetensors", "Pendulum-v1")
    assert any(part.any() for part in resumed.recall.states["value"])
    assert not resumed.recall.starts.any()
    resumed.learn(192)
    for name, array in states(whole).items():
        np.testing.assert_array_equal(array, states(resumed)[name], err_msg=name)


def test_every_algorithm_takes_memory_or_refuses_it():
    able = {a.cls for a in rl.ALGORITHMS.values() if any(f.name == "memory_span" for f in fields(a.config))}
    assert able == {PPO, *OTHERS, *UNABLE}
    for algorithm in UNABLE:
        with pytest.raises(ValueError, match="expected memory=None"):
            algorithm.Config(memory="gru")


def test_new_episodes_begin_with_nothing_remembered(memory):
    learner = agent(memory).learn(48)
    assert any(part.any() for part in learner.recall.states["policy"])
    learner.forget_episodes()
    learner.begin_episodes()
    assert not any(part.any() for state in learner.recall.states.values() for part in state)
    assert learner.recall.starts.all()


def test_a_player_acts_as_in_training_and_an_episode_start_forgets(memory, rng):
    learner = agent(memory).learn(48)
    observations, player = rng.normal(size=(5, 3, 3)).astype(np.float32), Player(learner, 3)
    given, state = [player.act(o) for o in observations], learner.initial_state(3)
    starts = np.array([False, True, False])
    for t, o in enumerate(observations):
        actions, state = learner.predict(o, state=state, episode_start=starts if t == 3 else None)
        same = np.ones(3, bool) if t < 3 else ~starts
        np.testing.assert_allclose(actions[same], given[t][same], rtol=1e-6)
    fresh, _ = learner.predict(observations[3], state=learner.initial_state(3))
    _, after = learner.predict(observations[3], state=state, episode_start=True)
    np.testing.assert_array_equal(learner.predict(observations[3], state=state, episode_start=True)[0], fresh)
    assert len(after) == len(state)
    one, _ = learner.predict(observations[0, 0], state=learner.initial_state())
    np.testing.assert_allclose(one, given[0][0], rtol=1e-5)


def test_the_adapter_carries_the_state_as_stable_baselines_does(rng):
    learner, observations = agent("lstm"), rng.normal(size=(3, 2, 3)).astype(np.float32)
    model, player, state, starts = StableBaselinesModel(learner), Player(learner, 2), None, np.ones(2, bool)
    for o in observations:
        actions, state = model.predict(o, state, starts, deterministic=True)
        np.testing.assert_array_equal(actions, player.act(o))
        starts = np.zeros(2, bool)


def test_evaluation_and_films_remember(memory):
    learner = PPO("CartPole-v1", PPOConfig(**SMALL, memory=memory), seed=0)
    returns = evaluate(learner, "CartPole-v1", 3)
    one_by_one = evaluate(learner, gymnasium.make("CartPole-v1"), 3)
    np.testing.assert_array_equal(returns, one_by_one)
    env = gymnasium.make("CartPole-v1", render_mode="rgb_array")
    assert film(learner, env, 1, 0.2, 50)


def test_pictures_and_dicts_are_encoded_before_the_memory(memory):
    learner = agent(memory, [Seen] * 2, hidden=(), burn_in=3)
    before = np.array(learner.policy.flat.data)
    learner.learn(100)
    convolutions = learner.policy.memory.encoder.modules()
    assert any(type(module).__name__ == "Conv2d" for module in convolutions)
    assert (learner.policy.flat.data != before).mean() > 0.5


@pytest.mark.parametrize("space", [spaces.Discrete(4), spaces.MultiDiscrete([2, 3])], ids=["discrete", "branches"])
def test_action_masks_go_past_the_memory(space):
    """The environment raises for what is forbidden."""
    learner = agent("gru", [lambda: Allowed(space)] * 2)
    learner.learn(200)
    evaluate(learner, [lambda: Allowed(space)] * 4, 4)


@pytest.mark.parametrize("settings", [dict(head="beta"), dict(squash="tanh"), dict(sigma="network"), dict(sigma="fixed")], ids=str)
def test_every_head_reads_what_is_remembered(settings):
    learner = agent("gru", **settings)
    before = np.array(learner.policy.memory.layer.weight_hh_l0.data)
    learner.learn(100)
    assert (learner.policy.memory.layer.weight_hh_l0.data != before).all()
    assert np.isfinite(evaluate(learner, "Pendulum-v1", 2)).all()


def test_foreign_environments_that_cannot_be_saved_go_on_with_new_episodes(tmp_path):
    learner = agent("gru", [Remembering] * 2).learn(96)
    learner.save(tmp_path / "agent.safetensors")
    assert rl.load(tmp_path / "agent.safetensors", [Remembering] * 2).learn(192).steps == 192


def test_a_state_that_does_not_fit_is_refused(memory, rng):
    learner, o = agent(memory), rng.normal(size=(2, 3)).astype(np.float32)
    state = learner.initial_state(2)
    for given, message in (
        (None, "given none: this agent has memory, see initial_state"),
        (learner.initial_state(3), r"expected state as a tuple of arrays \(2, "),
        ((*state, state[0]), "expected state as a tuple of arrays"),
        (5, "expected state as a tuple of arrays .*, given 5"),
        (tuple(part * np.nan if part.dtype.kind == "f" else part for part in state), "expected a finite state"),
    ):
        with pytest.raises(ValueError, match=message):
            learner.predict(o, state=given)
    for start in (1, np.ones(3, bool), "yes"):
        with pytest.raises(ValueError, match="expected episode_start as a bool or bools"):
            learner.predict(o, state=state, episode_start=start)
    with pytest.raises(ValueError, match="copies"):
        learner.initial_state(0)


def test_agents_without_memory_take_no_state(rng):
    learner, o = agent(None), rng.normal(size=(2, 3)).astype(np.float32)
    assert learner.initial_state(2) is None
    with pytest.raises(ValueError, match="expected no state, as this PPO agent has no memory"):
        learner.predict(o, state=(np.zeros((2, 8)),))
    with pytest.raises(ValueError, match="expected no episode_start, as this SAC agent has no memory"):
        SAC.of_spaces(spaces.Box(-1, 1, (3,)), spaces.Box(-1, 1, (1,))).predict(o, episode_start=True)


def test_what_memory_cannot_do_yet_is_refused(tmp_path, rng):
    learner = agent("lstm")
    with pytest.raises(ValueError, match=r"expected a policy without memory, given memory='lstm': an \.onnx file"):
        export(learner, tmp_path / "policy.py")
    with pytest.raises(ValueError, match="expected a policy without memory or with a recurrent one, given AttentionMemory"):
        export(agent("attention"), tmp_path / "policy.onnx")
    with pytest.raises(ValueError, match="expected a policy without memory in shards, given memory='gru'"):
        agent("gru", ShardedVector("Pendulum-v1", 4, 2)).learn(100)
    with pytest.raises(ValueError, match="expected no networks of one's own beside memory='rnn'"):
        PPO("Pendulum-v1", PPOConfig(memory="rnn"), value=rl.PPO("Pendulum-v1").value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(memory="mlp"), "PPOConfig.memory as one of"),
        (dict(memory="gru", burn_in=33), "burn_in of at most memory_span = 32, given 33"),
        (dict(memory="attention", memory_size=12), "memory_size as a multiple of 8"),
        (dict(memory="attention", memory_span=1), "memory_span of 2 or more"),
        (dict(memory_size=0), "PPOConfig.memory_size"),
        (dict(memory="gru", sde_interval=4), "sde_interval None with memory='gru', given 4"),
        (dict(memory="gru", shared=True), "memory None where policy and value share a trunk"),
        (dict(memory="gru", mirror=True), "memory None where mirror images are learned from"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        PPOConfig(**settings)


def test_damaged_states_of_a_file_are_refused(memory):
    learner = agent(memory).learn(48)
    state = learner.recall.state_dict()
    name = next(name for name in state if name.startswith("value"))
    for damaged in ({**state, name: state[name][:1]}, {**state, "starts": state["starts"][None]}):
        with pytest.raises(ValueError, match=r"expected (the value's memory|starts)"):
            learner.recall.load_state_dict(damaged)
    with pytest.raises(KeyError):
        learner.recall.load_state_dict({"starts": state["starts"]})


def test_a2c_steps_with_memory_and_reports(memory):
    metrics = []
    A2C("CartPole-v1", A2CConfig(num_envs=2, hidden=(8,), memory=memory, memory_size=8), seed=0).learn(
        100, lambda _, m: metrics.append(m)
    )
    assert all(np.isfinite(m["policy_loss"]) for m in metrics)
