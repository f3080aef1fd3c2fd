"""Keys pressed in the terminal during a run: pause, e-stop, reset, quit.

The system stops a background process (`&`, or Ctrl-Z and `bg`) that reads its terminal or changes its mode. Each read
therefore checks first that this program is in the foreground. After Ctrl-Z and `fg` the shell has changed the mode,
which the next read sets again.
"""

import os
import re
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from rollahead.runtime.drivers.realtime import Realtime

Pressed = Callable[[], str]
INPUT, LOCAL = 0, 3  # indices of the input and the local modes in the list that termios.tcgetattr returns
ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]?|O.?|.)?", re.DOTALL)  # keys such as F3, which send several characters
STOPPING = (signal.SIGTTIN, signal.SIGTTOU)  # sent to a background process that reads its terminal or sets its mode
GONE = (OSError, termios.error)  # raised after the terminal was closed


class Keys:
    """Reader of the keys pressed in `terminal`, a file descriptor, which does not wait for Enter.

    A call returns the keys pressed since the last call; '' while another program is in the foreground, or after the
    terminal was closed. Ctrl-C still sends SIGINT.
    """

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal
        self._before: list[Any] | None = None  # the mode of the terminal before `set`

    def __call__(self) -> str:
        """Returns the keys pressed since the last call."""
        with suppress(*GONE), _never_stopped():
            if self.set() and select.select([self._terminal], [], [], 0)[0]:
                return os.read(self._terminal, 64).decode(errors="ignore")
        return ""

    def set(self) -> bool:
        """Makes the terminal deliver keys without Enter if this program is in the foreground; returns whether it is."""
        with suppress(*GONE), _never_stopped():
            if not foreground(self._terminal):
                return False
            mode = termios.tcgetattr(self._terminal)
            if mode[LOCAL] & (termios.ICANON | termios.ECHO):
                self._before = mode
                tty.setcbreak(self._terminal, termios.TCSANOW)  # TCSANOW keeps what was typed already
                mode = termios.tcgetattr(self._terminal)
                mode[INPUT] &= ~termios.IXON  # Ctrl-S would stop what is printed, and this program with it
                termios.tcsetattr(self._terminal, termios.TCSANOW, mode)
            return True
        return False

    def put_back(self) -> None:
        """Restores the mode of the terminal, if this program is in the foreground."""
        with suppress(*GONE), _never_stopped():
            if self._before is not None and foreground(self._terminal):
                termios.tcsetattr(self._terminal, termios.TCSANOW, self._before)


@contextmanager
def keys() -> Iterator[Pressed]:
    """Yields a function that returns the keys pressed since its last call; '' if stdin is not a terminal."""
    if sys.stdin is None or not sys.stdin.isatty():  # None: it was closed before Python began
        yield lambda: ""
        return
    pressed = Keys(sys.stdin.fileno())
    with _printing_in_background():
        try:
            pressed.set()
            yield pressed
        finally:
            pressed.put_back()


def foreground(terminal: int) -> bool:
    """Whether this program may use `terminal` without being stopped.

    It may if it is in the foreground, or if `terminal` is not its controlling terminal.
    """
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return True


@contextmanager
def _printing_in_background() -> Iterator[None]:
    """Ignores the signal by which `stty tostop` stops a background process that prints.

    Processes that are started inside ignore it too.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGTTOU, before)


@contextmanager
def _never_stopped() -> Iterator[None]:
    """Blocks the stop signals inside: if the foreground changes after the check, the call fails with an error."""
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
    """Carries out the commands of the keys `pressed`, and returns whether the run shall end."""
    pressed = ESCAPES.sub("", pressed).lower()
    for key in pressed:
        if key in ORDERS:
            ORDERS[key][1](runtime)
    return QUIT in pressed
