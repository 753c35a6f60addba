"""The experiments' driver: what it measures, that it goes on where it was, and that measuring changes nothing."""

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.experiments import __main__ as driver
from benchmarks.experiments import training
from benchmarks.experiments.drawing import line_of_curves, subplots
from benchmarks.experiments.entropy import BETAS, policy_steps
from benchmarks.experiments.experiment import Experiment, Key, OneCritic, Point, Task, Variant
from benchmarks.experiments.navigation import normalized
from benchmarks.experiments.records import MEASURED, Records, curve, of_experiment
from benchmarks.experiments.tables import score_text, table
from benchmarks.experiments.watchers import Alignment, Dynamics, Extremes, Fits
from deepnp import NonFiniteError
from rl import MVE, TD2, SACLite
from rl.training.evaluation import play

PLANE = Task("deepnp/Navigation-v0", {"n": 2})
TINY = dict(hidden=(16, 16), batch_size=16, warmup=300, memory=2000)
SMALL = Experiment(
    "small",
    "a small one",
    {"first": Variant(TD2, {}), "second": Variant(OneCritic, {"targets": False})},
    {"plane": PLANE},
    steps=1000,
    seeds=2,
    shared=TINY,
    watch=(Alignment, Extremes, Dynamics),
)
KEY = Key("small", "first", "plane", 0, 1000)


@pytest.fixture(scope="module", autouse=True)
def few_episodes():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "EPISODES", 2)
        patch.setattr(training, "PROBES", 1)
        yield


@pytest.fixture(scope="module")
def finished(few_episodes):
    """A training, its figures and its curves."""
    return training.train(SMALL, KEY)


def learned(agent, watchers):
    """The parameters after steps that these watch, in two goes, so that there is learning after a look at the memory."""
    with agent:
        agent.learn(500, watchers).learn(700, watchers)
        return agent.policy.flat.data.copy()


def test_watching_changes_nothing_of_what_is_learned():
    plain, watched = (TD2(PLANE.env, TD2.Config(**TINY), 3, env_settings=PLANE.settings) for _ in range(2))
    watchers = [make(watched, PLANE) for make in SMALL.watch]
    np.testing.assert_array_equal(learned(plain, []), learned(watched, watchers))


def test_the_figures_of_a_training_are_those_of_its_policy_and_critics(finished):
    figures, points = finished
    with TD2(PLANE.env, TD2.Config(**TINY), 0, env_settings=PLANE.settings) as agent:
        agent.learn(1000)
        scores = play(agent, PLANE.env, training.EPISODES, env_settings=PLANE.settings)["return"]
        assert figures["largest_reward"] <= np.abs(agent.memory.rewards).max()
    assert figures["reached"] == 1000
    assert [figures[name] for name in ("score", "spread", "worst")] == [scores.mean(), scores.std(), scores.min()]
    assert figures["least_alignment"] <= figures["alignment"] <= 1
    assert 0 <= figures["rises"] <= 1
    assert figures["largest_value"] > 0
    assert {point.name for point in points} == {"score", "alignment"}


def test_each_fit_of_a_model_is_a_point_of_a_curve():
    small = dict(model_hidden=(8,), members=1, model_epochs=1, model_interval=500)
    with MVE(PLANE.env, MVE.Config(**TINY, **small), 0, env_settings=PLANE.settings) as agent:
        fits, metrics = Fits(agent, PLANE), []
        agent.learn(1300, [fits, lambda agent, own: metrics.append(own)])
    known = [own["model_error"] for own in metrics if "model_error" in own]
    assert [point.value for point in fits.points()] == known
    assert len(known) > 0
    assert {point.name for point in fits.points()} == {"model_error"}


def test_one_critic_has_one_and_is_otherwise_td2():
    with OneCritic(PLANE.env, OneCritic.Config(**TINY), 0, env_settings=PLANE.settings) as agent:
        assert len(agent.critics.networks) == 1
        assert OneCritic.Config is TD2.Config


def test_the_score_of_navigation_is_the_share_of_the_way():
    played = {"return": np.array([1.5, -1.0]), "distance": np.array([0.0, 4.0])}  # in units of 2: from 3 to 0, and from 2 to 4
    np.testing.assert_allclose(normalized(played, Task("", {"n": 4})), [1, -1])


def test_policy_steps_leave_the_critics_and_make_the_policy_certain():
    with SACLite(PLANE.env, SACLite.Config(**TINY, temperature=1e-7), 0, env_settings=PLANE.settings) as agent:
        agent.learn(320)
        before = [critic.flat.data.copy() for critic in agent.critics.networks]
        policy = agent.policy.flat.data.copy()
        points = policy_steps(agent, 0)
        np.testing.assert_array_equal(agent.policy.flat.data, policy)
        for name in BETAS:
            steps, values = curve(points, name)
            assert steps.tolist() == list(range(21))
            assert values[-1] > values[0]
        for critic, data in zip(agent.critics.networks, before, strict=True):
            np.testing.assert_array_equal(critic.flat.data, data)


def test_infinite_values_end_a_training_and_are_told(monkeypatch, capsys):
    def fail(self, batch):
        if self.steps >= 500:
            raise NonFiniteError("the critics' loss is infinite")
        return {"critic_loss": 0.0}, np.zeros(1)

    monkeypatch.setattr(TD2, "update", fail)
    figures, _ = training.train(SMALL, KEY)
    assert figures["reached"] == 500
    assert "infinite" in capsys.readouterr().out


