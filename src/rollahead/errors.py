"""Exceptions that rollahead raises outside a tick.

    ControlError
      ConfigError      the configuration is impossible: found when it is read, before anything moves
      LifecycleError   a method was called in the wrong phase
      InferenceError   a planner raised, or returned rows that must not be sent to a robot
      RobotError       a robot could not be read or written

Inside a tick nothing is raised: trouble is a value there, `rollahead.runtime.control.trace.TickStatus`.

Every message is one sentence that says what is wrong, with both numbers or names, and what to do:

    try:
        check(cell)
    except ConfigError as error:
        print(error)
"""

import difflib
from collections.abc import Callable, Iterable

MOST_WORDS = 400  # characters kept of the text of another library's error


class ControlError(Exception):
    """Base class of all errors that rollahead raises on purpose."""


class ConfigError(ControlError):
    """The configuration asks for something impossible."""


class LifecycleError(ControlError):
    """A method was called in the wrong phase."""


class InferenceError(ControlError):
    """A planner raised, or returned rows that must not be sent to a robot."""


class RobotError(ControlError):
    """Error of a robot that could not be connected, read or written."""


def one_line(error: BaseException, text: Callable[[object], str] = str) -> str:
    """The text of `error` on one line.

    Its lines are joined. If the error is not a `ControlError`, the text is cut after `MOST_WORDS` characters.
    Characters that UTF-8 cannot encode are escaped. Never raises, even if the error's own `__str__` does.

    `text`: `str` or `repr`, the function that gives the text.
    """
    try:
        words = " ".join(text(error).encode(errors="backslashreplace").decode().split())
    except Exception:
        return "it cannot be put into words"
    return words if isinstance(error, ControlError) or len(words) <= MOST_WORDS else f"{words[:MOST_WORDS]}..."


def unknown_name(what: str, name: str, known: Iterable[str]) -> ConfigError:
    """The error for a `name` that is not among the `known` ones. Similar known names are offered.

    >>> str(unknown_name("strategy", "vlahs", ["sync", "vlash"]))
    "there is no strategy 'vlahs'; did you mean 'vlash'? Known: sync, vlash"
    """
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return ConfigError(f"there is no {what} {name!r}; {hint}Known: {', '.join(choices) or 'none'}")


def counted(n: int, noun: str) -> str:
    """A count with its noun, which is in the plural unless `n` is 1.

    >>> counted(1, "action"), counted(3, "action")
    ('1 action', '3 actions')
    """
    return f"{n} {noun}{'' if n == 1 else 's'}"
