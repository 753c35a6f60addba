"""Exercises: what a reader is told about an answer that is wrong."""

import json

import numpy as np
import pytest

from deepnp.learn import __main__ as command
from deepnp.learn import child, examine, exercises, find
from deepnp.learn.progress import load
from deepnp.learn.variants import variants

KNOWN = exercises()
NORM = KNOWN["normalization.layer_norm"]
RIGHT = """
    x, mean, sigma, gamma, scale = cache
    normal, dnormal = (x - mean) / sigma, gamma * dy
    dx = (dnormal - dnormal.mean(-1, keepdims=True) - normal * (dnormal * normal).mean(-1, keepdims=True)) / sigma
    rows = tuple(range(dy.ndim - 1))
"""
RETURN = "    return dx, (dy * normal).sum(rows), dy.sum(rows)\n"


def written(tmp_path, body, returned=RETURN):
    """A file with an answer to the exercise layer_norm, whose report is asked for."""
    path = tmp_path / "layer_norm.py"
    path.write_text(f"import numpy as np\n\ndef backward(dy, cache):{body}{returned}")
    return child.report_on(NORM, path)


def test_a_right_answer_in_a_file_passes(tmp_path):
    assert written(tmp_path, RIGHT).passed


def test_the_missing_term_is_named(tmp_path):
    report = written(tmp_path, RIGHT.replace("- dnormal.mean(-1, keepdims=True) ", ""))
    assert report.right["dx"][0] < report.right["dx"][1]
    assert "without the term `dnormal.mean(axis=-1, keepdims=True)`" in report.wrong["dx"]
    assert "central difference" in report.wrong["dx"]
    assert set(report.wrong) == {"dx"}


def test_two_faults_in_one_sum_are_both_named(tmp_path):
    wrong = RIGHT.replace("- dnormal.mean(-1, keepdims=True) - normal", "+ dnormal.mean(-1, keepdims=True) - 3 * normal")
    message = written(tmp_path, wrong).wrong["dx"]
    assert "the term `dnormal.mean(axis=-1, keepdims=True)` has the wrong sign" in message
    assert "is counted 3 times" in message


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        ("", "it returns None"),
        ("    return dx\n", r"expected 3 results (dx, dgamma, dbeta), given 1"),
        (
            "    return dx, dy * normal, dy.sum(rows)\n",
            "of shape (7,), given (5, 7): summed over axis 0, it is right",
        ),
        ("    return dx.astype('f'), dy.sum(rows), dy.sum(rows)\n", "expected dx in float64"),
        ("    return dx, 1.0, dy.sum(rows)\n", "expected dgamma to be an array of shape (7,), given float"),
        ("    return dx, (dy * normal).sum(rows), dy.sum(rows) / 0\n", "dbeta is not finite in 7 of 7 places, first at (0)"),
        ("    return dx, dy.sum(rows), (dy * normal).sum(rows)\n", "these are the numbers of dbeta"),
        ("    return -dx, (dy * normal).sum(rows), dy.sum(rows)\n", "dx: its sign is wrong everywhere"),
        ("    return 0 * dx, (dy * normal).sum(rows), dy.sum(rows)\n", "dx: it is zero everywhere"),
        ("    return dx, (dy * normal).mean(rows), dy.sum(rows)\n", "too small by the factor 5, the number of rows of x"),
        ("    dy *= 2\n    return dx, dy.sum(rows), dy.sum(rows)\n", "it writes to its arguments"),
        ("    return dx, dy @ dy, dy.sum(rows)\n", "in line 8: `return dx, dy @ dy, dy.sum(rows)`"),
        ("    return np.float64(np.float32(1)) * dx.astype('f').astype(float), (dy * normal).sum(rows), dy.sum(rows)\n", "float32"),
        (
            "    from deepnp.ops.normalization import layer_norm\n    return layer_norm.backward(dy, cache)\n",
            "`backward` of the",
        ),
        (
            "    from deepnp.ops.normalization.layer_norm import backward_rows\n    backward_rows(1)\n",
            "`backward_rows` of",
        ),
        ("    from deepnp.gradcheck import numerical_gradient as f\n    f(lambda x: x.sum(), dy)\n", "`numerical_gradient` of the"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, returned, told):
    report = written(tmp_path, RIGHT, returned)
    assert not report.passed
    assert told in "\n".join([*report.faults, *report.wrong.values()])


