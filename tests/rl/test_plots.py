"""Curves of several runs in one picture."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from rl.runs.table import Table
from rl.training import plots
from rl.training.plots import evaluations_of, plot_runs, progress_of
from rl.training.results import results_table
from rl.training.statistics import bootstrap_interval, iqm


def run(folder, config=None, evaluations=None, progress=None, env="Task-v0", algorithm="PPO"):
    """A run's folder, without the training: evaluations {steps: returns}, progress {steps: return or None}."""
    folder.mkdir(parents=True)
    record = {"algorithm": algorithm, "env": env, "seed": 0, "total_steps": 9, "config": config or {}}
    (folder / "config.json").write_text(json.dumps(record))
    for name, rows in (("evaluations.csv", evaluations), ("progress.csv", progress)):
        table = Table(folder / name)
        for steps, value in (rows or {}).items():
            returns = {f"return_{i}": x for i, x in enumerate(value)} if name == "evaluations.csv" else {"episode_return": value}
            table.append({"steps": steps, **returns})
    return folder


def test_evaluations_at_the_same_steps_are_taken_as_they_are(tmp_path):
    folders = [
        run(tmp_path / "a", evaluations={10: [1, 3], 20: [5, 5], 30: [0, 0]}),
        run(tmp_path / "b", evaluations={10: [4, 4], 20: [8, 6]}),
    ]
    steps, scores = evaluations_of(folders)
    np.testing.assert_array_equal(steps, [10, 20])
    np.testing.assert_array_equal(scores, [[2, 5], [4, 7]])


def test_evaluations_at_other_steps_are_interpolated(tmp_path):
    often = run(tmp_path / "often", evaluations={10: [0], 20: [10], 30: [40], 40: [50]})
    seldom = run(tmp_path / "seldom", evaluations={15: [1], 35: [2]})
    steps, scores = evaluations_of([seldom, often])
    np.testing.assert_array_equal(steps, [15, 35])
    np.testing.assert_array_equal(scores, [[1, 2], [5, 45]])
    early, late = run(tmp_path / "early", evaluations={5: [0], 30: [1]}), run(tmp_path / "late", evaluations={10: [0], 30: [2]})
    np.testing.assert_array_equal(evaluations_of([early, late])[0], [30])  # nothing is known of both before 10
    with pytest.raises(ValueError, match="at common steps"):
        evaluations_of([often, run(tmp_path / "later", evaluations={50: [1]})])
    with pytest.raises(ValueError, match="at least one run's folder"):
        evaluations_of([])
    with pytest.raises(FileNotFoundError, match="found no rows"):
        evaluations_of([run(tmp_path / "never")])


def test_progress_is_averaged_in_bins_of_steps(tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "BINS", 4)
    a = run(tmp_path / "a", progress={10: 1.0, 20: 3.0, 30: 5.0, 40: "", 50: 9.0, 80: 11.0})  # (20, 40] has one number
    b = run(tmp_path / "b", progress={20 * i: float(i) for i in range(1, 9)})
    steps, values = progress_of([a, b], "episode_return")
    np.testing.assert_array_equal(steps, [10, 30, 50, 70])
    np.testing.assert_array_equal(values, [[2, 5, 9, 11], [1, 2, 3, 4]])
    gap = run(tmp_path / "gap", progress={19: 1.0, 20: 1.0, 60: 3.0, 80: 5.0})
    np.testing.assert_array_equal(progress_of([gap], "episode_return")[1], [[1, 2, 3, 5]])  # nothing in (20, 40]
    with pytest.raises(ValueError, match=r"a metric of \['episode_return', 'steps'\], with numbers, given 'loss'"):
        progress_of([a], "loss")
    with pytest.raises(ValueError, match="with numbers, given 'episode_return'"):
        progress_of([run(tmp_path / "young", progress={10: ""})], "episode_return")


def test_a_run_that_was_continued_elsewhere_begins_where_it_was_taken_up(tmp_path):
    first = run(tmp_path / "first", progress={10: 1.0, 20: 2.0, 30: 3.0, 40: 4.0})
    second = run(tmp_path / "second", progress={30: 7.0, 40: 8.0})
    steps, values = progress_of([second], "episode_return")
    np.testing.assert_array_equal(steps, [25, 35])
    np.testing.assert_array_equal(values, [[7, 8]])
    steps, values = progress_of([first, second], "episode_return")
    assert steps.min() > 20
    np.testing.assert_array_equal(values[1], [7, 8])
    steps, values = progress_of([run(tmp_path / "third", progress={40: 9.0})], "episode_return")
    assert (steps.tolist(), values.tolist()) == ([40], [[9]])  # a single row says nothing of where it began
    later = run(tmp_path / "later", progress={60: 7.0, 70: 8.0})
    with pytest.raises(ValueError, match=r"expected runs with steps in common, given .*first, .*later"):
        progress_of([first, later], "episode_return")


@pytest.fixture
def figures(monkeypatch):
    drawn = []
    save = plots.save_figure
    monkeypatch.setattr(plots, "save_figure", lambda figure, *rest: drawn.append(figure) or save(figure, *rest))
    return drawn


