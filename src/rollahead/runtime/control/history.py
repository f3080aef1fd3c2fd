"""History: the actions that were sent, tick by tick, after correction, guard and hold.

Ticks are consecutive and never renumbered: a skipped tick is entered too, with the action that the robot in effect
carried out.

Threads: the executor's alone. Hot path: all of it.
"""

import numpy as np

from rollahead.errors import LifecycleError
from rollahead.runtime.types.arrays import FloatArray, frozen


class History:
    """A ring of the last `capacity` actions.

    Each is written twice, `capacity` apart, so that any tail is one contiguous slice.
    """

    def __init__(self, capacity: int, action_dim: int) -> None:
        self._capacity = capacity
        self._rows = np.zeros((2 * capacity, action_dim))
        self._length = 0
        self._next: int | None = None
        self.last: FloatArray | None = None  # (A,), the newest action, if there is one

    def append(self, k: int, action: FloatArray) -> None:
        """Enters `action` (A,) as that of tick `k`. Phase: hot.

        Raises LifecycleError if `k` does not follow the newest tick.
        """
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
        """Copy of the newest n actions (m, A), oldest first; m is less than n if there are fewer. Phase: hot."""
        n = min(n, self._length)
        if self._next is None or n == 0:
            return frozen(np.empty((0, self._rows.shape[1])))
        stop = self._slot(self._next - 1) + self._capacity + 1
        rows = self._rows[stop - n : stop].copy()
        rows.flags.writeable = False
        return rows

    def _slot(self, k: int) -> int:
        return k % self._capacity
