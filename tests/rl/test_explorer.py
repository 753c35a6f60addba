"""The page about a run: it says what was recorded, loads nothing, runs nobody else's script, and survives damage."""

import base64
import hashlib
import html.parser
import json
import re

import numpy as np
import pytest

import rl
from rl.cli import main
from rl.runs.record import CONFIG
from rl.runs.table import Table
from rl.training.explorer import PAGE, explore, explore_at_end
from rl.training.explorer.charts import charts_of
from rl.training.explorer.drawing import MOST, Line, axis, chart, number_text, thinned
from rl.training.explorer.reading import read
from rl.training.explorer.words import SECTIONS, known_words, words_of

EVIL = '</script></style><script>alert("x")</script><img src=x onerror=alert(1)>'
SMALL = "--num-envs 2 --rollout-steps 16 --batch-size 16 --epochs 1 --hidden 8"


class Page(html.parser.HTMLParser):
    """What a page is made of: tags with their attributes, and the text of scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data
        if self.tags and self.tags[-1][0] == "script":
            self.scripts.append(data)


def record(folder, name="PPO", env="Task-v0", **more):
    """A run's config.json alone."""
    folder.mkdir(parents=True, exist_ok=True)
    known = {"algorithm": name, "env": env, "seed": 0, "total_steps": 100, "config": {"lr": 0.5, "gamma": 0.99}, **more}
    (folder / CONFIG).write_text(json.dumps(known))
    return folder


def table(path, **columns):
    rows = Table(path)
    for row in zip(*columns.values(), strict=True):
        rows.append(dict(zip(columns, row, strict=True)))


def page(folder):
    return Page(explore(folder).read_text("utf-8"))


def test_it_shows_what_was_recorded(tmp_path):
    folder = record(tmp_path, command=["/usr/bin/deepnp", "train", "ppo", "Task-v0"])
    table(folder / "progress.csv", steps=[10, 20], seconds=[1, 3], episode_return=[1.5, 2.5], kl=[0.1, 0.2], own_metric=[7, 8])
    shown = page(folder)
    for words in ("PPO in Task-v0", "20 of 100", "Return of an episode", "KL divergence", "own metric", "deepnp train ppo Task-v0"):
        assert words in shown.text
    assert "/usr/bin" not in shown.text
    assert "deepnp resume" in shown.text  # it ended early
    labels = [attributes["aria-label"] for tag, attributes in shown.tags if tag == "svg"]
    assert "Return of an episode while training. episode_return from 1.5 to 2.5, at the end 2.5" in labels
    assert "Steps per second. speed from 5 to 5, at the end 5" in labels
    assert re.search(r"lr\s*0\.5\s*0\.0003", re.sub(r"(?<=\w)(?=0\.)", " ", shown.text))  # a setting that was changed


def test_it_loads_nothing_and_runs_its_own_script_alone(tmp_path):
    folder = record(tmp_path, EVIL, EVIL, command=["deepnp", EVIL], options={EVIL: EVIL}, config={EVIL: EVIL}, date=EVIL)
    names = EVIL, f"gradient/{EVIL}/a", "gradient/policy/<img src=x onerror=alert(1)>", "gradient/policy/b"
    table(folder / "progress.csv", **{"steps": [1, 2], **{name: [1, 2] for name in names}})
    (folder / "video").mkdir()
    (folder / "video" / "<b>'\".gif").write_bytes(b"GIF89a")
    shown = page(folder)
    assert [tag for tag, _ in shown.tags].count("script") == 1
    policy = next(attributes["content"] for tag, attributes in shown.tags if tag == "meta" and "http-equiv" in attributes)
    assert base64.b64encode(hashlib.sha256(shown.scripts[0].encode()).digest()).decode() in policy
    assert "default-src 'none'" in policy
    for tag, attributes in shown.tags:
        assert tag != "link"
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert attributes.get("src", "data:").startswith("data:")
        assert tag != "a" or attributes["href"].startswith(("#", "video/%3Cb%3E"))
    assert [tag for tag, _ in shown.tags].count("img") == 1


