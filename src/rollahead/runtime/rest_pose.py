"""The rest pose: targets that a robot is brought to at the end of a run, before its torque may be switched off.

An arm that LeRobot disconnects falls from wherever it stands. With a rest pose it is laid down first: slowly, through
the guard, once everything else has come to rest.

Threads: the executor's alone. Hot path: `Homing.row`.
"""

import math
from collections.abc import Mapping

import numpy as np

from rollahead.errors import ConfigError, unknown_name
from rollahead.runtime.arrays import FloatArray
from rollahead.runtime.spec import Kind, RobotSpec, names_of

LEAST_S = 3.0  # that the way to the rest pose takes, and more where rate limits say so
SPARE = 2.0  # times as long as its rate limit takes a dimension there: it is eased at both ends


class RestPose:
    """The pose of `targets`, by the names of position dimensions; the others stay where they are.

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
        """The way from `start` (A,), which was sent last, from tick `k` on."""
        far = np.where(self._where, np.abs(self._targets - start) / self._rates, 0.0).max(initial=0.0)
        ticks = math.ceil(max(LEAST_S, SPARE * far) * self._rate_hz)
        return Homing(k, ticks, start, np.where(self._where, self._targets, start))


class Homing:
    """The way to a rest pose, in ticks `[first, first + ticks)`, from `start` (A,) to `end` (A,)."""

    def __init__(self, first: int, ticks: int, start: FloatArray, end: FloatArray) -> None:
        self.stop = first + ticks
        self._first, self._ticks = first, ticks
        self._start, self._end = start, end

    def row(self, k: int) -> FloatArray:
        """(A,), where it is to be in tick `k`; speed and acceleration begin and end at zero. Phase: hot."""
        share = min((k - self._first + 1) / self._ticks, 1.0)
        eased = share**3 * (10 - 15 * share + 6 * share**2)  # of least jerk
        return self._start + eased * (self._end - self._start) if eased < 1 else self._end
