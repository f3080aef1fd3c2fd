"""History: what was sent, tick by tick, after correction, guard and hold.

One writer, the executor. Ticks are consecutive and never renumbered: a skipped one is entered too, as what the robot
in effect did.

Threads: the executor's alone. Hot path: all of it.
"""

import numpy as np

from rollahead.errors import LifecycleError
from rollahead.runtime.types.arrays import FloatArray, frozen


class History:
    """The last `capacity` actions.

    Each is written twice, `capacity` apart, so that any tail is one contiguous slice.
    """

    def __init__(self, capacity: int, action_dim: int) -> None:
        self._capacity = capacity
        self._rows = np.zeros((2 * capacity, action_dim))
        self._length = 0
        self._next: int | None = None
        self.last: FloatArray | None = None  # (A,), the newest action, if there is one

    def append(self, k: int, action: FloatArray) -> None:
        """Enters `action` (A,) as that of tick `k`, which must follow the newest. Phase: hot."""
        if self._next is not None and k != self._next:
            raise LifecycleError(
                f"tick {k} was entered after tick {self._next - 1}; enter every tick, skipped ones too"
            )
        slot = self._slot(k)
        self._rows[slot] = self._rows[slot + self._capacity] = action
        self._length = min(self._length + 1, self._capacity)
        self._next = k + 1
        self.last = frozen(action)

    def tail(self, n: int) -> FloatArray:
        """(m, A), the newest m = min(n, as many as there are), oldest first; a copy. Phase: hot."""
        n = min(n, self._length)
        if self._next is None or n == 0:
            return frozen(np.empty((0, self._rows.shape[1])))
        stop = self._slot(self._next - 1) + self._capacity + 1
        rows = self._rows[stop - n : stop].copy()
        rows.flags.writeable = False
        return rows

    def _slot(self, k: int) -> int:
        return k % self._capacity