def test_what_is_wrong_on_one_side_only_is_said():
    message = examine(KNOWN["activation.leaky_relu"], lambda dy, cache: dy).wrong["dx"]
    assert "it is wrong only where x < 0" in message or "without the factor" in message
    message = examine(KNOWN["activation.elu"], lambda dy, cache: np.where(cache.y > 0, cache.scale * dy, 7.0)).wrong["dx"]
    assert "it is wrong only where x < 0" in message


def test_a_zero_too_many_or_too_few_is_said():
    def with_places(change):
        def backward(dy, cache):
            dx = dy * (np.abs(cache.y) < 1)
            return change(dx)

        return examine(KNOWN["activation.hard_tanh"], backward).wrong["dx"]

    def unclipped(log_prob, old_log_prob, advantages, clip):
        return -np.exp(log_prob - old_log_prob) * advantages / len(advantages)

    assert "where it should be zero" in examine(KNOWN["rl.clipped_surrogate"], unclipped).wrong["dlog_prob"]
    assert "places, where it should not be zero" in with_places(lambda dx: dx * (np.arange(dx.size) > 3).reshape(dx.shape))


def central_differences(forward, cache, dy, step):
    """The derivative of an element-wise function, by differences that the reader wrote."""
    return dy * (forward(cache.x + step) - forward(cache.x - step)) / (2 * step)


def silu(x):
    return x / (1 + np.exp(-x))


def test_a_numerical_derivative_does_not_pass():
    for step in (1e-3, 1e-4, 1e-5, 1e-6):
        report = examine(
            KNOWN["activation.silu"], lambda dy, c, h=step: central_differences(lambda x: x / (1 + np.exp(-x)), c, dy, h)
        )
        assert not report.passed


def test_a_numerical_derivative_through_the_readers_forward_is_seen(tmp_path):
    text = "def forward(x, W):\n    return x @ W.T\n\ndef backward(dy, cache):\n"
    text += "    for _ in range(3):\n        forward(*cache)\n    return dy\n"
    (tmp_path / "linear.py").write_text(text)
    assert "calls `forward` 3 times" in child.report_on(KNOWN["linear"], tmp_path / "linear.py").faults[0]


def test_an_answer_for_one_case_only_does_not_pass():
    def backward(dy, cache):
        return NORM.module.backward(dy, cache) if dy.shape == (5, 7) else tuple(0 * g for g in NORM.module.backward(dy, cache))

    report = examine(NORM, backward, allowed=_codes())
    assert report.right["dx"][0] < report.right["dx"][1]
    assert not report.passed


def _codes():
    module = NORM.module
    return [module.backward.__code__, module.backward.__wrapped__.__code__]


def test_every_wrong_answer_is_recognised():
    for variant in variants(NORM.module, "backward"):
        report = examine(NORM, variant.function, allowed=_codes())
        assert report.wrong or report.faults, variant.text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def backward(:", "the file is no Python"),
        ("1 / 0", "raises ZeroDivisionError when it is imported"),
        ("x = 1", "expected a function `backward` in the file"),
    ],
)
def test_a_file_without_an_answer(tmp_path, text, told):
    (tmp_path / "layer_norm.py").write_text(text)
    assert told in child.report_on(NORM, tmp_path / "layer_norm.py").faults[0]


def test_an_endless_loop_and_an_exit_end_the_check_only(tmp_path):
    path = tmp_path / "linear.py"
    path.write_text("def backward(dy, cache):\n    while True:\n        pass\n")
    assert "did not end within 2 seconds: the program was in line" in child.check("linear", path, 2).faults[0]
    path.write_text("import os\n\ndef backward(dy, cache):\n    os._exit(3)\n")
    assert "exit code 3" in child.check("linear", path).faults[0]


