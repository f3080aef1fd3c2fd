"""Keys pressed in a terminal while something runs: the orders of whoever watches a robot.

A program in the background (`&`, or Ctrl-Z and `bg`) that reads its terminal, or sets it, is stopped by it without a
word. So at each look it is asked who has the terminal. After Ctrl-Z and `fg` the shell has set the terminal its own
way, which is put right at the next look.
"""

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from rollahead.runtime.realtime import Realtime

Pressed = Callable[[], str]
LOCAL = 3  # the local modes in what termios gives
STOPPING = (signal.SIGTTIN, signal.SIGTTOU)  # sent to a program in the background that touches its terminal
GONE = (OSError, termios.error)  # the terminal was closed


class Keys:
    """Called, it gives the keys pressed since it was last called, without Enter; '' while another program has the
    `terminal`, or once that is gone. Ctrl-C stays what it is."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._before: list[Any] | None = None  # how the terminal was set before this set it

    def __call__(self) -> str:
        """The keys."""
        with suppress(*GONE), _never_stopped():
            if self.set() and select.select([self._terminal], [], [], 0)[0]:
                return os.read(self._terminal, 64).decode(errors="ignore")
        return ""

    def set(self) -> bool:
        """Sets the terminal so that keys come without Enter, if this program has it; whether it has."""
        with suppress(*GONE), _never_stopped():
            if not foreground(self._terminal):
                return False
            mode = termios.tcgetattr(self._terminal)
            if mode[LOCAL] & (termios.ICANON | termios.ECHO):
                self._before = mode
                tty.setcbreak(self._terminal, termios.TCSANOW)  # what was typed meanwhile is kept
            return True
        return False

    def put_back(self) -> None:
        """Sets the terminal as it was before, if this program has it."""
        with suppress(*GONE), _never_stopped():
            if self._before is not None and foreground(self._terminal):
                termios.tcsetattr(self._terminal, termios.TCSANOW, self._before)


@contextmanager
def keys() -> Iterator[Pressed]:
    """While inside, a function that gives the keys pressed since it was last asked; '' where there is no terminal."""
    if sys.stdin is None or not sys.stdin.isatty():  # None: it was closed before Python began
        yield lambda: ""
        return
    pressed = Keys(sys.stdin.fileno())
    try:
        pressed.set()
        yield pressed
    finally:
        pressed.put_back()


def foreground(terminal: int) -> bool:
    """Whether this program has the terminal, as far as that matters: one that does not control it stops nobody."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return True


@contextmanager
def _never_stopped() -> Iterator[None]:
    """The terminal may be taken away between a look and what follows: that is then an error, and stops nobody."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _toggle(runtime: Realtime) -> None:
    (runtime.resume if runtime.paused else runtime.pause)()


ORDERS: Mapping[str, tuple[str, Callable[[Realtime], None]]] = {
    " ": ("space pauses", _toggle),
    "e": ("e stops the robot at once", lambda runtime: runtime.estop()),
    "r": ("r resets after that", lambda runtime: runtime.reset()),
}
QUIT = "q"
HELP = ", ".join([*(words for words, _ in ORDERS.values()), f"{QUIT} ends"])


def obey(runtime: Realtime, pressed: str) -> bool:
    """Gives the orders of the keys `pressed`; whether the run shall end."""
    pressed = pressed.lower()
    for key in pressed:
        if key in ORDERS:
            ORDERS[key][1](runtime)
    return QUIT in pressed
