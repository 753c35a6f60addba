"""How the list of algorithms is written down."""

from dataclasses import dataclass
from typing import Any

from rl.agent import Agent
from rl.takes import Takes


@dataclass(frozen=True)
class Algorithm:
    """One algorithm, as the test harness, the command line, the benchmarks and the documentation know it.

    Attributes
    ----------
    cls : type
        The agent's class.
    family : str
        The folder that it stands in.
    paper : str
        Where it comes from.
    """

    cls: type[Agent]
    family: str
    paper: str

    @property
    def name(self) -> str:
        """As the config and its files say it."""
        return self.config.algorithm

    @property
    def config(self) -> Any:
        """The class of its settings."""
        return self.cls.Config

    @property
    def takes(self) -> Takes:
        """What it can learn from."""
        return self.cls.takes
