"""The stop latch: two integers in shared memory that say whether the run shall end, and whether at once.

Commands are messages, and only one thread at a time may put a message; a signal handler may interrupt the very thread
that is putting one. So the request to end is not a message but a store to memory, which any thread or signal handler
can make at any time, and repeat.

Threads: any thread of any process may set it at any moment, a signal handler too; any may read it. Hot path: all but
the constructor.
"""

import numpy as np

from rollahead.runtime.transport.shared import Block


class Latch:
    """A switch shared by processes: off at first, and once on it stays on.

    A second signal sets `hurries`: the move to the rest pose is left out. A latch can be passed to a process as an
    argument when that is started.
    """

    def __init__(self) -> None:
        self.__setstate__(Block(16))

    def set(self) -> None:
        """Turns it on. Phase: hot."""
        self._words[0] = 1

    def signal(self) -> None:
        """Turns it on, or sets `hurries` if it is on already. Called by the signal handler. Phase: hot."""
        if self.is_set:
            self._words[1] = 1
        self._words[0] = 1

    @property
    def hurries(self) -> bool:
        """Whether a second signal asked to leave out the move to the rest pose. Phase: hot."""
        return bool(self._words[1])

    @property
    def is_set(self) -> bool:
        """Whether it is on. Phase: hot."""
        return bool(self._words[0])

    def __getstate__(self) -> Block:
        return self._block

    def __setstate__(self, block: Block) -> None:
        self._block = block
        self._words = block.array(np.int64, (2,))  # whether it is on; whether a signal came after that