def test_a_picture_shows_the_statistics_of_each_group(tmp_path, figures, rng):
    scores = rng.normal(size=(5, 3))
    for seed, row in enumerate(scores):
        run(tmp_path / "a" / f"seed-{seed}", {"lr": 1}, {10 * k: [x] for k, x in enumerate(row, start=1)})
    run(tmp_path / "b", {"lr": 2}, {10: [0.0], 30: [1.0]})
    files = plot_runs(tmp_path / "picture", [tmp_path / "a", tmp_path / "b"], title="two")
    assert [file.name for file in files] == ["picture.svg", "picture.png"]
    ElementTree.parse(files[0])
    Image.open(files[1]).verify()
    (axis,) = figures[0].axes
    first, second = axis.lines
    assert (first.get_label(), second.get_label()) == ("PPO lr=1 (5 runs)", "PPO lr=2 (1 run)")
    np.testing.assert_allclose(first.get_xdata(), [0.01, 0.02, 0.03])
    np.testing.assert_allclose(first.get_ydata(), iqm(scores, axis=0))
    (band,) = axis.collections
    low, high = bootstrap_interval(scores)
    points = band.get_paths()[0].vertices
    assert points[:, 1].min() == pytest.approx(low.min())
    assert points[:, 1].max() == pytest.approx(high.max())
    assert axis.get_ylabel() == "return of evaluations: IQM, 95 % interval"


def test_environments_have_panels_and_what_was_not_evaluated_shows_progress(tmp_path, figures):
    run(tmp_path / "a", evaluations={10: [1.0]}, progress={10: 2.0}, env="First-v0")
    run(tmp_path / "b", progress={3_000_000: 2.0, 6_000_000: 4.0}, env="Second-v0")
    (file,) = plot_runs(tmp_path / "new" / "folder" / "picture.png", [tmp_path / "a", tmp_path / "b"])
    assert file.name == "picture.png"
    left, right = figures[0].axes
    assert (left.get_title(), right.get_title()) == ("First-v0", "Second-v0")
    assert (left.get_ylabel(), right.get_ylabel()) == ("return of evaluations", "episode return while training")
    assert (left.get_xlabel(), right.get_xlabel()) == ("environment steps (thousands)", "environment steps (millions)")
    np.testing.assert_array_equal(right.lines[0].get_xdata(), [1.5, 4.5])
    plot_runs(tmp_path / "other.svg", str(tmp_path / "a"), metric="episode_return")
    assert figures[1].axes[0].lines[0].get_ydata() == [2.0]
    with pytest.raises(ValueError, match="at least one run's folder"):
        plot_runs(tmp_path / "none", [])


def test_many_environments_take_several_rows(tmp_path, figures):
    folders = [run(tmp_path / str(i), {}, {10: [i], 20: [i + 1]}, env=f"Task-v{i}") for i in range(5)]
    plot_runs(tmp_path / "picture.png", folders)
    assert [axis.get_title() for axis in figures[0].axes] == [f"Task-v{i}" for i in range(5)]
    assert figures[0].get_size_inches().tolist() == pytest.approx([3 * 4.8, 2 * 3.6])


def test_many_groups_look_different(tmp_path, figures):
    folders = [run(tmp_path / str(i), {"lr": i}, {10: [i], 20: [i + 1]}) for i in range(10)]
    plot_runs(tmp_path / "picture.png", folders)
    looks = {(line.get_color(), line.get_linestyle()) for line in figures[0].axes[0].lines}
    assert len(looks) == 10


def test_pictures_of_another_kind_are_refused(tmp_path):
    place = run(tmp_path / "a", progress={10: 1.0})
    for name in ("x.bmp", "x.JPG"):
        with pytest.raises(ValueError, match=rf"ends in \.svg, \.png or \.pdf, or has no ending, given .*{name}"):
            plots.plot_runs(tmp_path / name, [place])
    files = plots.plot_runs(tmp_path / "version-1.5", [place])
    assert [file.name for file in files] == ["version-1.5.svg", "version-1.5.png"]
    assert [file.name for file in plots.plot_runs(tmp_path / "x.PNG", [place])] == ["x.PNG"]


class TestWhatCannotBeShown:
    """One run does not take the others with it."""

    def test_a_damaged_record_is_left_out_and_named(self, tmp_path):
        run(tmp_path / "good", progress={10: 1.0, 20: 2.0}, evaluations={10: [1.0]})
        for name, text in (("cut", "{"), ("list", "[]"), ("bare", '{"seed": 1}')):
            (tmp_path / name).mkdir()
            (tmp_path / name / "config.json").write_text(text)
        for show in (lambda: plot_runs(tmp_path / "curves.svg", tmp_path), lambda: results_table(tmp_path)):
            with pytest.warns(UserWarning, match="^left out: ") as warned:
                shown = show()
            assert {name for name in ("cut", "list", "bare") for w in warned if f"{name}/config.json" in str(w.message)} == {
                "cut",
                "list",
                "bare",
            }
            assert len(warned) == 3
            assert shown
        with pytest.raises(ValueError, match="is not whole"):
            plot_runs(tmp_path / "curves.svg", tmp_path / "cut")

    @pytest.mark.parametrize("lacking", ["other", "Task-v0"])
    def test_a_group_that_cannot_be_drawn(self, tmp_path, monkeypatch, lacking):
        """The others of its panel are drawn, and the other panels."""
        run(tmp_path / "a", progress={10: 1.0, 20: 2.0})
        run(tmp_path / "b", dict(lr=1), progress={}, env=lacking)
        drawn = []
        monkeypatch.setattr(plots, "_draw_panel", lambda axis, env, panel: drawn.append((env, [c[0] for c in panel.curves])))
        with pytest.warns(UserWarning, match=r"^left out: expected a metric .* for .*b$"):
            plot_runs(tmp_path / "curves.svg", tmp_path)
        assert [env for env, _ in drawn] == ["Task-v0"]
        assert len(drawn[0][1]) == 1
