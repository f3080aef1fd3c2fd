"""What other packages register, found by name: robots, tasks, rollers, strategies, each an entry point of its group.

Threads: setup only.
"""

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

from rollahead.errors import ConfigError, unknown_name, words_of
from rollahead.runtime.options import check_kind

Maker = Callable[..., Any]
NONE: Mapping[str, Maker] = MappingProxyType({})


def load(group: str, what: str, name: str, remedy: str, ours: Mapping[str, Maker] = NONE) -> Maker:
    """What makes the `what` called `name`: one of `ours`, or registered in `group`. remedy: what to do if it cannot be
    imported.

    Raises: ConfigError, if there is none of that name, or it cannot be imported.
    """
    check_kind(f"{what}.name", name, str)
    if name in ours:
        return ours[name]
    found = entry_points(group=group)
    if name not in found.names:
        raise unknown_name(what, name, {*ours, *found.names})
    try:
        make: Maker = found[name].load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{what} {name!r} cannot be imported ({words_of(error)}); {remedy}") from error
    return make
