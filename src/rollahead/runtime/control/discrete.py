"""Discrete dimensions: turns a policy's number into one of two values, with hysteresis so that it does not flicker.

The hysteresis refers to what was decided, not to what was sent: a gripper with a `rate_limit` on its discrete dimension
is on its way for many ticks.

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
        self._up: NDArray[np.bool_] | None = None  # the last decision in this epoch
        self._held: NDArray[np.bool_] | None = None  # the last decision in any epoch, which a hold keeps

    def __call__(self, row: FloatArray, last: FloatArray | None) -> FloatArray:
        """Returns `row` (A,) of a chunk with each discrete dimension low or high.

        Between the two switching levels a dimension keeps its last decision. The first time in an epoch it takes the
        end that `last` is nearer to, or, without a `last`, decides by the threshold. NaN is left for the guard. Phase:
        hot.

        Args:
            row: (A,), the row of a chunk.
            last: (A,), what was sent before; None if there is nothing.
        """
        if not len(self._at):
            return row
        asked = row[self._at]
        up = (asked >= self._middle + self._half) | ((asked > self._middle - self._half) & self._before(asked, last))
        self._up = self._held = up = np.where(np.isnan(asked), self._before(asked, last), up)
        return self._snapped(row, np.where(np.isnan(asked), asked, np.where(up, self._high, self._low)))

    def hold(self, row: FloatArray) -> FloatArray:
        """Returns the hold `row` (A,) with each discrete dimension as decided last, also while it is on its way.

        Before the first decision it takes the nearer end. Phase: hot.
        """
        if not len(self._at):
            return row
        up = row[self._at] > (self._low + self._high) / 2 if self._held is None else self._held
        return self._snapped(row, np.where(up, self._high, self._low))

    def forget(self) -> None:
        """Forgets the decisions of the epoch, which is over. Phase: hot."""
        self._up = None

    def _before(self, asked: FloatArray, last: FloatArray | None) -> NDArray[np.bool_]:
        if self._up is not None:
            return self._up
        return asked >= self._middle if last is None else last[self._at] >= (self._low + self._high) / 2

    def _snapped(self, row: FloatArray, values: FloatArray) -> FloatArray:
        snapped = row.copy()
        snapped[self._at] = values
        return snapped
