"""The examples on data, shortened: each learns something, draws a picture, writes what it says, and tells bad input in a line."""

import argparse
import gzip
import io
import os
import runpy
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from threadpoolctl import threadpool_info

from deepnp.data import MNIST
from deepnp.storage import load_tensors
from examples import common, digits_gan, recall

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = sorted(path for path in (ROOT / "examples").glob("*.py") if "__main__" in path.read_text())
DIGITS = {"digits_cnn": "network", "digits_resnet": "network", "digits_vae": "vae", "digits_gan": "generator"}
DIGITS |= {"digits_denoising": "denoising"}


def told_in_here(monkeypatch, path, *arguments) -> int | str:
    """An example that ends before it does anything needs no process of its own: what it gives `sys.exit`."""
    monkeypatch.setattr(sys, "argv", [str(path), *(arguments or ["--help"])])
    with pytest.raises(SystemExit) as told:
        runpy.run_path(str(path), run_name="__main__")
    return told.value.code


def start(name, folder, *arguments, **settings) -> subprocess.Popen:
    command = [sys.executable, str(ROOT / "examples" / f"{name}.py"), *map(str, arguments)]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen(command, cwd=folder, **pipes, **settings)


def output_of(name, folder, *arguments) -> str:
    process = start(name, folder, *arguments)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert not errors
    return output


