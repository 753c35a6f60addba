"""What an installed copy needs: its name, its extras, and the right modules wherever it is started."""

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")
SPOKEN = [
    path
    for folder in ("deepnp", "rl", "envs", "jit", "examples", "benchmarks", "docs", ".")
    for kind in ("*.py", "*.md")
    for path in ((ROOT / folder).rglob(kind) if folder != "." else ROOT.glob(kind))
]


def run(code: str, folder: Path, *first: str) -> subprocess.CompletedProcess:
    """A fresh Python in `folder`; the modules there come first, and `first` comes before them."""
    path = os.pathsep.join([*first, str(folder), str(ROOT)])
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=60)


def test_what_is_said_of_installing_names_this_distribution_and_extras_that_it_has():
    asked = [(p, *found) for p in SPOKEN for found in re.findall(r"pip install (?:-e )?\"?([\w.-]+)\[([\w,-]+)\]", p.read_text())]
    assert len(asked) > 5
    for path, name, extras in asked:
        assert name in (".", SETUP["metadata"]["name"]), path
        assert set(extras.split(",")) <= set(SETUP["options.extras_require"]), path


def test_the_name_is_not_the_one_that_the_package_index_gave_to_others():
    assert SETUP["metadata"]["name"] == "deepnp-rl"


@pytest.mark.parametrize("place", ["envs.py", "envs/__init__.py"])
def test_a_module_of_ones_own_that_hides_envs_is_named(tmp_path, place):
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("")
    done = run("import envs; from rl import PPO; PPO('deepnp/Walker-v0')", tmp_path)
    assert f"the module envs that was imported is {tmp_path / place}; it hides the one of deepnp: rename it" in done.stderr


def test_a_folder_without_an_init_does_not_hide_envs(tmp_path):
    (tmp_path / "envs").mkdir()
    done = run("import envs; print(envs.__file__)", tmp_path)
    assert done.stdout.strip() == str(ROOT / "envs" / "__init__.py"), done.stderr


def test_environments_that_were_not_registered_ask_for_the_import(tmp_path):
    done = run("from rl import PPO; PPO('deepnp/Walker-v0')", tmp_path)
    assert 'unknown environment "deepnp/Walker-v0" (deepnp/… needs "import envs" first)' in done.stderr


def test_a_module_of_ones_own_that_hides_rl_is_named_by_python(tmp_path):
    (tmp_path / "rl.py").write_text("")
    done = run("from rl import PPO", tmp_path)
    assert f"cannot import name 'PPO' from 'rl' ({tmp_path / 'rl.py'})" in done.stderr


@pytest.mark.parametrize("script", ["train_walker.py", "digits_cnn.py", "navigation.py"])
def test_examples_take_the_modules_beside_them_wherever_they_are_started(tmp_path, script):
    for name in ("rl", "envs", "examples"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('another')")
    command = [sys.executable, str(ROOT / "examples" / script), "--help"]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--steps" in done.stdout


def test_the_command_line_takes_its_own_modules_whatever_lies_in_the_present_folder(tmp_path):
    for name in ("rl", "envs", "jit"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('another')")
    code = "import sys; from rl.cli import main; sys.exit(main(['envs']))"
    command = [sys.executable, "-P", "-c", code]  # -P: like a console script, without the present folder
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert "deepnp/Walker-v0" in done.stdout, done.stderr
