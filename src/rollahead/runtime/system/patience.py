"""Calls into a driver that may never return, and how long the runtime waits for them."""

import threading
from collections.abc import Callable

from rollahead.errors import RobotError, one_line

PATIENCE_S = 1.0
STOP_S = 0.3  # for a stop: much shorter than the time after which the executor counts as hung itself
LETTING_GO_S = 4.0  # for a disconnect: LeRobot's cameras take up to 2 s


def in_thread(what: str, do: Callable[[], object]) -> Callable[[float | None], None]:
    """Calls `do()` in a thread of its own and returns a function that waits for it.

    The returned function takes the longest time to wait in seconds (None: however long). It raises RobotError if the
    call raised, or has not returned by then. A call that hangs is left behind in its thread. While the program ends
    Python starts no threads any more; then the call is made here, and waited for however long it takes.

    Args:
        what: Verb that names the call in an error message.
        do: The call.
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
    """Calls `do()` and waits at most `seconds` for it. Raises RobotError as `in_thread` does."""
    in_thread(what, do)(seconds)


def error_text(error: BaseException) -> str:
    """Formats an error of a driver as one line: its class and its text. Never raises."""
    return f"{type(error).__name__}: {one_line(error).removesuffix('.')}"
