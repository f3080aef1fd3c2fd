"""Patience: calls into a driver that may never return, and how long they are waited for."""

import threading
from collections.abc import Callable

from rollahead.errors import RobotError

PATIENCE_S = 1.0
LETTING_GO_S = 4.0  # LeRobot's cameras take up to 2 s to let go


def within(seconds: float, what: str, do: Callable[[], object]) -> None:
    """`do()`, in a thread that is left behind if it hangs. what: names it in what is raised.

    Raises: RobotError, if it raises, or has not returned after `seconds`.
    """
    errors: list[Exception] = []

    def run() -> None:
        try:
            do()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run, name=f"rollahead {what}", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise RobotError(f"the robot did not {what} within {seconds:g} s; use its own switch")
    if errors:
        raise RobotError(f"the robot did not {what} ({told(errors[0])}); use its own switch") from errors[0]


def told(error: BaseException) -> str:
    """An error of a driver in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split()).removesuffix('.')}"
