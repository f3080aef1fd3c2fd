"""An event by which one thread or process wakes another.

A ring while nobody waits is not lost: the next call of `wait` returns at once.

Threads: any may ring and any may wait, also in two processes. Hot path: `ring`, one system call that never waits.
"""

import os
import select
from multiprocessing.reduction import DupFd
from typing import Any


class WakeEvent:
    """An event that wakes one waiting thread; it may be passed to a process as an argument when that is started."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def ring(self) -> None:
        """Wakes the thread that waits, or the next one to wait. Phase: hot."""
        os.eventfd_write(self._fd, 1)

    def wait(self, timeout_s: float) -> bool:
        """Waits for a ring, at most `timeout_s` seconds, and returns whether there was one.

        A ring wakes one waiter only.
        """
        poll = select.poll()  # select.select takes no descriptor above 1023
        poll.register(self._fd, select.POLLIN)
        if not poll.poll(max(timeout_s, 0.0) * 1000):
            return False
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            return False
        return True

    def __getstate__(self) -> Any:
        return DupFd(self._fd)

    def __setstate__(self, state: Any) -> None:
        self._fd = state.detach()

    def __del__(self) -> None:
        os.close(self._fd)
