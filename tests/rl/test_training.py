"""Runs, evaluation, curves and films."""

import json
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from PIL import Image

import envs  # noqa: F401  (registers deepnp/…)
from rl import PPO, PPOConfig, evaluate
from rl.runs.progress import ProgressBar
from rl.runs.run import Run, read_progress
from rl.training.curves import plot_run, smooth
from rl.training.evaluation import play
from rl.training.playing import Player
from rl.training.video import contact_sheet, film, save_gif
from tests.rl.toys import Counter, Endless, Target, vectorize

TINY = PPOConfig(num_envs=2, steps=16, batch_size=16, epochs=1, hidden=(8,))
ONE = replace(TINY, num_envs=1)


def test_a_run_is_written_down(tmp_path):
    agent = PPO(vectorize(lambda: Counter(20), 2), TINY)
    run = Run(tmp_path / "run", agent, "Counter", 320)
    agent.learn(320, log=run)
    progress = read_progress(run.folder)
    np.testing.assert_array_equal(progress["steps"], np.arange(32, 321, 32))
    assert np.isnan(progress["episode_return"][0])  # nobody had finished yet
    assert progress["episode_return"][1] == 210
    assert json.loads((run.folder / "config.json").read_text())["config"]["steps"] == 16
    assert PPO.load(run.checkpoint).steps == 320
    for file in plot_run(run.folder, {"episode_return": "return", "missing": "?"}, "title"):
        assert file.stat().st_size > 1000
    assert plot_run(run.folder, {"missing": "?"}, "nothing to show")[0].is_file()


def test_a_curve_is_smoothed_over_a_fortieth_of_it(tmp_path, monkeypatch, rng):
    values, figures = rng.normal(size=120), []
    monkeypatch.setattr("rl.training.curves.read_progress", lambda _: {"steps": list(range(120)), "loss": list(values)})
    monkeypatch.setattr("rl.training.curves.save_figure", lambda figure, *_: figures.append(figure))
    plot_run(tmp_path, {"loss": "loss"}, "title")
    raw, smoothed = figures[0].axes[0].lines
    np.testing.assert_array_equal(raw.get_ydata(), values)
    np.testing.assert_array_equal(smoothed.get_ydata(), smooth(values, 3))


def test_a_run_never_overwrites_another(tmp_path):
    agent = PPO(Target(), ONE)
    Run(tmp_path, agent, "Target", 100)
    with pytest.raises(FileExistsError, match="holds a run already"):
        Run(tmp_path, agent, "Target", 100)
    with pytest.raises(FileNotFoundError, match="found none in"):
        read_progress(tmp_path / "nowhere")


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP])
def test_evaluation_counts_one_episode_a_copy(mode):
    agent = PPO(Counter(3), ONE)
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


def test_actions_are_drawn_apart_from_what_the_environment_draws(monkeypatch):
    drawn = []

    class Told(Player):
        def act(self, observations):
            drawn.append(self.rng.bit_generator.state["state"])
            return super().act(observations)

    monkeypatch.setattr("rl.training.evaluation.Player", Told)
    env = Target()
    evaluate(PPO(vectorize(Target, 2), TINY), env, 1, seed=3, deterministic=False)
    env.reset(seed=3)
    assert drawn[0]["inc"] != env.np_random.bit_generator.state["state"]["inc"]  # another stream


def test_evaluating_in_the_training_environment_begins_new_episodes():
    env = Counter(20)
    agent = PPO(env, ONE).learn(16)
    evaluate(agent, env, 1)
    assert agent.collector is None
    agent.learn(32)
    assert agent.collector.lengths[0] == 16


def test_infos_that_only_some_episodes_tell():
    class Sometimes(Counter):
        def step(self, action):
            *rest, infos = super().step(action)
            return *rest, ({"goal": 5.0} if self.episode % 4 == 1 else infos)

    agent = PPO(Counter(3), ONE)
    results = play(agent, Sometimes(3), 2)
    assert sorted(results["goal"][np.isfinite(results["goal"])]) == [5.0]
    agent = PPO(vectorize(lambda: Sometimes(3), 2), TINY).learn(64)
    assert agent.steps == 64


def test_successes_have_one_name():
    class Told(Counter):
        def step(self, action):
            *rest, _ = super().step(action)
            return *rest, {"is_success": self.episode == 1}

    agent = PPO(Counter(3), ONE)
    np.testing.assert_array_equal(play(agent, Told(), 3)["success"], [1, 0, 0])
    assert "success" not in play(agent, Counter(3), 2)


def test_an_environment_gets_its_keyword_arguments():
    agent = PPO("deepnp/Navigation-v0", ONE, env_settings={"n": 3})
    assert len(evaluate(agent, "deepnp/Navigation-v0", 2, env_settings={"n": 3})) == 2
    with pytest.raises(ValueError, match="does not fit the agent"):
        evaluate(agent, "deepnp/Navigation-v0", 2, env_settings={"n": 4})


def test_evaluation_refuses_what_does_not_fit():
    agent = PPO(Counter(3), ONE)
    with pytest.raises(ValueError, match="with 4 copies, given 2"):
        evaluate(agent, vectorize(lambda: Counter(3), 2), 4)
    with pytest.raises(ValueError, match="episodes as an integer >= 1"):
        evaluate(agent, Counter(3), 0)
    for other in (Target(), Target(discrete=True), Endless()):
        with pytest.raises(ValueError, match="environment does not fit the agent"):
            evaluate(agent, other, 1)


