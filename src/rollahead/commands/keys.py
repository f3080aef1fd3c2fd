"""Keys pressed in a terminal while something runs: the orders of whoever watches a robot."""

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rollahead.runtime.realtime import Realtime

Pressed = Callable[[], str]


@contextmanager
def keys() -> Iterator[Pressed]:
    """While inside, a function that gives the keys pressed since it was last asked; '' where there is no terminal.
    Ctrl-C stays what it is."""
    if sys.stdin is None or not sys.stdin.isatty():  # None: it was closed before Python began
        yield lambda: ""
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        yield lambda: os.read(terminal, 64).decode(errors="ignore") if select.select([terminal], [], [], 0)[0] else ""
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


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
