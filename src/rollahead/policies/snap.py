"""Snapping: discrete actions of a plan are set to the nearer end of their range.

RTI-DP (arXiv 2508.05396) sends a discrete action of its low-dimensional tasks as -1 or 1, whatever the size of the
number that the policy made. Where a robot's dimension has a threshold, the executor does this too, with hysteresis.

Threads: the worker's alone.
"""

from collections.abc import Sequence

import numpy as np

from rollahead.errors import ConfigError
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec


class Snap:
    """Sets the discrete dimensions of rows to the low or the high end of their range."""

    def __init__(self, names: Sequence[str], robot: RobotSpec) -> None:
        """Selects the discrete dimensions. `names`: the actions of the rows, by the robot's names, in order.

        Raises: ConfigError, if a discrete action has no range, or no action is discrete.
        """
        known = {dim.name: dim for dim in robot.action if dim.kind is Kind.DISCRETE}
        dims = [(i, known[name]) for i, name in enumerate(names) if name in known]
        if not dims:
            raise ConfigError("planner.snap=true is for discrete actions, and the robot has none; leave it out")
        for _, dim in dims:
            if not np.isfinite([dim.low, dim.high]).all():
                raise ConfigError(
                    f"planner.snap=true sends {dim.name!r} as the end of its range, which goes from {dim.low} to "
                    f"{dim.high}; give the dimension a low and a high"
                )
        self._at = [i for i, _ in dims]
        self._low, self._high, self._middle = np.array([(d.low, d.high, middle_of(d)) for _, d in dims]).T

    def __call__(self, rows: FloatArray) -> FloatArray:
        """A copy of `rows` (H, A) with discrete dimensions snapped. NaN stays. Phase: hot."""
        snapped: FloatArray = rows.copy()
        discrete = rows[:, self._at]
        ends = np.where(discrete > self._middle, self._high, self._low)
        snapped[:, self._at] = np.where(np.isnan(discrete), discrete, ends)
        return snapped


def middle_of(dim: Dim) -> float:
    """The value at which a discrete dimension turns from one end of its range to the other.

    It is the dimension's threshold, else the middle of its range, else 0.
    """
    if dim.threshold is not None:
        return dim.threshold
    return (dim.low + dim.high) / 2 if np.isfinite([dim.low, dim.high]).all() else 0.0
