"""Options of `deepnp`: an algorithm's settings, numbers as people write them, and words that make no sense."""

import re
import sys
from dataclasses import fields

import gymnasium
import pytest
import tyro

import rl
from rl.cli import environments, main, names
from rl.cli.commands import TOP
from rl.cli.dispatch import Group, dispatch
from rl.cli.names import COMMANDS, check_options
from rl.cli.seeds import Several
from rl.cli.settings import RENAMED, config_of, options_of
from rl.cli.task import VARIANTS, Task
from rl.cli.terminal import complain
from rl.cli.train import Options, command_of
from rl.cli.training import Watching
from rl.cli.tune import Search
from rl.cli.usage import Usage
from rl.cli.values import REGISTRY, key_values, whole
from rl.config import settings_to_json
from rl.names import OURS
from rl.runs.record import as_json, read_config
from rl.schedules import Cosine, Linear

FORMS = Task, Options, Several, Watching
ALGORITHMS = pytest.mark.parametrize("algorithm", rl.ALGORITHMS.values(), ids=lambda a: a.name)


def read(config: type, text: str = "", base=None):
    """The Config that these options make."""
    options = tyro.cli(tyro.conf.OmitArgPrefixes[options_of(base or config())], args=text.split(), registry=REGISTRY)
    return config_of(config, options)


def told(capsys, text: str, code: int = 0) -> str:
    assert main(text.split()) == code
    captured = capsys.readouterr()
    return " ".join((captured.err if code else captured.out).split())


@ALGORITHMS
def test_every_setting_is_an_option_with_its_meaning(algorithm, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "600")
    text = told(capsys, f"train {algorithm.name} --help")
    for f in fields(algorithm.config):
        assert f"--{RENAMED.get(f.name, f.name).replace('_', '-')}" in text
        assert f.metadata["doc"] in text
    owners = {next(c for c in algorithm.config.__mro__ if f.name in c.__annotations__) for f in fields(algorithm.config)}
    assert all(f" {owner.__name__.removesuffix('Config')} options " in text for owner in owners)
    assert all(f"--{f.name.replace('_', '-')}" in text for form in FORMS for f in fields(form) if f.name != "env")


@ALGORITHMS
def test_without_options_a_config_is_its_default(algorithm):
    assert read(algorithm.config) == algorithm.config()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--lr 1e-3", rl.SACConfig(lr=1e-3)),
        ("--lr linear:1e-3:0 --tau cosine:0.01:0.001:0.1", rl.SACConfig(lr=Linear(1e-3, 0), tau=Cosine(0.01, 0.001, 0.1))),
        ("--critic-lr None --temperature 0.2", rl.SACConfig(temperature=0.2)),
        ("--hidden 400 300 --memory 1e5", rl.SACConfig(hidden=(400, 300), memory=100_000)),
        ("--memory 1_000", rl.SACConfig(memory=1000)),
        ("--hindsight future --hindsight-k 8", rl.SACConfig(hindsight="future", hindsight_k=8)),
        ("--hindsight None", rl.SACConfig()),
        ("--normalize_observations --no-shared", rl.SACConfig(normalize_observations=True, shared=False)),
        ("--batch-size=64", rl.SACConfig(batch_size=64)),
    ],
)
def test_options_become_settings(text, expected):
    assert read(rl.SACConfig, text) == expected


