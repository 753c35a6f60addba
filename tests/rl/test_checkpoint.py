"""Files of agents: what is damaged, foreign, too large or not finite is refused in words, and quickly."""

import json
from dataclasses import fields

import numpy as np
import pytest

import envs  # noqa: F401  (registers deepnp/…)
import rl
from deepnp.storage import load_tensors, save_tensors
from tests.rl.toys import Target, config_of, states, suited, vectorize

ALGORITHMS = list(rl.ALGORITHMS.values())
PLAN = dict(candidates=10, plan_elites=2, rounds=2, particles=2)
MODEL = dict(model_hidden=(8,), members=2, model_epochs=2)


def agent_of(algorithm, env=None, **settings):
    on_policy = dict(steps=20, epochs=1, updates=4)
    small = (
        on_policy
        if algorithm.takes.on_policy
        else dict(warmup=20, memory=200, priority_exponent=0.5, rounds=2, round_steps=20, updates=1)
    )
    config = config_of(algorithm, **{"num_envs": 2, "hidden": (8,), "batch_size": 16, **small, **settings})
    return algorithm.cls(env or vectorize(suited(algorithm, Target), 2), config)


@pytest.fixture(params=ALGORITHMS, ids=lambda a: a.name, scope="module")
def algorithm(request):
    return request.param


@pytest.fixture(scope="module")
def original(algorithm, tmp_path_factory):
    path = tmp_path_factory.mktemp("original") / "agent.safetensors"
    agent_of(algorithm, normalize_observations=True).learn(100).save(path)
    return path


@pytest.fixture
def saved(original, tmp_path):
    """A file, and its content."""
    path = tmp_path / "agent.safetensors"
    path.write_bytes(original.read_bytes())
    return path, *load_tensors(path)


def test_any_algorithm_s_file_is_loaded_by_what_it_says(saved, algorithm, tmp_path):
    path, _, metadata = saved
    assert type(rl.load(path)) is algorithm.cls
    assert metadata["algorithm"] == algorithm.name
    save_tensors(tmp_path / "net.safetensors", {"x": np.zeros(3)})
    with pytest.raises(ValueError, match="holds no agent of"):
        rl.load(tmp_path / "net.safetensors")


def test_what_is_missing_is_named(saved, algorithm):
    path, tensors, metadata = saved
    for lost in metadata.keys() - {"format"}:
        save_tensors(path, tensors, {k: v for k, v in metadata.items() if k != lost})
        with pytest.raises(ValueError, match=rf"its metadata lacks \['{lost}'\]"):
            algorithm.cls.load(path)
    for lost in {"gamma", "hidden"} & metadata["config"].keys():
        config = {k: v for k, v in metadata["config"].items() if k != lost}
        save_tensors(path, tensors, {**metadata, "config": config})
        with pytest.raises(ValueError, match=rf"given unknown ones \[\] and none of \['{lost}'\]"):
            algorithm.cls.load(path)
    for lost in [name for name in tensors if name.startswith(("agent.", "normalizer."))]:
        save_tensors(path, {k: v for k, v in tensors.items() if k != lost}, metadata)
        with pytest.raises(ValueError, match=r"expected|missing|not a whole agent"):
            algorithm.cls.load(path)


