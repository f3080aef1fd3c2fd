"""The rest pose: position targets that the robot is moved to at the end of a run, before it is disconnected.

LeRobot switches the torque off when it disconnects an arm, which then falls. With a rest pose the arm is first moved
there slowly, through the guard, after it has come to rest.

Threads: the executor's alone. Hot path: `Homing.step`.
"""

import math
from collections.abc import Mapping

import numpy as np

from rollahead.errors import ConfigError, unknown_name
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.spec import Kind, RobotSpec, names_of

LEAST_S = 3.0  # shortest duration of the move
SPARE = 1.1  # times the shortest move that keeps the limits
PEAK_RATE, PEAK_ACCEL = 1.875, 5.78  # peaks of the minimum-jerk polynomial over a unit distance in a unit time


class RestPose:
    """A pose given by `targets` for position dimensions by name; other dimensions stay where they are.

    Raises ConfigError if a name is not a position of the robot, or its target is out of range.
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
        self._rates = np.array([min(dim.rate_limit, dim.jump_limit * spec.rate_hz) for dim in spec.action])
        self._accels = np.array([dim.accel_limit for dim in spec.action])
        self._rate_hz = spec.rate_hz

    def way(self, start: FloatArray) -> "Homing":
        """Plans the move from `start` (A,), the last action, so slowly that the guard need not slow it down."""
        end = np.where(self._where, self._targets, start)
        distance = np.abs(end - start)
        seconds = np.maximum(PEAK_RATE * distance / self._rates, np.sqrt(PEAK_ACCEL * distance / self._accels))
        ticks = math.ceil(max(LEAST_S, SPARE * float(seconds.max(initial=0.0))) * self._rate_hz)
        return Homing(ticks, start, end)


class Homing:
    """A move to the rest pose in `ticks` steps, from `start` (A,) to `end` (A,), along the minimum-jerk polynomial."""

    def __init__(self, ticks: int, start: FloatArray, end: FloatArray) -> None:
        self.ticks = ticks
        self._start, self._end = start, end
        self._made = 0  # steps

    @property
    def over(self) -> bool:
        """Whether the last step was made. Phase: hot."""
        return self._made == self.ticks

    def step(self) -> FloatArray:
        """Next target (A,); speed and acceleration begin and end at zero. Phase: hot."""
        self._made += 1
        share = self._made / self.ticks
        eased = share**3 * (10 - 15 * share + 6 * share**2)
        return self._start + eased * (self._end - self._start) if self._made < self.ticks else self._end