def test_a_film_too_large_to_be_put_in_is_a_link(tmp_path, monkeypatch):
    monkeypatch.setattr("rl.training.explorer.page.LARGEST_FILM", 5)
    (record(tmp_path) / "video").mkdir()
    (tmp_path / "video" / "a.mp4").write_bytes(b"123456")
    assert ("a", {"href": "video/a.mp4"}) in page(tmp_path).tags


@pytest.mark.parametrize("rows", [b"", b"steps,seconds,kl\n", None], ids=["empty", "header", "absent"])
def test_a_run_without_a_row_has_a_page(tmp_path, rows):
    record(tmp_path)
    if rows is not None:
        (tmp_path / "progress.csv").write_bytes(rows)
        with pytest.warns(UserWarning, match="progress.csv"):
            shown = page(tmp_path)
    else:
        shown = page(tmp_path)
    assert "No row of numbers was written yet" in shown.text


def test_what_is_damaged_is_left_out_and_told(tmp_path):
    record(tmp_path)
    (tmp_path / "progress.csv").write_text("steps,kl\n1,0.5\nspam,eggs\n3,1e999\n4,-1e308\n5,1e308\n6,0.2")
    (tmp_path / "evaluations.csv").write_bytes(bytes(range(256)))
    with pytest.warns(UserWarning, match="left out") as caught:
        shown = page(tmp_path)
    assert len(caught) == 2
    assert "progress.csv: left out 2 lines" in shown.text
    assert "KL divergence" in shown.text
    assert "nan" not in "".join(str(a) for tag, a in shown.tags if tag == "path")


def test_a_run_that_nobody_knows_is_refused_in_words(tmp_path, capsys):
    with pytest.raises(FileNotFoundError, match="expected a run's folder"):
        explore(tmp_path)
    (tmp_path / CONFIG).write_text("{")
    with pytest.raises(ValueError, match="is not whole"):
        explore(tmp_path)
    with pytest.warns(UserWarning, match=f"no {PAGE}: .* is not whole"):  # no failure of the training
        explore_at_end(tmp_path)
    assert main(["explore", str(tmp_path)]) == 1
    assert "error: " in capsys.readouterr().err
    assert main(["explore"]) == 2


def test_the_best_evaluation_and_its_spread(tmp_path):
    returns = {f"return_{i}": [i, 2 * i, i] for i in range(3)}
    table(record(tmp_path) / "evaluations.csv", steps=[1, 2, 3], seconds=[0, 0, 0], mean=[1, 2, 1], length=[5, 5, 5], **returns)
    mean, length = charts_of(read(tmp_path))
    np.testing.assert_array_equal(mean.lines[0].low, [0, 0, 0])
    np.testing.assert_array_equal(mean.lines[0].high, [2, 4, 2])
    assert (mean.name, length.name) == ("mean", "length")
    assert "2, at step 2" in page(tmp_path).text


def test_columns_of_layers_are_lines_of_one_chart(tmp_path):
    columns = {"steps": [1, 2], "gradient/policy/0": [1, 2], "gradient/policy/2": [3, 4], "gradient/value/0": [5, 6]}
    table(record(tmp_path) / "insides.csv", **columns)
    charts = charts_of(read(tmp_path))
    assert [(c.name, [line.name for line in c.lines], c.logarithmic) for c in charts] == [
        ("gradient/policy", ["0", "2"], True),
        ("gradient/value", ["0"], True),
    ]
    assert charts[0].words.title == "Gradient norms: policy"


def test_a_long_line_keeps_its_extremes():
    values = np.sin(np.arange(10_000.0))
    values[4321], values[777] = 9, np.nan
    line = thinned(Line("x", np.arange(10_000), values))
    assert len(line.values) == MOST
    assert (line.high.max(), line.low.min()) == (9, np.nanmin(values))
    assert line.steps[-1] == 9999
    np.testing.assert_allclose(line.values[0], values[:33].mean())


