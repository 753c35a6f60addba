"""Rollouts as sequences: pieces, their rows and states, burn-in, and values of what follows.

Shapes: T steps, N environments, L steps of a piece.
"""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from rl import PPO, PPOConfig
from rl.experience.samples import samples_from, samples_of
from rl.experience.sequences import Pieces, RolloutSequences
from rl.networks.memory import MEMORIES, forgotten
from tests.rl.toys import Counter, vectorize

T, N, L, B = 11, 3, 4, 2


def rollout(rng, burn_in=B, valid=0.8):
    """Observations that tell step and environment; the stored states tell where they were taken."""
    steps, copies = np.meshgrid(np.arange(T), np.arange(N), indexing="ij")
    firsts = np.array([max(0, t - burn_in) for t in range(0, T, L)])
    state = firsts[:, None] * 10 + np.arange(N)
    happened = rng.random((T, N)) < valid
    resets = rng.random((T, N)) < 0.3
    pieces = Pieces(L, burn_in, {"net": (state[..., None],)})
    return RolloutSequences((steps * 10 + copies)[..., None], resets, happened, {}, pieces=pieces)


def test_pieces_hold_every_row_once_and_columns_follow_them(rng):
    whole = rollout(rng)
    row = whole.rows(whole.observations)  # a column of rows that tells step and environment
    shuffled = whole.shuffle(9, rng)
    batches = shuffled.minibatches((whole, row))
    assert len(batches) == round(whole.valid.sum() / 9)
    for x, column in batches:
        np.testing.assert_array_equal(x.rows(x.observations), column)
    np.testing.assert_array_equal(np.sort(np.concatenate(shuffled.rows)), np.arange(whole.valid.sum()))
    np.testing.assert_array_equal(shuffled.last_of(row), batches[-1][1])
    np.testing.assert_array_equal(shuffled.last_of(whole).observations, batches[-1][0].observations)


def test_a_piece_is_what_the_rollout_has_there(rng):
    whole = rollout(rng, valid=1.0)
    piece = whole.piece(np.array([1 * N + 2, 2 * N + 0]))
    np.testing.assert_array_equal(piece.observations[..., 0], [[42, 80], [52, 90], [62, 100], [72, 100]])
    np.testing.assert_array_equal(piece.valid[:, 1], [True, True, True, False])  # the rollout ends within
    np.testing.assert_array_equal(piece.resets[:, 0], whole.resets[4:8, 2])
    np.testing.assert_array_equal(piece.states["net"][0][:, 0], [22, 60])


def test_burn_in_is_what_comes_before_where_there_is_something(rng):
    whole = rollout(rng, valid=1.0)
    piece = whole.piece(np.array([1, 1 * N + 1, 2 * N + 1]))
    np.testing.assert_array_equal(piece.led, [False, True, True])
    np.testing.assert_array_equal(piece.burn_in.observations[..., 0], [[21, 61], [31, 71]])
    np.testing.assert_array_equal(piece.burn_in.resets, np.stack([whole.resets[2:4, 1], whole.resets[6:8, 1]], axis=1))
    np.testing.assert_array_equal(piece.burn_in.states["net"][0][:, 0], [21, 61])
    assert whole.piece(np.array([0, 1, 2])).burn_in is None
    assert rollout(rng, burn_in=0).piece(np.array([4])).burn_in is None


def test_pieces_in_which_nothing_happened_are_left_out(rng):
    whole = rollout(rng)
    whole.valid[4:8, 1] = False
    assert 1 * N + 1 not in whole.shuffle(9, rng).pieces
    assert len(whole.shuffle(9, rng).pieces) == 3 * N - 1


def test_rows_and_column_are_transposes(rng):
    whole = rollout(rng)
    column = rng.normal(size=(T, N, 2))
    rows = rng.normal(size=(whole.valid.sum(), 2))
    assert np.sum(whole.rows(column) * rows) == pytest.approx(np.sum(column * whole.column(rows)))


