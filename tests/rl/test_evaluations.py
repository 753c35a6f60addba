"""Evaluations along the way, and the statistics of several runs."""

from dataclasses import replace
from itertools import product

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from rl import PPO, PPOConfig
from rl.runs.callbacks import Callback
from rl.runs.run import Run
from rl.training import playing
from rl.training.evaluation import play
from rl.training.evaluations import Evaluations, read_evaluations
from rl.training.statistics import bootstrap_interval, iqm
from tests.rl.toys import Counter, Endless, Target, vectorize

pytestmark = pytest.mark.filterwarnings("ignore:.* begins new episodes")  # the toys tell no state
TINY = PPOConfig(num_envs=2, steps=16, batch_size=16, epochs=1, hidden=(8,))


def trained(folder, every, total=320, config=TINY, seed=0, world=Target):
    agent = PPO(vectorize(world, config.num_envs), config, seed=seed)
    run = Run(folder, agent, "Target", total)
    agent.learn(total, Evaluations(folder, world, every, episodes=3), log=run)
    return agent, run


def test_evaluations_come_when_they_are_due(tmp_path):
    trained(tmp_path, 100)  # an iteration is 32 steps
    steps, returns = read_evaluations(tmp_path)
    np.testing.assert_array_equal(steps, [128, 224, 320])
    assert returns.shape == (3, 3)


def test_the_first_iteration_may_be_due_without_a_folder_too():
    taken: list[int] = []

    class Heard(Callback):
        def on_evaluation(self, agent, result):
            taken.append(agent.steps)

    PPO(vectorize(Target, 2), TINY).learn(96, [Evaluations(None, Target, 20, 2), Heard()])  # an iteration is 32 steps
    assert taken == [32, 64, 96]


def test_evaluations_are_of_the_agent_as_it_is_and_on_the_same_episodes(tmp_path):
    agent, _ = trained(tmp_path, 160, config=replace(TINY, lr=0.0, normalize_observations=False))
    _, returns = read_evaluations(tmp_path)
    np.testing.assert_array_equal(returns[0], returns[1])  # nothing was learned
    learned = tmp_path / "learned"
    trained(learned, 160, config=replace(TINY, lr=0.05))
    _, returns = read_evaluations(learned)
    assert (returns[0] != returns[1]).all()
    _, returns = read_evaluations(tmp_path)
    actions = agent.predict(np.array([[0.5], [-0.5]], np.float32))[:, 0]
    possible = -((actions - [0.5, -0.5]) ** 2)
    assert np.isclose(returns[..., None], possible, atol=1e-6).any(axis=-1).all()


def test_training_goes_on_as_without_them(tmp_path):
    with_them, _ = trained(tmp_path / "a", 50)
    without, _ = trained(tmp_path / "b", 1000)
    observations = np.linspace(-1, 1, 7, dtype=np.float32)[:, None]
    np.testing.assert_array_equal(with_them.predict(observations), without.predict(observations))


def test_a_resumed_run_takes_again_what_it_lost(tmp_path):
    agent, run = trained(tmp_path / "run", 100)
    expected = read_evaluations(tmp_path / "run")
    run.close()
    folder = tmp_path / "other"
    agent = PPO(vectorize(Target, 2), TINY)
    run = Run(folder, agent, "Target", 320)
    agent.learn(192, Evaluations(folder, Target, 100, episodes=3), log=run)
    agent.learn(256, [run.on_update, Evaluations(folder, Target, 100, episodes=3)])  # without a checkpoint at its end
    run.close()
    np.testing.assert_array_equal(read_evaluations(folder)[0], [128, 224])
    path = folder / "evaluations.csv"
    path.write_text(path.read_text().replace("\n224,", "\n224,12345"))
    agent = PPO.load(run.checkpoint, vectorize(Target, 2))
    assert agent.steps == 192
    agent.learn(320, Evaluations(folder, Target, 100, episodes=3), log=Run.resume(folder, agent))
    np.testing.assert_array_equal(read_evaluations(folder)[0], expected[0])
    assert "12345" not in path.read_text()  # the agent that earned it is no more


