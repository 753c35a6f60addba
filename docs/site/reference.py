"""The reference: pages of layers, losses, optimizers and the rest, from their docstrings."""

import pkgutil

import deepnp.layers
import deepnp.losses
import deepnp.models
import deepnp.optim
import rl.losses
from docs.site.links import ROOT

OPTIONS = {
    "docstring_style": "numpy",
    "show_root_heading": True,
    "show_root_full_path": True,
    "heading_level": 2,
    "show_source": True,
    "members_order": "source",
    "filters": ["!^_"],
    "show_if_no_docstring": False,
    "show_category_heading": False,
}
HANDLER = {"paths": [str(ROOT)], "options": OPTIONS}
GROUPS = {
    "layers": deepnp.layers,
    "losses": deepnp.losses,
    "losses of RL": rl.losses,
    "optimizers": deepnp.optim,
    "models": deepnp.models,
}
SINGLE = ("deepnp.gradcheck", "deepnp.cases", "deepnp.parameters", "deepnp.module", "deepnp.threads", "deepnp.storage",
          "deepnp.initializers", "rl.agent", "rl.networks.squashed", "rl.networks.distributions")  # fmt: skip


def modules(group: str) -> list[str]:
    """The modules of one group: a page each."""
    package = GROUPS[group]
    return sorted(f"{package.__name__}.{info.name}" for info in pkgutil.iter_modules(package.__path__))


def page_of(module: str) -> str:
    """The page of a module."""
    return f"reference/{module}.md"


def pages() -> dict[str, str]:
    """All pages of the reference."""
    every = [module for group in GROUPS for module in modules(group)] + list(SINGLE)
    return {page_of(module): f"# {title(module)}\n\n::: {module}\n" for module in every}


def title(module: str) -> str:
    """What a module's page is called."""
    return module.rpartition(".")[2].replace("_", " ").capitalize()


def navigation() -> list:
    """The reference's part of the menu."""
    groups: list = [{name[0].upper() + name[1:]: [page_of(module) for module in modules(name)]} for name in GROUPS]
    return [*groups, {"More": [page_of(module) for module in SINGLE]}]
