"""Exported policies: a file of NumPy alone and an ONNX file act as the agent does, for every algorithm and kind of space."""

import ast
import runpy
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import deepnp
import rl
from deepnp import Module
from deepnp.models.mlp import ACTIVATIONS
from rl import DDPG, PPO, SAC
from rl.experience import goals
from rl.experience.actions import ActionLayout
from rl.training.export import export, export_numpy, export_onnx
from rl.training.export.observations import inputs_of, name_of, nested, observations_like

Box = spaces.Box
HIDDEN = (12, 8)
VECTOR, BOUNDED = Box(-1, 1, (3,), np.float32), Box(np.float32([-2, -0.5]), np.float32([1, 4]))
TREE = spaces.Dict(
    {
        "two words": Box(-1, 1, (2, 2)),
        "image": Box(0, 255, (12, 10, 3), np.uint8),
        "lambda": spaces.Discrete(3),
        "pair": spaces.Tuple((Box(-1, 1, (2,), np.float64), spaces.MultiDiscrete([[2, 3], [4, 2]], start=[[1, 0], [0, 0]]))),
    }
)
OBSERVATIONS = {
    "vector": VECTOR,
    "float64": Box(-1, 1, (3,), np.float64),
    "integers": Box(0, 200, (2, 2), np.int32),
    "large image": Box(0, 255, (40, 38, 3), np.uint8),
    "small image of floats": Box(0, 1, (2, 9, 8), np.float32),
    "a choice": spaces.Discrete(5, start=2),
    "choices": spaces.MultiDiscrete([2, 3]),
    "switches": spaces.MultiBinary(4),
    "tree": TREE,
}
ACTIONS = {
    "box": BOUNDED,
    "unit box": Box(-1, 1, (2,), np.float32),
    "float64": Box(-0.1, 0.1, (2, 2), np.float64),
    "float16": Box(-3, 1, (2,), np.float16),
    "largest": Box(np.finfo(np.float32).min, np.finfo(np.float32).max, (2,), np.float32),
    "unbounded": Box(-np.inf, np.inf, (2,), np.float32),
    "choice": spaces.Discrete(3, start=-1),
    "branches": spaces.MultiDiscrete([3, 4], start=[1, 0]),
    "branches of int32": spaces.MultiDiscrete([[3, 4]], dtype=np.int32),
    "switches": spaces.MultiBinary((2, 2)),
}


def trained(agent):
    """The agent with weights that say something, and a normaliser far from where it began."""
    rng = np.random.default_rng(1)
    policy = agent.parts()["policy"]
    for x in policy.state_dict().values():
        scale = 1.5 / np.sqrt(np.prod(x.shape[1:])) if x.ndim > 1 else 0.5  # so that some actions meet their bounds
        x += rng.normal(0, scale, x.shape).astype(x.dtype)
    if agent.normalizer:
        agent.normalizer.update(rng.normal(100, 3, (50, agent.space.observations)))
    return agent


def small(cls, **settings):
    return cls.Config(hidden=HIDDEN, **settings)


def numpy_actions(agent, folder, arrays):
    export_numpy(agent, folder / "policy.py")
    return runpy.run_path(str(folder / "policy.py"))["predict"](nested(inputs_of(agent), arrays))


def onnx_actions(agent, folder, arrays):
    session_of = pytest.importorskip("onnxruntime").InferenceSession
    pytest.importorskip("onnx")
    export_onnx(agent, folder / "policy.onnx")
    session = session_of(str(folder / "policy.onnx"), providers=["CPUExecutionProvider"])
    named = {name_of(leaf): x for leaf, x in zip(inputs_of(agent), arrays, strict=True)}
    assert [x.name for x in session.get_inputs()] == list(named)
    (actions,) = session.run(["action_" if "action" in named else "action"], named)
    return actions


WAYS = pytest.mark.parametrize("actions_of", [numpy_actions, onnx_actions], ids=["numpy", "onnx"])


def check(agent, actions_of, folder):
    arrays = observations_like(trained(agent))
    for rows in (slice(None), slice(0, 1)):
        some = [x[rows] for x in arrays]
        expected, given = agent.predict(nested(inputs_of(agent), some)), actions_of(agent, folder, some)
        assert given.dtype == expected.dtype
        assert given.shape == expected.shape
        if expected.dtype.kind == "f":
            assert len(np.unique(expected)) > 1
            half = np.float64(1) if agent.space.action.low is None else agent.space.action.bounds[3].astype(float)
            precision = 1e-5 if expected.dtype.itemsize > 2 else 1e-3
            assert (np.abs(given.astype(float) - expected).reshape(len(given), -1) <= precision * half).all()
        else:
            np.testing.assert_array_equal(given, expected)