@pytest.fixture(scope="module")
def mnist(tmp_path_factory):
    """Four classes that a few steps can tell apart, in MNIST's files: a bright quarter on a noisy ground, 8 × 8."""
    folder, rng = tmp_path_factory.mktemp("mnist"), np.random.default_rng(0)
    for i, rows in enumerate((200, 40)):
        labels = rng.integers(4, size=rows).astype(np.uint8)
        images = rng.integers(60, size=(rows, 8, 8)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[4 * (label // 2) :][:4, 4 * (label % 2) :][:, :4] += 180
        for name, array, axes in ((MNIST[2 * i], images, 3), (MNIST[2 * i + 1], labels, 1)):
            blob = struct.pack(f">BBBB{axes}I", 0, 0, 8, axes, *array.shape) + array.tobytes()
            (folder / f"{name}.gz").write_bytes(gzip.compress(blob))
    return folder


def check_picture(path):
    """It can be opened, and is neither blank nor a thumbnail."""
    with Image.open(path) as image:
        assert image.width >= 600
        assert len(np.unique(np.asarray(image.convert("L")))) > 20


@pytest.mark.parametrize("name", DIGITS)
def test_digits(name, mnist, tmp_path):
    output = output_of(name, tmp_path, "--mnist", mnist, "--steps", 40, "--seed", 3)
    folder = tmp_path / "runs" / name
    assert "40 of 40" in output
    check_picture(folder / "picture.png")
    weights, _ = load_tensors(folder / f"{DIGITS[name]}.safetensors")
    assert all(np.isfinite(array).all() for array in weights.values())
    last = output.splitlines()[-1]
    if name in ("digits_cnn", "digits_resnet"):
        assert float(last.split()[2].rstrip("%")) > 90
    if name == "digits_vae":
        bounds = [float(line.split("training")[1].split()[0]) for line in output.splitlines() if " in testing" in line]
        assert bounds[-1] < bounds[0] - 1
        value, error, kl = (float(last.split()[i]) for i in (2, 5, 8))
        assert value == pytest.approx(error + kl, abs=0.02)
    if name == "digits_denoising":
        errors = [float(line.split("denoising by")[1].split()[0]) for line in output.splitlines() if " of 40" in line]
        assert errors[-1] < errors[0] - 0.01
        assert last == f"restored by the denoising autoencoder: {errors[-1]:.3f}"


def test_the_same_seed_makes_the_same_network(mnist, tmp_path):
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        output_of("digits_vae", tmp_path, "--mnist", mnist, "--steps", 3, "--seed", seed, "--out", out)
    first, second, other = ((tmp_path / out / "vae.safetensors").read_bytes() for out in "abc")
    assert first == second
    assert first != other


def test_recall(tmp_path):
    output = output_of("recall", tmp_path, "--steps", 30)
    shares = {line.split(":")[0].strip(): float(line.split()[1].rstrip("%")) for line in output.splitlines()[-4:]}
    assert list(shares) == ["RNN", "LSTM", "GRU", "attention"]
    assert shares["attention"] > 90
    check_picture(tmp_path / "runs" / "recall" / "picture.png")


def test_the_first_token_is_asked_for(rng):
    x, y = recall.sequences(500, rng)
    np.testing.assert_array_equal(x[:, 0], y)
    assert x.shape == (500, 51)
    assert set(y) == set(range(recall.TOKENS))
    assert x[:, 1:].min() == recall.TOKENS


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_patience_is_in_the_right_gate(name, rng):
    """Without input and recurrent weights, a unit that was given n steps keeps the share 1 − 1/n of its state at each."""
    patient, usual = (recall.reader(name, p, np.random.default_rng(0)) for p in (True, False))
    assert any((a.data != b.data).any() for a, b in zip(patient.parameters(), usual.parameters(), strict=True))
    cell = patient[1]
    cell.weight_ih_l0.data[...], cell.weight_hh_l0.data[...], cell.bias_hh_l0.data[...] = 0, 0, 0
    cell.bias_ih_l0.data[2 * recall.WIDTH : 3 * recall.WIDTH] = 0  # nothing new comes in
    state = np.ones((1, 1, recall.WIDTH), np.float32)
    _, after = cell.predict_state(np.zeros((1, 1, recall.WIDTH), np.float32), state if name == "GRU" else (state, state))
    kept = (after if name == "GRU" else after[1]).ravel()
    steps = 1 / (1 - kept)
    assert steps.min() > 1.9
    assert steps.max() < recall.DELAY + 1.1
    assert steps.mean() == pytest.approx((recall.DELAY + 1) / 2, rel=0.3)


def test_regression(tmp_path):
    pytest.importorskip("sklearn")
    output = output_of("regression_mlp", tmp_path, "--steps", 600).splitlines()
    scores = {line.split(":")[0]: [float(word.rstrip(",;")) for word in line.split() if word[0] == "0"] for line in output[:-1]}
    assert abs(np.subtract(*scores["diabetes"])) < 0.1
    assert scores["Friedman"][0] > scores["Friedman"][1] + 0.05
    check_picture(tmp_path / "runs" / "regression_mlp" / "picture.png")


def test_scikit_learns_digits_are_held_out():
    pytest.importorskip("sklearn")
    x, y, test_x, test_y = common.load_images(None)
    assert (x.shape, test_x.shape, x.dtype) == ((1437, 1, 8, 8), (360, 1, 8, 8), np.float32)
    assert (x.min(), x.max()) == (0, 1)
    assert np.bincount(test_y).min() >= 34
    again = common.load_images(None)
    np.testing.assert_array_equal(test_x, again[2])
    distance, nearest = digits_gan.neighbours(test_x, x)
    assert distance.min() > 0  # nothing is in both
    assert (y[nearest] == test_y).mean() > 0.97  # and images kept their labels


def test_neighbours(rng):
    images, known = rng.normal(size=(5, 1, 2, 3)), rng.normal(size=(7, 1, 2, 3))
    known[4] = images[2]
    distance, nearest = digits_gan.neighbours(images, known)
    table = np.sqrt(((images[:, None] - known[None]) ** 2).sum(axis=(2, 3, 4)))
    np.testing.assert_allclose(distance, table.min(axis=1), atol=1e-7)
    np.testing.assert_array_equal(nearest, table.argmin(axis=1))


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process on Windows")
def test_ctrl_c_draws_what_was_learned(mnist, tmp_path):
    process = start("digits_cnn", tmp_path, "--mnist", mnist, "--steps", 1_000_000, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    process.stdout.readline()  # it is about to learn
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "stopped" in output
    assert "test accuracy" in output.splitlines()[-1]
    check_picture(tmp_path / "runs" / "digits_cnn" / "picture.png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--steps", "0"], "expected a whole number >= 1, given 0"),
        (["--steps", "many"], "expected a whole number >= 1, given many"),
        (["--seed", "-1"], "expected a whole number >= 0, given -1"),
        (["--mnist", "nowhere"], "expected MNIST's files in nowhere, found no train-images-idx3-ubyte"),
    ],
)
def test_bad_options_are_told_in_a_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(common, "set_num_threads", lambda n: None)
    code = told_in_here(monkeypatch, ROOT / "examples" / "digits_cnn.py", *arguments)
    assert code != 0
    assert message in f"{code}\n{capsys.readouterr().err}"
    assert not list(tmp_path.iterdir())


def test_two_at_once_do_not_overwrite_each_other(mnist, tmp_path):
    processes = [start("digits_cnn", tmp_path, "--mnist", mnist, "--steps", 3) for _ in range(2)]
    written = sorted(next(line for line in process.communicate()[0].splitlines() if "written to" in line) for process in processes)
    assert [line.split(":")[0] for line in written] == ["written to runs/digits_cnn-2/", "written to runs/digits_cnn/"]


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.stem)
@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_help_on_any_terminal(monkeypatch, path, encoding):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding, write_through=True)
    monkeypatch.setattr(sys, "stdout", terminal)
    assert told_in_here(monkeypatch, path) == 0
    words = terminal.buffer.getvalue()
    assert b"--steps" in words
    assert b"--resume RUN" in words or "games" not in path.read_text()


