"""Progress on stderr before the first tick: the name of each slow stage, and how long it took.

    loading the policy ...... 7.4 s                                                 on a terminal, a dot a second
    warming up . 2 of 5 .. 3 of 5 .. 4 of 5 . 5 of 5 . 6.0 s

A stage is shown once nothing was said for `QUIET_S` seconds, so that a command that is quick shows none. Importing
libraries that take seconds is a stage too, so this module imports none.

Threads: whoever enters a stage; each has a thread of its own, which ends with it.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

QUIET_S = 1.5  # without a word, before a stage is shown
LEAST_S, LEAST_IN_A_LOG_S = 0.5, 2.0  # a stage that is over sooner is not shown
DOT_S = 1.0  # between dots

_said_s = time.monotonic()  # when something was said last


def begin() -> None:
    """Begins to count the time without a word: the program has begun."""
    global _said_s
    _said_s = time.monotonic()


@contextmanager
def stage(name: str) -> Iterator[Callable[[str], None]]:
    """Shows that `name` goes on while the block does, if that takes long; gives what tells how far it is."""
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
    """Whether somebody sees what is said."""
    return sys.stderr is not None and sys.stderr.isatty()


class _Shown:
    """The line of one stage; off a terminal, a line at its beginning and another at its end."""

    def __init__(self, name: str) -> None:
        self.over = threading.Event()
        self._name = name
        self._begun = False
        self._terminal = on_a_terminal()

    def follow(self) -> None:
        """Says the name, once it is time, and then dots, until it is over. In the thread."""
        least_s = LEAST_S if self._terminal else LEAST_IN_A_LOG_S
        if self.over.wait(max(QUIET_S - (time.monotonic() - _said_s), least_s)):
            return
        self._begun = True
        _say(f"{self._name} ." if self._terminal else f"{self._name} ...\n")
        while self._terminal and not self.over.wait(DOT_S):
            _say(".")

    def at(self, words: str) -> None:
        """Says how far it is."""
        if self._begun and self._terminal:
            _say(f" {words} .")

    def end(self, took_s: float) -> None:
        """Ends the line, with how long it took."""
        if self._begun:
            _say(f" {took_s:.1f} s\n" if self._terminal else f"{self._name}: {took_s:.1f} s\n")


def _say(text: str) -> None:
    begin()
    with suppress(OSError, ValueError, AttributeError):  # stderr was closed
        sys.stderr.write(text)
        sys.stderr.flush()