@WAYS
@pytest.mark.parametrize("name", OBSERVATIONS)
def test_every_kind_of_observation(name, actions_of, tmp_path):
    check(PPO.of_spaces(OBSERVATIONS[name], BOUNDED, small(PPO)), actions_of, tmp_path)


@WAYS
@pytest.mark.parametrize("name", ACTIONS)
def test_every_kind_of_action(name, actions_of, tmp_path):
    check(PPO.of_spaces(VECTOR, ACTIONS[name], small(PPO)), actions_of, tmp_path)


@WAYS
@pytest.mark.parametrize("name", ["choice", "branches", "branches of int32", "switches"])
def test_action_masks(name, actions_of, tmp_path):
    size = sum(ActionLayout.of(ACTIONS[name]).choices)
    parts = {"x": VECTOR, "image": OBSERVATIONS["small image of floats"], "action_mask": Box(0, 1, (size, 1), np.int8)}
    agent = PPO.of_spaces(spaces.Dict(parts), ACTIONS[name], small(PPO))
    check(agent, actions_of, tmp_path)
    del parts["image"]
    check(PPO.of_spaces(spaces.Dict(parts), ACTIONS[name], small(PPO)), actions_of, tmp_path)


@WAYS
@pytest.mark.parametrize("head", [dict(head="beta"), dict(head="squashed"), dict(squash="tanh"), dict(sde_interval=4)], ids=str)
def test_every_head(head, actions_of, tmp_path):
    check(PPO.of_spaces(VECTOR, BOUNDED, small(PPO, **head)), actions_of, tmp_path)


@WAYS
def test_three_of_six(actions_of, tmp_path):
    agent = PPO.of_spaces(VECTOR, spaces.MultiBinary((2, 3)), small(PPO, choose=3))
    check(agent, actions_of, tmp_path)
    assert (agent.predict(np.zeros((4, 3), np.float32)).sum(axis=(1, 2)) == 3).all()


def test_several_parts_are_refused(tmp_path):
    agent = PPO.of_spaces(VECTOR, spaces.Dict(a=BOUNDED, b=spaces.Discrete(2)), small(PPO))
    for name in ("policy.py", "policy.onnx"):
        with pytest.raises(ValueError, match="expected actions that are one array, given a Dict: export to PyTorch"):
            export(agent, tmp_path / name)
    export(agent, tmp_path / "policy.safetensors")


@WAYS
@pytest.mark.parametrize("name", rl.ALGORITHMS)
def test_every_algorithm(name, actions_of, tmp_path):
    cls = rl.ALGORITHMS[name].cls
    action = BOUNDED if "Box" in cls.takes.actions else spaces.Discrete(3)
    if cls is rl.PETS:  # it acts by planning: there is no policy to write
        with pytest.raises(ValueError, match="given policy, a Dynamics"):
            check(cls.of_spaces(VECTOR, action, cls.Config(model_hidden=HIDDEN)), actions_of, tmp_path)
    elif cls.takes.tables:
        numbers = spaces.Tuple((spaces.Discrete(5, start=2), spaces.MultiDiscrete([2, 3])))
        check(cls.of_spaces(numbers, action), actions_of, tmp_path)
    else:
        check(cls.of_spaces(TREE if cls.takes.images else VECTOR, action, small(cls)), actions_of, tmp_path)


@WAYS
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation, actions_of, tmp_path):
    check(PPO.of_spaces(VECTOR, BOUNDED, small(PPO, activation=activation)), actions_of, tmp_path)


@WAYS
@pytest.mark.parametrize(
    "agent",
    [
        lambda: SAC.of_spaces(VECTOR, BOUNDED, small(SAC, shared=False)),
        lambda: SAC.of_spaces(VECTOR, BOUNDED, small(SAC, normalize_observations=True)),
        lambda: PPO.of_spaces(VECTOR, BOUNDED, small(PPO, sigma="network", normalize_observations=False)),
        lambda: DDPG.of_spaces(OBSERVATIONS["large image"], BOUNDED, small(DDPG)),
    ],
    ids=["two networks", "normalised", "own sigma", "image alone"],
)
def test_settings_that_change_the_network(agent, actions_of, tmp_path):
    check(agent(), actions_of, tmp_path)


@WAYS
def test_goals_come_as_the_dict_that_the_environment_gives(actions_of, tmp_path):
    space = spaces.Dict({key: Box(-1, 1, (2 if "goal" in key else 3,)) for key in goals.KEYS})
    check(SAC.of_spaces(space, BOUNDED, small(SAC, hindsight="future")), actions_of, tmp_path)


