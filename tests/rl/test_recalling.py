"""Off-policy agents with memory: they learn what no single observation tells, carry their state, save it, and refuse the rest."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import deepnp
import rl
from examples.memory import Recall
from rl import SAC, SACConfig, evaluate
from rl.experience.partition import Partitioned
from rl.networks.memory import MEMORIES, forgotten
from rl.training.export import export
from rl.training.overestimation import overestimation
from rl.training.playing import Player
from tests.rl.references.worlds import Worlds
from tests.rl.toys import Remembering, Seen, states

SMALL = dict(hidden=(8,), recall_size=8, recall_span=6, batch_size=24, warmup=20, memory=200, num_envs=2)
ALGORITHMS = (rl.DDPG, rl.TD2, rl.TD3, rl.SAC, rl.SACLite, rl.SACValue)


@pytest.fixture(params=MEMORIES)
def recall(request):
    return request.param


def agent(recall, env="Pendulum-v1", algorithm=SAC, seed=0, **settings):
    return algorithm(env, algorithm.Config(**{**SMALL, **settings}, recall=recall), seed=seed)


def cue():
    return Partitioned(Recall(delay=2, cues=2))


def test_a_cue_is_recalled_with_memory_and_guessed_without():
    settings = dict(num_envs=8, hidden=(16,), batch_size=64, warmup=200, update_interval=8, lr=1e-2, temperature=0.01, memory=3000)
    returns = {}
    for kind in ("gru", None):
        config = SACConfig(**settings, recall=kind, recall_size=8, recall_span=4)
        learner = SAC([cue] * 8, config, seed=0).learn(3000)
        returns[kind] = evaluate(learner, [cue] * 40, 40).mean()
    assert returns["gru"] > 0.95
    assert returns[None] < 0.8


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_all_networks_learn_through_their_memories(algorithm):
    learner = agent("gru", algorithm=algorithm, burn_in=2)
    networks = [learner.policy, *learner.critics.networks, *(learner.value.networks if algorithm is rl.SACValue else ())]
    before = [np.array(network.memory.layer.weight_ih_l0.data) for network in networks]
    learner.learn(100)
    for network, old in zip(networks, before, strict=True):
        assert (network.memory.layer.weight_ih_l0.data != old).mean() > 0.8
    assert np.isfinite(evaluate(learner, "Pendulum-v1", 1)).all()


CASES = [*((SAC, kind, {}) for kind in MEMORIES), (rl.TD3, "gru", {}), (rl.DDPG, "lstm", dict(noise="ornstein-uhlenbeck"))]


@pytest.mark.parametrize(("algorithm", "recall", "settings"), CASES, ids=str)
def test_resumes_to_the_bit_in_mid_episode(algorithm, recall, settings, tmp_path):
    whole, half = (agent(recall, algorithm=algorithm, seed=3, burn_in=3, **settings) for _ in range(2))
    whole.learn(120)
    half.learn(60)
    half.save(tmp_path / "half.safetensors")
    resumed = algorithm.load(tmp_path / "half.safetensors", "Pendulum-v1")
    assert all(part.any() for part in resumed.recall.states["policy"])
    assert not resumed.recall.starts.any()
    resumed.learn(120)
    for name, array in states(whole).items():
        np.testing.assert_array_equal(array, states(resumed)[name], err_msg=name)


def test_same_seed_same_bits_whatever_the_threads():
    before, results = deepnp.get_num_threads(), []
    try:
        for threads, seed in ((2, 0), (1, 0), (2, 1)):
            deepnp.set_num_threads(threads)
            results.append(states(agent("gru", seed=seed, batch_size=96, recall_span=4).learn(120)))
    finally:
        deepnp.set_num_threads(before)
    first, second, other = results
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name], err_msg=name)
    assert any((array != other[name]).any() for name, array in first.items() if name.startswith("policy."))


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_the_state_is_that_of_the_episode_under_way(recall, mode):
    """Read step by step out of the memory: random actions count as those of the policy do, steps that never happened do not."""
    learner = agent(recall, Worlds(3, mode), lr=0.0, random_share=0.3)
    learner.learn(61)
    memory, policy = learner.memory, learner.policy
    for n in range(3):
        rows, state = n * memory.slots + np.arange(memory.sizes[n]), policy.zeros(1)
        for row in rows:
            _, after = policy.read(memory.observations[[row]], state)
            state = (*after, memory.actions[[row]])
            if memory.terminated[row] or memory.truncated[row]:
                state = policy.zeros(1)
        carried = forgotten(learner.recall.states["policy"], learner.recall.starts | learner.collector.ended)
        for expected, given in zip(state, carried, strict=True):
            np.testing.assert_allclose(given[n], expected[0], atol=1e-5)


def test_a_player_carries_the_state_and_an_episode_start_forgets_it(recall, rng):
    learner = agent(recall).learn(60)
    observations, player = rng.normal(size=(5, 3, 3)).astype(np.float32), Player(learner, 3)
    given, state = [player.act(o) for o in observations], learner.initial_state(3)
    order, starts = np.array([2, 0, 1]), np.array([False, True, False])
    permuted = learner.initial_state(3)
    for t, o in enumerate(observations):
        shuffled, permuted = learner.predict(o[order], state=permuted)
        np.testing.assert_allclose(shuffled, given[t][order], rtol=1e-5)
        actions, state = learner.predict(o, state=state, episode_start=starts if t == 3 else None)
        same = np.ones(3, bool) if t < 3 else ~starts
        np.testing.assert_allclose(actions[same], given[t][same], rtol=1e-5)
    np.testing.assert_allclose(2 * state[-1], actions, rtol=1e-4)  # torques in [−2, 2]
    fresh, _ = learner.predict(observations[3], state=learner.initial_state(3))
    np.testing.assert_array_equal(learner.predict(observations[3], state=state, episode_start=True)[0], fresh)
    drawn, _ = learner.predict(observations[3], False, np.random.default_rng(0), state=state)
    assert (drawn != learner.predict(observations[3], state=state)[0]).all()


def test_new_episodes_begin_with_nothing_remembered(recall):
    learner = agent(recall).learn(60)
    assert any(part.any() for part in learner.recall.states["policy"])
    learner.forget_episodes()
    learner.begin_episodes()
    assert not any(part.any() for part in learner.recall.states["policy"])
    assert learner.recall.starts.all()


def test_normalised_observations_are_what_memories_read():
    learner = agent("gru", Worlds(2), normalize_observations=True).learn(80)
    raw, rows = [], learner.memory.draw(4, np.random.default_rng(0))
    learner.update, update = lambda batch: raw.append(batch) or update(batch), learner.update
    learner.learn(84)
    seen = raw[0].observations.rows(raw[0].observations.observations)[:, :3]
    assert abs(seen.mean()) < 1 < 4 < learner.memory.observations[rows].mean()


def test_pictures_and_dicts_are_encoded_before_the_memory(recall):
    learner = agent(recall, [Seen] * 2, burn_in=3)
    before = np.array(learner.policy.flat.data)
    learner.learn(80)
    assert any(type(module).__name__ == "Conv2d" for module in learner.policy.memory.encoder.modules())
    assert (learner.policy.flat.data != before).mean() > 0.5


@pytest.mark.parametrize(
    "settings",
    [dict(actor="flow"), dict(actor="variational", latent=2), dict(critic_blocks=(6,), block_width=8), dict(shared=False)]
    + [dict(critic_normalization=kind) for kind in ("layer", "batch", "l2")],
    ids=str,
)
def test_every_actor_and_critic_reads_what_is_remembered(settings):
    learner = agent("gru", **settings)
    before = np.array(learner.policy.memory.layer.weight_hh_l0.data)
    learner.learn(60)
    assert (learner.policy.memory.layer.weight_hh_l0.data != before).all()
    assert np.isfinite(evaluate(learner, "Pendulum-v1", 1)).all()


def test_foreign_environments_that_cannot_be_saved_go_on_with_new_episodes(tmp_path):
    learner = agent("gru", [Remembering] * 2).learn(96)
    learner.save(tmp_path / "agent.safetensors")
    assert rl.load(tmp_path / "agent.safetensors", [Remembering] * 2).learn(120).steps == 120


def test_a_step_of_the_memory_takes_what_it_takes_without():
    assert agent("lstm").memory.bytes_per_row == agent(None).memory.bytes_per_row


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(memory="lstm"), r"SACConfig.memory as the transitions .*, given 'lstm': that is SACConfig\(recall=\"lstm\"\)"),
        (dict(recall="mlp"), "SACConfig.recall as one of"),
        (dict(recall="gru", n_step=3), "expected n_step 1 with recall='gru', given 3"),
        (dict(recall="gru", priority_exponent=0.6), "expected priority_exponent 0.0 with recall='gru'"),
        (dict(recall="gru", newest=1), "expected newest 0 with recall='gru'"),
        (dict(recall="gru", hindsight="final"), "expected hindsight None with recall='gru'"),
        (dict(recall="attention", recall_size=12), "recall_size as a multiple of 8"),
        (dict(recall="attention", recall_span=1), "recall_span of 2 or more"),
        (dict(recall_size=0), "SACConfig.recall_size"),
        (dict(recall="gru", device="cuda"), "expected device 'cpu' with recall='gru', given 'cuda'"),
        (dict(burn_in=4), "expected burn_in 0 without recall, given 4"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        SACConfig(**settings)


def test_what_memory_cannot_do_is_refused(tmp_path, rng):
    learner = agent("gru")
    for name in ("policy.py", "policy.onnx"):
        with pytest.raises(ValueError, match="expected a policy without recall, given recall='gru'"):
            export(learner, tmp_path / name)
    with pytest.raises(ValueError, match="expected an agent without recall, given recall='gru'"):
        overestimation(learner, "Pendulum-v1", 2)
    other = agent(None)
    for own in (dict(policy=other.policy.body), dict(critic=lambda _: other.critics.networks[0])):
        with pytest.raises(ValueError, match="expected no networks of one's own beside recall='rnn', given"):
            SAC("Pendulum-v1", SACConfig(recall="rnn", hidden=(4,)), **own)
    with pytest.raises(ValueError, match="given none: this agent has memory, see initial_state"):
        learner.predict(rng.normal(size=(2, 3)).astype(np.float32))
    with pytest.raises(TypeError, match="recall is called memory here"):
        rl.PPOConfig(recall="gru")
    with pytest.raises(TypeError, match="memory_size is called recall_size here; memory_span is called recall_span here"):
        SACConfig(memory_size=8, memory_span=8)
