"""The writer of commands: changes the user's commands and puts them where the executor reads them.

    estop() in one thread      -- waiting -->  applied one after the other -->  one message
    set_task() in another      -- waiting -->

A change waits in a queue until it is applied. The thread that holds the lock applies all changes in the queue, also
those that a signal handler adds meanwhile. A signal handler that runs in the thread that holds the (reentrant) lock
does not wait for it; since `_applying` is set it does not put a second message into the one being put.

Threads: any, and signal handlers too.
"""

import threading
from collections import deque
from collections.abc import Callable

from rollahead.runtime.transport.mailbox import Channel
from rollahead.runtime.types.messages import Commands

Change = Callable[[Commands], Commands]


class CommandsWriter:
    """Applies changes to the commands and puts the result into a channel.

    Args:
        channel: Where the executor reads the commands.
        commands: The first commands, which the executor has already.
    """

    def __init__(self, channel: Channel[Commands], commands: Commands) -> None:
        self.commands = commands  # the current ones
        self._channel = channel
        self._waiting: deque[Change] = deque()
        self._lock = threading.RLock()
        self._applying = False

    def give(self, change: Change) -> None:
        """Applies `change` and puts the new commands.

        No change is lost. If an exception (from a signal handler) interrupts this, the change may be applied twice.
        """
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
        self._channel.put(self.commands)