@WAYS
def test_parts_of_any_name(actions_of, tmp_path):
    names = ("action", "h1", "np", "W", "conv", "a b", "a_b", 'a"b', "observation", "1", "class")
    parts = {name: spaces.Discrete(2 + i) for i, name in enumerate(names)}
    parts["part3"] = spaces.Box(-1, 1, (2,), np.float32)
    check(PPO.of_spaces(spaces.Dict(parts), BOUNDED, small(PPO)), actions_of, tmp_path)


@WAYS
@pytest.mark.parametrize(("dtype", "first", "step"), [(np.float64, 1.7e9, 1.0), (np.float32, 1000.0, 2.0**-13)])
def test_large_observations_keep_their_digits(dtype, first, step, actions_of, tmp_path):
    """Seconds since 1970: float32 alone would know them to within two minutes. A mean, too, has more digits than float32."""
    agent = PPO.of_spaces(Box(-np.inf, np.inf, (1,), dtype), BOUNDED, small(PPO))
    agent.normalizer.update(first + step * np.r_[np.arange(100.0), 7.3][:, None])
    agent.policy.load_state_dict({k: x * 5 for k, x in agent.policy.state_dict().items()})
    x = (first + step * np.array([[3.0], [50.0], [97.0]])).astype(dtype)
    given = actions_of(agent, tmp_path, [x])
    np.testing.assert_allclose(given, agent.predict(x), atol=1e-5)
    assert np.abs(given[0] - given[2]).max() > 1e-3


