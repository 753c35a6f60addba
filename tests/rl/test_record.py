"""config.json: what it takes to repeat a run, and to make its environment again."""

import json
from dataclasses import asdict
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import envs  # noqa: F401  (registers deepnp/…)
from rl import PPO, PPOConfig
from rl.runs.record import Log, as_json, command_text, environment_of, log_of, read_config
from rl.runs.run import Run
from rl.training.resume import load_agent, resume
from rl.training.train import train
from tests.rl.toys import Target, vectorize

TINY = PPOConfig(num_envs=2, steps=16, batch_size=16, epochs=1, hidden=(8,))


def test_everything_to_repeat_a_run_is_there(tmp_path):
    agent = PPO("deepnp/Navigation-v0", TINY, seed=3, env_settings={"n": np.int64(4)})
    Run(tmp_path, agent, "deepnp/Navigation-v0", 320, keep=2, checkpoint_seconds=np.inf, options={"where": Path("runs")})
    record = json.loads((tmp_path / "config.json").read_text(), parse_constant=pytest.fail)  # NaN and Infinity are not JSON
    assert record["algorithm"] == "PPO"
    assert record["config"] == as_json(asdict(agent.config))
    assert (record["env"], record["env_settings"]) == ("deepnp/Navigation-v0", {"n": 4})
    assert (record["seed"], record["total_steps"]) == (3, 320)
    assert record["log"] == {"checkpoint_seconds": None, "keep": 2, "tensorboard": False, "on_write_error": "stop"}
    assert record["options"] == {"where": "runs"}
    assert set(record["versions"]) == {"deepnp", "python", "numpy", "numba", "gymnasium", "mujoco"}
    assert record["versions"]["numpy"] == np.__version__
    assert record["hardware"]["cores"] >= record["hardware"]["threads"] >= 1
    assert record["hardware"]["processor"]
    assert isinstance(record["command"], list)
    assert record["date"].startswith("20")


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["/venv/bin/deepnp", "train", "a b"], "deepnp train 'a b'"),
        (["/src/rl/cli/__main__.py", "train"], "deepnp train"),
        (["/src/own/__main__.py"], "python -m own"),
        (["examples/walker.py", "--n", "5"], "walker.py --n 5"),
        ([], "–"),
    ],
)
def test_a_command_as_a_person_types_it(command, text):
    assert command_text(command) == text


def test_a_run_goes_on_from_its_folder_alone(tmp_path):
    """Its environment is made again, with its arguments."""
    through = PPO("deepnp/Navigation-v0", TINY, env_settings={"n": 5}).learn(64).learn(96)
    agent = PPO("deepnp/Navigation-v0", TINY, env_settings={"n": 5})
    run = Run(tmp_path, agent, "deepnp/Navigation-v0", 96)
    agent.learn(64, log=run)
    run.close()
    again, run = resume(tmp_path)
    assert run.total_steps == 64
    assert train(again, run, 96, quiet=True)
    np.testing.assert_array_equal(again.policy.flat.data, through.policy.flat.data)


@pytest.mark.parametrize(
    ("env", "settings"),
    [
        (lambda: gymnasium.make("Pendulum-v1", g=9.0), {"g": 9.0}),
        (
            lambda: gymnasium.make_vec(
                "Pendulum-v1", 2, "sync", {"autoreset_mode": gymnasium.vector.AutoresetMode.SAME_STEP}, g=9.0
            ),
            {"g": 9.0},
        ),
        (lambda: gymnasium.spec("Pendulum-v1"), {}),
        (lambda: vectorize(Target, 2), {}),
    ],
)
def test_arguments_of_environments_that_were_handed_in(tmp_path, env, settings):
    Run(tmp_path, PPO(env(), PPOConfig(num_envs=1)), "Pendulum-v1", 32)
    assert environment_of(tmp_path) == ("Pendulum-v1", settings)


def test_an_argument_that_no_file_can_hold_is_told(tmp_path):
    agent = PPO("Pendulum-v1", TINY)
    agent.source = ("Pendulum-v1", {"g": print})
    Run(tmp_path, agent, "Pendulum-v1", 32)
    with pytest.raises(ValueError, match=r"the environment's g cannot be made again from its file.*hand in an environment"):
        environment_of(tmp_path)


def test_runs_of_before_are_still_read(tmp_path):
    agent = PPO(vectorize(Target, 2), TINY)
    Run(tmp_path, agent, "Target", 64).close()
    record = read_config(tmp_path)
    old = {name: record[name] for name in ("algorithm", "env", "seed", "total_steps", "config")}
    (tmp_path / "config.json").write_text(json.dumps(old))
    assert environment_of(tmp_path) == ("Target", {})
    assert log_of(tmp_path) == Log()
    again = load_agent(tmp_path, vectorize(Target, 2))
    again.learn(64, log=Run.resume(tmp_path, again))
    assert read_config(tmp_path)["log"]["keep"] == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(keep=-1), "keep as an integer >= 0"),
        (dict(checkpoint_seconds="often"), "checkpoint_seconds as a number >= 0, given 'often'"),
        (dict(checkpoint_seconds=-1), "checkpoint_seconds as a number >= 0"),
        (dict(checkpoint_seconds=np.nan), "checkpoint_seconds as a number >= 0"),
        (dict(tensorboard="yes"), "tensorboard as a bool, given 'yes'"),
        (dict(on_write_error="ignore"), 'on_write_error as "stop" or "warn", given'),
    ],
)
def test_what_makes_no_sense_is_refused_before_a_folder_is_made(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        Run(tmp_path / "run", PPO(vectorize(Target, 2), TINY), "Target", 64, **wrong)
    assert not (tmp_path / "run").exists()
