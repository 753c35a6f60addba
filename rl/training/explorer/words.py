"""What each curve is, what it should look like, and what it means when it does not: words.toml, read.

The names are those of progress.csv and its neighbours. A name that is not there gets a curve
without an explanation.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import NamedTuple

FILE = "words.toml"
SECTIONS: Mapping[str, str] = MappingProxyType(
    {
        "returns": "Returns",
        "policy": "The policy",
        "values": "Values",
        "model": "The learned model",
        "search": "The search",
        "inside": "Inside the networks",
        "pace": "Pace",
        "other": "Everything else that was recorded",
    }
)


class Words(NamedTuple):
    """About one curve."""

    section: str
    title: str
    meaning: str = ""
    expected: str = ""


@cache
def known_words() -> Mapping[str, Words]:
    """Name -> what is said about its curve, in the order of the page."""
    table = tomllib.loads((files(__package__) / FILE).read_text("utf-8"))
    return MappingProxyType({name: Words(**entry) for name, entry in table.items()})


def words_of(name: str) -> Words:
    """What is said about a column, or about a group `kind/network` of them; its name alone where nothing is."""
    kind, _, network = name.partition("/")
    words = known_words().get(kind)
    if words is None:
        return Words("other", name.replace("_", " "))
    return words._replace(title=f"{words.title}: {network}") if network else words
