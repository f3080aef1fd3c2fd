"""Joint limits for axes driven by velocities or steps: they stop before the end of the range of what they move.

Where an axis stands now is its last reading and everything that was sent since that reading was taken:

    reading of tick k - 2 |--- sent in k - 2 --- sent in k - 1 --- sent in k so far ---| room |  end of the range

A setpoint passes if the axis can still brake in the room that it leaves, within its rate and acceleration limits; else
the axis brakes now. Where the last two readings leave different room the smaller counts. If something else has moved
the axis, and there is less room than braking takes, it brakes as hard as its limits allow.

Threads: the executor's alone. Hot path: all but the constructor.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from rollahead.runtime.arrays import FloatArray
from rollahead.runtime.follower import closing
from rollahead.runtime.hold import MOVING
from rollahead.runtime.spec import Dim, Kind, RobotSpec, is_turn, names_of

Bools = NDArray[np.bool_]


class Edges:
    """The axes of `spec` that are driven by velocities or steps and have a range. dt: seconds from setpoint to
    setpoint; rate, change: (A,), the most that a value, and its change, may change per setpoint; ticks: how old
    readings may be."""

    def __init__(self, spec: RobotSpec, dt: float, rate: FloatArray, change: FloatArray, ticks: int) -> None:
        names = names_of(spec.state)
        bounded = [
            (j, dim.kind, names.index(dim.drives))
            for j, dim in enumerate(spec.action)
            if dim.kind in MOVING and dim.drives is not None and is_bounded(spec.state[names.index(dim.drives)])
        ]
        self.any = bool(bounded)
        self._at = np.array([j for j, _, _ in bounded], np.intp)
        self._state = np.array([i for _, _, i in bounded], np.intp)
        self._low = np.array([spec.state[i].low for _, _, i in bounded])
        self._high = np.array([spec.state[i].high for _, _, i in bounded])
        velocity = np.array([kind is Kind.VELOCITY for _, kind, _ in bounded], np.bool_)
        self._move = np.where(velocity, dt, 1.0)  # how far a setpoint of 1 moves the axis
        self._coasts = np.where(velocity, dt, 0.0)  # and how far it goes on without the next
        self._brake, self._jerk = rate[self._at] * self._move, change[self._at] * self._move
        self._moved = np.zeros(len(bounded))  # since the start
        self._heads: deque[FloatArray] = deque([self._moved], maxlen=ticks)  # the same at the heads of the last ticks
        self._origin: FloatArray | None = None  # where each axis was before all that, by the reading of this tick
        self._before: FloatArray | None = None  # and by that of the tick before

    def tick(self) -> None:
        """A tick begins. Phase: hot."""
        self._heads.append(self._moved)
        self._before = self._origin

    def sent(self, setpoint: FloatArray) -> None:
        """`setpoint` (A,) was sent. Phase: hot."""
        self._moved = self._moved + setpoint[self._at] * self._move

    def left_out(self, last: FloatArray, setpoints: int) -> None:
        """So many `setpoints` are not sent, after `last` (A,): a velocity goes on. Phase: hot."""
        self._moved = self._moved + setpoints * last[self._at] * self._coasts

    def room(self, state: FloatArray, age: int) -> tuple[FloatArray, FloatArray]:
        """How far each axis may still go up, and down, if it was at `state` (S,) `age` ticks before this one; none is
        negative. Phase: hot."""
        origin = state[self._state] - self._heads[-1 - min(age, len(self._heads) - 1)]
        other = origin if self._before is None else self._before
        self._origin = origin
        least, most = np.minimum(origin, other) + self._moved, np.maximum(origin, other) + self._moved
        return np.maximum(self._high - most, 0.0), np.maximum(least - self._low, 0.0)

    def brakes(self, setpoint: FloatArray, last: FloatArray, room: tuple[FloatArray, FloatArray]) -> Bools:
        """(A,), where `setpoint` (A,), after `last` (A,), leaves less room than braking takes, and braking cannot begin
        at once: `within` is for the others. Phase: hot."""
        moves, before = setpoint[self._at] * self._move, last[self._at] * self._move
        up = moves > 0
        speeding = np.where(up, moves - before, before - moves)
        needs = np.abs(moves) + stopping(np.abs(moves), speeding, self._brake, self._jerk)
        where = np.zeros(len(setpoint), np.bool_)
        where[self._at] = np.isfinite(self._jerk) & (needs > np.where(up, *room))
        return where

    def within(self, setpoint: FloatArray, last: FloatArray, room: tuple[FloatArray, FloatArray]) -> FloatArray:
        """(A,), `setpoint` (A,) after `last` (A,) with no axis faster than it can brake in its room, where braking can
        begin at once, and none slowed down faster than it may. Phase: hot."""
        limited = np.isfinite(self._brake)
        up, down = (closing(np.minimum(way, 1e30), np.where(limited, self._brake, 1.0), limited) for way in room)
        before = last[self._at] * self._move
        fastest, slowest = np.maximum(up, before - self._brake), np.minimum(-down, before + self._brake)
        sudden = ~np.isfinite(self._jerk)
        kept = setpoint.copy()
        kept[self._at[sudden]] = (np.clip(setpoint[self._at] * self._move, slowest, fastest) / self._move)[sudden]
        return kept


def stopping(speed: FloatArray, speeding: FloatArray, brake: FloatArray, jerk: FloatArray) -> FloatArray:
    """(n,), an upper bound of how far something goes on while it is brought to rest, in setpoints. speed: (n,), how far
    the last setpoint moved it; speeding: by how much more than the one before; brake, jerk: the most that `speed`, and
    the change of it, may change per setpoint, infinite for no limit.

    It speeds up until the jerk has undone `speeding`, and then brakes as a trapezoid. Phase: hot.
    """
    more = np.maximum(speeding, 0.0)
    top = speed + more * more / (2 * jerk)
    whole = np.where(np.isfinite(brake), brake, 1.0)
    onset = np.where(np.isfinite(jerk), whole / jerk, 0.0)
    setpoints = np.where(top >= whole * onset, top / whole + onset, 2 * np.sqrt(top / jerk))
    jerked = np.ceil(more / jerk) * top + top * setpoints / 2 + np.where(np.isfinite(jerk), top, 0.0)
    sudden = np.where(np.isfinite(jerk), 2 * np.sqrt(top / jerk) * top, 0.0)  # no limit but that of jerk
    return np.where(np.isfinite(brake), jerked, sudden)


def is_bounded(dim: Dim) -> bool:
    """Whether the range of `dim` ends anywhere: that of an angle that turns does not."""
    return not is_turn(dim) and bool(np.isfinite(dim.low) or np.isfinite(dim.high))
