"""Joint limits for axes driven by velocities or steps: an axis brakes before the end of its state's range.

Where an axis stands now is its last reading and everything that was sent since that reading was taken:

    reading of tick k - 2 |--- sent in k - 2 --- sent in k - 1 --- sent in k so far ---| room |  end of the range

A setpoint passes if the axis can still brake in the room left after it, within its rate and acceleration limits;
otherwise the axis brakes now. If the last two readings leave different room, the smaller one counts. An axis that
something else has moved so close to the end that there is too little room brakes as hard as its limits allow.

Threads: the executor's alone. Hot path: all but the constructor.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from rollahead.runtime.safety.follower import closing
from rollahead.runtime.safety.hold import MOVING
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec, is_turn, names_of

Bools = NDArray[np.bool_]


class Edges:
    """Range limits of the n axes of `spec` that are driven by velocities or steps and have a range.

    Args:
        spec: Spec of the robot.
        dt: Seconds from setpoint to setpoint.
        rate: (A,), the largest change of a value per setpoint.
        change: (A,), the largest change of that change.
        ticks: Largest age of a reading, in ticks.
    """

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
        self._coasts = np.where(velocity, dt, 0.0)  # how far it moves on in the time of a setpoint that is not sent
        self._brake, self._jerk = rate[self._at] * self._move, change[self._at] * self._move
        self._moved = np.zeros(len(bounded))  # distance commanded since the start
        self._heads: deque[FloatArray] = deque([self._moved], maxlen=ticks)  # `_moved` at the heads of the last ticks
        self._origin: FloatArray | None = None  # position at the start, reconstructed from the reading of this tick
        self._before: FloatArray | None = None  # position at the start, from the reading of the tick before

    def tick(self) -> None:
        """Notes that a tick begins. Phase: hot."""
        self._heads.append(self._moved)
        self._before = self._origin

    def sent(self, setpoint: FloatArray) -> None:
        """Notes that `setpoint` (A,) was sent. Phase: hot."""
        self._moved = self._moved + setpoint[self._at] * self._move

    def left_out(self, last: FloatArray, setpoints: int) -> None:
        """Notes that so many `setpoints` were not sent after `last` (A,).

        A velocity moves its axis on meanwhile, a step does not. Phase: hot.
        """
        self._moved = self._moved + setpoints * last[self._at] * self._coasts

    def room(self, state: FloatArray, age: NDArray[np.int64] | int) -> tuple[FloatArray, FloatArray]:
        """Distances (n,), (n,) from each axis to the upper and to the lower end of its range, 0 or more.

        They are 0 where the reading is older than what is remembered. Phase: hot.

        Args:
            state: (S,), the measured state.
            age: Ticks since it was measured, (S,) or one for all.
        """
        ages = np.broadcast_to(age, state.shape)[self._state].tolist()
        known = len(self._heads)
        since = [self._heads[-1 - min(ago, known - 1)][i] for i, ago in enumerate(ages)]
        origin = state[self._state] - since
        other = origin if self._before is None else self._before
        self._origin = origin
        least, most = np.minimum(origin, other) + self._moved, np.maximum(origin, other) + self._moved
        up, down = np.maximum(self._high - most, 0.0), np.maximum(least - self._low, 0.0)
        if known == self._heads.maxlen and max(ages) >= known:
            lost = np.array(ages) >= known
            up, down = np.where(lost, 0.0, up), np.where(lost, 0.0, down)
        return up, down

    def brakes(self, setpoint: FloatArray, last: FloatArray, room: tuple[FloatArray, FloatArray]) -> Bools:
        """Dimensions (A,) with an `accel_limit` in which a setpoint leaves less room than braking takes.

        `within` handles the dimensions without an `accel_limit`. Phase: hot.

        Args:
            setpoint: (A,), the next setpoint.
            last: (A,), the setpoint before.
            room: Distances as `room` returns them.
        """
        moves, before = setpoint[self._at] * self._move, last[self._at] * self._move
        up = moves > 0
        speeding = np.where(up, moves - before, before - moves)
        needs = np.abs(moves) + stopping(np.abs(moves), speeding, self._brake, self._jerk)
        where = np.zeros(len(setpoint), np.bool_)
        where[self._at] = np.isfinite(self._jerk) & (needs > np.where(up, *room))
        return where

    def within(self, setpoint: FloatArray, last: FloatArray, room: tuple[FloatArray, FloatArray]) -> FloatArray:
        """Returns `setpoint` (A,) with axes slowed down so far that each can brake in its room.

        This applies to dimensions without an `accel_limit`, and slows none down faster than its `rate_limit` allows.
        Phase: hot.

        Args:
            setpoint: (A,), the next setpoint.
            last: (A,), the setpoint before.
            room: Distances as `room` returns them.
        """
        limited = np.isfinite(self._brake)
        up, down = (closing(np.minimum(way, 1e30), np.where(limited, self._brake, 1.0), limited) for way in room)
        before = last[self._at] * self._move
        fastest, slowest = np.maximum(up, before - self._brake), np.minimum(-down, before + self._brake)
        sudden = ~np.isfinite(self._jerk)
        kept = setpoint.copy()
        kept[self._at[sudden]] = (np.clip(setpoint[self._at] * self._move, slowest, fastest) / self._move)[sudden]
        return kept


def stopping(speed: FloatArray, speeding: FloatArray, brake: FloatArray, jerk: FloatArray) -> FloatArray:
    """Upper bound (n,) of the braking distance.

    Speed first rises until the jerk limit has undone `speeding`, and then falls along a trapezoid. Phase: hot.

    Args:
        speed: (n,), distance moved by the last setpoint.
        speeding: (n,), how much more that is than for the setpoint before.
        brake: (n,), the largest change of `speed` per setpoint; infinite for no limit.
        jerk: (n,), the largest change of that change; infinite for no limit.
    """
    more = np.maximum(speeding, 0.0)
    top = speed + more * more / (2 * jerk)
    whole = np.where(np.isfinite(brake), brake, 1.0)
    onset = np.where(np.isfinite(jerk), whole / jerk, 0.0)
    setpoints = np.where(top >= whole * onset, top / whole + onset, 2 * np.sqrt(top / jerk))
    jerked = np.ceil(more / jerk) * top + top * setpoints / 2 + np.where(np.isfinite(jerk), top, 0.0)
    sudden = np.where(np.isfinite(jerk), 2 * np.sqrt(top / jerk) * top, 0.0)  # for an infinite `brake`
    return np.where(np.isfinite(brake), jerked, sudden)


def is_bounded(dim: Dim) -> bool:
    """Whether the range of `dim` has an end. An angle that wraps round at -pi and pi has none."""
    return not is_turn(dim) and bool(np.isfinite(dim.low) or np.isfinite(dim.high))
