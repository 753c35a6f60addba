"""Runs, evaluation, curves and films."""

import json

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from PIL import Image

import envs  # noqa: F401  (registers deepnp/…)
from rl import PPO, PPOConfig, evaluate
from rl.training.curves import plot_run, smooth
from rl.training.evaluation import play
from rl.training.run import Run, read_progress
from rl.training.video import contact_sheet, film, save_gif
from tests.rl.toys import Counter, Target, vectorize

TINY = PPOConfig(num_envs=2, steps=16, batch_size=16, epochs=1, hidden=(8,))


def test_a_run_is_written_down(tmp_path):
    agent = PPO(vectorize(lambda: Counter(20), 2), TINY)
    run = Run(tmp_path / "run", agent, "Counter", 320)
    agent.learn(320, run)
    run.save(agent)
    progress = read_progress(run.folder)
    np.testing.assert_array_equal(progress["steps"], np.arange(32, 321, 32))
    assert np.isnan(progress["episode_return"][0])  # nobody had finished yet
    assert progress["episode_return"][1] == 210
    assert json.loads((run.folder / "config.json").read_text())["config"]["steps"] == 16
    assert PPO.load(run.checkpoint).steps == 320
    for file in plot_run(run.folder, {"episode_return": "return", "missing": "?"}, "title"):
        assert file.stat().st_size > 1000


def test_a_run_never_overwrites_another(tmp_path):
    agent = PPO(Target(), TINY)
    Run(tmp_path, agent, "Target", 100)
    with pytest.raises(FileExistsError, match="holds a run already"):
        Run(tmp_path, agent, "Target", 100)
    with pytest.raises(FileNotFoundError, match="found none in"):
        read_progress(tmp_path / "nowhere")


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_evaluation_counts_one_episode_a_copy(mode):
    agent = PPO(Counter(3), TINY)
    results = play(agent, vectorize(lambda: Counter(3), 5, mode), 5)
    np.testing.assert_array_equal(results["return"], [6.0] * 5)
    np.testing.assert_array_equal(results["length"], [3] * 5)
    np.testing.assert_array_equal(results["count"], [3] * 5)
    np.testing.assert_array_equal(evaluate(agent, Counter(4), 3), [10.0] * 3)


def test_evaluation_depends_on_its_seed_only():
    agent = PPO("deepnp/Walker-v0", TINY)
    first = evaluate(agent, "deepnp/Walker-v0", 4, seed=1)
    agent.rngs["actions"].random(10)
    np.testing.assert_array_equal(evaluate(agent, "deepnp/Walker-v0", 4, seed=1), first)
    # Fewer copies are another matrix product, whose sums round differently.
    np.testing.assert_allclose(evaluate(agent, "deepnp/Walker-v0", 2, seed=1), first[:2], rtol=1e-4)
    assert (evaluate(agent, "deepnp/Walker-v0", 4, seed=2) != first).any()


def test_stochastic_evaluation_repeats_and_leaves_training_alone():
    agent = PPO(vectorize(Target, 2), TINY)
    before = agent.rngs["actions"].bit_generator.state
    first = evaluate(agent, Target(), 5, deterministic=False)
    np.testing.assert_array_equal(evaluate(agent, Target(), 5, deterministic=False), first)
    assert agent.rngs["actions"].bit_generator.state == before


def test_evaluating_in_the_training_environment_begins_new_episodes():
    env = Counter(20)
    agent = PPO(env, TINY).learn(16)
    evaluate(agent, env, 1)
    assert agent.collector is None
    agent.learn(32)
    assert agent.collector.lengths[0] == 16


def test_infos_that_only_some_episodes_tell():
    class Sometimes(Counter):
        def step(self, action):
            *rest, infos = super().step(action)
            return *rest, ({"goal": 5.0} if self.episode % 4 == 1 else infos)

    agent = PPO(Counter(3), TINY)
    results = play(agent, Sometimes(3), 2)
    assert sorted(results["goal"][np.isfinite(results["goal"])]) == [5.0]
    agent = PPO(vectorize(lambda: Sometimes(3), 2), TINY).learn(64)
    assert agent.steps == 64


def test_evaluation_refuses_what_does_not_fit():
    agent = PPO(Counter(3), TINY)
    with pytest.raises(ValueError, match="with 4 copies, given 2"):
        evaluate(agent, vectorize(lambda: Counter(3), 2), 4)
    with pytest.raises(ValueError, match="episodes as an integer >= 1"):
        evaluate(agent, Counter(3), 0)


def test_smooth_ignores_gaps():
    np.testing.assert_allclose(smooth(np.array([1.0, np.nan, 3.0]), 3), [1, 2, 3])


def test_film(tmp_path):
    agent = PPO("deepnp/Walker-v0", TINY)
    env = gymnasium.make("deepnp/Walker-v0", render_mode="rgb_array")
    frames = film(agent, env, seed=0, seconds=0.4, fps=12.5)
    env.close()
    assert len(frames) == 5
    path = save_gif(tmp_path / "walk.gif", frames, fps=12.5, width=160)
    with Image.open(path) as image:
        assert image.size == (160, 120)
        assert image.n_frames == 5
        assert image.info["duration"] == 80
    assert contact_sheet(frames, 3).shape == (480, 3 * 640, 3)
    with pytest.raises(ValueError, match="at least one frame"):
        save_gif(path, [], 10)


def test_a_callback_may_play_in_the_environment_that_is_learned_in():
    agent = PPO(vectorize(Target, 4), PPOConfig(num_envs=4, steps=32, hidden=(8,)))
    returns = []
    agent.learn(256, lambda a, metrics: returns.append(evaluate(a, a.env, episodes=4)))
    assert agent.steps == 256
    assert len(returns) == 2
