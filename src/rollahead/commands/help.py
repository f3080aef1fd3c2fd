"""`rollahead <command> --help`: lists the command's options with values and comments, its groups, and examples.

The text is made from the files in `rollahead/configs` without Hydra. If an argument is not in these files (a mistake,
or a member that another package registers), `rollahead.commands.app` composes the configuration with Hydra first.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rollahead.commands.config_files import ConfigFile, Line, foreign_members, members, own_members, read_config

WIDE = 100  # width of the text, in columns
MOST = 46  # width of an option with its value; a longer one has a line of its own
FLAGS = ("-h", "--help", "-m", "--multirun")
MISSING = "???"  # Hydra's mark for a value that must be given
PLACES = {"${began:}": "<time>"}  # placeholders that a run fills in, and how they are shown

FOOTER = """
Change an option with option=value, and choose a member of a group with group=member. The options of
a group that are shown are those of the member with the *. Lists are written [a, b], names with
values {{name: value}}.

Several values, one run after the other: rollahead {command} --multirun option=a,b,c
The configuration as YAML: rollahead {command} --cfg job   Flags of Hydra: --hydra-help
Tab completion in bash: eval "$(rollahead --completion)"
"""


@dataclass(frozen=True, slots=True)
class Group:
    """A group of a command.

    Attributes:
        name: Name of the group.
        chosen: The members whose options are shown; empty for null.
        comment: Description of the group.
    """

    name: str
    chosen: Sequence[str]
    comment: str


def help_of(command: str, arguments: Sequence[str], foreign: Mapping[str, Sequence[Line]] | None = None) -> str | None:
    """The text of `rollahead <command> <arguments> --help`; None if the options of other packages are needed for it.

    Args:
        command: The command.
        arguments: Its arguments; members of groups that they choose are shown with their options.
        foreign: By group, the options of a member that another package registers; None if they are not known yet.
    """
    file = read_config("", command)
    given = dict(argument.lstrip("+").partition("=")[::2] for argument in arguments if "=" in argument)
    groups = [_chosen(line, given) for line in file.defaults if _is_group(line)]
    sections = [_own(file), *(_member(group, foreign or {}) for group in groups)]
    if foreign is None and not _known(arguments, groups, sections):
        return None
    blocks = [
        f"rollahead {command}: {file.title}",
        "\n".join(["Examples:", *(f"  {line}" for line in file.head[1:] if line)]),
        "\n".join(["Options:", *_lines(sections[0], given, command)]),
        *("\n".join(_group(group, lines, given)) for group, lines in zip(groups, sections[1:], strict=True)),
        FOOTER.format(command=command).strip(),
    ]
    return "\n\n".join(blocks) + "\n"


def _is_group(line: Line) -> bool:
    name = line.name.removeprefix("defaults.")
    return bool(line.value) and not name.startswith("override ")


def _chosen(line: Line, given: Mapping[str, str]) -> Group:
    name = line.name.removeprefix("defaults.")
    values = given.get(name, line.value).split(",")
    return Group(name, [value.strip() for value in values if value != "null"], line.comment)


def _own(file: ConfigFile) -> list[Line]:
    """The options of a command outside groups, and after them those of the files that it includes."""
    included = [line.name.removeprefix("defaults.") for line in file.defaults if not line.value]
    more = [read_config("", name) for name in included if name != "_self_"]
    return [*file.options, *(line for each in more for line in each.options)]


def _member(group: Group, foreign: Mapping[str, Sequence[Line]]) -> list[Line]:
    """The options of the chosen members of `group`, without repetitions."""
    found: dict[str, Line] = {}
    for name in group.chosen:
        ours = read_config(group.name, name).options if name in own_members(group.name) else foreign.get(group.name, ())
        for line in ours:
            if line.name != "name":
                found.setdefault(line.name, Line(f"{group.name}.{line.name}", line.value, line.comment))
    return list(found.values())


def _known(arguments: Sequence[str], groups: Sequence[Group], sections: Sequence[Sequence[Line]]) -> bool:
    """Whether the files have all groups, members and options that `arguments` name."""
    names = {line.name for lines in sections for line in lines} | {group.name for group in groups}
    ours = all(name in own_members(group.name) for group in groups for name in group.chosen)
    arguments = [word for word in arguments if word not in FLAGS]
    return ours and all("=" in word and word.partition("=")[0] in names for word in arguments)


def _group(group: Group, options: Sequence[Line], given: Mapping[str, str]) -> Iterator[str]:
    """Lines of a group: its description, its members, and the options of the chosen members."""
    yield from _wrapped(f"{group.name}: {group.comment or 'one of'}", "", "    ")
    names = members(group.name)
    width = max(map(len, names), default=0)
    elsewhere = foreign_members(group.name)
    for name in names:
        mark = "*" if name in group.chosen else " "
        title = "of another package" if name in elsewhere else read_config(group.name, name).title
        yield from _wrapped(title, f"  {mark} {name:<{width}}  ", " " * (width + 6))
    yield from _lines(options, given)


def _lines(options: Sequence[Line], given: Mapping[str, str], command: str = "") -> Iterator[str]:
    """Lines with each option, its value and its comment, in two columns."""
    written = [_written(line, given, command) for line in options]
    width = max((len(left) for left in written if len(left) <= MOST), default=0)
    for left, line in zip(written, options, strict=True):
        if len(left) > width:
            yield f"  {left}"
            left = ""
        yield from _wrapped(line.comment, f"  {left:<{width}}  ", " " * (width + 4))


def _written(line: Line, given: Mapping[str, str], command: str) -> str:
    """An option as written on the command line, `strategy.s=8`; a group of options as `search.*`."""
    value = given.get(line.name, line.value)
    if not value:
        return f"{line.name}.*"
    for place, word in {**PLACES, "${hydra:job.name}": command}.items():
        value = value.replace(place, word)
    return f"{line.name}={'<must be given>' if value == MISSING else value}"


def _wrapped(text: str, first: str, others: str) -> list[str]:
    lines = textwrap.wrap(text, WIDE, initial_indent=first, subsequent_indent=others, break_long_words=False)
    return lines or [first.rstrip()]
