"""The writer of orders: changes them and puts them where the executor reads them.

    estop() in one thread      -- waiting -->  applied one after the other -->  one message
    set_task() in another      -- waiting -->

A change waits in a queue until somebody applies it. Whoever holds the lock applies all that wait, also those that a
signal handler adds in the middle of it: the handler runs in the thread that holds the lock, so it neither waits for the
lock nor puts a message into one that is half put.

Threads: any, and signal handlers too.
"""

import threading
from collections import deque
from collections.abc import Callable

from rollahead.runtime.mailbox import Box
from rollahead.runtime.messages import Orders

Change = Callable[[Orders], Orders]


class OrderWriter:
    """Puts orders into `box`, beginning from `orders`, which are not put."""

    def __init__(self, box: Box[Orders], orders: Orders) -> None:
        self.orders = orders  # as they are now
        self._box = box
        self._waiting: deque[Change] = deque()
        self._lock = threading.RLock()
        self._applying = False

    def give(self, change: Change) -> None:
        """Applies `change`, and puts what the orders are then. No change is lost; one that an exception interrupts may
        be applied twice."""
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
            self.orders = self._waiting[0](self.orders)
            self._waiting.popleft()
        self._box.put(self.orders)
