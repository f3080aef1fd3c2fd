"""The YAML files in `rollahead/configs` read as text: options with the comments beside them, and members of groups.

It imports neither Hydra nor a YAML parser, so that `rollahead <command> --help` takes at most a quarter of a second. It
reads only the subset of YAML in these files: one `option: value # comment` per line, groups by indentation.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CONFIGS = Path(__file__).parent.parent / "configs"
FOREIGN: Mapping[str, tuple[str, tuple[str, ...]]] = {  # by group: its entry points, and arguments that are no options
    "task": ("rollahead.tasks", ()),
    "robot": ("rollahead.robots", ()),
    "roller": ("rollahead.rollers", ("scene",)),
    "strategy": ("rollahead.strategies", ("config", "trigger", "spec")),
    "planner": ("rollahead.planners", ("brief",)),
    "latency": ("rollahead.latencies", ("rate_hz",)),
}
HIDDEN = ("defaults", "hydra")  # keys for Hydra


@dataclass(frozen=True, slots=True)
class Line:
    """An option in a file.

    Attributes:
        name: Name with its groups in the file, as in `guidance.mask`.
        value: Value as written in the file; empty for a group of options.
        comment: Comment on the same line.
    """

    name: str
    value: str
    comment: str


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The content of one file.

    Attributes:
        head: Lines of the comment at the top; the first describes the command or member.
        defaults: Entries of Hydra's list of defaults, `name` or `group: member`, with their comments.
        options: All options.
    """

    head: Sequence[str]
    defaults: Sequence[Line]
    options: Sequence[Line]

    @property
    def title(self) -> str:
        """First line of the comment at the top, without its full stop."""
        return self.head[0].removesuffix(".") if self.head else ""


def read_config(group: str, name: str) -> ConfigFile:
    """Reads the file of the member `name` of `group`, or of a command if `group` is ''.

    Raises: OSError, if there is no such file.
    """
    lines = (CONFIGS / group / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    n = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    head = [line[1:].removeprefix(" ") for line in lines[:n] if not line.startswith("# @")]
    options = list(_options(lines[n:]))
    defaults = [line for line in options if line.name.startswith("defaults.")]
    return ConfigFile(head, defaults, [line for line in options if line.name.partition(".")[0] not in HIDDEN])


def _options(lines: Sequence[str]) -> Iterator[Line]:
    """Yields each line with a key; its groups are the less indented keys above it."""
    groups: list[tuple[int, str]] = []
    for line in lines:
        text = line.lstrip()
        indent, text = len(line) - len(text), text.removeprefix("- ")
        written, _, comment = text.partition(" # ")
        key, colon, value = written.strip().partition(":")
        if not colon and not line.lstrip().startswith("- "):
            continue
        while groups and groups[-1][0] >= indent:
            groups.pop()
        yield Line(".".join([*(name for _, name in groups), key]), value.strip(), comment.strip())
        groups.append((indent, key))


def own_members(group: str) -> list[str]:
    """Names of the members of `group` that come with this package."""
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


def foreign_members(group: str) -> list[str]:
    """Names of the members of `group` that only other packages register."""
    if group not in FOREIGN:
        return []
    from importlib.metadata import entry_points  # takes some 30 ms

    return sorted(entry_points(group=FOREIGN[group][0]).names - {*own_members(group)})


def members(group: str) -> list[str]:
    """Names of all members of `group`."""
    return sorted([*own_members(group), *foreign_members(group)])


def keys(group: str, name: str) -> list[str]:
    """Names of the options of a member of `group` that comes with this package, or of a command if `group` is ''.

    A group of options counts as one option.
    """
    if not (CONFIGS / group / f"{name}.yaml").exists():
        return []
    return [line.name for line in read_config(group, name).options if "." not in line.name]