def test_an_episode_that_never_ends_is_cut(monkeypatch):
    monkeypatch.setattr(playing, "LONGEST", 7)
    agent = PPO(vectorize(Endless, 2), TINY, seed=0)
    with pytest.warns(RuntimeWarning, match="cut 3 of 3 episodes after 7 steps"):
        result = play(agent, lambda: Endless(10**9), 3)
    np.testing.assert_array_equal(result["length"], 7)
    np.testing.assert_array_equal(result["return"], 7)


def test_a_longer_time_limit_than_that_is_kept(monkeypatch):
    monkeypatch.setattr(playing, "LONGEST", 7)
    agent = PPO(vectorize(Endless, 2), TINY, seed=0)
    limited = lambda: gymnasium.wrappers.TimeLimit(Endless(10**9), 9)  # noqa: E731
    vector = vectorize(limited, 1)
    vector.spec = EnvSpec("Endless-v0", max_episode_steps=9)
    np.testing.assert_array_equal(play(agent, vector, 1)["length"], 9)


def test_what_is_counted(tmp_path):
    trained(tmp_path, 320, world=lambda: Counter(3))
    table = Evaluations(tmp_path, Target, 1).table.columns()
    assert table["mean"] == table["iqm"] == [6]
    assert [table[f"return_{i}"] for i in range(3)] == [[6]] * 3
    with pytest.raises(ValueError, match="every as an integer >= 1"):
        Evaluations(tmp_path, Target, 0)
    with pytest.raises(FileNotFoundError, match="found no rows in"):
        read_evaluations(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([5], 5),
        ([1, 2, 6], 3),
        ([9, 1, 2, 100], 5.5),
        ([100, 1, 2, 3, -50], 2),
        ([1, 2, 3, 4, 5, 6, 7, 1000], 4.5),
        (np.arange(12.0).reshape(3, 4), 5.5),
    ],
)
def test_interquartile_mean(scores, expected):
    assert iqm(scores) == expected


def test_interquartile_mean_along_an_axis(rng):
    scores = rng.normal(size=(9, 4, 5))
    for axis in (0, 1, 2, -1):
        rows = np.moveaxis(scores, axis, -1)
        expected = [[sorted(row)[len(row) // 4 : len(row) - len(row) // 4] for row in matrix] for matrix in rows]
        np.testing.assert_allclose(iqm(scores, axis), np.mean(expected, axis=-1))
    with pytest.raises(ValueError, match="at least one score"):
        iqm([])


def test_bootstrap_interval_against_all_resamples():
    """Of four runs there are 4⁴ = 256 resamples: their quantiles are known exactly."""
    scores = np.array([[1.0, -3.0], [2.0, 0.0], [4.0, 10.0], [9.0, 1.0]])
    means = np.array([iqm(scores[list(drawn)], axis=0) for drawn in product(range(4), repeat=4)])
    for confidence in (0.5, 0.8, 0.95):
        expected = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
        np.testing.assert_allclose(bootstrap_interval(scores, confidence, resamples=60_000), expected, atol=0.1)


def test_bootstrap_interval_covers(rng):
    """A 90 % interval holds the true value in about 90 % of experiments with 20 runs: a little less, as it is known to do."""
    covered = []
    for i in range(300):
        low, high = bootstrap_interval(rng.normal(3, 2, 20), 0.9, resamples=500, seed=i)
        covered.append(low <= 3 <= high)
    assert 0.82 < np.mean(covered) < 0.95


def test_bootstrap_interval_at_the_edges():
    low, high = bootstrap_interval([7.0])
    assert low == high == 7
    assert bootstrap_interval([1.0, 2.0, 5.0], seed=1) == bootstrap_interval([1.0, 2.0, 5.0], seed=1)
    for scores, confidence, message in (([], 0.9, "at least one run"), (3.0, 0.9, "at least one run"), ([1], 1, "given 1")):
        with pytest.raises(ValueError, match=message):
            bootstrap_interval(scores, confidence)