def collected(memory, mode, limit=5, steps=12, **settings):
    """An agent and its second rollout, in episodes that are truncated."""
    still = dict(epochs=1, lr=0.0, scale_rewards=False, hidden=(8,), memory_size=8, memory_span=4)
    config = PPOConfig(num_envs=2, steps=steps, memory=memory, **still, **settings)
    agent = PPO(vectorize(lambda: Counter(limit, truncates=True), 2, mode), config, seed=0)
    seen, update = [], agent.update
    agent.update = lambda rollout, progress: seen.append(rollout) or update(rollout, progress)
    agent.learn(4 * steps)
    return agent, seen


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP], ids=["same", "next"])
@pytest.mark.parametrize("memory", MEMORIES)
def test_values_are_those_of_every_episode_read_from_its_beginning(memory, mode):
    """Truncated episodes bootstrap with the state that their own steps left, whatever a rollout's borders."""
    agent, rollouts = collected(memory, mode, normalize_observations=False)
    network = agent.value
    state, expected, following = network.zeros(2), [], []
    for rollout in rollouts:
        resets = rollout.sequences.resets
        for t in range(len(rollout.rewards)):
            y, state = network.step(rollout.observations[t], forgotten(state, resets[t]))
            expected.append(y[:, 0])
            final = [rollout.final.get((t, n)) for n in range(2)]
            after = rollout.observations[t + 1] if t + 1 < len(rollout.rewards) else rollout.last
            seen = np.stack([f[0] if f is not None else a for f, a in zip(final, after, strict=True)])
            following.append(network.step(seen, state)[0][:, 0])
    given = [rollout.values(lambda s: network.predict(s)[:, 0]) for rollout in rollouts]
    values, next_values = (np.concatenate(parts) for parts in zip(*given, strict=True))
    np.testing.assert_allclose(values, expected, atol=1e-5)
    used = np.concatenate([r.valid & ~r.terminated for r in rollouts])
    np.testing.assert_allclose(next_values[used], np.array(following)[used], atol=1e-5)
    assert sum(r.truncated.sum() for r in rollouts) >= 6


@pytest.mark.parametrize("memory", MEMORIES)
def test_episodes_have_the_same_values_in_both_reset_modes(memory):
    values = []
    for mode in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP):
        agent, (rollout, *_) = collected(memory, mode, steps=24, normalize_observations=False)
        given, following = rollout.values(lambda s, agent=agent: agent.value.predict(s)[:, 0])
        values.append((given[rollout.valid[:, 0], 0][:20], following[rollout.valid[:, 0], 0][:20]))
    np.testing.assert_allclose(values[0], values[1], atol=1e-5)


@pytest.mark.parametrize("memory", MEMORIES)
def test_the_policy_reads_a_rollout_as_it_acted(memory):
    """ln π of the actions from the whole rollout is that of each step's distribution: nothing has been learned between."""
    agent, rollouts = collected(memory, AutoresetMode.SAME_STEP, normalize_observations=False)
    state = agent.policy.zeros(2)
    for rollout in rollouts:
        samples = samples_from(rollout, rollout.rewards, rollout.rewards)
        given = agent.policy.predict(samples.observations).log_prob(samples.actions)
        expected = []
        for t, resets in enumerate(rollout.sequences.resets):
            distribution, state = agent.policy.step(rollout.observations[t], forgotten(state, resets))
            expected.append(distribution.log_prob(rollout.actions[t]))
        np.testing.assert_allclose(given, np.concatenate(expected), atol=1e-5)
        columns = samples.observations, samples.actions, given
        for x, actions, log_prob in samples.shuffle(8, np.random.default_rng(0)).minibatches(columns):
            np.testing.assert_allclose(agent.policy.forward(x).log_prob(actions), log_prob, atol=1e-5)


def test_without_steps_to_learn_from_fewer_rows_are_made(rng):
    agent, (rollout, *_) = collected("gru", AutoresetMode.NEXT_STEP)
    samples = samples_of(rollout, lambda s: agent.value.predict(s)[:, 0], 0.99, 0.95, None)
    assert len(samples.values) == rollout.valid.sum() < rollout.valid.size
    assert len(agent.value.predict(samples.observations)) == len(samples.values)
