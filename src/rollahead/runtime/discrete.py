"""Discrete dimensions: a policy's number becomes one of two, and flickers not.

Hot path: the executor's, of every tick.
"""

import numpy as np

from rollahead.runtime.arrays import FloatArray
from rollahead.runtime.spec import RobotSpec


class Discrete:
    """Snaps the dimensions of `spec` that have a threshold to their low or high."""

    def __init__(self, spec: RobotSpec) -> None:
        switched = [(j, dim, dim.threshold) for j, dim in enumerate(spec.action) if dim.threshold is not None]
        self._at = np.array([j for j, _, _ in switched], np.intp)
        self._low = np.array([dim.low for _, dim, _ in switched])
        self._high = np.array([dim.high for _, dim, _ in switched])
        self._middle = np.array([threshold for _, _, threshold in switched], np.float64)
        self._half = np.array([dim.hysteresis / 2 for _, dim, _ in switched])

    def __call__(self, row: FloatArray, last: FloatArray | None) -> FloatArray:
        """(A,), `row` (A,) with each such dimension low or high. Between its two levels it stays where `last` (A,),
        what was sent before, is nearer to; without one the middle decides. NaN is left for the guard. Phase: hot."""
        if not len(self._at):
            return row
        asked = row[self._at]
        before = asked - self._middle if last is None else last[self._at] - (self._low + self._high) / 2
        up = (asked >= self._middle + self._half) | ((asked > self._middle - self._half) & (before >= 0))
        snapped = row.copy()
        snapped[self._at] = np.where(np.isnan(asked), asked, np.where(up, self._high, self._low))
        return snapped
