"""What other packages register, found by name: robots, tasks, rollers, strategies, each an entry point of its group.

Threads: setup only.
"""

import traceback
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

from rollahead.errors import ConfigError, one_line, unknown_name
from rollahead.runtime.types.options import check_kind

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
    return make
