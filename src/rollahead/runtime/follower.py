"""A follower: it goes after a target no faster than it may, and is exactly on it if the target itself keeps the limits.

Clamping the second difference alone swings about the target for ever after a jump, so a gap is closed at a speed from
which the follower can still brake: with w the most that a step may change, a gap g may be closed by a step b with
b + (b - w) + (b - 2 w) + ... <= g. Where n whole steps of w follow the last one, n (n + 1) w / 2 <= g, that is
b = g / (n + 1) + n w / 2.

Hot path: all of it.
"""

from operator import le, sub

import numpy as np

from rollahead.runtime.arrays import FloatArray


class Follower:
    """rate: (A,), the most that a value may change per setpoint; change: (A,), the most that this step may change from
    one setpoint to the next; infinite for no limit."""

    def __init__(self, rate: FloatArray, change: FloatArray) -> None:
        self._rate = rate
        self._window = change
        self._limited = np.isfinite(change)
        self._w = np.where(self._limited, change, 1.0)

        self._rates: list[float] = rate.tolist()
        self._changes: list[float] = change.tolist()

    def begin(self, at: FloatArray) -> None:
        """Stands still at `at` (A,)."""
        self._last = self._asked = at
        self._steps = [0.0] * len(at)

    def follows(self, asked: FloatArray, numbers: list[float]) -> bool:
        """Whether it was on the target and may go on to `asked` (A,), which has these `numbers`; then it has gone.
        Most streams do, all the time, so it is quick."""
        if self._asked is not self._last:
            return False
        steps = list(map(sub, numbers, self._last.tolist()))
        follows = all(map(le, map(abs, steps), self._rates)) and all(
            map(le, map(abs, map(sub, steps, self._steps)), self._changes)
        )
        if follows:
            self._asked = self._last = asked
            self._steps = steps
        return follows

    def toward(self, asked: FloatArray) -> tuple[FloatArray, bool, bool]:
        """(A,), what may follow when `asked` (A,) is asked, the very same if nothing is held back; whether the rate,
        and whether its change, held it back."""
        before = np.array(self._steps)
        gap = self._asked - self._last
        size = np.abs(gap)
        n = np.floor((np.sqrt(1 + 8 * size / self._w) - 1) / 2)
        safe = np.where(self._limited, np.minimum(size, size / (n + 1) + n * self._w / 2), size)
        wanted = asked - self._asked + np.copysign(safe, gap)
        eased = np.minimum(np.maximum(wanted, before - self._window), before + self._window)
        step = np.minimum(np.maximum(eased, -self._rate), self._rate)
        free = (step == wanted) & (safe == size)
        if free.all():
            return asked, False, False
        slowed = bool((safe != size).any() or (eased != wanted).any())
        return np.where(free, asked, self._last + step), bool((step != eased).any()), slowed

    def went(self, asked: FloatArray, to: FloatArray) -> None:
        """`to` (A,) was sent in the end, when `asked` (A,) was asked."""
        self._steps = (to - self._last).tolist()
        self._asked, self._last = asked, to
