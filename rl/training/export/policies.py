"""A trained agent as a graph: from an observation, as the environment gives it, to the action that it takes.

inputs        each array of the observation, rows of it
observation   laid side by side, choices as zeros and ones, normalised
policy        the network; the most probable action, nothing is drawn
action        clipped and stretched onto the space's bounds; or the largest logit of each branch
"""

import copy
from typing import Any

import numpy as np

from deepnp.module import Module
from rl.agent import Agent
from rl.experience.sequences import State
from rl.networks.actors import SquashedGaussianPolicy
from rl.networks.ascent import AscentPolicy
from rl.networks.dueling import Dueling
from rl.networks.encoders import ImageEncoder
from rl.networks.gsde import StateDependentPolicy
from rl.networks.heads import BetaHead
from rl.networks.masks import HELD, Unmasked, without_mask
from rl.networks.memory import Remembering
from rl.networks.naf import NAFNetwork
from rl.networks.policies import ChoicePolicy, GaussianPolicy, HeadPolicy
from rl.networks.q_networks import QNetwork
from rl.networks.recalling import RecallingActor
from rl.networks.shared import SharedPolicy
from rl.networks.table import Table
from rl.training.export.actions import acted
from rl.training.export.ascent import ascended
from rl.training.export.graph import Graph, Translation, Translations, Value
from rl.training.export.layers import LAYERS
from rl.training.export.memory import remembered, states_like
from rl.training.export.observations import ROWS, inputs_of, name_of, nested, observations_like, observed
from rl.training.export.values import dueling, lowered, naf, q_network

OFF_AND_ON = ((0, "off"), (1, "on"))  # of each pair in a mask of switches
AGREEMENT = 1e-4  # of actions in [−1, 1], between the graph and the agent


def policy_of(agent: Agent) -> Module:
    """The agent's policy network, or a copy on the CPU of one that is on a GPU.

    Raises
    ------
    TypeError
        Where it has none.
    ValueError
        For an off-policy one with memory.
    """
    if not isinstance(agent, Agent):
        raise TypeError(f"expected an agent, given {agent!r:.80}")
    policy = agent.parts().get("policy")
    if not isinstance(policy, Module):
        raise TypeError(f"expected an agent with a policy network, given {type(agent).__name__} with {sorted(agent.parts())}")
    if isinstance(policy, RecallingActor):
        raise ValueError(f"expected a policy without recall, given recall={agent.config.recall!r}: there is no export of it yet")
    return policy if agent.device == "cpu" else copy.deepcopy(policy).to("cpu")


def graph_of(agent: Agent, translations: Translations | None = None) -> Graph:
    """The agent's most probable action as a graph.

    Raises
    ------
    TypeError
        If the agent has no policy network.
    ValueError
        If a layer has no translation, or the agent's actions are not those of its policy network; for
        attention as memory.
    """
    policy, graph = policy_of(agent), Graph({**LAYERS, **POLICIES, **(translations or {})})
    examples = observations_like(agent)
    values = [graph.input(name_of(leaf), x) for leaf, x in zip(inputs_of(agent), examples, strict=True)]
    with graph.within("observation"):
        x = observed(graph, agent, values)
    states = states_like(policy, ROWS) if isinstance(policy, Remembering) else {}
    if isinstance(policy, Remembering):
        y, following = remembered(graph, policy, x, [graph.input(name, state) for name, state in states.items()])
    else:
        y, following = graph.translate("policy", policy, x), {}
    with graph.within("action"):
        action = acted(graph, agent.space.action, y)
    graph.outputs["action_" if "action" in [value.name for value in values] else "action"] = action
    graph.outputs |= following
    check_agreement(agent, examples, tuple(states.values()), action.example)
    return graph


def image_encoder(graph: Graph, module: ImageEncoder, x: tuple[Value | None, Value]) -> Value:
    vector, *images = x
    features = [] if vector is None else [vector]
    for image, (name, child) in zip(images, module.children(), strict=True):
        pixels = image if image.dtype == np.float32 else graph.add("Cast", image, to="float32")
        if image.dtype == np.uint8:
            pixels = graph.add("Div", pixels, 255.0)
        features.append(graph.translate(name, child, pixels))
    return graph.add("Concat", *features, axis=1) if len(features) > 1 else features[0]


