"""Learning curves on the pages of algorithms: what is drawn is what the files say."""

import numpy as np
import pytest

import rl
from benchmarks.curves import write
from docs.site import curves

SAID = ["env: Task-v0", "length: 100 steps", "settings: lr=0.1", "command: python -m benchmarks.curves SAC"]


@pytest.fixture
def of(tmp_path, monkeypatch):
    """Writes a file of curves of SAC, {seed: {steps: return}}, and returns its place."""
    monkeypatch.setattr(curves, "FOLDER", tmp_path)

    def written(seeds, said=SAID):
        rows = [
            {"seed": str(seed), "steps": str(steps), "return": str(value)}
            for seed, points in seeds.items()
            for steps, value in points.items()
        ]
        write(tmp_path / "SAC.csv", said, rows)
        return tmp_path / "SAC.csv"

    return written


def test_every_algorithm_has_its_curve():
    missing = [name for name in rl.ALGORITHMS if curves.read(curves.file_of(name)) is None]
    assert not missing, f"python -m benchmarks.curves {' '.join(missing)}"


def test_the_mean_is_taken_where_all_seeds_have_been(of):
    curve = curves.read(of({0: {0: 0, 20: 2, 40: 4}, 1: {10: 3, 40: 6}}))
    np.testing.assert_allclose(curve.mean(), [[10, 2], [20, 3], [40, 5]])


def test_a_line_a_seed_and_their_mean(of):
    curve = curves.read(of({0: {50: 1, 100: 3}, 1: {50: 2, 100: 4.25}}))
    lines = curves.draw(curve).axes[0].lines
    assert [line.get_ydata().tolist() for line in lines] == [[1, 3], [2, 4.25], [1.5, 3.625]]
    assert lines[2].get_linewidth() > lines[0].get_linewidth()


def test_the_caption_says_how_many_seeds_and_where_they_end(of):
    of({0: {50: 1, 100: -134.5}, 1: {50: 2, 100: 4.25}})
    said = curves.section("SAC")
    assert "SAC in Task-v0: 2 seeds, a thin line each, and their mean. At the end: -134.5, 4.25" in said
    assert "python -m benchmarks.curves SAC\n" in said
    assert "Settings: `lr=0.1`" in said
    assert "<svg" in said
    of({7: {100: 3}})
    assert "Task-v0: one seed. At the end: 3" in curves.section("SAC")
    assert len(curves.draw(curves.read(curves.file_of("SAC"))).axes[0].lines) == 1


def test_offline_curves_are_over_updates(of):
    curve = curves.read(of({0: {50: 1}}, ["env: Task-v0", "length: 4,000 updates on the data set medium"]))
    assert curves.draw(curve).axes[0].get_xlabel() == "updates"


def test_what_was_not_measured_is_said(of, tmp_path):
    assert "No learning curve of it was measured" in curves.section("SAC")
    of({})
    assert "No learning curve of it was measured" in curves.section("SAC")


def test_a_row_without_a_number_is_named(of):
    with pytest.raises(ValueError, match=r"seed, steps and return in each row of .*SAC.csv, given .*spam"):
        curves.read(of({0: {50: "spam"}}))


def test_a_curve_of_one_point_is_drawn(of):
    assert "<svg" in (of({0: {50: 1}, 1: {60: 2}}), curves.section("SAC"))[1]  # with no step that both have
