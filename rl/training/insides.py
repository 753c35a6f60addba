"""What goes on inside an agent's networks while it learns: gradient norms and activations, layer by layer.

    gradient/NETWORK/LAYER         ‖∂L/∂(weight, bias)‖ of the last minibatch before this moment
    activation/NETWORK/LAYER       the standard deviation of the layer's output over states just visited
    idle_units/NETWORK/LAYER       the share of an activation's outputs that are the same in all of these states

Nothing is computed in between, and nothing is drawn at random: the training takes the bits that it
takes without. Layers of networks that read images or sequences have gradients here, and no
activations.

Shapes: B states, O observation, A action dimensions.
"""

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from deepnp import Linear, Module, Sequential
from deepnp.backend import to_device
from rl.agent import Agent
from rl.config import whole_number
from rl.experience import trees
from rl.experience.collector import Step
from rl.runs.callbacks import Callback
from rl.runs.failures import WriteFailures, check_on_write_error
from rl.runs.run import folder_of
from rl.runs.table import KEY, Table

FILE = "insides.csv"
STATES = 256  # that activations are looked at in
SAME = 1e-6  # of the layer's own spread: a unit that moves less is idle


class Insides(Callback):
    """Records gradient norms and activations after every so many iterations, in insides.csv.

    The table is where `log` is, beside progress.csv; `deepnp explore` draws it. Without `log` the
    rows are kept here alone.

    Parameters
    ----------
    every : int
        Iterations between two rows.
    folder : path, optional
        Where the file goes instead.
    on_write_error : {"stop", "warn"}
        See `Run`.

    Attributes
    ----------
    rows : list of dict
        What was recorded in this process.
    """

    def __init__(self, every: int = 10, folder: str | os.PathLike | None = None, *, on_write_error: str = "stop"):
        self.every, self.folder = whole_number("every", every, 1), folder
        self.on_write_error = check_on_write_error(on_write_error)
        self.rows: list[dict[str, float]] = []
        self._table: Table | None = None

    def on_start(self, agent: Agent) -> None:
        folder = folder_of(agent) if self.folder is None else self.folder
        if folder is not None:
            self._table, self._failures = Table.read(Path(folder) / FILE), WriteFailures(folder, self.on_write_error)
            self._table.keep_until(agent.steps)
        self._watched = any(True for network in networks_of(agent).values() for _ in bodies_of(network))
        self._states: deque[np.ndarray] = deque()
        self._done = 0

    def on_step(self, agent: Agent, step: Step) -> None:
        if not self._watched or (self._done + 1) % self.every or agent.collector is None:
            return
        observations = trees.vector(agent.collector.observations)
        self._states.append(np.array(observations))
        if len(self._states) > -(-STATES // len(observations)):
            self._states.popleft()

    def on_update(self, agent: Agent, metrics: dict[str, float]) -> None:
        self._done += 1
        if self._done % self.every:
            return
        row = gradient_norms(agent)
        if self._states:
            row |= activations(agent, np.concatenate(self._states)[-STATES:])
            self._states.clear()
        if not row:
            return
        self.rows.append({KEY: agent.steps, **row})
        if self._table is not None:
            with self._failures.handled(FILE):
                self._table.append(self.rows[-1])


def networks_of(agent: Agent) -> dict[str, Module]:
    """The networks that learn, by name: of an ensemble each, with its number; targets are left out."""
    found: dict[str, Module] = {}
    for name, part in agent.parts().items():
        if name.startswith("target"):
            continue
        if isinstance(part, Module):
            found[name] = part
        else:
            found |= {f"{name}.{i}": network for i, network in enumerate(getattr(part, "networks", ()))}
    return found


def gradient_norms(agent: Agent) -> dict[str, float]:
    """The norm of each layer's gradient as the last step left it; networks that none has reached are left out."""
    row: dict[str, float] = {}
    for network, module in networks_of(agent).items():
        squares: dict[str, float] = {}
        for name, parameter in module.named_parameters():
            layer = name.rpartition(".")[0] or name
            gradient = to_device(parameter.grad, "cpu").astype(np.float64)
            squares[layer] = squares.get(layer, 0.0) + float(np.sum(gradient * gradient))
        if any(squares.values()):
            row |= {f"gradient/{network}/{layer}": float(np.sqrt(square)) for layer, square in squares.items()}
    return row


def activations(agent: Agent, observations: np.ndarray) -> dict[str, float]:
    """Spread and idle units of each layer over observations (B, O), as the space lays them out."""
    states, row = agent.observe(observations), {}
    inputs = [states]
    if agent.space.action.kind == "Box":
        inputs.append(trees.with_actions(states, to_device(agent.act(states, None), agent.device)))
    for network, module in networks_of(agent).items():
        for body_name, body in bodies_of(module):
            x = next((x for x in inputs if x.shape[1] == _width(body)), None)
            if x is not None:
                row |= _of_layers(f"{network}.{body_name}".rstrip("."), body, x)
    return row


def bodies_of(network: Module) -> Iterator[tuple[str, Sequential]]:
    """The parts of a network that run layer after layer on a vector: itself, or those directly in it."""
    inside = {"": network} if isinstance(network, Sequential) else dict(network.children())
    for name, module in inside.items():
        if isinstance(module, Sequential) and _width(module):
            yield name, module


def _width(body: Sequential) -> int:
    """How wide a vector the body reads; 0 where its first layer reads something else."""
    first = body[0]
    return first.weight.shape[1] if isinstance(first, Linear) else 0


def _of_layers(network: str, body: Sequential, x: Any) -> dict[str, float]:
    row: dict[str, float] = {}
    for i in range(len(body)):
        x = body[i].predict(x)
        if not isinstance(x, np.ndarray) or x.ndim != 2:
            break  # heads, or no vectors any more
        layer, spreads = f"{network}/{i} {type(body[i]).__name__}", x.std(axis=0, dtype=np.float64)
        row[f"activation/{layer}"] = float(x.std(dtype=np.float64))
        if next(body[i].named_parameters(), None) is None:
            row[f"idle_units/{layer}"] = float(np.mean(spreads <= SAME * max(1.0, float(spreads.max()))))
    return row
