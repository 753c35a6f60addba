"""A policy as one Python file that needs NumPy alone."""

import ast
import base64
import os
import pprint
from typing import Any

import gymnasium

from deepnp.files import write_atomically
from rl.agent import Agent
from rl.networks.memory import Remembering
from rl.runs.record import env_settings_of
from rl.training.export.describe import checked_path, description
from rl.training.export.graph import Graph, Translations
from rl.training.export.observations import inputs_of
from rl.training.export.policies import graph_of, policy_of
from rl.training.export.source import function_of, functions_in

HEAD = '''"""The policy of a trained agent, in NumPy alone.

{description}

    from {module} import predict
    action = predict(observation)        # or the actions for a batch of observations

`python {module}.py` plays an episode, where Gymnasium is installed. The action is the most probable
one: nothing is drawn at random.
"""

{imports}

import numpy as np

# For each array of an observation: where it lies in it, its shape and type; for choices, how many
# each has, and the first.
LEAVES = {leaves}
ENVIRONMENT = {environment}  # its id, and what it was made with'''

PREDICT = '''def predict(observation) -> np.ndarray:
    """The action for one observation, or the actions for a batch of them.

    Raises ValueError for an observation of another shape, or one that holds NaN or infinity.
    """
    arrays, single = rows_of(observation, LEAVES)
    actions = policy(*arrays)
    return actions[0] if single else actions'''

WEIGHTS = 'W = unpacked(\n{layout},\n    """\n{text}\n""",\n)'

MAIN = """if __name__ == "__main__":
    chosen = (sys.argv[1], {}) if sys.argv[1:] else ENVIRONMENT
    print("return {:g} after {} steps".format(*play(predict, *chosen)))"""


def export_numpy(agent: Agent, path: str | os.PathLike, translations: Translations | None = None) -> None:
    """Write the agent's policy as one readable Python file that needs NumPy only, its weights in it.

    Its `predict(observation)` gives what `agent.predict(observation)` does, to float32 rounding: the
    most probable action. It cannot draw.

    Parameters
    ----------
    agent : Agent
    path
        Of the file, which ends in .py; its folder is made if need be.
    translations : mapping, class -> function, optional
        For layers of one's own; see layers.py.

    Raises
    ------
    ValueError
        If the path does not end in .py, a layer has no translation, or the agent does not act as its
        policy network says. If it has memory: then an ONNX file takes the state in and gives it out.
    TypeError
        If the agent has no policy network.
    """
    path = checked_path(path, ".py")
    if isinstance(policy_of(agent), Remembering):
        raise ValueError(f"expected a policy without memory, given memory={agent.config.memory!r}: an .onnx file can have one")
    text = source_of(agent, graph_of(agent, translations), path.stem if path.stem.isidentifier() else "policy")
    write_atomically(path, lambda file: file.write(text.encode()))


def source_of(agent: Agent, graph: Graph, module: str) -> str:
    """The text of the file; `module` is what it will be imported as."""
    choices = [leaf.choices if leaf.kind == "choices" else () for leaf in inputs_of(agent)]
    leaves = [(leaf.path, leaf.shape, leaf.dtype, n, leaf.start) for leaf, n in zip(inputs_of(agent), choices, strict=True)]
    policy = function_of(graph, "policy", "W")
    functions = functions_in("\n".join([PREDICT, policy, WEIGHTS, MAIN]))
    modules = ["base64", *(["math"] if "math." in "".join(functions) else []), "sys"]
    head = HEAD.format(
        description=description(agent),
        module=module,
        imports="\n".join(f"import {name}" for name in modules),
        leaves=pprint.pformat(leaves, width=90),
        environment=repr(environment_of(agent)),
    )
    return "\n\n\n".join([head, PREDICT, policy, *map(str.rstrip, functions), weights_of(graph), MAIN]) + "\n"


def weights_of(graph: Graph) -> str:
    """The graph's constants, as the statement that unpacks them."""
    layout = {name: (x.dtype.name, x.shape) for name, x in graph.constants.items()}
    data = b"".join(x.astype(x.dtype.newbyteorder("<")).tobytes() for x in graph.constants.values())
    text = base64.b64encode(data).decode()
    lines = [text[i : i + 96] for i in range(0, len(text), 96)]
    table = "\n".join(f"        {name!r}: {place}," for name, place in layout.items())
    return WEIGHTS.format(layout=f"    {{\n{table}\n    }}", text="\n".join(lines))


def environment_of(agent: Agent) -> tuple[str | None, dict[str, Any]]:
    """What `gymnasium.make` makes the agent's environment of: an id, with the module that registers it, and settings.

    None for an environment that is not registered, or has settings that cannot be written down.
    """
    spec = gymnasium.registry.get(agent.env_name or "")
    if spec is None:
        return None, {}
    root = spec.entry_point.split(".")[0].split(":")[0] if isinstance(spec.entry_point, str) else "gymnasium"
    settings = env_settings_of(agent)
    try:
        if ast.literal_eval(repr(settings)) != settings:
            return None, {}
    except (ValueError, SyntaxError):
        return None, {}
    return (agent.env_name if root == "gymnasium" else f"{root}:{agent.env_name}"), settings
