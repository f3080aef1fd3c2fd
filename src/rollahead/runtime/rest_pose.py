"""The rest pose: position targets that the robot is moved to at the end of a run, before it is disconnected.

LeRobot switches the torque off when it disconnects an arm, which then falls. With a rest pose the arm is first moved
there slowly, through the guard, after it has come to rest.

Threads: the executor's alone. Hot path: `Homing.row`.
"""

import math
from collections.abc import Mapping

import numpy as np

from rollahead.errors import ConfigError, unknown_name
from rollahead.runtime.arrays import FloatArray
from rollahead.runtime.spec import Kind, RobotSpec, names_of

LEAST_S = 3.0  # shortest duration of the move
SPARE = 2.0  # duration of the move in multiples of the time at the rate limit; its peak speed is 1.875 of the mean


class RestPose:
    """A pose, given by `targets` for position dimensions by name; other dimensions stay where they are.

    Raises: ConfigError, if a name is not a position of the robot, or its target is out of range.
    """

    def __init__(self, spec: RobotSpec, targets: Mapping[str, float]) -> None:
        dims = {dim.name: dim for dim in spec.action if dim.kind is Kind.POSITION}
        for name, target in targets.items():
            if name not in dims:
                raise unknown_name("position dimension of rest_pose", name, dims)
            low, high = dims[name].low, dims[name].high
            if not (isinstance(target, int | float) and low <= target <= high):
                raise ConfigError(
                    f"rest_pose puts {name} at {target}, and its range is {low:g} to {high:g}; keep it inside"
                )
        names = names_of(spec.action)
        self._where = np.array([name in targets for name in names], np.bool_)
        self._targets = np.array([float(targets.get(name, 0.0)) for name in names])
        self._rates = np.array([dim.rate_limit for dim in spec.action])
        self._rate_hz = spec.rate_hz

    def way(self, k: int, start: FloatArray) -> "Homing":
        """Plans the move from `start` (A,), the last action, beginning in tick `k`."""
        far = np.where(self._where, np.abs(self._targets - start) / self._rates, 0.0).max(initial=0.0)
        ticks = math.ceil(max(LEAST_S, SPARE * far) * self._rate_hz)
        return Homing(k, ticks, start, np.where(self._where, self._targets, start))


class Homing:
    """A move to the rest pose, in ticks `[first, first + ticks)`, from `start` (A,) to `end` (A,)."""

    def __init__(self, first: int, ticks: int, start: FloatArray, end: FloatArray) -> None:
        self.stop = first + ticks
        self._first, self._ticks = first, ticks
        self._start, self._end = start, end

    def row(self, k: int) -> FloatArray:
        """(A,), the target of tick `k`; speed and acceleration begin and end at zero. Phase: hot."""
        share = min((k - self._first + 1) / self._ticks, 1.0)
        eased = share**3 * (10 - 15 * share + 6 * share**2)  # minimum-jerk polynomial
        return self._start + eased * (self._end - self._start) if eased < 1 else self._end