def test_frozen_lake(tmp_path):
    lines = output_of("tabular_frozen_lake", tmp_path, "--steps", 20_000).splitlines()
    assert lines[0] == "value iteration: the greedy policy is worth 0.5420"
    assert [line.partition(":")[0] for line in lines[1:3]] == ["QLearning", "SARSA"]
    assert all(0 <= float(line.split()[-1]) <= 0.5421 for line in lines[1:3])
    check_picture(tmp_path / "runs" / "tabular_frozen_lake" / "picture.png")


def test_pictures_leave_matplotlib_alone():
    code = "import sys; import matplotlib as m; before = m.rcParams.copy(); from rl.training.curves import subplots; subplots(2)"
    code += "; assert dict.__eq__(m.rcParams, before); assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    for file in [*ROOT.glob("examples/*.py"), *ROOT.glob("rl/**/*.py"), *ROOT.glob("benchmarks/*.py")]:
        assert "matplotlib.use" not in file.read_text(), file


def test_a_loss_that_is_no_number_ends_it():
    training = common.Training(3, {"loss": "{}"})
    next(iter(training))
    with pytest.raises(common.NonFiniteError, match="loss is nan at step 1"):
        training.note(loss=float("nan"))


def test_reports_come_when_they_are_due(capsys):
    training = common.Training(25, {"loss": "loss {:.2f}", "accuracy": "{:.1%}"}, reports=2)
    for step in training:
        training.note(loss=step)
        if training.due:
            training.report(accuracy=0.5)
    assert training.history == {"step": [12, 24, 25], "loss": [6.5, 18.5, 25], "accuracy": [0.5] * 3}
    assert capsys.readouterr().out.splitlines()[0].startswith("     12 of 25   loss 6.50   50.0%")


def test_switches_become_options(monkeypatch):
    monkeypatch.setattr(common, "set_num_threads", lambda n: None)
    monkeypatch.setattr(sys, "argv", ["examples/recall.py", "--default-weights", "--out", "there"])
    options = common.parse("", 10, default_weights="leave them")
    assert options == argparse.Namespace(steps=10, seed=0, threads=2, out=Path("there"), default_weights=True)


def test_products_use_one_thread_while_training():
    def blas():
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    before = blas()
    assert [blas() for _ in common.Training(2, {})] == [{1}, {1}]
    assert blas() == before
