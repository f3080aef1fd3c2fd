"""The stop latch: one number in shared memory that says whether the run shall end.

Orders are messages, and a message must not be put by two at a time. A signal handler may interrupt the very thread that
is putting one. So the order to end is no message: it is a single store, which is the same whoever makes it and however
often.

Threads: any thread of any process may set it at any moment, a signal handler too; any may read it. Hot path: both.
"""

import numpy as np

from rollahead.runtime.shared import Block

ON, HURRIES = 1, 2


class Latch:
    """Off at first; once it is on it stays on. A signal that finds it on hurries: what can be left out is. It may be
    given to a process that is started with it among its arguments."""

    def __init__(self) -> None:
        self.__setstate__(Block(8))

    def set(self) -> None:
        """Turns it on. Phase: hot."""
        self._word[0] = max(int(self._word[0]), ON)

    def signal(self) -> None:
        """A signal came: turns it on, or, if it is on, hurries. Phase: hot."""
        self._word[0] = HURRIES if self.is_set else ON

    @property
    def hurries(self) -> bool:
        """Whether a signal came when it was on already. Phase: hot."""
        return int(self._word[0]) >= HURRIES

    @property
    def is_set(self) -> bool:
        """Whether it is on. Phase: hot."""
        return bool(self._word[0])

    def __getstate__(self) -> Block:
        return self._block

    def __setstate__(self, block: Block) -> None:
        self._block = block
        self._word = block.array(np.int64, (1,))
