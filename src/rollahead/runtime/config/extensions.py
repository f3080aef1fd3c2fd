"""Extensions from other packages, found by name: each is an entry point in the group of its kind.

    rollahead.tasks       rollahead.robots        rollahead.strategies    rollahead.rollers
    rollahead.planners    rollahead.latencies     rollahead.policies      rollahead.verifiers

Each entry point names a function or a class, which is called with the options and returns the extension.

Threads: setup only.
"""

import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

from rollahead.errors import ConfigError, one_line, unknown_name
from rollahead.runtime.types.options import check_kind

Maker = Callable[..., Any]
NONE: Mapping[str, Maker] = MappingProxyType({})


def load(group: str, what: str, name: str, remedy: str, ours: Mapping[str, Maker] = NONE) -> Maker:
    """Returns the function or class called `name`: a built-in one, or one registered as an entry point.

    Args:
        group: Entry point group.
        what: Kind of the extension in errors, such as 'latency model'.
        name: Name to look up.
        remedy: What to do if it cannot be imported, for the error.
        ours: Built-in ones by name, which take precedence.

    Raises: ConfigError, if there is none of that name, it cannot be imported, or it cannot be called.
    """
    check_kind(f"{what}.name", name, str)
    if name in ours:
        return ours[name]
    found = entry_points(group=group)
    if name not in found.names:
        raise unknown_name(what, name, {*ours, *found.names})
    try:
        make: Maker = found[name].load()
    except ImportError as error:
        raise ConfigError(f"{what} {name!r} cannot be imported ({one_line(error)}); {remedy}") from error
    except AttributeError as error:
        raise ConfigError(
            f"{what} {name!r} cannot be found ({one_line(error)}); make its entry point in {group}, "
            f"{found[name].value}, name what there is"
        ) from error
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise ConfigError(
            f"{what} {name!r} cannot be imported: {type(error).__name__} ({one_line(error)}) in {last.filename}, line "
            f"{last.lineno}; make it importable"
        ) from error
    if not callable(make):
        raise ConfigError(
            f"{what} {name!r} is {type(make).__name__}, which cannot be called; make its entry point in {group}, "
            f"{found[name].value}, name a function or a class"
        )
    return make


def check_made(what: str, name: str, made: object, members: Sequence[str], wanted: str) -> None:
    """Checks that an object made by an extension has all required members.

    Args:
        what: Kind of the extension in errors.
        name: Name of the extension.
        made: Object that the extension made.
        members: Names of attributes and methods that it must have.
        wanted: What the object must be, with its article, for the error.

    Raises: ConfigError, if a member is missing.
    """
    if missing := [member for member in members if not hasattr(made, member)]:
        raise ConfigError(
            f"{what} {name!r} is made as {type(made).__name__}, which has no {', '.join(missing)}; make it {wanted}"
        )
