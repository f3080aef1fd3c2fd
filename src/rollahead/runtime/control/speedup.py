"""Speed-up: `q` policy rows become one action (VLASH, arXiv 2512.01031, section 5, action quantisation)."""

import numpy as np
from numpy.typing import NDArray

from rollahead.errors import ConfigError
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.spec import Kind, RobotSpec, mask


class SpeedUp:
    """Runs a plan `q` times as fast, on a robot of `spec`.

    Of each group of q rows it keeps the last, but sums deltas and multiplies velocities by q, within the robot's range.
    A last group that is short is dropped. Raises ConfigError if q is less than 1.
    """

    def __init__(self, spec: RobotSpec, q: int) -> None:
        if q < 1:
            raise ConfigError(f"the speed-up q is {q}; give 1 (as planned) or more")
        self.q = q
        self._delta: NDArray[np.bool_] = mask(spec.action, Kind.DELTA)
        self._moving: NDArray[np.bool_] = mask(spec.action, Kind.DELTA, Kind.VELOCITY)
        self._factor = np.where(mask(spec.action, Kind.VELOCITY), float(q), 1.0)
        self._low = np.array([dim.low for dim in spec.action])
        self._high = np.array([dim.high for dim in spec.action])

    def horizon(self, rows: int) -> int:
        """Number of ticks that a chunk of `rows` policy rows lasts."""
        return rows // self.q

    def __call__(self, rows: FloatArray) -> FloatArray:
        """Actions (H // q, A) from policy rows (H, A)."""
        if self.q == 1:
            return rows
        groups = rows[: self.horizon(len(rows)) * self.q].reshape(-1, self.q, rows.shape[1])
        faster = np.where(self._delta, groups.sum(axis=1), groups[:, -1] * self._factor)
        return np.where(self._moving, np.clip(faster, self._low, self._high), groups[:, -1])
