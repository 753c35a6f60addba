"""benchmarks.mutants knows where each mutant is and which tests to try: names and paths in it move with the source."""

import ast

import numpy as np
import pytest

pytest.importorskip("cosmic_ray", reason="pip install .[mutants]")

from benchmarks.mutants import sources
from benchmarks.mutants.__main__ import known, write_table
from benchmarks.mutants.named import NAMED
from benchmarks.mutants.scratch import Outcome
from benchmarks.mutants.selection import STEPS, steps_of


@pytest.mark.parametrize("named", NAMED, ids=lambda named: named.what)
def test_named_mutant_is_where_its_text_is(named):
    mutant = named.mutant()
    ast.parse(mutant.source)
    assert steps_of(mutant.path)
    assert mutant.diff()


@pytest.mark.parametrize("path", sources.modules())
def test_every_source_file_has_tests(path):
    assert steps_of(path)


def test_every_entry_is_the_first_to_match_some_file():
    """An entry that stands behind a wider one, or whose files are gone, would never be used."""
    used = set()
    for path in sources.modules():
        used.add(next(pattern for pattern in STEPS if sources.fnmatch.fnmatch(path, pattern)))
    assert used == set(STEPS)


def test_sample_is_seeded_and_compiles():
    first, again, other = (sources.sample(("rl/losses/*",), 12, seed) for seed in (0, 0, 1))
    assert first == again != other
    for mutant in first:
        ast.parse(mutant.source)
        assert mutant.source != (sources.ROOT / mutant.path).read_text()
    assert len({(mutant.path, mutant.line, mutant.diff()) for mutant in first}) == 12


def test_what_no_test_can_notice_is_left_alone():
    text = "\n".join(
        (
            "def f(x: int | None = 1 + 2) -> int | None:",
            "    if x > 3:",
            '        raise ValueError(f"expected {1 + 1}")',
            "    return x * 4",
            "def _on_gpu(x): return x + 5",
            "CASES = [6 + 7]",
        )
    )
    lines = {place[0] for place, _ in sources.places_of(text)}
    assert lines == {1, 2, 4}
    first = [place[1] for place, _ in sources.places_of(text) if place[0] == 1]
    assert np.min(first) == text.index("1 + 2")


def test_a_stopped_run_goes_on(tmp_path):
    tried, other = sources.sample(("rl/losses/*",), 2, 0)
    table = tmp_path / "mutants.csv"
    assert known(table, tried) is None
    write_table([(tried, Outcome("killed", 1.25, "FAILED tests/test_x.py::test_y - assert 1"))], table)
    assert known(table, other) is None
    outcome = known(table, tried)
    assert (outcome.verdict, outcome.seconds, outcome.killer) == ("killed", 1.2, "tests/test_x.py::test_y")
