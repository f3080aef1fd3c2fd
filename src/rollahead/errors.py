"""What can go wrong, outside a tick. (Inside a tick trouble is a value: `rollahead.runtime.control.trace.TickStatus`.)

    ControlError
      ConfigError      what was asked for cannot be: found when the configuration is read, before anything moves
      LifecycleError   a call in the wrong phase
      InferenceError   a planner raised, or gave rows that no robot may be sent
      RobotError       a robot could not be read or written

Every message is one sentence that says what is wrong, with both numbers or names, and what to do:

    try:
        check(cell)
    except ConfigError as error:
        print(error)
"""

import difflib
from collections.abc import Callable, Iterable

MOST_WORDS = 400  # characters that are kept of the text of another library's error


class ControlError(Exception):
    """Base class of all errors that rollahead raises on purpose."""


class ConfigError(ControlError):
    """Error of a configuration that cannot be carried out, raised before anything moves."""


class LifecycleError(ControlError):
    """Error of a call in the wrong phase of a runtime."""


class InferenceError(ControlError):
    """Error of a planner that raised, or that gave rows that no robot may be sent."""


class RobotError(ControlError):
    """Error of a robot that could not be connected, read or written."""


def one_line(error: BaseException, text: Callable[[object], str] = str) -> str:
    """Returns the text of `error` on one line: its lines joined, and, if it is not one of ours, cut after `MOST_WORDS`
    characters. Characters that UTF-8 cannot encode are escaped. Never raises, even if the error's own `__str__` does.
    text: `str` or `repr`."""
    try:
        words = " ".join(text(error).encode(errors="backslashreplace").decode().split())
    except Exception:
        return "it cannot be put into words"
    return words if isinstance(error, ControlError) or len(words) <= MOST_WORDS else f"{words[:MOST_WORDS]}..."


def unknown_name(what: str, name: str, known: Iterable[str]) -> ConfigError:
    """The error for a `name` that is none of the `known` ones; near misses are offered.

    >>> str(unknown_name("strategy", "vlahs", ["sync", "vlash"]))
    "there is no strategy 'vlahs'; did you mean 'vlash'? Known: sync, vlash"
    """
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return ConfigError(f"there is no {what} {name!r}; {hint}Known: {', '.join(choices) or 'none'}")


def counted(n: int, noun: str) -> str:
    """`n` and the noun, in the plural unless `n` is 1.

    >>> counted(1, "action"), counted(3, "action")
    ('1 action', '3 actions')
    """
    return f"{n} {noun}{'' if n == 1 else 's'}"