def test_another_base_gives_the_defaults():
    base = rl.SACConfig(lr=Linear(1e-3, 0), hidden=(8,), hindsight="final", batch_size=32)
    assert read(rl.SACConfig, "", base) == base
    assert read(rl.SACConfig, "--batch-size 256 --lr 3e-4", base) == rl.SACConfig(hidden=(8,), hindsight="final")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--lr -1", r"^error: expected --lr as a number in \[0, 10\].*, given -1\.0\n$"),
        ("--batch-size 0", r"^error: expected --batch-size as an integer in"),
        ("--batch-size 512 --memory 100", r"^error: expected batch_size <= memory, given 512 and 100\n$"),
        ("--learning-rate 1", r"^error: expected --lr, given --learning-rate\n$"),
        ("--n_steps=3", r"^error: expected --n-step, given --n_steps\n$"),
        ("--ent-coef 1", r"^error: expected --temperature, given --ent-coef\n$"),
        (
            "--learning_rate 1 --foo --lam 1 --foo",
            "given --learning_rate; `deepnp train sac` has no --foo; `deepnp train sac` has no",
        ),
        ("--total_timesteps 9", "^error: expected --steps, given --total_timesteps"),
        ("--gama 1", r"^error: expected --gamma, given --gama\n$"),
        ("--batch-size 1.5", "expected a whole number such as 1000000 or 1e6, given '1.5'"),
        ("--lr quick", "expected a rate as a number, constant:VALUE"),
        ("--batch-size x", r"^error: --batch-size: expected a whole .* \(see deepnp train sac --help\)\n$"),
        ("--activation cosine", r"^error: expected --activation as one of elu, gelu, .*tanh, given 'cosine' \("),
        ("--hindsight never", r"^error: expected --hindsight as one of None, .*future.*, given 'never' \("),
        ("--seeds 0 x", r"^error: expected other values for --seeds, given 0, x \("),
        ("--seed", r"^error: expected a value for --seed, given none \("),
        ("--patience 3", "^error: expected --eval-every with --stop-return and --patience"),
        ("--eval-every 20 --steps 10", "^error: expected --eval-every from 1 to the number of steps, 10, given 20"),
        ("--eval-every 5 --patience 0", "^error: expected --patience as an integer >= 1, given 0"),
        ("--eval-every 5 --stop-return nan", "^error: expected .*finite.*, given nan"),
        ("--eval-every 5 --eval-episodes 0", "^error: expected --eval-episodes as an integer >= 1"),
        ("--steps 0", "^error: expected --steps as an integer >= 1, given 0"),
        ("--seed -1", "^error: expected --seed as an integer >= 0"),
        ("--keep -1", "^error: expected keep as an integer >= 0"),
        ("--checkpoint-seconds nan", "^error: expected checkpoint_seconds as a number >= 0"),
        ("--threads 0", "^error: expected a positive number of threads"),
        ("--env-settings g", "^error: expected settings as key=value, given 'g'"),
        ("more words", r"^error: expected nothing more, given more, words \("),
    ],
)
def test_options_that_make_no_sense(capsys, monkeypatch, tmp_path, options, message):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "sac", "Pendulum-v1", *options.split()]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert not list(tmp_path.iterdir())  # nothing was made
    assert re.search(message, captured.err)
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("", 2, ""),
        ("trian", 2, "error: expected a command: train, .*; given 'trian' (did you mean train?)"),
        ("train", 2, ""),
        ("evaluate run", 2, "given 'evaluate' (did you mean eval?)"),
        ("train ppo CartPole-v1 --hidden 64,64", 2, "values for --hidden, given 64,64; between values stands a space (see "),
        ("train ppo CartPole-v1 --stop-return x", 2, "error: expected --stop-return as a number, given 'x' (see "),
        ("train ppo CartPole-v1 --decision-period 2", 2, "expected --env-settings decision_period=…, given --decision-period"),
        ("train td3 CartPole-v1 --recipe", 2, "error: expected a task that has a recipe (PPO CartPole-v1), given TD3 CartPole-v1"),
        ("train double-dqn CartPole-v1", 2, "given 'double-dqn' (that is `deepnp train dqn --double`)"),
        ("train c51 CartPole-v1 --v-min 0", 2, "error: expected --lowest, given --v-min"),
        ("train sca Pendulum-v1", 2, "error: expected an algorithm: .*; given 'sca' (did you mean sac?)"),
        ("train Pendulum-v1", 2, "given 'Pendulum-v1'"),
        ("train --lr 3 Pendulum-v1", 2, "given '--lr'"),
        ("train sac", 2, "error: expected ENVIRONMENT, given none (see deepnp train sac --help)"),
        ("train a2d CartPole-v1", 2, "given 'a2d'\n"),
        (
            "train sac HalfCheetah-v3",
            2,
            'error: unknown environment "HalfCheetah-v3": did you mean deepnp/HalfCheetah-v5 or HalfCheetah-v5?',
        ),
        (
            "train ppo CartPole-v1 --n-steps 9 --tau 1",
            2,
            "error: expected --rollout-steps, given --n-steps; `deepnp train ppo` has no --tau\n",
        ),
        ("resume run --lr 1 --stps 3", 2, "error: `deepnp resume` has no --lr: a run keeps .*; expected --steps, given --stps"),
        ("resume run --ent-coef 1", 2, "error: `deepnp resume` has no --ent-coef: a run keeps"),
        ("eval run --gamma 1", 2, "error: `deepnp eval` has no --gamma: a run keeps the settings"),
        ("compare run", 2, "error: expected B, given none (see deepnp compare --help)"),
        ("export run --to zip", 2, "error: expected --to as one of auto, numpy, onnx, torch, given 'zip'"),
        (
            "train sac halfcheetah",
            2,
            'error: unknown environment "halfcheetah": did you mean deepnp/HalfCheetah-v5 or HalfCheetah-v5?',
        ),
        ("train sac xyz", 2, "`deepnp envs` lists them"),
        ("train sac no_such_module:X-v0", 2, 'given "no_such_module": No module named'),
        ("train sac CartPole-v1", 1, "error: SAC takes continuous actions (a Box), given Discrete(2)"),
        ("train sac Pendulum-v1 --env-settings speed=3", 1, "error: "),
        ("eval", 2, "error: expected RUN, given none (see deepnp eval --help)"),
        ("eval nowhere", 1, "error: expected a run's folder with a config.json, found none in nowhere"),
        ("resume nowhere", 1, "found none in nowhere"),
        ("--tyro-print-completion", 2, "a shell: bash, zsh, fish"),
        ("--tyro-print-completion cmd", 2, "a shell: bash, zsh, fish"),
    ],
)
def test_words_that_make_no_sense(capsys, monkeypatch, tmp_path, text, code, message):
    monkeypatch.chdir(tmp_path)
    assert main(text.split()) == code
    captured = capsys.readouterr()
    assert re.search(re.escape(message).replace(r"\.\*", ".*"), captured.err)
    assert "Traceback" not in captured.err
    assert not list(tmp_path.iterdir())  # nothing was made


