"""Patience: calls into a driver that may never return, and how long they are waited for."""

import threading
from collections.abc import Callable

from rollahead.errors import RobotError, one_line

PATIENCE_S = 1.0
STOP_S = 0.3  # for a stop: well within what an executor may take before it counts as hung itself
LETTING_GO_S = 4.0  # LeRobot's cameras take up to 2 s to let go


def in_thread(what: str, do: Callable[[], object]) -> Callable[[float | None], None]:
    """Calls `do()` in a thread of its own; gives what waits for it, at most so many seconds (None: however long). what:
    names it in what is raised. If it hangs the thread is left behind. While the program ends Python starts no thread
    any more; then the call is made here, and waited for however long it takes.

    Raises, when it is waited for: RobotError, if it raised, or has not returned by then.
    """
    errors: list[BaseException] = []

    def run() -> None:
        try:
            do()
        except BaseException as error:  # a driver may raise SystemExit
            errors.append(error)

    def wait(seconds: float | None = None) -> None:
        if thread.ident is not None:
            thread.join(seconds)
        if thread.is_alive():
            raise RobotError(f"the robot did not {what} within {seconds:g} s; use its own switch")
        if errors:
            raise RobotError(f"the robot did not {what} ({error_text(errors[0])}); use its own switch") from errors[0]

    thread = threading.Thread(target=run, name=f"rollahead {what}", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        run()
    return wait


def within(seconds: float, what: str, do: Callable[[], object]) -> None:
    """`do()`, waited for so long. Raises: RobotError, as `in_thread`."""
    in_thread(what, do)(seconds)


def error_text(error: BaseException) -> str:
    """Formats an error of a driver as one line: its class and its text. Never raises."""
    return f"{type(error).__name__}: {one_line(error).removesuffix('.')}"
