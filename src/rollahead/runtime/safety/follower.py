"""Rate and acceleration limiter: follows a target within its limits, exactly if the target itself keeps them.

Clamping the second difference alone oscillates about the target for ever after a jump, so a gap is closed at a speed
from which the follower can still brake. With w the largest change from one step to the next, a gap g may be closed by a
step b with b + (b - w) + (b - 2 w) + ... <= g. If n whole steps of w fit, n (n + 1) w / 2 <= g, this gives
b = g / (n + 1) + n w / 2. The distance to either end of the range is treated like a gap, so that the follower always
stops inside.

Hot path: all of it.
"""

from operator import le, sub

import numpy as np
from numpy.typing import NDArray

from rollahead.runtime.types.arrays import FloatArray

ENDLESS = 1e30  # times `change`: distances are cut to this, so that an infinite range gives no NaN
SLACK = 1e-9  # times `change`: rounding must not slow down a stream that brakes at the last possible setpoint


class Follower:
    """Limiter for A dimensions, which follows a target within rate and acceleration limits.

    Args:
        rate: (A,), the largest change of a value per setpoint (a step); infinite for no limit.
        change: (A,), the largest change of the step from one setpoint to the next; infinite for no limit.
        low: (A,) or one for all, the lower end of the range that values stay in.
        high: (A,) or one for all, the upper end of that range.
    """

    def __init__(
        self,
        rate: FloatArray,
        change: FloatArray,
        low: FloatArray | float = -np.inf,
        high: FloatArray | float = np.inf,
    ) -> None:
        self._rate = rate
        self._window = change
        self._limited = np.isfinite(change)
        self._w = np.where(self._limited, change, 1.0)
        self._low, self._high = np.broadcast_to(low, rate.shape), np.broadcast_to(high, rate.shape)
        self._rates: list[float] = rate.tolist()
        self._changes: list[float] = change.tolist()
        ends = zip(change.tolist(), self._low.tolist(), self._high.tolist(), strict=True)
        self._ends = [(j, 2 * w, a, b) for j, (w, a, b) in enumerate(ends) if np.isfinite(w)]

    def begin(self, at: FloatArray, where: NDArray[np.bool_] | None = None) -> None:
        """Restarts at rest at the values `at` (A,).

        Args:
            at: (A,), the values to start from.
            where: (A,), the dimensions to restart, None for all; the others keep their value and speed.
        """
        if where is None:
            self._last = self._asked = at
            self._steps = [0.0] * len(at)
        else:
            self._last, self._asked = np.where(where, at, self._last), np.where(where, at, self._asked)
            self._steps = np.where(where, 0.0, self._steps).tolist()

    def stands(self, where: NDArray[np.bool_]) -> bool:
        """Whether the last setpoint equalled the one before in all dimensions `where` (A,)."""
        return not np.any(self._steps, where=where)

    def rest_setpoints(self, moving: NDArray[np.bool_]) -> float:
        """Upper bound of the number of setpoints until the robot is at rest.

        At rest no value changes, and the values in dimensions `moving` (A,), which are velocities or steps, are zero.
        """
        onset = np.where(self._limited, np.abs(self._steps) / self._w, 0.0)
        speed = np.abs(self._last) + SLACK
        peak = np.minimum(self._rate, np.sqrt(speed * self._window))  # largest change per setpoint while braking
        slowing = speed / peak + np.where(self._limited, peak / self._w, 0.0)
        return float((onset + np.where(moving, 2 * slowing, 0.0)).max(initial=0.0)) + 2

    def to_zero(self, where: NDArray[np.bool_]) -> None:
        """Sets the target in the dimensions `where` (A,) to zero and forgets how it moved before."""
        self._asked = np.where(where, 0.0, self._asked)

    def braking(self, where: NDArray[np.bool_]) -> FloatArray:
        """Next values (A,) that bring the dimensions `where` (A,) to rest as soon as the limits allow.

        Their targets are forgotten. The other dimensions have their last values.
        """
        steps = np.array(self._steps)
        slower = steps - np.clip(steps, -self._window, self._window)
        self._asked = np.where(where, self._last, self._asked)
        return np.where(where, self._last + slower, self._last)

    def follows(self, asked: FloatArray, numbers: list[float]) -> bool:
        """Follows `asked` (A,) exactly if the limits allow that; returns whether they do.

        This is a quick test for the common case, and may return False where `toward` would return `asked` unchanged.

        Args:
            asked: (A,), the next target.
            numbers: The elements of `asked`.
        """
        if self._asked is not self._last:
            return False
        steps = list(map(sub, numbers, self._last.tolist()))
        follows = (
            all(map(le, map(abs, steps), self._rates))
            and all(map(le, map(abs, map(sub, steps, self._steps)), self._changes))
            and self._stops_inside(numbers, steps)
        )
        if follows:
            self._asked = self._last = asked
            self._steps = steps
        return follows

    def _stops_inside(self, numbers: list[float], steps: list[float]) -> bool:
        """Whether every dimension can still stop before the end of its range.

        The test is sufficient: it may say no where the exact one in `toward` says yes.
        """
        for j, two_w, low, high in self._ends:
            step, at = steps[j], numbers[j]
            if step * step > two_w * (high - at if step > 0 else at - low):
                return False
        return True

    def toward(self, asked: FloatArray) -> tuple[FloatArray, bool, bool]:
        """Next value (A,) on the way to `asked` (A,), and whether the rate and the acceleration limit changed it.

        The value is `asked` itself, the same object, if nothing is limited. `went` must be called with what was sent.
        """
        before = np.array(self._steps)
        gap = self._asked - self._last
        safe = self._closing(np.abs(gap))
        wanted = asked - self._asked + np.copysign(safe, gap)
        eased = np.minimum(np.maximum(wanted, before - self._window), before + self._window)
        step = np.minimum(np.maximum(eased, -self._rate), self._rate)
        inside = np.minimum(np.maximum(step, self._least(before)), self._most(before))
        free = (inside == wanted) & (safe == np.abs(gap))
        if free.all():
            return asked, False, False
        slowed = bool((safe != np.abs(gap)).any() or (eased != wanted).any() or (inside != step).any())
        return np.where(free, asked, self._last + inside), bool((step != eased).any()), slowed

    def _most(self, before: FloatArray) -> FloatArray:
        """Largest step (A,) after which each dimension can still stop at the upper end of its range.

        The step of hardest braking is always allowed. before: (A,), the last step.
        """
        room = self._closing(self._room(self._high - self._last))
        return np.where(self._limited, np.maximum(room, before - self._window), np.inf)

    def _least(self, before: FloatArray) -> FloatArray:
        """Smallest (most negative) step (A,) after which each dimension can still stop at the range's lower end."""
        room = self._closing(self._room(self._last - self._low))
        return np.where(self._limited, np.minimum(-room, before + self._window), -np.inf)

    def _room(self, room: FloatArray) -> FloatArray:
        return np.minimum(np.maximum(room, 0.0) + SLACK * self._w, ENDLESS * self._w)

    def _closing(self, gap: FloatArray) -> FloatArray:
        return closing(gap, self._w, self._limited)

    def went(self, asked: FloatArray, to: FloatArray) -> None:
        """Notes that `to` (A,) was sent when `asked` (A,) was asked for."""
        self._steps = (to - self._last).tolist()
        self._asked, self._last = asked, to


def closing(gap: FloatArray, w: FloatArray, limited: NDArray[np.bool_]) -> FloatArray:
    """Largest step (A,) towards a point from which a stop at that point is still possible.

    Args:
        gap: (A,), distance to the point.
        w: (A,), the largest difference between successive steps.
        limited: (A,), dimensions where `w` applies; in the others the step is the whole gap.
    """
    n = np.floor((np.sqrt(1 + 8 * gap / w) - 1) / 2)
    return np.where(limited, np.minimum(gap, gap / (n + 1) + n * w / 2), gap)