class TestCommand:
    """`python -m deepnp.learn`."""

    @pytest.fixture
    def run(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(command, "check", lambda name, path: child.report_on(KNOWN[name], path))

        def run(*words):
            code = command.main([*words, "--folder", str(tmp_path)])
            return code, capsys.readouterr().out

        return run

    def test_from_the_first_stub_to_the_last_line(self, run, tmp_path):
        path = tmp_path / "layer_norm.py"
        assert run("layer_norm")[0] == 0
        assert "not written yet" in run("layer_norm")[1]
        stub = path.read_text()
        path.write_text(stub.replace('    raise NotImplementedError("write me")\n', RIGHT + RETURN.replace("dy.sum", "-dy.sum")))
        code, told = run("layer_norm")
        assert code == 1
        assert "dbeta: its sign is wrong everywhere" in told
        right = stub.replace('    raise NotImplementedError("write me")\n', RIGHT + RETURN)
        path.write_text(right)
        code, told = run("layer_norm")
        assert code == 0
        assert NORM.text in told
        assert path.read_text() == right
        assert load(tmp_path).entries[NORM.name].state(path) == "passed"
        assert "1 of" in run()[1]
        path.write_text(stub)
        assert "changed since it passed" in run()[1]

    def test_hints_come_one_by_one_and_then_the_code(self, run):
        first, second = run("layer_norm", "--hint")[1], run("layer_norm", "--hint")[1]
        assert "1 of 7" in first
        assert "2 of 7" not in first
        assert "2 of 7" in second
        assert "def backward(dy, cache)" in run("layer_norm", "--solution")[1]
        assert "1 of 4" in run("gae", "--hint")[1]

    def test_what_was_solved_with_the_solution_says_so(self, run, tmp_path):
        run("layer_norm")
        run("layer_norm", "--solution")
        path = tmp_path / "layer_norm.py"
        path.write_text(path.read_text().replace('    raise NotImplementedError("write me")\n', RIGHT + RETURN))
        run("layer_norm")
        assert load(tmp_path).entries[NORM.name].state(path) == "passed, with the solution"

    @pytest.mark.parametrize("text", ["{", "[]", '{"linear": 3}', '{"linear": {"attempts": "x"}}', '{"linear": {"other": 1}}'])
    def test_damaged_progress_is_refused_and_left(self, tmp_path, text, capsys):
        (tmp_path / "progress.json").write_text(text)
        with pytest.raises(SystemExit, match="2"):
            command.main(["--folder", str(tmp_path)])
        assert "move it away" in capsys.readouterr().err
        assert (tmp_path / "progress.json").read_text() == text

    @pytest.mark.parametrize("words", [["linear"], ["linear", "--hint"], ["linear", "--solution"]])
    def test_a_folder_that_cannot_be_written_in_is_named(self, tmp_path, words, capsys):
        occupied = tmp_path / "a file"
        occupied.write_text("")
        with pytest.raises(SystemExit, match="2"):
            command.main([*words, "--folder", str(occupied)])
        assert "a folder to write in" in capsys.readouterr().err

    def test_names_are_found_by_their_ends_and_guessed(self):
        assert find("tanh", KNOWN).name == "activation.tanh"
        with pytest.raises(ValueError, match=r"did you mean .*layer_norm"):
            find("lair_norm", KNOWN)

    def test_the_list_has_every_exercise(self, run):
        told = run()[1]
        assert all(f"  {e.short} " in told for e in KNOWN.values())
        assert "Reinforcement learning" in told, "pip install -e . anew: the entry point deepnp.exercises is missing"
        assert "Next: python -m deepnp.learn linear" in told

    def test_progress_is_readable_json(self, run, tmp_path):
        run("linear", "--hint")
        assert json.loads((tmp_path / "progress.json").read_text())["linear"]["hints"] == 1
