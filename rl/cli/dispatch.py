"""From the words of a command line to the function that does it.

A command is a function: tyro makes its parameters into options, their docstrings into help. What
it returns is the exit code, or another command that is to read the same words again. A `Group`
holds commands by name and loads only the one that is asked for. A `Raw` parses its arguments
itself.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any, NoReturn, Union

import tyro
from tyro.conf import PositionalMetavarFromFieldName, PositionalRequiredArgs, subcommand

from rl.cli.boxes import in_one_line
from rl.cli.names import check_options, options_of
from rl.cli.terminal import paragraphs
from rl.cli.usage import MISUSED, Usage, did_you_mean, plain
from rl.cli.values import REGISTRY

MARKERS = (PositionalRequiredArgs, PositionalMetavarFromFieldName)
SHELLS = ("bash", "zsh", "fish")
COMPLETION = ("--tyro-print-completion", "--tyro-write-completion")


@dataclass(frozen=True)
class Raw:
    """A command that takes its arguments as they are."""

    run: Callable[[list[str]], int | None]


@dataclass(frozen=True)
class Member:
    """One command of a group: what it does in a few words, and what finds it."""

    summary: str
    load: "Callable[[], Command]"


@dataclass(frozen=True)
class Group:
    """Commands by name.

    Attributes
    ----------
    about : str
        What `--help` says first.
    members : mapping of str to Member
    noun : str
        What a member is called in a message.
    variants : mapping of str to str
        Names, without hyphens, of what a member does when it is asked to -> the words that ask it.
    """

    about: str
    members: Mapping[str, Member]
    noun: str = "a command"
    variants: Mapping[str, str] = field(default_factory=dict)

    def find(self, word: str) -> str | None:
        """The member that a word names, whatever its case, hyphens and underscores."""
        return next((name for name in self.members if plain(name) == plain(word)), None)


Command = Callable[..., Any] | Group | Raw


def dispatch(command: Command, arguments: list[str], prog: str) -> int | None:
    """Run a command; returns its exit code.

    Raises
    ------
    Usage
        If no member of a group is named.
    SystemExit
        After help, and after an error in the options.
    """
    if isinstance(command, Raw):
        return command.run(arguments)
    if isinstance(command, Group):
        return _choose(command, arguments, prog)
    check_options(arguments, options_of(command), prog)
    result = _parse(_later(command), arguments, prog, command.__doc__ or "")()
    return dispatch(result, arguments, prog) if callable(result) else result


def _choose(group, arguments, prog):
    if not arguments or arguments[0] in ("-h", "--help"):
        _show_help(group, prog, code=0 if arguments else MISUSED)
    if arguments[0].replace("_", "-") in COMPLETION:
        if arguments[1:2] not in [[shell] for shell in SHELLS]:
            raise Usage(f"expected {arguments[0]} and a shell: {', '.join(SHELLS)}")
        for file in arguments[2:3]:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
        _parse(_whole(group), arguments, prog, group.about)
    place = _place(group, arguments)
    name = group.find(arguments[place])
    if name is None:
        names = list(group.members)
        variant = group.variants.get(plain(arguments[place]))
        hint = did_you_mean(arguments[place], names) if variant is None else f" (that is `{prog} {variant}`)"
        raise Usage(f"expected {group.noun}: {', '.join(names)}; given {arguments[place]!r}{hint}")
    return dispatch(group.members[name].load(), arguments[:place] + arguments[place + 1 :], f"{prog} {name}")


def _show_help(group, prog, code) -> NoReturn:
    with suppress(SystemExit):
        _parse(_outline(group), ["--help"], prog, group.about)
    raise SystemExit(code)


def _place(group, arguments) -> int:
    """Where the member's name stands: first, or behind options that came before it."""
    if not arguments[0].startswith("-"):
        return 0
    return next((i for i, word in enumerate(arguments) if group.find(word)), 0)


def _parse(form, arguments, prog, about) -> Any:
    with in_one_line(prog):
        return tyro.cli(form, prog=prog, description=paragraphs(about), args=arguments, config=MARKERS, registry=REGISTRY)


def _later(command) -> Callable[..., Callable[[], Any]]:
    """The command with the same options, which answers with what is yet to be called: the parser keeps what is said meanwhile."""

    @wraps(command)
    def parsed(*values, **options):
        return partial(command, *values, **options)

    return parsed


def _outline(group) -> Any:
    """The group for its help: names and summaries, and nothing loaded."""
    return _union([_entry(name, member, _nothing) for name, member in group.members.items()])


def _whole(group) -> Any:
    """The group with all options of all members, for a shell's completion."""
    entries = []
    for name, member in group.members.items():
        loaded = member.load()
        if isinstance(loaded, Group):
            entries.append(Annotated[_whole(loaded), subcommand(name, description=member.summary)])
        else:
            entries.append(_entry(name, member, _nothing if isinstance(loaded, Raw) else loaded))
    return _union(entries)


def _entry(name, member, function) -> Any:
    return Annotated[Any, subcommand(name, constructor=function, description=member.summary)]


def _union(members) -> Any:
    return Union[tuple(members)]  # noqa: UP007  (made from a list)


def _nothing() -> None:
    """Stands for a command in a group's help."""
