"""Conversion of an exception from a task's code into one sentence that names the line in that code.

The block

    with blamed("its episode of seed 0", task):
        task.reset(0)

raises ConfigError: "its episode of seed 0 raised ValueError (boom) in my_task.py, line 30; fix it there".
"""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from rollahead.errors import ConfigError, ControlError, one_line

OURS = __name__.partition(".")[0]
LIBRARIES = sys.stdlib_module_names | {"numpy"}  # they raise because of arguments that others pass


@contextmanager
def blamed(what: str, owner: object) -> Iterator[None]:
    """Converts an exception from the code of `owner` into a ConfigError. A `ControlError` is passed on unchanged.

    `what`: the first words of the message; `owner`: the task, or the class or function that makes it.
    """
    try:
        yield
    except ControlError:
        raise
    except Exception as error:
        words = one_line(error) or "no message"
        place = _place(error.__traceback__, owner)
        raise ConfigError(f"{what} raised {type(error).__name__} ({words}){place}") from error


def _place(trace: TracebackType | None, owner: object) -> str:
    """The place of the error, as the end of a sentence: file and line, or class and method.

    It is the last line of the traceback in the package of `owner`, else the last in any package that is neither
    rollahead nor a library. If there is none, it is the class and the method that was called, because no line of
    rollahead is to be mended.
    """
    frames = [(frame, line, _package(frame.f_globals.get("__name__"))) for frame, line in traceback.walk_tb(trace)]
    theirs = [each for each in frames if each[2] != OURS and each[2] not in LIBRARIES]
    if theirs:
        own = [each for each in theirs if each[2] == _package(getattr(owner, "__module__", ""))]
        frame, line, _ = (own or theirs)[-1]
        return f" in {Path(frame.f_code.co_filename).name}, line {line}; fix it there"
    name = getattr(owner, "__name__", type(owner).__name__)
    methods = [frame.f_code.co_name for frame, _, _ in frames if frame.f_locals.get("self") is owner]
    return f" in {name}.{methods[0]}" if methods else f"; see {name}"


def _package(module: str | None) -> str:
    return (module or "").partition(".")[0]
