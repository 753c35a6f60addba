"""The commands of `deepnp`, run in this process: what they print, what they write, and their exit codes."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import rl
from rl.cli import main
from rl.runs.record import read_config
from rl.runs.retention import best_of, checkpoint_of, kept_of
from rl.training.evaluation import play

TINY = "--num-envs 2 --rollout-steps 16 --batch-size 16 --epochs 1 --hidden 8"
MODULE = """
import gymnasium, numpy as np

class Row(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}

    def __init__(self, length=10, render_mode=None):
        self.length, self.render_mode = length, render_mode

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.place += 1
        return np.zeros(2, np.float32), 1.0, False, self.place >= self.length, {"is_success": self.place > 3}

    def state(self):
        return {"place": np.array(self.place)}

    def set_state(self, state):
        self.place = int(state["place"])

    def render(self):
        return np.full((30, 40, 3), 10 * self.place, np.uint8)

if "cli/Row-v0" not in gymnasium.registry:
    gymnasium.register("cli/Row-v0", f"{__name__}:Row")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a module of a user's own, and with a run in it, begun with options."""
    place = tmp_path_factory.mktemp("cli")
    (place / "cli_row.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(sys, "path", list(sys.path))
        given = "train PPO cli_row:cli/Row-v0 --steps 64 --seed 3 --env-settings length=5 --eval-every 32 --eval-episodes 2"
        assert deepnp(f"{given} --keep 2 --checkpoint-seconds 0 --lr linear:1e-3:0 {TINY} --quiet") == 0
    return place


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return folder


RUN = "runs/PPO-cli_row-cli-Row-v0"


def deepnp(text: str) -> int:
    return main(text.split())


def told(capsys) -> str:
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def refused(capsys, arguments: str, code: int) -> str:
    """The one line that a wrong command line gets."""
    assert deepnp(arguments) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_train_writes_what_it_takes_to_go_on(here):
    record = read_config(RUN)
    assert (record["env"], record["env_settings"], record["seed"]) == ("cli_row:cli/Row-v0", {"length": 5}, 3)
    assert record["config"]["lr"] == {"linear": {"start": 1e-3, "end": 0.0, "share": 1.0}}
    assert (record["config"]["steps"], record["config"]["hidden"], record["config"]["num_envs"]) == (16, [8], 2)
    assert record["options"]["evaluation"]["eval_every"] == 32
    assert checkpoint_of(RUN).is_file()
    assert best_of(RUN).is_file()
    assert len(kept_of(RUN)) == 2
    assert Path(RUN, "evaluations.csv").read_text().count("\n") == 3
    assert Path(RUN, "learning_curve.svg").stat().st_size > 1000


def test_train_prints_where_and_how_far(here, capsys):
    assert deepnp(f"train ppo CartPole-v1 --steps 40 --out cart {TINY}") == 0
    lines = told(capsys).splitlines()
    assert lines[0] == "training PPO in CartPole-v1 to 40 steps (Ctrl-C ends early, and cleanly)"
    assert "100 %  40 steps" in lines[-3]
    assert re.fullmatch(r"40 steps in \d+ s; everything is in cart", lines[-2])
    assert lines[-1] == "  deepnp play cart"
    assert "expected a new folder" in refused(capsys, "train ppo CartPole-v1 --out cart", 1)


def test_quiet_prints_nothing(here, capsys):
    assert deepnp(f"train ppo CartPole-v1 --steps 32 --out silent {TINY} --quiet") == 0
    assert deepnp("resume silent --steps 64 --quiet") == 0
    assert deepnp("resume silent --quiet") == 0
    assert told(capsys) == ""
    assert rl.load(checkpoint_of("silent")).steps == 64


def test_resume_goes_on_with_the_options_of_the_beginning(here, capsys, tmp_path):
    """A run of 96 steps equals one of 64 that is resumed, evaluations included."""
    given = "train ppo cli_row:cli/Row-v0 --seed 3 --env-settings length=5 --eval-every 32 --eval-episodes 2"
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert deepnp(f"{given} --steps 96 --out {whole} --no-anneal-lr {TINY} --quiet") == 0
    assert deepnp(f"{given} --steps 64 --out {parts} --no-anneal-lr {TINY} --quiet") == 0
    assert deepnp(f"resume {parts} --steps 96") == 0
    assert "32 steps in" in told(capsys)
    assert read_config(parts)["total_steps"] == 96
    returns = [(run / "evaluations.csv").read_text().splitlines() for run in (whole, parts)]
    assert [line.split(",")[0] for line in returns[0]] == [line.split(",")[0] for line in returns[1]] == ["steps", "32", "64", "96"]
    a, b = (rl.load(checkpoint_of(run)).policy.state_dict() for run in (whole, parts))
    assert all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(("option", "steps"), [("--stop-return 5", 32), ("--stop-return 6", 128), ("--patience 1", 64)])
def test_evaluations_may_end_a_training(here, capsys, tmp_path, option, steps):
    given = f"train ppo cli_row:cli/Row-v0 --env-settings length=5 --steps 128 --eval-every 32 --eval-episodes 2 --out {tmp_path}"
    assert deepnp(f"{given} {option} {TINY} --quiet") == 0
    assert rl.load(checkpoint_of(tmp_path)).steps == steps


def test_resume_of_a_finished_run_says_so(here, capsys):
    assert deepnp(f"resume {RUN}") == 0
    assert told(capsys) == f"nothing to train: 64 of 64 steps were taken already\nto go on: deepnp resume {RUN} --steps 128\n"
    assert deepnp(f"resume {RUN} --steps 10 --quiet") == 0
    assert told(capsys) == ""


def test_eval_prints_the_returns_of_the_same_environment(here, capsys):
    assert deepnp(f"eval {RUN} --episodes 3") == 0
    first, header, *rows, last = told(capsys).splitlines()
    assert first == "PPO in cli_row:cli/Row-v0 after 64 steps; episodes of seeds 1 to 3, deterministic"
    assert header.split() == ["mean", "std", "min", "max"]
    assert {row.split()[0]: row.split()[1:] for row in rows}["return"] == ["5.00", "0.00", "5.00", "5.00"]
    assert "success" in {row.split()[0] for row in rows}
    assert last == "return: interquartile mean 5.00, 95 % interval 5.00 to 5.00"


def test_a_run_that_was_begun_in_python_is_played_with_its_module(here, capsys):
    from cli_row import Row  # noqa: F401  (registers it)

    rl.PPO("cli/Row-v0", rl.PPOConfig(steps=8, batch_size=8, hidden=(4,))).learn(8, log="by_hand")
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(gymnasium.registry, "cli/Row-v0")
        assert "--module names a module that registers it" in refused(capsys, "eval by_hand", 2)
    for command in ("eval by_hand --episodes 1", "play by_hand --to gif", "export by_hand", "resume by_hand --steps 16"):
        assert deepnp(f"{command} --module cli_row") == 0
        capsys.readouterr()
    assert "given \"no_such\": No module named 'no_such'" in refused(capsys, "eval by_hand --module no_such", 2)


@pytest.mark.parametrize("checkpoint", ["previous", "best", "32", f"{RUN}/checkpoints/previous.safetensors"])
def test_eval_takes_any_checkpoint(here, capsys, monkeypatch, checkpoint):
    deterministic = []
    monkeypatch.setattr(
        "rl.cli.evaluate.play", lambda *given, **settings: deterministic.append(given[4]) or play(*given, **settings)
    )
    steps = rl.load(best_of(RUN)).steps if checkpoint == "best" else 32
    assert deepnp(f"eval {RUN} --episodes 2 --stochastic --checkpoint {checkpoint}") == 0
    assert f"after {steps} steps; episodes of seeds 1 to 2, actions drawn" in told(capsys)
    assert deterministic == [False]


def test_eval_lists_the_checkpoints_that_there_are(here, capsys):
    assert "(last, previous, best, 32, 64) or a path, given 33" in refused(capsys, f"eval {RUN} --checkpoint 33", 1)


def test_play_films_where_there_is_no_display(here, capsys, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    assert deepnp(f"play {RUN}") == 0
    first, last = told(capsys).splitlines()
    assert first == "filming 20 seconds at most of cli/Row-v0, after 64 steps"
    assert last == f"0.2 seconds: {RUN}/video/step-64-seed-1.gif"
    assert Path(RUN, "video", "step-64-seed-1.gif").read_bytes()[:4] == b"GIF8"


def test_play_writes_mp4(here, capsys):
    pytest.importorskip("imageio_ffmpeg")
    assert deepnp(f"play {RUN} --out films/row.mp4 --width 101") == 0
    assert "films/row.mp4" in told(capsys)
    assert Path("films/row.mp4").read_bytes()[4:8] == b"ftyp"
    assert "a file that ends in .gif or .mp4, given x.avi" in refused(capsys, f"play {RUN} --out x.avi", 2)
    assert "a file that ends in .gif, given x.mp4" in refused(capsys, f"play {RUN} --to gif --out x.mp4", 2)


def test_play_opens_a_window(here, capsys, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setenv("DISPLAY", ":0")
    assert deepnp(f"play {RUN} --episodes 2") == 0
    assert told(capsys).splitlines()[-2:] == ["episode of seed 1: return 5.00", "episode of seed 2: return 5.00"]


def test_plot_and_compare(here, capsys):
    assert deepnp(f"plot {RUN} --out curves.png --title Row") == 0
    assert told(capsys) == "drawn: curves.png\n"
    assert Path("curves.png").read_bytes()[1:4] == b"PNG"
    assert deepnp(f"compare {RUN} {RUN}") == 0
    assert "settings: no difference" in told(capsys)
    assert deepnp(f"results {RUN}") == 0
    assert told(capsys).splitlines()[2].startswith("| cli_row:cli/Row-v0 | PPO | 64 | 3 | 5, one run | ")
    for command in ("plot", "results"):
        assert "folders of one or more runs" in refused(capsys, command, 2)
    assert "none in nowhere" in refused(capsys, f"compare {RUN} nowhere", 1)


@pytest.mark.parametrize(("given", "name"), [("", "policy.py"), ("--to torch", "policy.safetensors"), ("--out p.py", "p.py")])
def test_export(here, capsys, given, name):
    assert deepnp(f"export {RUN} {given}") == 0
    path = Path(name if "--out" in given else f"{RUN}/{name}")
    assert told(capsys) == f"PPO in cli_row:cli/Row-v0 after 64 steps: {path}\n"
    assert path.stat().st_size > 0
    assert path.suffix != ".py" or "ENVIRONMENT = ('cli_row:cli/Row-v0', {'length': 5})" in path.read_text()


def test_export_refuses_other_endings(here, capsys):
    assert "ends in .py or .onnx or .safetensors, given p.tar" in refused(capsys, f"export {RUN} --out p.tar", 2)
    assert "ends in .onnx, given p.py" in refused(capsys, f"export {RUN} --to onnx --out p.py", 2)


def test_seeds_are_trained_side_by_side(here, capsys):
    arguments = "train ppo cli_row:cli/Row-v0 --env-settings length=5 --steps 32 --seeds 4 7 --eval-every 32 --eval-episodes 2"
    assert deepnp(f"{arguments} --out many {TINY}") == 0
    lines = told(capsys).splitlines()
    assert lines[0] == "training PPO in cli_row:cli/Row-v0 to 32 steps, seeds 4, 7"
    record = read_config("many/seed-7")
    assert (record["seed"], record["env"], record["env_settings"]) == (7, "cli_row:cli/Row-v0", {"length": 5})
    assert [line.split(":")[0] for line in lines[-5:-2]] == ["seed 4", "seed 7", "2 seeds"]
    assert lines[-2:] == ["everything is in many", "  deepnp plot many"]
    assert "expected --seeds without --keep, --checkpoint-seconds, --patience" in refused(
        capsys, "train ppo CartPole-v1 --seeds 0 1 --keep 1 --checkpoint-seconds 5 --eval-every 8 --patience 2", 2
    )


def test_seeds_on_ray(here, monkeypatch):
    """The tasks are handed over; tests/rl/test_cluster.py runs them."""
    asked = []
    monkeypatch.setattr("rl.cluster.tasks.RayTasks.__call__", lambda _, jobs, *given: asked.append((len(jobs), given[0])) or [1, 1])
    assert deepnp("train ppo CartPole-v1 --steps 32 --seeds 0 1 --at-once 1 --ray --out clustered --quiet") == 1
    assert asked == [(2, 1)]


def test_tune_writes_a_recipe_that_train_takes(here, capsys):
    pytest.importorskip("optuna")
    given = "--trials 1 --steps 64 --evaluations 2 --eval-episodes 2 --at-once 1 --search lr=1e-4:1e-2:log gamma rollout-steps=8,16"
    assert deepnp(f"tune ppo CartPole-v1 {given} {TINY}") == 0
    first, *found, last = told(capsys).splitlines()
    assert first == "tuning PPO in CartPole-v1: trials of 64 steps, 1 in all, in runs/tune-PPO-CartPole-v1"
    assert found[0] == "whole trials: 1, pruned: 0"
    assert last == "  deepnp train ppo CartPole-v1 --recipe-file runs/tune-PPO-CartPole-v1/best.toml"
    assert main([*last.split()[1:], "--out", "tuned", "--quiet"]) == 0
    study = json.loads(Path("runs/tune-PPO-CartPole-v1/study.json").read_text())
    assert (study["episodes"], study["evaluations"], study["seed"], set(study["space"])) == (2, 2, 0, {"lr", "gamma", "steps"})
    assert read_config("tuned")["config"]["hidden"] == [8]
    assert read_config("tuned")["total_steps"] == 64
    assert "or the same steps: the study in runs/tune-PPO-CartPole-v1 has 64" in refused(
        capsys, f"tune ppo CartPole-v1 {given.replace('64', '65')} {TINY} --quiet", 1
    )


def test_tune_refuses_what_it_cannot_search(here, capsys):
    pytest.importorskip("optuna")
    assert "each name once, given 'lr'" in refused(capsys, "tune sac Pendulum-v1 --quiet --search lr lr", 2)
    assert "--search lr: expected LOW:HIGH" in refused(capsys, "tune sac Pendulum-v1 --quiet --search lr=a:b", 2)
    assert "expected settings of SACConfig to search, given 'nothing'" in refused(
        capsys, "tune sac Pendulum-v1 --quiet --search nothing", 1
    )


def test_a_recipe_gives_defaults_and_options_change_them(here, capsys):
    given = "--out cooked --steps 64 --rollout-steps 16 --lr 3e-4 --batch-size 64 --quiet"
    assert deepnp(f"train ppo CartPole-v1 --recipe {given}") == 0
    config = read_config("cooked")["config"]
    assert config["num_envs"] == 8  # the recipe's
    assert (config["steps"], config["batch_size"]) == (16, 64)  # ours
    assert config["lr"] == 3e-4  # ours too, though it is what the Config has by itself
    assert "task that has a recipe" in refused(capsys, "train ppo FrozenLake-v1 --recipe", 2)


def test_a_recipe_of_a_file(here, capsys):
    Path("mine.toml").write_text('env = "CartPole-v1"\n[PPO]\nsteps = 24\n[PPO.settings]\nhidden = [4]\nsteps = 12\n')
    assert deepnp("train ppo CartPole-v1 --recipe-file mine.toml --out filed --batch-size 8 --quiet") == 0
    record = read_config("filed")
    assert (record["total_steps"], record["config"]["hidden"], record["config"]["steps"]) == (24, [4], 12)
    assert "found none at none.toml" in refused(capsys, "train ppo CartPole-v1 --recipe-file none.toml", 1)


def test_envs_lists_what_our_algorithms_can_take(here, capsys):
    assert deepnp("envs cartpole") == 0
    header, *rows = told(capsys).splitlines()
    assert header.split() == ["environment", "observations", "actions", "algorithms"]
    row = next(row for row in rows if row.startswith("CartPole-v1 "))
    assert row.split()[1:3] == ["Box(4)", "Discrete(2)"]
    learners = row.split("Discrete(2)")[1].strip().split(", ")
    assert {"REINFORCE", "PPO", "DQN", "black_box"} <= set(learners)  # families by name only where all of it can learn
    assert not {"policy_gradient", "DPG", "SAC", "tabular"} & set(learners)
    assert all("cartpole" in row.lower() or row.startswith("not installed: phys2d/CartPole") for row in rows)
    assert deepnp("envs cli_row:row") == 0
    assert told(capsys).splitlines()[1].split()[:4] == ["cli/Row-v0", "Box(2)", "Box(1)", "policy_gradient,"]
    assert 'no environment has "nonsense"' in refused(capsys, "envs nonsense", 2)


def test_a_folder_without_a_run_is_refused_and_others_are_named(here, capsys):
    message = refused(capsys, "play runs", 1)
    assert f"found none in runs; runs are {RUN}" in message.replace(os.sep, "/")
    Path("nothing_here").mkdir(exist_ok=True)
    assert f"found none in nothing_here; runs are {RUN}" in refused(capsys, "export nothing_here", 1).replace(os.sep, "/")
    for seed in (0, 1):
        shutil.copytree(RUN, f"seeds_of_it/seed-{seed}")
    for command in ("eval", "export", "resume"):
        message = refused(capsys, f"{command} seeds_of_it", 1).replace(os.sep, "/")
        assert "found none in seeds_of_it; runs are seeds_of_it/seed-0, seeds_of_it/seed-1\n" in message
    assert "it is a file: rl.load reads an agent's in Python" in refused(capsys, f"eval {RUN}/checkpoints/last.safetensors", 1)
    for name in (*(f"run-{number}" for number in range(9)), "zebra"):
        shutil.copytree(RUN, f"ten/{name}")
    message = refused(capsys, "play ten", 1).replace(os.sep, "/")
    assert re.search(r"found none in ten; runs are ten/run-2, .*, ten/zebra and 2 more\n", message)
    assert "did you mean cli_row:cli/Row-v0?" in refused(capsys, "train ppo cli_row:Row", 2)
    with pytest.raises(FileNotFoundError, match=rf"an agent's file, given the folder {RUN}; a run's agent is that of .*load_agent"):
        rl.load(RUN)
    with pytest.raises(FileNotFoundError, match=r"an agent's file, given the folder runs$"):
        rl.load("runs")


def test_a_training_that_is_all_warmup_is_told(here, capsys):
    assert deepnp("train sac Pendulum-v1 --steps 16 --warmup 20 --batch-size 8 --hidden 8 --out warm") == 0
    assert "warning: actions are random for the first 20 steps (--warmup): in 16 nothing is learned" in capsys.readouterr().err


def test_replay_by_priority_gets_a_hint(here, capsys):
    tiny = "train sac Pendulum-v1 --steps 16 --warmup 8 --batch-size 4 --hidden 4 --memory 100"
    words = "hint: replay by priority makes larger steps; a quarter of the learning rate suits it: --lr 7.5e-05"
    cases = ("", False), ("--priority-exponent 0.6 --lr 1e-4", False), ("--priority-exponent 0.6", True)
    for i, (options, hinted) in enumerate(cases):
        assert deepnp(f"{tiny} {options} --out hinted{i}") == 0
        assert (words in capsys.readouterr().err) == hinted


def test_steps_that_are_not_finite_may_be_left_out(here, capsys, monkeypatch):
    """The choice is the run's: resume keeps it."""
    chosen, learn = [], rl.PPO.learn
    monkeypatch.setattr(rl.PPO, "learn", lambda *a, **given: chosen.append(given["on_nonfinite"]) or learn(*a, **given))
    assert deepnp(f"train ppo CartPole-v1 --steps 32 --out leaves_out {TINY} --quiet --on-nonfinite skip") == 0
    assert deepnp("resume leaves_out --steps 64 --quiet") == 0
    assert deepnp(f"train ppo CartPole-v1 --steps 32 --out stops {TINY} --quiet") == 0
    assert chosen == ["skip", "skip", "stop"]
    assert "expected --seeds without --on-nonfinite" in refused(capsys, "train ppo CartPole-v1 --seeds 0 --on-nonfinite skip", 2)


def test_deprecated_words_in_models_of_gymnasium_are_left_out(here, capfd):
    assert deepnp("train ppo InvertedPendulum-v5 --steps 16 --num-envs 2 --rollout-steps 8 --batch-size 8 --hidden 8 --out m") == 0
    assert deepnp("train ppo HalfCheetah-v5 --steps 16 --num-envs 2 --rollout-steps 8 --batch-size 8 --hidden 8 --out h") == 0
    out, err = capfd.readouterr()
    assert "deprecated" not in out + err
    assert not list(here.glob("MUJOCO_LOG.TXT"))


def test_a_window_needs_a_display(here, capsys, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert deepnp(f"train ppo CartPole-v1 --steps 16 --out seen {TINY} --quiet") == 0
    assert "expected a display for --to window, found none" in refused(capsys, "play seen --to window", 2)


def test_an_error_in_a_person_s_own_file_is_told_with_its_place(here, capsys):
    broken = MODULE.replace("self.place += 1", 'self.place += int("three")').replace("cli/Row-v0", "cli/Broken-v0")
    Path("cli_broken.py").write_text(broken)
    message = refused(capsys, f"train ppo cli_broken:cli/Broken-v0 --steps 64 {TINY} --quiet", 1)
    assert message.endswith("with base 10: 'three' (ValueError in cli_broken.py, line 18, in step)\n")
