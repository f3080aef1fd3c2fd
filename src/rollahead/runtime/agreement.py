"""Plausibility check of a reading against the one before, to detect single wrong readings (a corrupted packet).

Two successive readings agree if no dimension of the state differs by more than a tolerance: twice the distance that
the robot's rate limit allows in one tick, and 1 % of the range for noise.

Threads: the executor's alone. Hot path: all but the constructor.
"""

import math

import numpy as np

from rollahead.runtime.arrays import FloatArray
from rollahead.runtime.robots import Reading
from rollahead.runtime.spec import Dim, Kind, RobotSpec, is_turn, names_of

PLAUSIBLE = 2.0  # tolerance, in multiples of the distance that the rate limit allows in one tick
NOISE = 0.01  # added to the tolerance, as a fraction of the range
SHARE = 0.05  # tolerance of a dimension without a rate limit, as a fraction of the range


class Agreement:
    """Compares each reading of a robot with the one before."""

    def __init__(self, spec: RobotSpec) -> None:
        self._tolerances: list[float] = _tolerances(spec).tolist()
        self._turns = [is_turn(dim) for dim in spec.state]
        self._before: Reading | None = None
        self._measured_at = 0
        self._agrees = False

    def __call__(self, k: int, reading: Reading) -> bool:
        """Whether `reading`, made in tick `k`, agrees with the one before. The first one has nothing to disagree with.
        After that only a reading that was measured later can begin to agree: a driver that repeats a wrong reading
        confirms nothing. Phase: hot."""
        measured_at, before = k - reading.age, self._before
        if before is not None:
            repeated = reading.age > 0 and reading.state is before.state
            newer = measured_at > self._measured_at and not repeated
            self._agrees = (newer or self._agrees) and self._close(reading, before)
        self._before, self._measured_at = reading, measured_at
        return self._agrees or before is None

    def _close(self, reading: Reading, before: Reading) -> bool:
        """Number by number, which is faster than by array for a few dozen numbers."""
        values = zip(reading.state.tolist(), before.state.tolist(), self._tolerances, self._turns, strict=True)
        return all(apart(value, other, turns=turns) <= tolerance for value, other, tolerance, turns in values)


def apart(value: float, other: float, *, turns: bool) -> float:
    """Distance of two readings; on the circle if they are angles that turn, in rad."""
    straight = abs(value - other)
    return min(around := straight % (2 * math.pi), 2 * math.pi - around) if turns else straight


def _tolerances(spec: RobotSpec) -> FloatArray:
    """(S,), the largest plausible difference of two readings one tick apart; infinite for a state that no action
    drives, or without limits."""
    names = names_of(spec.state)
    tolerances = np.full(len(names), np.inf)
    for dim in spec.action:
        if dim.drives is not None:
            i = names.index(dim.drives)
            tolerances[i] = min(tolerances[i], _tolerance(dim, spec.state[i], spec.period_s))
    return tolerances


def _tolerance(dim: Dim, state: Dim, period_s: float) -> float:
    """The largest plausible difference of two readings of `state`, which the action `dim` drives, one tick apart."""
    if dim.kind is Kind.DISCRETE:
        return math.inf
    moves = dim if dim.kind is Kind.POSITION else state
    size = moves.high - moves.low
    fastest = max(-dim.low, dim.high)
    speed = {Kind.VELOCITY: fastest, Kind.DELTA: fastest / period_s}.get(dim.kind, dim.rate_limit)
    if math.isfinite(speed):
        return PLAUSIBLE * speed * period_s + (NOISE * size if math.isfinite(size) else 0.0)
    return SHARE * size