def test_warnings_of_a_command_are_printed_at_once(capsys):
    def command() -> int:
        """Warns, and fails."""
        complain("warning: soon")
        assert capsys.readouterr().err == "warning: soon\n"
        complain("warning: late")
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        dispatch(command, [], "deepnp warn")
    assert capsys.readouterr().err == "warning: late\n"


def test_a_memory_that_does_not_fit_is_an_error_in_one_line(capsys, tmp_path):
    message = told(capsys, f"train sac Pendulum-v1 --memory 1e14 --quiet --out {tmp_path / 'run'}", 1)
    assert re.fullmatch(r"error: a replay memory of 100,000,000,000,000 needs .* GiB are free", message)


@pytest.mark.parametrize("words", ["train SAC", "train s-a-c", "Train sac", "--warmup 3 train sac", "train --warmup 3 sac"])
def test_names_in_any_case_and_options_before_them(capsys, words):
    assert "Train an agent with SAC" in told(capsys, f"{words} --help")


def test_help_lists_every_command(capsys):
    text = told(capsys, "--help")
    for name, member in TOP.members.items():
        assert f"• {name} {member.summary}" in re.sub(r"[\s│]+", " ", text)
    assert told(capsys, "-h") == text


@pytest.mark.parametrize("columns", ["80", "120"])
@pytest.mark.parametrize("command", TOP.members)
def test_help_fits_the_terminal(capfd, monkeypatch, command, columns):
    monkeypatch.setenv("COLUMNS", columns)
    assert main([command, *(["sac"] if isinstance(TOP.members[command].load(), Group) else []), "--help"]) == 0
    lines = capfd.readouterr().out.splitlines()  # "book" is a process of its own
    assert len(lines) > 3
    assert max(map(len, lines[1:])) <= int(columns)


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colours_are_for_terminals_that_want_them(capsys, monkeypatch, no_color, coloured):
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[" not in told(capsys, "--help")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert ("\x1b[" in told(capsys, "--help")) == coloured


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_completion_knows_every_command(capsys, shell):
    text = told(capsys, f"--tyro-print-completion {shell}")
    assert all(word in text for word in (*TOP.members, "sacvalue", "hindsight-reward", "gelu"))


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", 12), ("1_000", 1000), ("1e6", 1_000_000), ("2.5e3", 2500), ("-3", -3), ("1E3", 1000), ("-1e2", -100)],
)
def test_whole_numbers(text, number):
    assert whole(text) == number
    assert type(whole(text)) is int


@pytest.mark.parametrize("text", ["1.5", "", "x", "nan", "inf", "1e400", "0x10"])
def test_no_whole_numbers(text):
    with pytest.raises(ValueError, match="expected a whole number such as 1000000 or 1e6, given"):
        whole(text)


def test_key_values():
    words = ["n=5", "x=0.5", "a=false", "b=False", "c=None", "d=null", "e=[1, 2]", "f=(3, 4)", "g=text", "h="]
    expected = {"n": 5, "x": 0.5, "a": False, "b": False, "c": None, "d": None, "e": [1, 2], "f": (3, 4), "g": "text", "h": ""}
    assert key_values([*words, "i=a=b", 'j={"k": 1}']) == {**expected, "i": "a=b", "j": {"k": 1}}


@pytest.mark.parametrize("words", [["n"], ["=3"], ["1n=3"], ["n=1", "n=2"], [""]])
def test_no_key_values(words):
    with pytest.raises(Usage, match="expected settings as key=value"):
        key_values(words)


def test_every_option_of_a_command_is_known():
    for algorithm in rl.ALGORITHMS.values():
        ours = {RENAMED.get(f.name, f.name) for f in fields(algorithm.config)} | {f.name for form in FORMS for f in fields(form)}
        assert names.options_of(command_of(algorithm)) == ours
        check_options([f"--{option.replace('_', '-')}" for option in ours] + ["--no-quiet", "--help", "n_steps"], ours, "deepnp")
    assert {"run", "steps", "threads", "quiet", "module"} == names.options_of(TOP.members["resume"].load())


def test_other_libraries_names_are_explained():
    ours = set().union(*(names.options_of(command_of(algorithm)) for algorithm in rl.ALGORITHMS.values()))
    settings = {name for name, known in OURS.items() if ours & {RENAMED.get(setting, setting) for setting in known}}
    assert {"learning_rate", "n_steps", "buffer_size", "net_arch"} <= settings
    for name in (settings | COMMANDS.keys()) - ours:
        with pytest.raises(Usage, match=f"expected .*, given --{name}$"):
            check_options(["x", f"--{name}", "3"], ours, "deepnp")


def test_a_setting_is_renamed_only_where_it_must_be():
    own = {f.name for form in (*FORMS, Search) for f in fields(form)}
    for algorithm in rl.ALGORITHMS.values():
        assert {f.name for f in fields(algorithm.config)} & own <= RENAMED.keys()
        assert callable(command_of(algorithm))


def test_the_newest_version_of_each_environment_is_listed():
    ids = [spec.id for spec in environments.latest()]
    assert len(set(ids)) == len(ids)
    assert {"HalfCheetah-v5", "deepnp/HalfCheetah-v5", "CartPole-v1"} <= set(ids)
    assert not {"HalfCheetah-v4", "CartPole-v0"} & set(ids)
    assert ids[0].startswith("deepnp/")
    assert environments.find("HalfCheetah-v5") == "HalfCheetah-v5"


def test_an_environment_with_settings_is_a_spec_of_its_own():
    spec = environments.spec_of("Pendulum-v1", {"g": 3.0})
    assert spec.kwargs["g"] == 3.0
    assert "g" not in gymnasium.spec("Pendulum-v1").kwargs


def test_a_preset_gives_defaults_and_options_change_them(tmp_path, monkeypatch, capsys):
    def recorded(words, folder):
        assert main(f"train {words} --preset deepunity --out {folder}".split()) == 0
        return read_config(folder)["config"]

    monkeypatch.chdir(tmp_path)
    given = rl.PPOConfig.deepunity(num_envs=512, lr=1e-3)
    assert given.steps == 20
    assert recorded("ppo CartPole-v1 --num-envs 512 --steps 512 --lr 1e-3", "ppo") == as_json(settings_to_json(given))
    assert "recipe (Table 3.1 of the thesis on DeepUnity)\n" in capsys.readouterr().out
    given = rl.SACLiteConfig.deepunity()
    assert recorded("saclite Pendulum-v1 --steps 8 --quiet", "lite") == as_json(settings_to_json(given))
    capsys.readouterr()
    for words, message in {
        "td3 Pendulum-v1": r"with a preset deepunity \(PPO, SAC, SACLite, SACValue.*\), given TD3",
        "ppo CartPole-v1 --recipe": "--preset or a recipe, given both",
        "ppo CartPole-v1 --num-envs 0": "--num-envs as an integer",
    }.items():
        assert main(["train", *words.split(), "--preset", "deepunity"]) == 2
        assert re.match(f"error: .*{message}", capsys.readouterr().err)
    assert main(["train", "ppo", "CartPole-v1", "--preset", "deepunit"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lite", "ppo"]


@pytest.mark.parametrize("words", VARIANTS.values())
def test_variants_are_commands(words):
    name, *options = words.split()
    check_options(options, names.options_of(command_of(rl.ALGORITHMS[name.upper()])), "deepnp")