def squashed_gaussian(graph: Graph, module: SquashedGaussianPolicy, x: Any) -> Value:
    """tanh μ(s)."""
    if module.shared:
        y = graph.add("Slice", graph.translate("body", module.body, x), starts=[0], ends=[module.actions], axes=[1])
    else:
        y = graph.translate("mean", module.mean, x)
    return graph.add("Tanh", y)


def choice(graph: Graph, module: ChoicePolicy, x: Any) -> Value:
    """The logits of all choices, those that a mask excludes below all others."""
    y = graph.translate("logits", module.logits, x)
    if not module.masked:
        return y
    if module.action.kind == "MultiBinary":
        off, on = (graph.add("Gather", x[-1], graph.constant(n, np.arange(i, 2 * y.shape[1], 2)), axis=1) for i, n in OFF_AND_ON)
        return graph.add("Add", y, graph.add("Mul", graph.add("Sub", on, off), HELD))
    return lowered(graph, y, x[-1])


def headed(graph: Graph, module: HeadPolicy, x: Any) -> Value:
    """The mode of Beta distributions, stretched onto [−1, 1]: (α − β)/(α + β − 2)."""
    if not isinstance(module.head, BetaHead):
        return graph.translate("body", module.body, x)  # of several parts, which `acted` refuses
    y = graph.add("Softplus", graph.translate("body", module.body, x))
    y = graph.add("Sub", graph.add("Add", y, 1.0), 1.0)  # α − 1 and β − 1, rounded as the agent's
    a, b = (graph.add("Slice", y, starts=[i], ends=[i + module.head.actions], axes=[1]) for i in (0, module.head.actions))
    return graph.add("Div", graph.add("Sub", a, b), graph.add("Add", a, b))


def unmasked(graph: Graph, module: Unmasked, x: tuple) -> Value:
    return graph.translate("network", module.network, without_mask(x))


def shared_policy(graph: Graph, module: SharedPolicy, x: Any) -> Value:
    h = graph.translate("trunk", module.trunk, x)
    return graph.translate("policy", module.policy, (h, x[-1]) if module.masked else h)


def table(graph: Graph, module: Table, x: Value) -> Value:
    """The row of the state's number, as a product with zeros and a 1."""
    number = graph.add("MatMul", x, graph.constant("weights", module.weights[:, None].astype(np.float32)))
    values = module.values.data.astype(np.float32)
    state = graph.add("Equal", number, graph.constant("states", np.arange(len(values), dtype=np.float32)))
    return graph.add("MatMul", graph.add("Cast", state, to="float32"), graph.constant("values", values))


POLICIES: dict[type, Translation] = {  # the most probable action, or the logits or values of all choices
    QNetwork: q_network,
    Dueling: dueling,
    NAFNetwork: naf,
    GaussianPolicy: lambda graph, module, x: graph.translate("mean", module.mean, x),
    ChoicePolicy: choice,
    HeadPolicy: headed,
    StateDependentPolicy: lambda graph, module, x: graph.translate(
        "mean", module.mean, graph.translate("features", module.features, x)
    ),
    Unmasked: unmasked,
    SquashedGaussianPolicy: squashed_gaussian,
    SharedPolicy: shared_policy,
    Table: table,
    AscentPolicy: ascended,
    ImageEncoder: image_encoder,
}


def check_agreement(agent: Agent, examples: list[np.ndarray], state: State, given: np.ndarray) -> None:
    """Raise ValueError unless the agent acts as the graph does: in three quarters of the rows where these are choices."""
    observations = nested(inputs_of(agent), examples)
    expected = agent.predict(observations, state=state)[0] if state else agent.predict(observations)
    expected = expected.reshape(ROWS, -1)
    given, action = given.reshape(ROWS, -1), agent.space.action
    if action.kind == "Box":
        unit = np.float64(1) if action.low is None else action.bounds[3].astype(np.float64)
        agree = (np.abs(expected.astype(np.float64) - given) <= AGREEMENT * np.maximum(unit, np.abs(expected) * 0.1)).all()
    else:
        agree = (expected == given).all(axis=1).mean() >= 0.75  # two logits may be as good as equal
    if not agree:
        raise ValueError(f"expected an agent that acts as its policy network says, given {type(agent).__name__}, which does not")