def test_numpy_numbers_are_numbers():
    agent = PPO(Counter(3), replace(TINY, num_envs=np.int64(1)), seed=np.int64(3))
    for episodes, seed in ((np.int64(2), np.int32(4)), (2.0, np.uint8(4)), (np.float64(2), 4)):
        np.testing.assert_array_equal(evaluate(agent, Counter(3), episodes, seed), [6, 6])
        np.testing.assert_array_equal(evaluate(agent, lambda: Counter(3), episodes, seed), [6, 6])
    agent.learn(1e2)
    assert agent.steps >= 100
    for episodes in (2.5, np.nan, np.inf, "2", True, None):
        with pytest.raises(ValueError, match="episodes as an integer >= 1"):
            evaluate(agent, Counter(3), episodes)


class Closing(Counter):
    """Counts those that are open."""

    open = 0

    def __init__(self):
        super().__init__(3)
        Closing.open += 1

    def close(self):
        Closing.open -= 1


class Broken(Closing):
    def step(self, action):
        observation, *rest = super().step(action)
        return observation * np.nan, *rest


def test_environments_made_for_an_evaluation_are_closed():
    agent = PPO(Counter(3), ONE)
    evaluate(agent, Closing, 3)
    assert Closing.open == 0
    with pytest.raises(ValueError, match="finite"):
        evaluate(agent, Broken, 3)
    assert Closing.open == 0
    own = Closing()
    evaluate(agent, own, 3)
    assert Closing.open == 1  # it is the caller's


def test_infos_of_the_next_episode_are_not_reported():
    """A SAME_STEP vector of somebody else's, whose infos are of the episode that just began: nothing is better than that."""

    class Foreign(VectorEnvOfOthers):
        infos = {"count": np.array([100.0, 200.0]), "_count": np.array([True, True])}

    agent = PPO(Counter(3), ONE)
    results = play(agent, Foreign(Counter(3), 2), 2)
    assert "count" not in results
    np.testing.assert_array_equal(results["return"], [6, 6])


class VectorEnvOfOthers(gymnasium.vector.VectorWrapper):
    """Replaces all infos by its own."""

    infos: dict = {}

    def __init__(self, env, copies):
        limit = env.limit
        super().__init__(vectorize(lambda: Counter(limit), copies))

    def step(self, actions):
        *rest, _ = self.env.step(actions)
        return *rest, self.infos


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
    with pytest.raises(ValueError, match='render_mode="rgb_array", given None'):
        film(agent, gymnasium.make("deepnp/Walker-v0"), 0, 1, 10)
    with pytest.raises(TypeError, match="expected an Env to film in, given 'deepnp/Walker-v0'"):
        film(agent, "deepnp/Walker-v0", 0, 1, 10)
    with pytest.raises(ValueError, match=r"expected render_fps of .* and fps above 0, given \d+.* and 0"):
        film(agent, env, 0, 1, 0)
    with pytest.raises(ValueError, match="expected fps above 0, given 0"):
        save_gif(path, frames, 0)
    for given, count in (([], 3), (frames, 0)):
        with pytest.raises(ValueError, match="expected at least one frame, given"):
            contact_sheet(given, count)


def test_a_small_thing_keeps_its_colour(tmp_path, rng):
    """A ball of 8 × 8 pixels, in the first of twenty frames only, before a sky of many colours."""
    sky = np.zeros((120, 160, 3), np.uint8)
    sky[..., 2] = np.linspace(60, 255, 120)[:, None]
    sky[..., :2] = np.linspace(0, 200, 160)[:, None]
    frames = [np.clip(sky + rng.integers(-20, 20, sky.shape), 0, 255).astype(np.uint8) for _ in range(20)]
    frames[0][50:58, 70:78] = (220, 30, 25)
    path = save_gif(tmp_path / "ball.gif", frames, 20, width=160)
    with Image.open(path) as image:
        shown = np.asarray(image.convert("RGB"))[52:56, 72:76].reshape(-1, 3)
    assert np.abs(shown.mean(axis=0) - (220, 30, 25)).max() < 20


def test_a_callback_may_play_in_the_environment_that_is_learned_in():
    agent = PPO(vectorize(Target, 4), PPOConfig(num_envs=4, steps=32, hidden=(8,)))
    returns = []
    agent.learn(256, lambda a, metrics: returns.append(evaluate(a, a.env, episodes=4)))
    assert agent.steps == 256
    assert len(returns) == 2


class Clock:
    """Seconds that pass as told."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


@pytest.mark.parametrize("first", [0, 3000])
def test_progress_never_says_more_than_all(monkeypatch, capsys, first):
    """The last iteration may go beyond; a resumed training begins in the middle."""
    clock = Clock()
    monkeypatch.setattr("rl.runs.progress.time", clock)
    agent = PPO(Target(), ONE)
    agent.total_steps, bar = 4000, ProgressBar({"loss": "loss {:.1f}"})
    bar.on_start(agent)
    for steps in range(first + 1000, 4100, 1000):
        agent.steps = steps + 80
        clock.now += 20.0
        bar.on_update(agent, {"loss": 0.5})
    bar.on_end(agent, None)
    lines = capsys.readouterr().out.splitlines()
    assert lines
    for line in lines:
        assert float(line.split("%")[0]) <= 100
        assert "-" not in line
        assert "  50 steps/s  " in line or line is lines[0]
    assert lines[-1].startswith("100 %  4,080 steps")
    assert lines[-1].removesuffix("  0 s left").endswith("loss 0.5")


def test_a_closed_terminal_does_not_end_a_training(monkeypatch):
    def closed(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("rl.runs.displays.print", closed, raising=False)
    agent = PPO(Target(), ONE)
    agent.learn(64, progress=ProgressBar({}, plain_seconds=0))
    assert agent.steps == 64
