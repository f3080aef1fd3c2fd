"""Discrete dimensions: a policy's number becomes one of two, and flickers not.

What counts for the hysteresis is what was decided, not what was sent: a gripper that is slewed (a `rate_limit` on a
discrete dimension) is on its way for many ticks.

Hot path: the executor's, of every tick.
"""

import numpy as np
from numpy.typing import NDArray

from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.spec import RobotSpec


class Discrete:
    """Snaps the dimensions of `spec` that have a threshold to their low or high."""

    def __init__(self, spec: RobotSpec) -> None:
        switched = [(j, dim, dim.threshold) for j, dim in enumerate(spec.action) if dim.threshold is not None]
        self._at = np.array([j for j, _, _ in switched], np.intp)
        self._low = np.array([dim.low for _, dim, _ in switched])
        self._high = np.array([dim.high for _, dim, _ in switched])
        self._middle = np.array([threshold for _, _, threshold in switched], np.float64)
        self._half = np.array([dim.hysteresis / 2 for _, dim, _ in switched])
        self._up: NDArray[np.bool_] | None = None  # what was decided last, in this epoch
        self._held: NDArray[np.bool_] | None = None  # and in any epoch: a hold goes on with it

    def __call__(self, row: FloatArray, last: FloatArray | None) -> FloatArray:
        """(A,), `row` (A,) of a chunk with each such dimension low or high. Between its two levels it stays as decided;
        first in an epoch, where `last` (A,), what was sent before, is nearer to; without one the middle decides. NaN is
        left for the guard. Phase: hot."""
        if not len(self._at):
            return row
        asked = row[self._at]
        up = (asked >= self._middle + self._half) | ((asked > self._middle - self._half) & self._before(asked, last))
        self._up = self._held = up = np.where(np.isnan(asked), self._before(asked, last), up)
        return self._snapped(row, np.where(np.isnan(asked), asked, np.where(up, self._high, self._low)))

    def hold(self, row: FloatArray) -> FloatArray:
        """(A,), the hold `row` (A,) with each such dimension as decided last, also on its way there; before the first
        decision, what is nearer. Phase: hot."""
        if not len(self._at):
            return row
        up = row[self._at] > (self._low + self._high) / 2 if self._held is None else self._held
        return self._snapped(row, np.where(up, self._high, self._low))

    def forget(self) -> None:
        """An epoch is over. Phase: hot."""
        self._up = None

    def _before(self, asked: FloatArray, last: FloatArray | None) -> NDArray[np.bool_]:
        if self._up is not None:
            return self._up
        return asked >= self._middle if last is None else last[self._at] >= (self._low + self._high) / 2

    def _snapped(self, row: FloatArray, values: FloatArray) -> FloatArray:
        snapped = row.copy()
        snapped[self._at] = values
        return snapped
