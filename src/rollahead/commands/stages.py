"""Progress on stderr before the first tick: the name of each slow stage, and its duration.

    loading the policy ...... 7.4 s                                                 on a terminal, a dot a second
    warming up . 2 of 5 .. 3 of 5 .. 4 of 5 . 5 of 5 . 6.0 s

A stage is shown once nothing was printed for `QUIET_S` seconds, so that a quick command shows none. Importing libraries
that take seconds is a stage too, so this module imports none.

Threads: the caller's; each stage has its own thread, which ends with it.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

QUIET_S = 1.5  # time without output before a stage is shown
LEAST_S, LEAST_IN_A_LOG_S = 0.5, 2.0  # least duration of a stage that is shown, on a terminal and elsewhere
DOT_S = 1.0  # time between dots

_said_s = time.monotonic()  # time of the last output


def begin() -> None:
    """Restarts the count of the time without output; called at the start of the program."""
    global _said_s
    _said_s = time.monotonic()


@contextmanager
def stage(name: str) -> Iterator[Callable[[str], None]]:
    """Shows the stage `name` while the block runs, if that takes long; yields a function that shows its progress."""
    shown = _Shown(name)
    began_s, thread = time.monotonic(), threading.Thread(target=shown.follow, name="rollahead stage", daemon=True)
    thread.start()
    try:
        yield shown.at
    finally:
        shown.over.set()
        thread.join()
        shown.end(time.monotonic() - began_s)


def on_a_terminal() -> bool:
    """Whether stderr is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


class _Shown:
    """The line of one stage on a terminal; elsewhere, a line at its start and another at its end."""

    def __init__(self, name: str) -> None:
        self.over = threading.Event()
        self._name = name
        self._begun = False
        self._terminal = on_a_terminal()

    def follow(self) -> None:
        """Prints the name once the stage has lasted long enough, and then dots until it ends. Runs in the thread."""
        least_s = LEAST_S if self._terminal else LEAST_IN_A_LOG_S
        if self.over.wait(max(QUIET_S - (time.monotonic() - _said_s), least_s)):
            return
        self._begun = True
        _say(f"{self._name} ." if self._terminal else f"{self._name} ...\n")
        while self._terminal and not self.over.wait(DOT_S):
            _say(".")

    def at(self, words: str) -> None:
        """Prints `words` on the progress of the stage, on a terminal only."""
        if self._begun and self._terminal:
            _say(f" {words} .")

    def end(self, took_s: float) -> None:
        """Prints the duration and ends the line, if the stage is shown."""
        if self._begun:
            _say(f" {took_s:.1f} s\n" if self._terminal else f"{self._name}: {took_s:.1f} s\n")


def _say(text: str) -> None:
    begin()
    with suppress(OSError, ValueError, AttributeError):  # stderr was closed
        sys.stderr.write(text)
        sys.stderr.flush()
