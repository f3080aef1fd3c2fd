"""What other packages register, found by name: robots, tasks, rollers, each an entry point of its group.

Threads: setup only.
"""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from rollahead.errors import ConfigError, unknown_name
from rollahead.runtime.options import check_kind


def load(group: str, what: str, name: str, remedy: str) -> Callable[..., Any]:
    """What makes the `what` registered as `name` in `group`. remedy: what to do if it cannot be imported.

    Raises: ConfigError, if there is none of that name, or it cannot be imported.
    """
    check_kind(f"{what}.name", name, str)
    found = entry_points(group=group)
    if name not in found.names:
        raise unknown_name(what, name, found.names)
    try:
        make: Callable[..., Any] = found[name].load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{what} {name!r} cannot be imported ({error}); {remedy}") from error
    return make
