"""The commands of `deepnp` that ask for no run: gradcheck, bench, book, algorithms, --version."""

import re

import pytest

import rl
from deepnp import __version__ as version
from rl.cli.tools import bench, book
from tests.rl.test_cli import deepnp, refused, told


def test_gradcheck(capsys):
    assert deepnp("gradcheck relu") == 0
    assert re.search(r"\d+ gradients checked, 0 wrong", told(capsys))
    assert "did you mean" in refused(capsys, "gradcheck rleu", 2)


def test_bench_lists_and_runs(capsys, tmp_path):
    folder = tmp_path / "measures"
    folder.mkdir()
    (folder / "peer_speed.py").touch()
    lines = '"""How fast?        python -m benchmarks.speed [--n 1]"""', 'if __name__ == "__main__":', "    raise SystemExit(7)"
    (folder / "speed.py").write_text("\n".join(lines))
    (folder / "shared.py").touch()
    with pytest.raises(FileNotFoundError, match="they come with the source"):
        bench([], folder)
    (tmp_path / "setup.cfg").touch()  # a clone
    assert bench([], folder) is None
    assert told(capsys).endswith("[its own options]\n\nspeed  How fast?\n")
    assert bench(["speed", "--n", "2"], folder) == 7
    with pytest.raises(FileNotFoundError, match="they come with the source"):
        bench([], tmp_path / "none")


def test_bench_of_this_clone(capsys):
    assert deepnp("bench") == 0
    assert re.search(r"^offpolicy +How fast are SAC", told(capsys), re.MULTILINE)
    assert "(did you mean layers?)" in refused(capsys, "bench layer", 2)


def test_book_runs_the_site_of_a_clone(tmp_path):
    folder = tmp_path / "papers" / "pages"
    folder.mkdir(parents=True)
    (folder / "__main__.py").write_text("import sys; raise SystemExit(len(sys.argv))")
    with pytest.raises(FileNotFoundError, match="comes with the source"):
        book([], folder)
    (tmp_path / "setup.cfg").touch()  # a clone
    assert book(["--out", "there"], folder) == 3


def test_book_of_this_clone_has_help(capfd):
    assert deepnp("book --help") == 0
    assert "--open" in capfd.readouterr().out


def test_version(capsys):
    assert deepnp("--version") == 0
    assert told(capsys) == f"deepnp {version}\n"


def test_algorithms_lists_all(capsys):
    assert deepnp("algorithms") == 0
    header, *rows = told(capsys).splitlines()
    assert header.split() == ["algorithm", "family", "actions", "learns", "goals", "images", "paper"]
    assert [row.split()[0] for row in rows] == list(rl.ALGORITHMS)
    ppo, sac = (next(row.split() for row in rows if row.startswith(f"{name} ")) for name in ("PPO", "SAC"))
    assert ppo[-7:-3] == ["on-policy", "no", "yes", "Schulman"]
    assert sac[1:6] == ["actor_critic", "Box", "off-policy", "yes", "yes"]
