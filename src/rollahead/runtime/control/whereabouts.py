"""The starting point of the next setpoint: the last setpoint, or the measured position.

Normally each setpoint continues from the last one, with its speed. Setpoints start at rest from the measured position

    at the start, and after an e-stop                       in all dimensions
    after a resume, or a reset without an e-stop            in dimensions where the robot is far from its target

A single reading may be wrong, so a measured position counts only if two successive readings agree. At the start and
after an e-stop nothing is sent until they do. After a resume or a reset, if no two readings agree within `DOUBTS`
ticks, the robot is assumed to be at its last setpoint.

Threads: the executor's alone. Hot path: all but the constructor.
"""

import numpy as np
from numpy.typing import NDArray

from rollahead.runtime.control.observation_buffer import ObservationBuffer
from rollahead.runtime.safety.hold import Hold
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.spec import RobotSpec

DOUBTS = 3  # ticks after a resume or a reset within which two successive readings must agree


class Whereabouts:
    """Decides where the next setpoint of a robot with `spec` starts, from the readings in `buffer`."""

    def __init__(self, spec: RobotSpec, hold: Hold, buffer: ObservationBuffer) -> None:
        self._hold = hold
        self._buffer = buffer
        self._everywhere = np.ones(len(spec.action), np.bool_)
        self._doubts = 0  # ticks left in which the robot may be found far from its target
        self._looked = False  # whether the robot was read since it was lost
        self.unsettled_ticks = 0  # number of ticks in a row in which readings did not agree on where to start
        self.anew: NDArray[np.bool_] | None = self._everywhere  # (A,), dimensions that start from the measured position

    def lose(self) -> None:
        """Makes the next setpoint start from the measured position in all dimensions. Called after an e-stop."""
        self.anew, self._doubts = self._everywhere, 0
        self._looked, self.unsettled_ticks = False, 0

    def doubt(self) -> None:
        """Makes the next ticks check whether the robot is far from its target. Called after a resume or a reset."""
        self._doubts = 0 if self.anew is self._everywhere else DOUBTS
        self.unsettled_ticks = 0

    def look(self, last: FloatArray | None) -> None:
        """Checks, if `doubt` asked for it, how far the robot is from its target.

        Called once per tick, after the robot was read. last: (A,), the last action.
        """
        self._looked = True
        if self.anew is self._everywhere:
            self.unsettled_ticks = 0 if self._buffer.steady or self._buffer.trouble else self.unsettled_ticks + 1
            return
        self.anew = None  # drops what the last tick found and did not use
        if not self._doubts:
            return
        self._doubts -= 1
        if last is not None and self._buffer.steady and not self._buffer.trouble:
            self._doubts = 0
            self.anew = self._hold.far(self._buffer.seen.state, last)

    @property
    def known(self) -> bool:
        """Whether the starting point of the next setpoint is known; until then nothing may be sent."""
        buffer = self._buffer
        settled = self._looked and buffer.steady and not buffer.trouble
        return buffer.ever and (settled or self.anew is not self._everywhere)

    def hold(self, last: FloatArray | None) -> FloatArray:
        """Action (A,) of a hold after the action `last` (A,).

        It has the measured positions in dimensions that start anew, and the hold of `last` in the others.
        """
        if last is None:
            return self._hold.first(self._buffer.seen.state, None)
        held = self._hold.rows(last, 1)[0]
        if self.anew is None:
            return held
        return np.where(self.anew, self._hold.first(self._buffer.seen.state, last), held)

    def sent(self) -> None:
        """Makes the next setpoint continue from the last one. Called when a setpoint was sent."""
        self.anew = None
