"""Plausibility check of a reading against the one before, to detect single wrong readings (a corrupted packet).

Two successive readings of a number agree if they differ by no more than a tolerance: twice the distance that the
robot's rate limit allows in the time between them, and 1 % of the range for noise.

Threads: the executor's alone. Hot path: all but the constructor.
"""

import math

import numpy as np

from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.robot import Reading
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec, is_turn, names_of

PLAUSIBLE = 2.0  # tolerance, in multiples of the distance that the rate limit allows in one tick
NOISE = 0.01  # added to the tolerance, as a fraction of the range
SHARE = 0.05  # tolerance of a dimension without a rate limit, as a fraction of the range
BY_UNIT = {"rad": 0.1, "deg": 5.0, "%": 5.0, "m": 0.05}  # tolerance of a dimension without a range either
MOST_GAP = 10  # ticks between two readings, for which the tolerance grows


class Agreement:
    """Compares each reading of a robot with the one before, number by number.

    `steady` is whether all numbers of the newest reading are as close to the one before as if that were one tick old.
    """

    def __init__(self, spec: RobotSpec) -> None:
        self.steady = True  # while there is nothing to disagree with
        self._tolerances: list[float] = _tolerances(spec).tolist()
        self._turns = [is_turn(dim) for dim in spec.state]
        self._before: Reading | None = None
        self._measured_at = 0
        self._agreed = [False] * len(spec.state)
        self._was_steady = False

    def __call__(self, k: int, reading: Reading) -> list[bool]:
        """Whether each number of the state of `reading`, made in tick `k`, agrees with the one before.

        The first reading agrees. After that only a reading that was measured later can begin to agree: a driver that
        repeats a wrong reading confirms nothing. Phase: hot.
        """
        measured_at, before = k - reading.age, self._before
        agrees = [True] * len(self._agreed)
        if before is not None:
            repeated = reading.age > 0 and reading.state is before.state
            gap = 0 if repeated else measured_at - self._measured_at
            agrees = self._compare(self._shares(reading, before), gap)
        self._before, self._measured_at = reading, measured_at
        return agrees

    def _compare(self, shares: list[float], gap: int) -> list[bool]:
        """Whether each number agrees, from its distance to the one before.

        Args:
            shares: Distances, in multiples of the tolerance.
            gap: Ticks from one reading to the other, 0 or less if it is no newer.
        """
        most = min(max(gap, 1), MOST_GAP)
        steady, close = max(shares, default=0.0) <= 1, [share <= most for share in shares]
        newer = gap > 0
        self.steady = self._was_steady = steady and (newer or self._was_steady)
        self._agreed = close if newer else [a and b for a, b in zip(close, self._agreed, strict=True)]
        return self._agreed

    def _shares(self, reading: Reading, before: Reading) -> list[float]:
        """Distances of the numbers of two readings, in multiples of the tolerance."""
        values = zip(reading.state.tolist(), before.state.tolist(), self._tolerances, self._turns, strict=True)
        return [_apart(value, other, turns) / most for value, other, most, turns in values]


def _apart(value: float, other: float, turns: bool) -> float:
    """Distance of two readings; in rad the short way round if they are angles that wrap round.

    Such an angle is in [-pi, pi): one that is off by a whole turn is as wrong as any other.
    """
    straight = abs(value - other)
    return min(straight, abs(2 * math.pi - straight)) if turns and abs(value) <= 1.01 * math.pi else straight


def _tolerances(spec: RobotSpec) -> FloatArray:
    """Largest plausible difference (S,) of two readings one tick apart.

    It is infinite for a state that no action drives, or without limits.
    """
    names = names_of(spec.state)
    tolerances = np.full(len(names), np.inf)
    for dim in spec.action:
        if dim.drives is not None:
            i = names.index(dim.drives)
            tolerances[i] = min(tolerances[i], _tolerance(dim, spec.state[i], spec.period_s))
    return tolerances


def _tolerance(dim: Dim, state: Dim, period_s: float) -> float:
    """Largest plausible difference of two readings of `state`, which the action `dim` drives, one tick apart."""
    if dim.kind is Kind.ROTATION:
        return math.inf  # a rotation vector near half a turn changes its sign
    moves = dim if dim.kind in (Kind.POSITION, Kind.DISCRETE) else state
    size = moves.high - moves.low
    if dim.kind is Kind.DISCRETE:
        return size / 2
    fastest = max(-dim.low, dim.high)
    speed = {Kind.VELOCITY: fastest, Kind.DELTA: fastest / period_s}.get(dim.kind, dim.rate_limit)
    if math.isfinite(speed):
        return PLAUSIBLE * speed * period_s + (NOISE * size if math.isfinite(size) else 0.0)
    return SHARE * size if math.isfinite(size) else BY_UNIT.get(state.unit, math.inf)
