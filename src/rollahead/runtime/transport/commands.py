"""The writer of commands: changes them and puts them where the executor reads them.

    estop() in one thread      -- waiting -->  applied one after the other -->  one message
    set_task() in another      -- waiting -->

A change waits in a queue until it is applied. The thread that holds the lock applies all changes in the queue, also
those that a signal handler adds meanwhile. Such a handler runs in the thread that holds the (reentrant) lock: it does
not wait for it, and since `_applying` is set it does not put a second message into the one being put.

Threads: any, and signal handlers too.
"""

import threading
from collections import deque
from collections.abc import Callable

from rollahead.runtime.transport.mailbox import Channel
from rollahead.runtime.types.messages import Commands

Change = Callable[[Commands], Commands]


class CommandsWriter:
    """Applies changes to orders and puts the result into `box`. commands: the first orders, which the executor has
    already."""

    def __init__(self, box: Channel[Commands], commands: Commands) -> None:
        self.commands = commands  # as they are now
        self._box = box
        self._waiting: deque[Change] = deque()
        self._lock = threading.RLock()
        self._applying = False

    def give(self, change: Change) -> None:
        """Applies `change` and puts the new orders. No change is lost; if an exception (of a signal handler) interrupts
        this, the change may be applied twice."""
        self._waiting.append(change)
        with self._lock:
            while self._waiting and not self._applying:
                self._applying = True
                try:
                    self._apply()
                finally:
                    self._applying = False

    def _apply(self) -> None:
        while self._waiting:
            self.commands = self._waiting[0](self.commands)
            self._waiting.popleft()
        self._box.put(self.commands)