def test_where_numbers_stand():
    line = axis(np.array([0.0, 100.0]), 0, 110)
    np.testing.assert_allclose(line.place(np.array([0, 50, 100])), [5, 55, 105])
    assert line.ticks() == [0, 20, 40, 60, 80, 100]
    powers = axis(np.array([1e-4, 0, -1, 1.0]), 0, 100, logarithmic=True)
    np.testing.assert_allclose(powers.ticks(), [1e-4, 1e-3, 1e-2, 1e-1, 1])
    assert np.isnan(powers.place(np.array([0.0, -1.0]))).all()
    for odd in ([], [np.nan], [3.0], [0.0, 0.0], [-1e308, 1e308], [np.inf, 1.0], [5e-324, 0]):
        assert 0 < len(axis(np.array(odd), 0, 1).ticks()) < 12, odd


def test_missing_numbers_part_a_line():
    drawn = chart([Line("x", np.arange(5.0), np.array([1, 2, np.nan, 3, np.nan]))], "label")
    path = re.search(r'class="line l0"><path d="([^"]*)"', drawn).group(1)
    assert (path.count("M"), path.count("L")) == (2, 1)


NUMBERS = {0: "0", 1234567.0: "1,234,567", 0.001234: "0.001234", 1.2e-7: "1.2e-07", 2.5e9: "2.5e+09", np.nan: "none", -3: "-3"}


@pytest.mark.parametrize(("number", "text"), NUMBERS.items())
def test_numbers_as_people_read_them(number, text):
    assert number_text(number) == text


def test_words_stand_in_sections_that_there_are():
    assert {words.section for words in known_words().values()} <= SECTIONS.keys()
    assert all(words.title and words.meaning for words in known_words().values())
    assert words_of("my_own").title == "my own"


def test_a_training_writes_it_and_the_command_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    line = f"train ppo CartPole-v1 --steps 96 {SMALL} --out run --eval-every 32 --eval-episodes 2 --insides-every 1 --quiet"
    assert main([*line.split(), "--values-every", "64"]) == 0
    shown = Page((tmp_path / "run" / PAGE).read_text("utf-8"))
    for words in ("Return of an evaluation", "Gradient norms: policy", "Spread of activations: value", "Idle units: policy.logits"):
        assert words in shown.text
    (tmp_path / "run" / PAGE).unlink()
    assert main(["explore", "."]) == 0
    assert capsys.readouterr().out == f"written: run/{PAGE}\n"
    assert main(["resume", "run", "--steps", "160", "--quiet"]) == 0  # goes on recording what it recorded
    assert Table.read(tmp_path / "run" / "insides.csv").columns()["steps"] == [32, 64, 96, 128, 160]
    assert set(Table.read(tmp_path / "run" / "values.csv").columns()["steps"]) == {64, 128}


def test_values_of_an_agent_that_has_none_are_refused_at_the_door(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for algorithm, every, message in (
        ("cem", "64", "--values-every: expected an agent with critics, with a network of Q(s, ·), or on-policy with one of V(s)"),
        ("ppo", "97", "expected --values-every from 1 to the number of steps, 96, given 97"),
    ):
        assert main(["train", algorithm, "CartPole-v1", "--steps", "96", "--values-every", every]) == 2
        assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["SAC", "DQN", "CEM", "QLearning"])
def test_of_other_kinds_of_algorithms(tmp_path, name):
    env = {"SAC": "Pendulum-v1", "QLearning": "FrozenLake-v1"}.get(name, "CartPole-v1")
    known = {"warmup": 20, "hidden": (8,), "batch_size": 8, "population": 4}
    config = rl.ALGORITHMS[name].config
    settings = {key: value for key, value in known.items() if key in config.__dataclass_fields__}
    rl.ALGORITHMS[name].cls(env, config(**settings), 0).learn(250, log=tmp_path / "run")
    assert f"{name} in {env}" in page(tmp_path / "run").text