def test_the_file_needs_numpy_alone_and_says_what_it_is(tmp_path):
    agent = trained(PPO("Pendulum-v1", small(PPO), env_settings={"g": 9.0}))
    export_numpy(agent, tmp_path / "new" / "my_policy.py")
    text = (tmp_path / "new" / "my_policy.py").read_text()
    tree = ast.parse(text)
    assert {a.name for node in tree.body if isinstance(node, ast.Import) for a in node.names} <= {"base64", "math", "numpy", "sys"}
    assert not [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    for words in ("PPO", "Pendulum-v1", "float32 (3,)", "Box, float32 (1,), -2 to 2", "from my_policy import predict"):
        assert words in ast.get_docstring(tree)
    assert "ENVIRONMENT = ('Pendulum-v1', {'g': 9.0})" in text
    code = text[: text.index("W = unpacked")]
    assert max(map(len, code.splitlines())) <= 110
    assert "h4 = np.tanh(h3)" in code


def test_it_plays_an_episode_as_the_agent_would(tmp_path):
    agent = trained(PPO("Pendulum-v1", small(PPO)))
    export_numpy(agent, tmp_path / "policy.py")
    done = subprocess.run([sys.executable, "policy.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    expected = float(rl.evaluate(agent, gymnasium.make("Pendulum-v1"), 1, seed=0)[0])
    _, given, *_, steps, _ = done.stdout.split()
    assert float(given) == pytest.approx(expected, rel=1e-3)
    assert steps == "200"


def test_an_environment_that_is_not_known_has_to_be_named(tmp_path):
    agent = PPO.of_spaces(VECTOR, BOUNDED, small(PPO))
    export_numpy(agent, tmp_path / "policy.py")
    policy = runpy.run_path(str(tmp_path / "policy.py"))
    assert policy["ENVIRONMENT"] == (None, {})
    with pytest.raises(SystemExit, match="give the id of an environment"):
        policy["play"](policy["predict"], *policy["ENVIRONMENT"])


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        (np.zeros(4), r"expected observation of shape \(3,\) or \(B, 3\), given \(4,\)"),
        (np.zeros((2, 4)), r"given \(2, 4\)"),
        (0.0, r"given \(\)"),
        ([[0, 1, 2], [0, 1]], "expected an observation with an array, given list"),
        (["a", "b", "c"], "expected finite numbers"),
        (np.array([0, np.nan, 0]), "expected finite numbers as observation"),
        (np.array([0, np.inf, 0]), "expected finite numbers"),
        (None, r"expected observation of shape|expected finite numbers"),
    ],
)
def test_a_wrong_observation_is_refused_in_words(observation, message, tmp_path):
    export_numpy(PPO.of_spaces(VECTOR, BOUNDED, small(PPO)), tmp_path / "policy.py")
    with pytest.raises(ValueError, match=message):
        runpy.run_path(str(tmp_path / "policy.py"))["predict"](observation)


def test_choices_and_parts_that_are_not_there_are_refused_in_words(tmp_path):
    agent = PPO.of_spaces(spaces.Dict(a=spaces.Discrete(3, start=1), b=VECTOR), BOUNDED, small(PPO))
    export_numpy(agent, tmp_path / "policy.py")
    predict = runpy.run_path(str(tmp_path / "policy.py"))["predict"]
    assert predict({"a": 3, "b": np.zeros(3)}).shape == (2,)
    assert predict({"a": np.zeros(0, int), "b": np.zeros((0, 3))}).shape == (0, 2)
    for wrong in (0, 4, 1.5):
        with pytest.raises(ValueError, match="expected whole numbers from 1 to 3 in a, given"):
            predict({"a": wrong, "b": np.zeros(3)})
    with pytest.raises(ValueError, match="expected an observation with b, given dict"):
        predict({"a": 1})
    with pytest.raises(ValueError, match="expected as many rows in each part"):
        predict({"a": np.array([1, 2]), "b": np.zeros((3, 3))})


def test_export_chooses_by_the_path_or_by_what_it_is_told(tmp_path):
    agent = PPO.of_spaces(VECTOR, BOUNDED, small(PPO))
    for name in ("a.py", "a.onnx", "a.safetensors"):
        if name.endswith("onnx"):
            pytest.importorskip("onnx")
        export(agent, tmp_path / name)
        assert (tmp_path / name).is_file()
    with pytest.raises(ValueError, match=r"expected a path that ends in \['.onnx', '.py', '.safetensors'\], given .*a.txt"):
        export(agent, tmp_path / "a.txt")
    with pytest.raises(ValueError, match=r"expected to as one of .*, given 'pytorch'"):
        export(agent, tmp_path / "a.py", to="pytorch")
    with pytest.raises(ValueError, match=r"ends in .onnx, given .*a.py"):
        export(agent, tmp_path / "a.py", to="onnx")


def test_what_is_no_agent_or_has_no_policy_is_refused(tmp_path):
    with pytest.raises(TypeError, match="expected an agent, given 3"):
        export_numpy(3, tmp_path / "a.py")

    class Without(PPO):
        def parts(self):
            return {name: part for name, part in super().parts().items() if name != "policy"}

    with pytest.raises(TypeError, match="expected an agent with a policy network, given Without"):
        export_numpy(Without.of_spaces(VECTOR, BOUNDED, small(PPO)), tmp_path / "a.py")
    assert not list(tmp_path.iterdir())


def test_an_agent_that_acts_otherwise_than_its_network_says_is_refused(tmp_path):
    class Contrary(PPO):
        def act(self, observations, rng):
            return -super().act(observations, rng)

    for space in (BOUNDED, spaces.Discrete(2)):
        cls = Contrary if space is BOUNDED else type("Contrary", (PPO,), {"act": lambda self, s, rng: 1 - PPO.act(self, s, rng)})
        with pytest.raises(ValueError, match="expected an agent that acts as its policy network says, given Contrary"):
            export_numpy(trained(cls.of_spaces(VECTOR, space, small(PPO))), tmp_path / "a.py")


class Tripled(Module):
    """A layer of a user's own."""

    def forward(self, x):
        return self.predict(x)

    def backward(self, dy, params=True, inputs=True):
        return 3 * dy if inputs else None

    def predict(self, x):
        return 3 * x


def test_layers_of_ones_own_have_to_be_translated(tmp_path):
    pytest.importorskip("onnx")
    network, x = deepnp.Sequential(deepnp.Linear(3, 2), Tripled()), np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match=r"given network\.1, a Tripled: export_torch .* translations={Tripled"):
        export_onnx(network, tmp_path / "a.onnx", x)
    export_onnx(network, tmp_path / "a.onnx", x, {Tripled: lambda graph, module, x: graph.add("Mul", x, 3.0)})
    (y,) = pytest.importorskip("onnx.reference").ReferenceEvaluator(str(tmp_path / "a.onnx")).run(None, {"input": x})
    np.testing.assert_allclose(y, network.predict(x), rtol=1e-6)
    with pytest.raises(ValueError, match="expected translations that give what"):
        export_onnx(network, tmp_path / "a.onnx", x, {Tripled: lambda graph, module, x: graph.add("Mul", x, 2.0)})
    with pytest.raises(ValueError, match=r"expected an operation among .*, given 'Tripled'"):
        export_onnx(network, tmp_path / "a.onnx", x, {Tripled: lambda graph, module, x: graph.add("Tripled", x)})


@WAYS
@pytest.mark.parametrize("name", ["DQN", "C51", "QRDQN"])
def test_values_of_choices(name, actions_of, tmp_path):
    cls = getattr(rl, name)
    masked = spaces.Dict(x=Box(-1, 1, (3,), np.float32), action_mask=spaces.MultiBinary(3))
    for observation, settings in ((VECTOR, dict(dueling=True)), (masked, {}), (OBSERVATIONS["large image"], dict(dueling=True))):
        check(cls.of_spaces(observation, spaces.Discrete(3, start=2), small(cls, **settings)), actions_of, tmp_path)