def test_every_array_of_another_shape_is_refused_when_it_is_loaded(saved, algorithm):
    path, tensors, metadata = saved
    for name, array in tensors.items():
        if (
            not name.startswith(("agent.", "normalizer."))
            or array.ndim == 0
            or any(part in name for part in (".scaler.returns", ".noise.", ".planned.", ".plans."))
        ):
            continue
        for wrong in (array[:-1], np.concatenate([array, array[:1]]), array[None], array.reshape(-1)):
            if wrong.shape == array.shape:
                continue
            save_tensors(path, {**tensors, name: np.ascontiguousarray(wrong)}, metadata)
            with pytest.raises(ValueError, match=r"expected|fit|whole"):
                algorithm.cls.load(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_parameters_that_are_not_finite_are_refused(saved, algorithm, value):
    path, tensors, metadata = saved
    for name, array in tensors.items():
        if name.startswith(("agent.", "normalizer.")):
            broken = array.copy()
            if broken.dtype.kind != "f" or not broken.size:
                continue
            broken.flat[-1] = value
            save_tensors(path, {**tensors, name: broken}, metadata)
            with pytest.raises(ValueError, match=r"NaN|finite"):
                algorithm.cls.load(path)


def test_widths_that_the_file_does_not_hold_are_refused_before_networks_are_made(saved, algorithm):
    path, tensors, metadata = saved
    if algorithm.takes.tables:
        pytest.skip("it has no network")
    widths = "hidden" if "hidden" in metadata["config"] else "model_hidden"
    save_tensors(path, tensors, {**metadata, "config": {**metadata["config"], widths: [30_000, 30_000]}})
    with pytest.raises(ValueError, match=rf"expected {widths} of networks with [\d,]+ numbers, given \(30000, 30000\)"):
        algorithm.cls.load(path)


@pytest.mark.parametrize("changed", ["space", "seed", "steps", "rngs", "config"])
def test_nonsense_in_the_metadata_is_refused(saved, algorithm, changed):
    path, tensors, metadata = saved
    for nonsense in (None, [], {}, "x", -1, 1e400, {"a": {"b": [1]}}):
        save_tensors(path, tensors, json.loads(json.dumps({**metadata, changed: nonsense})))
        with pytest.raises(ValueError, match=r"expected|whole"):
            algorithm.cls.load(path)


def test_a_memory_with_heads_or_sizes_that_its_rows_do_not_have_is_refused(tmp_path):
    path = tmp_path / "agent.safetensors"
    agent_of(rl.ALGORITHMS["SAC"]).learn(100).save(path)
    tensors, metadata = load_tensors(path)
    for name, value in (("heads", [1000, 0]), ("heads", [-1, 0]), ("sizes", [1000, 0]), ("sizes", [-3, 0])):
        save_tensors(path, {**tensors, f"agent.memory.{name}": np.array(value)}, metadata)
        with pytest.raises(ValueError, match=r"expected a replay memory with heads within|expected actions of shape"):
            rl.SAC.load(path)


def test_an_environment_s_situation_that_is_not_whole_is_refused(algorithm, tmp_path):
    path, env = tmp_path / "agent.safetensors", suited(algorithm, "deepnp/Navigation-v0")
    agent_of(algorithm, env).learn(40).save(path)
    tensors, metadata = load_tensors(path)
    for name in [name for name in tensors if name.startswith(("env.", "collector."))]:
        other = {k: v for k, v in tensors.items() if k != name}
        for changed in (other, {**other, name: tensors[name][:-1]}, {**other, name: tensors[name][None]}):
            if name == "collector.ended" and name in changed and len(changed[name]) == 1:
                continue  # so many copies it does not speak of
            save_tensors(path, changed, metadata)
            with pytest.raises(ValueError, match=r"expected|whole"):
                algorithm.cls.load(path, env)


class Until(rl.Callback):
    """Ends a training at so many steps: at once, or after the iteration."""

    def __init__(self, steps: float, each_step: bool):
        self.steps, self.each_step = steps, each_step

    def on_step(self, agent, step):
        return not self.each_step or agent.steps < self.steps

    def on_update(self, agent, metrics):
        return agent.steps < self.steps


def test_resuming_equals_never_having_stopped(algorithm, tmp_path):
    """Bit for bit, in environments that tell their state: priorities, the newest rows, returns over two steps, a ring that
    goes round, normalisers; after a stop in the middle of the schedules.
    """
    settings = dict(normalize_observations=True, n_step=2, newest=2, update_interval=8, population=5, **PLAN, **MODEL)
    settings["horizon"] = 50 if algorithm.family == "black_box" else 3  # of an episode; of a plan
    known = {f.name for f in fields(algorithm.config)}
    settings = {name: value for name, value in settings.items() if name in known}
    steps = 280 if "plan_elites" in known else 1400  # to plan takes long
    for env in (suited(algorithm, name) for name in ("deepnp/Navigation-v0", "deepnp/Walker-v0")):
        whole, half = agent_of(algorithm, env, **settings), agent_of(algorithm, env, **settings)
        whole.learn(steps)
        half.learn(steps, Until(0.57 * steps, each_step="plan_elites" in known))
        assert 0.57 * steps <= half.steps <= 0.72 * steps
        half.save(tmp_path / "half.safetensors")
        resumed = rl.load(tmp_path / "half.safetensors", env).learn(steps)
        assert resumed.steps == whole.steps
        assert states(resumed).keys() == states(whole).keys()
        for name, array in states(whole).items():
            np.testing.assert_array_equal(array, states(resumed)[name], err_msg=name)
