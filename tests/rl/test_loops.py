"""The loops against an environment's own log: what is stored, what is learned from and how often, what is played."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import rl
from rl.loops import off_policy
from rl.training.evaluation import play
from tests.rl.references import adapter
from tests.rl.references.ppo import Trajectories
from tests.rl.references.replay import n_step
from tests.rl.references.worlds import Lengths, World, Worlds
from tests.rl.toys import vectorize

SAME, NEXT = AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP
SMALL = dict(hidden=(6, 6), batch_size=8, memory=1000, warmup=10, lr=1e-3)


def small(name, env, **settings):
    return getattr(rl, name)(env, getattr(rl, name).Config(**{**SMALL, **settings}), seed=0)


def updates(agent, steps: int) -> list[int]:
    """The steps after which the agent learned, once for each update."""
    update, at = agent.update, []

    def counting(*arguments):
        at.append(agent.steps)
        return update(*arguments)

    agent.update = counting
    agent.learn(steps)
    return at


@pytest.mark.parametrize("mode", [SAME, NEXT])
@pytest.mark.parametrize("n", [1, 3])
def test_memory_holds_what_happened(mode, n):
    """Final observations, both kinds of ends, returns over n steps: all as the environments' logs have them."""
    env, gamma = Worlds(2, mode), 0.9
    agent = small("DDPG", env, n_step=n).learn(60)
    memory = agent.memory
    for copy, world in enumerate(env.envs):
        stored = int(memory.sizes[copy])
        rows = copy * memory.slots + np.arange(stored)
        given = memory.batch(rows, gamma, n)
        assert stored == len(world.log) > 20
        assert sum(step.truncated for step in world.log) > 1
        assert sum(step.terminated for step in world.log) > 1
        for i, step in enumerate(world.log):
            reward, discount, following = n_step(world.log, i, gamma, n)
            np.testing.assert_array_equal(given.observations[i], step.observation)
            np.testing.assert_allclose(2 * given.actions[i], step.action, atol=1e-6)  # the space is [−2, 2]
            np.testing.assert_array_equal(given.next_observations[i], following)
            np.testing.assert_allclose([given.rewards[i], given.discounts[i]], [reward, discount], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", [SAME, NEXT])
def test_rollout_holds_what_happened(mode):
    """Observations normalised by what was seen until then, rewards scaled, ends, final observations, last ones."""
    env = Worlds(3, mode)
    agent, rollouts = small_ppo(env, steps=20), []
    agent.update = lambda rollout, progress: rollouts.append(rollout) or {}
    agent.learn(60)
    raw, steps = [], [iter(world.log) for world in env.envs]
    rollout, returns, all_returns = rollouts[0], np.zeros(3), []
    value = 5 * rollout.observations[..., 0] ** 3  # any function of the observations
    _, following = rollout.values(lambda x: 5 * x[:, 0] ** 3)
    for t in range(20):
        happened = [next(steps[n]) if rollout.valid[t, n] else None for n in range(3)]
        # An observation counts as seen when the policy acts on it, dead steps included.
        raw.append([h.observation if h else None for h in happened])
        for n, h in enumerate(happened):
            if h:
                returns[n] = 0.9 * returns[n] + h.reward
        all_returns += [returns[n] for n, h in enumerate(happened) if h]
        sigma = np.std(all_returns, ddof=1) if len(all_returns) > 1 else 1.0
        for n, h in enumerate(happened):
            if h:
                assert (rollout.terminated[t, n], rollout.truncated[t, n]) == (h.terminated, h.truncated)
                assert rollout.rewards[t, n] == pytest.approx(np.clip(h.reward / (sigma + 1e-8), -10, 10), rel=1e-5)
                returns[n] *= not (h.terminated or h.truncated)
                if h.terminated:
                    assert following[t, n] == 0
                elif t < 19 and not h.truncated:
                    assert following[t, n] == value[t + 1, n]
    assert agent.steps == rollouts[0].valid.sum() + sum(r.valid.sum() for r in rollouts[1:])
    if mode is NEXT:
        assert not rollout.valid.all()
        return
    seen = np.array(raw)  # (T, N, O)
    for t in range(20):
        so_far = seen[: t + 1].reshape(-1, 3).astype(np.float64)
        expected = np.clip((seen[t] - so_far.mean(axis=0)) / (so_far.std(axis=0, ddof=1) + 1e-4), -10, 10)
        np.testing.assert_allclose(rollout.observations[t], expected, rtol=1e-4, atol=1e-5)
        for n in np.flatnonzero(rollout.truncated[t]):
            final = env.envs[n].log[int(rollout.valid[: t + 1, n].sum()) - 1].following
            expected = np.clip((final - so_far.mean(axis=0)) / (so_far.std(axis=0, ddof=1) + 1e-4), -10, 10)
            np.testing.assert_allclose(rollout.final[t, n][0], expected, rtol=1e-4, atol=1e-5)
    assert set(rollout.final) == {(t, n) for t, n in np.argwhere(rollout.truncated)}


def small_ppo(env, **settings):
    return rl.PPO(env, rl.PPOConfig(**{**dict(hidden=(6, 6), batch_size=8, epochs=1, gamma=0.9), **settings}), seed=0)


class TestUpdates:
    """How often the loop learns."""

    def test_one_a_step_after_the_warmup(self):
        assert updates(small("DDPG", World()), 20) == list(range(11, 21))

    def test_not_before_there_is_a_batch(self):
        assert updates(small("DDPG", World(), warmup=0), 12) == list(range(8, 13))

    def test_several_each_time(self):
        assert updates(small("DDPG", World(), updates=3), 12) == [11, 11, 11, 12, 12, 12]

    def test_every_so_many_steps(self):
        assert updates(small("DDPG", World(), update_interval=4), 24) == [12, 16, 20, 24]

    def test_for_each_step_of_every_copy(self):
        assert updates(small("DDPG", Worlds(2), warmup=10), 16) == [12, 12, 14, 14, 16, 16]

    def test_an_interval_that_is_no_multiple_of_the_copies(self):
        assert updates(small("DDPG", Worlds(2), update_interval=3), 18) == [12, 16, 18]

    def test_random_until_the_warmup_is_over(self):
        """With no exploration noise the policy's actions are small, and random ones are not."""
        agent = small("DDPG", World(), warmup=30, exploration=0.0)
        agent.policy.flat.data[...] *= 1e-3
        agent.learn(60)
        assert np.abs(agent.memory.actions[:30]).mean() > 0.3
        assert np.abs(agent.memory.actions[30:60]).max() < 0.3

    def test_progress_of_ppo_is_the_share_of_the_steps(self):
        agent, seen = small_ppo(World(), steps=10), []
        agent.update = lambda rollout, progress: seen.append(progress) or {}
        agent.learn(40)
        np.testing.assert_allclose(seen, [0, 0.25, 0.5, 0.75])


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_importance_of_what_is_drawn(progress):
    """w = (min p^α / p^α)^β with β on its way to 1; the newest transitions besides were not drawn, and count fully."""
    agent = small("DDPG", Worlds(2), priority_exponent=0.7, priority_offset=0.05, importance_exponent=0.4, newest=3).learn(40)
    batch = off_policy.draw_batch(agent, progress)
    assert len(batch.rows) == 8 + 2 * 3
    powers = agent.memory.priorities.tree[batch.rows[:8]]
    expected = (powers.min() / powers) ** (0.4 + 0.6 * progress)
    np.testing.assert_allclose(batch.weights[:8], expected, rtol=1e-6)
    assert expected.min() < 0.99
    np.testing.assert_array_equal(batch.weights[8:], 1)
    np.testing.assert_array_equal(np.sort(batch.rows[8:]), np.sort(agent.memory.newest(3)))
    slots = (agent.memory.heads[:, None] - [3, 2, 1]) % agent.memory.slots
    np.testing.assert_array_equal(np.sort(batch.rows[8:]), np.sort((slots + np.array([[0], [agent.memory.slots]])).ravel()))


def test_importance_ends_at_one_where_the_last_step_of_all_copies_is_one_too_many(monkeypatch):
    progress, draw = [], off_policy.draw_batch
    monkeypatch.setattr(off_policy, "draw_batch", lambda agent, p: progress.append(p) or draw(agent, p))
    assert small("DDPG", Worlds(2)).learn(21).steps == 22
    assert progress[-1] == max(progress) == 1


def test_priorities_are_the_errors_of_the_last_update():
    """p = (|δ| + ε)^α of the rows that were learned from; others keep the largest so far."""
    agent, given = small("DDPG", World(), priority_exponent=0.7, priority_offset=0.05), []
    update = agent.update

    def recording(batch):
        given.append((batch, update(batch)))
        return given[-1][1]

    agent.update = recording
    agent.learn(11)
    ((batch, (_, errors)),) = given
    tree, last = agent.memory.priorities.tree, dict(zip(batch.rows.tolist(), errors.tolist(), strict=True))
    for row in range(11):
        np.testing.assert_allclose(tree[np.array([row])], (last[row] + 0.05) ** 0.7 if row in last else 1.0, rtol=1e-6)


class TestEvaluate:
    """Episodes of unequal lengths: each counts its own steps, and what follows in its copy does not count."""

    @pytest.fixture
    def agent(self):
        return small("DDPG", Lengths())

    @pytest.mark.parametrize("env", [lambda: vectorize(Lengths, 5), Lengths])
    def test_each_return_is_its_own(self, agent, env):
        result = play(agent, env(), episodes=5, seed=2)
        lengths = np.array([1 + seed % 5 for seed in range(2, 7)])
        np.testing.assert_array_equal(result["length"], lengths)
        np.testing.assert_array_equal(result["return"], lengths * (lengths + 1) / 2)
        np.testing.assert_array_equal(rl.evaluate(agent, env(), episodes=5, seed=2), result["return"])


@pytest.mark.parametrize("mode", [SAME, NEXT])
def test_ppo_from_the_environment_to_the_parameters(mode):
    """Whole iterations, in float64: what the reference learns from the rollouts that were collected."""
    settings = dict(hidden=(6, 6), batch_size=8, epochs=2, steps=10, adam_eps=1e-3)
    agent, collected = adapter.learner("PPO", Worlds(3, mode), **settings), []
    reference, update = adapter.reference(agent), agent.update

    def recording(rollout, progress):
        collected.append((rollout, progress))
        return update(rollout, progress)

    agent.update = recording
    agent.learn(60)
    orders = iter(agent.rngs["policy"].drawn), iter(agent.rngs["value"].drawn)
    assert len(collected) > 1
    for rollout, progress in collected:
        columns = rollout.observations, rollout.actions, rollout.rewards.astype(np.float64), rollout.terminated, rollout.truncated
        final = {place: x[0] for place, x in rollout.final.items()}
        reference.update(Trajectories(*columns, rollout.valid, rollout.last, final), progress, *orders)
    for name, (given, expected) in adapter.compared(agent, reference).items():
        np.testing.assert_allclose(given, expected, rtol=1e-5, atol=1e-7, err_msg=name)  # rewards are float32