def test_what_is_finished_is_not_run_again(monkeypatch, tmp_path, finished):
    run = []
    monkeypatch.setattr(driver, "train", lambda experiment, key: (run.append(key), finished)[1])
    records = Records(tmp_path / "new")
    driver.run([SMALL], records, None, [0])
    driver.run([SMALL], records, None, None)
    assert [(key.seed, key.variant) for key in run] == [(0, "first"), (0, "second"), (1, "first"), (1, "second")]
    assert run == SMALL.keys(None, None)
    assert records.rows()[KEY] == pytest.approx(finished[0], rel=1e-5)
    assert records.curves()[KEY] == finished[1]


def test_a_row_that_was_cut_off_is_run_again(tmp_path, finished):
    records = Records(tmp_path)
    records.add(KEY, *finished)
    records.add(KEY._replace(seed=1), *finished)
    text = records.rows_file.read_text()
    records.rows_file.write_text(text[: text.rindex(",first,") + 10])
    assert list(records.rows()) == [KEY]
    assert list(records.curves()) == [KEY]


def some_records(experiment, folder, seeds):
    """Records in which every training is finished with the same figures."""
    records = Records(folder)
    measured = dict.fromkeys(MEASURED, 0.5)
    points = [Point(name, at, at / 9) for name in ("score", "alignment", *BETAS) for at in range(21)]
    for key in experiment.keys(None, seeds):
        records.add(key, {**measured, "score": 100.0 + key.seed}, points)
    return records


@pytest.mark.parametrize("name", list(driver.EXPERIMENTS))
def test_tables_and_figures_of_every_experiment(name, tmp_path, capsys):
    records = some_records(driver.EXPERIMENTS[name], tmp_path, [0, 1])
    driver.show(name, records, None, tmp_path / "images")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    experiment = driver.EXPERIMENTS[name]
    assert len(lines) == 1 + len(experiment.tasks) * len(experiment.variants)
    assert all("| 2 | 0.5 | 100 ± 0.5 |" in line for line in lines[1:])
    assert all((tmp_path / "images" / f"experiment_{name}.{kind}").stat().st_size > 5000 for kind in ("svg", "png"))


def test_a_figure_of_one_training_can_be_drawn(tmp_path):
    for name, module in driver.MODULES.items():
        records = some_records(module.EXPERIMENT, tmp_path, [0])
        steps, key = module.EXPERIMENT.steps, next(key for key in records.rows() if key.experiment == name)
        one = ({key: values[key]} for values in (records.rows(), records.curves()))
        module.draw(*(of_experiment(values, name, steps) for values in one)).canvas.draw()


def test_the_line_of_curves_is_the_mean_as_far_as_all_got():
    _, (axis,) = subplots(1)
    far, near = ([Point("score", 1000 * at, float(value)) for at, value in pairs] for pairs in ([(1, 2), (3, 6)], [(1, 0), (2, 2)]))
    line_of_curves(axis, {0: far, 1: near}, "score", "both", "#000000")
    x, y = axis.lines[-1].get_data()
    np.testing.assert_allclose([x, y], [[1, 2], [1, 3]])
    assert axis.lines[-1].get_label() == "both (2)"


def test_scores_of_several_seeds_have_a_standard_error():
    assert score_text([1200.0]) == "1,200"
    assert score_text([1.0, 3.0]) == "2 ± 1"
    assert table(SMALL, {("first", "plane"): {0: {"score": 3.0}}}).endswith("| plane | first | 1 | 3 |")


@pytest.mark.parametrize("name", list(driver.EXPERIMENTS))
def test_every_variant_can_be_made(name):
    experiment = driver.EXPERIMENTS[name]
    task = next(iter(experiment.tasks.values()))
    for variant in experiment.variants.values():
        settings = {**experiment.shared, **variant.settings, "memory": 1000, "hidden": (32, 32)}
        with variant.algorithm(task.env, variant.algorithm.Config(**settings), env_settings=task.settings) as agent:
            assert [make(agent, task) for make in experiment.watch]


def test_command_line(monkeypatch, tmp_path, capsys, finished):
    monkeypatch.setattr(driver, "train", lambda experiment, key: finished)
    arguments = ["--only", "actors", "--seeds", "4", "--steps", "1000", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["experiments", *arguments])
    driver.main()
    assert capsys.readouterr().out.count("| HalfCheetah |") == 3
    monkeypatch.setattr(sys, "argv", ["experiments", *arguments, "--table", "--images", str(tmp_path)])
    driver.main()
    assert {path.name for path in Path(tmp_path).glob("*.png")} == {"experiment_actors.png"}


def test_some_variants_alone(monkeypatch, tmp_path, capsys, finished):
    monkeypatch.setattr(driver, "train", lambda experiment, key: finished)
    arguments = ["--only", "actors", "--seeds", "4", "--out", str(tmp_path), "--variants"]
    monkeypatch.setattr(sys, "argv", ["experiments", *arguments, "flow"])
    driver.main()
    assert {key.variant for key in Records(tmp_path).rows()} == {"flow"}
    monkeypatch.setattr(sys, "argv", ["experiments", *arguments, "river"])
    with pytest.raises(SystemExit):
        driver.main()
    assert "expected --variants among ['gaussian', 'flow', 'variational'], given 'river'" in capsys.readouterr().err
