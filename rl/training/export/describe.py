"""What an exported file says of itself, and where it may be written."""

import os
from pathlib import Path

import deepnp
from rl.agent import Agent
from rl.experience.actions import ActionLayout
from rl.training.export.observations import inputs_of, name_of


def checked_path(path: str | os.PathLike, suffix: str) -> Path:
    """The path; ValueError unless it ends in the suffix."""
    path = Path(path)
    if path.suffix != suffix:
        raise ValueError(f"expected the name of a file that ends in {suffix}, given {path}")
    return path


def facts(agent: Agent) -> dict[str, str]:
    """What the policy was made from, in words."""
    observations = (f"{name_of(leaf)}: {leaf.dtype} {leaf.shape}" for leaf in inputs_of(agent))
    return {
        "algorithm": f"{agent.config.algorithm}, after {agent.steps:,} environment steps, seed {agent.seed}",
        "environment": agent.env_name or "not known",
        "observation": "; ".join(observations).removeprefix("observation: "),
        "action": action_in_words(agent.space.action),
        "written by": f"deepnp {deepnp.__version__}",
    }


def action_in_words(action: ActionLayout) -> str:
    """The space of the actions."""
    if action.parts:
        parts = zip(action.paths, action.parts, strict=True)
        return "; ".join(f"{'/'.join(map(str, path))}: {action_in_words(part)}" for path, part in parts)
    kind = f"{action.kind}, {action.dtype} {action.shape}"
    if action.kind == "Box":
        if action.low is None or action.high is None:
            return f"{kind}, unbounded"
        low, high = set(action.low), set(action.high)
        return f"{kind}, {min(low):g} to {max(high):g}" if len(low) == len(high) == 1 else f"{kind}, each within its bounds"
    return kind if action.kind == "MultiBinary" else f"{kind}, choices {action.choices} from {action.start}"


def description(agent: Agent) -> str:
    """The facts as a table, which may stand in a docstring."""
    table = "\n".join(f"    {name:<14}{fact}" for name, fact in facts(agent).items())
    return table.replace("\\", "/").replace('"', "'")
